"""Take the config from argparse.

After: docs, track, configure experiments
Needs: numpy
Runs.
"""

import argparse

import numpy as np

import artstore as wandb


def train_one_epoch(epoch, lr, bs):
    return 0.25 + epoch / 30, 0.2 + 1 / epoch


def main(args):
    with wandb.init(project="config_example", config=args) as run:
        lr = run.config["learning_rate"]
        bs = run.config["batch_size"]
        for epoch in np.arange(1, run.config["epochs"]):
            acc, loss = train_one_epoch(epoch, lr, bs)
            run.log({"epoch": epoch, "train_acc": acc, "train_loss": loss})
    return run


parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
parser.add_argument("-b", "--batch_size", type=int, default=32, help="Batch size")
parser.add_argument("-e", "--epochs", type=int, default=5, help="Number of training epochs")
parser.add_argument("-lr", "--learning_rate", type=float, default=0.001, help="Learning rate")
run = main(parser.parse_args(["-b", "16"]))
found = wandb.Api().run(run.path)
assert dict(found.config) == {"batch_size": 16, "epochs": 5, "learning_rate": 0.001}
assert found.summary["epoch"] == 4
