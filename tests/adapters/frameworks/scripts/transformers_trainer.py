"""Transformers' Trainer with `report_to="wandb"`, which logs a model at each save."""

import os

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

os.environ |= {"WANDB_PROJECT": "texts", "WANDB_LOG_MODEL": "checkpoint", "WANDB_WATCH": "false"}
torch.manual_seed(0)
config = BertConfig(
    vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, max_position_embeddings=16,
    id2label={0: "no", 1: "yes"},
)  # fmt: skip
rows = [
    {
        "input_ids": torch.randint(0, 50, (8,)),
        "attention_mask": torch.ones(8, dtype=torch.long),
        "labels": torch.tensor(i % 2),
    }
    for i in range(16)
]
arguments = TrainingArguments(
    "out", report_to="wandb", run_name="bert", max_steps=6, logging_steps=2, save_steps=3, per_device_train_batch_size=4,
    eval_strategy="steps", eval_steps=3, use_cpu=True, disable_tqdm=True, save_total_limit=2,
)  # fmt: skip
Trainer(BertForSequenceClassification(config), arguments, train_dataset=rows, eval_dataset=rows).train()
