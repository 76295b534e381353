"""Save files with a run, and read one back.

After: examples, machine-learning, numpy housing
Needs: numpy
Runs.
"""

from pathlib import Path

import numpy as np

import artstore as wandb

generator = np.random.default_rng(0)
data = generator.normal(size=(30, 3))
target = data @ [1.0, -2.0, 0.5]
wandb.init(project="numpy-housing-demo", id="house")
wandb.config.lr = 0.05
wandb.config.epochs = 3
weights = np.zeros(3)
for _ in range(wandb.config.epochs):
    for x, y in zip(data, target, strict=True):
        err = y - np.dot(weights, x)
        weights += wandb.config.lr * x * np.sign(err)
        wandb.log({"Loss": np.abs(err)})
np.save("weights", weights)
wandb.save("weights.npy")
wandb.finish()

found = wandb.Api().run("numpy-housing-demo/house")
assert found.summary["Loss"] < 1
Path("weights.npy").unlink()
found.file("weights.npy").download(replace=True)
assert (np.load("weights.npy") == weights).all()
