"""Train a classifier: mean losses and their histogram, and a table of pictures in each epoch.

After: examples, launch quickstart, train.py
Needs: PIL, numpy
Runs.
"""

import numpy as np

import artstore as wandb

config = {"learning_rate": 0.1, "batch_size": 8, "epochs": 2}
generator = np.random.default_rng(0)
images = generator.random((32, 5, 5))
labels = (images.mean(axis=(1, 2)) > 0.5).astype(int)
with wandb.init(config=config) as run:
    config = run.config
    weights, iteration, losses = np.zeros(25), 0, []
    for _ in range(config.epochs):
        for idx in range(0, len(images), config.batch_size):
            iteration += 1
            x, y = images[idx : idx + config.batch_size].reshape(-1, 25) - 0.5, labels[idx : idx + config.batch_size]
            outputs = 1 / (1 + np.exp(-x @ weights))
            losses.append(float(((outputs - y) ** 2).mean()))
            if iteration % 3 == 1:
                run.log({"train/loss": sum(losses) / len(losses), "train/losses": wandb.Histogram(losses)})
                losses = []
            if idx == 0:
                table = wandb.Table(columns=["image", "label", "prediction"])
                for im, lab, pred in zip(images[: len(y)], y, outputs, strict=True):
                    table.add_data(wandb.Image(im), lab.item(), int(pred > 0.5))
                run.log({"train/predictions": table})
            weights -= config.learning_rate * x.T @ (outputs - y)
found = wandb.Api().run(f"uncategorized/{run.id}")
assert len([row for row in found.scan_history() if "train/predictions" in row]) == 2
assert found.summary["train/predictions"]["nrows"] == 8
