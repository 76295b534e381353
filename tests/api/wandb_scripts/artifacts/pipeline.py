"""Version a pipeline of four steps: load, preprocess, train, evaluate.

After: examples, colabs, pipeline versioning
Needs: numpy
Runs.
"""

from pathlib import Path

import numpy as np

import artstore as wandb

generator = np.random.default_rng(2)


def read(folder, split):
    with np.load(Path(folder, f"{split}.npz")) as stored:
        return stored["x"], stored["y"]


with wandb.init(project="pipeline", job_type="load-data") as run:
    raw = wandb.Artifact("points-raw", type="dataset", description="points", metadata={"sizes": [40, 10]})
    for split, size in (("training", 40), ("test", 10)):
        x = generator.normal(size=(size, 2))
        with raw.new_file(f"{split}.npz", mode="wb") as file:
            np.savez(file, x=x, y=(x.sum(axis=1) > 0).astype(int))
    run.log_artifact(raw)

steps = {"scale": 2.0, "shift": 1.0}
with wandb.init(project="pipeline", job_type="preprocess-data", config=steps) as run:
    processed = wandb.Artifact("points", type="dataset", metadata=steps)
    folder = run.use_artifact("points-raw:latest").download(root="data/raw")
    for split in ("training", "test"):
        x, y = read(folder, split)
        with processed.new_file(f"{split}.npz", mode="wb") as file:
            np.savez(file, x=x * steps["scale"] + steps["shift"], y=y)
    run.log_artifact(processed)

with wandb.init(project="pipeline", job_type="train-model", config={"epochs": 30, "lr": 0.1}) as run:
    config = run.config
    x, y = read(run.use_artifact("points:latest").download(), "training")
    weights = np.zeros(3)
    inputs = np.c_[x, np.ones(len(x))]
    for epoch in range(config.epochs):
        said = 1 / (1 + np.exp(-inputs @ weights))
        weights -= config.lr * inputs.T @ (said - y) / len(y)
        run.log({"train/loss": float(np.mean((said - y) ** 2)), "epoch": epoch})
    model = wandb.Artifact("classifier", type="model", metadata=dict(config))
    with model.new_file("weights.npy", mode="wb") as file:
        np.save(file, weights)
    run.log_artifact(model)

with wandb.init(project="pipeline", job_type="evaluate-model") as run:
    x, y = read(run.use_artifact("points:latest").download(), "test")
    model = run.use_artifact("classifier:latest")
    weights = np.load(Path(model.download(), "weights.npy"))
    right = ((np.c_[x, np.ones(len(x))] @ weights > 0).astype(int) == y).mean()
    run.summary.update({"accuracy": float(right), "model": model.name})

found = wandb.Api().runs("pipeline", order="+created_at")
assert [run.job_type for run in found] == ["load-data", "preprocess-data", "train-model", "evaluate-model"]
assert found[3].summary["accuracy"] > 0.7 and found[2].summary["train/loss"] < 0.2
assert [artifact.name for artifact in found[3].used_artifacts()] == ["points:v0", "classifier:v0"]
