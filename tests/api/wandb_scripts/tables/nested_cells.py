"""Store lists, dicts and arrays in cells.

After: docs, tables, log tables
Needs: numpy
Runs.
"""

import numpy as np

import artstore as wandb

table = wandb.Table(columns=["tokens", "scores", "vector"])
table.add_data(["a", "b"], {"bleu": 0.5, "length": 2}, np.arange(3.0))
table.add_data(["c"], {"bleu": 0.7, "length": 1}, np.ones(3))
with wandb.init(project="nested") as run:
    artifact = wandb.Artifact("nested", type="dataset")
    artifact.add(table, "nested")
    run.log_artifact(artifact)
table = wandb.Api().artifact("nested/nested:latest").get("nested")
assert table.data[0][0] == ["a", "b"] and table.data[1][1]["bleu"] == 0.7
assert list(table.data[0][2]) == [0.0, 1.0, 2.0]
