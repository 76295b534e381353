"""Split a table of data into train, validation and test files, each run using what the last one made.

After: examples, colabs, train/val/test split with tabular data
Needs: numpy, pandas
Runs.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import artstore as wandb

generator = np.random.default_rng(1)
frame = pd.DataFrame({"height": generator.normal(size=50), "width": generator.normal(size=50), "kind": [0, 1] * 25})
frame.to_csv("flowers.csv", index=False)

with wandb.init(project="splits", job_type="upload") as run:
    raw = wandb.Artifact("raw", type="dataset", metadata={"rows": len(frame)})
    raw.add_file("flowers.csv")
    run.log_artifact(raw)

with wandb.init(project="splits", job_type="split", config={"seed": 3, "test": 0.2}) as run:
    folder = run.use_artifact("raw:latest").download()
    rows = pd.read_csv(Path(folder, "flowers.csv")).sample(frac=1, random_state=run.config.seed)
    cut = int(len(rows) * run.config["test"])
    splits = {"test": rows[:cut], "val": rows[cut : 2 * cut], "train": rows[2 * cut :]}
    artifact = wandb.Artifact("splits", type="dataset", metadata={k: len(v) for k, v in splits.items()})
    for name, part in splits.items():
        part.to_csv(f"{name}.csv", index=False)
        artifact.add_file(f"{name}.csv")
        artifact.add(wandb.Table(dataframe=part.reset_index(drop=True)), f"{name}-table")
    run.log_artifact(artifact)

with wandb.init(project="splits", job_type="train") as run:
    artifact = run.use_artifact("splits:latest")
    assert artifact.metadata == {"test": 10, "val": 10, "train": 30}
    table = artifact.get("train-table")
    assert table.columns == ["height", "width", "kind"] and len(table.data) == 30
    train = pd.read_csv(artifact.get_entry("train.csv").download())
    assert train["kind"].tolist() == table.get_column("kind")
