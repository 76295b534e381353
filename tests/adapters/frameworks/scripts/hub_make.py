"""A small model and its tokenizer, as transformers saves them: `hub_make.py FOLDER`."""

import json
import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

folder = Path(sys.argv[1])
folder.mkdir()
(folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world"]))
tokenizer = BertTokenizerFast(vocab_file=str(folder / "vocab.txt"))
tokenizer.save_pretrained(folder)
torch.manual_seed(0)
config = BertConfig(vocab_size=2000, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=256)
model = BertModel(config)
model.save_pretrained(folder)
weights = sum(float(one.sum()) for one in model.parameters())
print(json.dumps({"type": "bert", "tokens": tokenizer("hello world")["input_ids"], "weights": weights}))
