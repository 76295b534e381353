"""Collect the metrics of a step in several calls.

After: examples, api-examples, metrics at different steps
Runs.
"""

import argparse

import artstore as wandb

parser = argparse.ArgumentParser()
parser.add_argument("--max_epochs", type=int, default=10)
parser.add_argument("--validate_every", type=int, default=5)
args = parser.parse_args([])
wandb.init(project="steps", id="s")
wandb.config.update(args)
for i in range(args.max_epochs):
    wandb.log({"loss": 10 / (i + 1), "acc": i / 10}, commit=False)
    if i % args.validate_every == 0:
        wandb.log({"val_acc": i / 10 - 0.05}, commit=False)
    wandb.log({})
wandb.finish()
rows = list(wandb.Api().run("steps/s").scan_history())
assert len(rows) == 10 and [row["_step"] for row in rows if "val_acc" in row] == [0, 5]
