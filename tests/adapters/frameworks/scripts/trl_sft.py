"""TRL's SFTTrainer over a tiny model, with a tokenizer made here."""

import os

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

os.environ["WANDB_PROJECT"] = "chats"
torch.manual_seed(0)
words = {word: number for number, word in enumerate(["<pad>", "<eos>", "<unk>", "one", "two", "three"])}
raw = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
raw.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
config = LlamaConfig(
    vocab_size=6, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1,
    max_position_embeddings=32, pad_token_id=0, eos_token_id=1, bos_token_id=1,
)  # fmt: skip
arguments = SFTConfig(
    "out", report_to="wandb", run_name="sft", max_steps=3, logging_steps=1, per_device_train_batch_size=2, use_cpu=True,
    disable_tqdm=True, save_strategy="no", max_length=16, bf16=False, gradient_checkpointing=False,
)  # fmt: skip
SFTTrainer(
    LlamaForCausalLM(config), arguments, train_dataset=Dataset.from_dict({"text": ["one two three", "three two"] * 4}),
    processing_class=tokenizer,
).train()  # fmt: skip
