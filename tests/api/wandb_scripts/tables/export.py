"""Add a table to an artifact, get it back, and write it as CSV.

After: docs, tables, export table data
Needs: pandas
Runs.
"""

from pathlib import Path

import artstore as wandb

with wandb.init(project="export") as r:
    artifact = wandb.Artifact("my_dataset", type="dataset")
    table = wandb.Table(columns=["a", "b", "c"], data=[(i, i * 2, 2**i) for i in range(10)])
    artifact.add(table, "my_table")
    wandb.log_artifact(artifact)

with wandb.init(project="export") as r:
    artifact = r.use_artifact("my_dataset:latest")
    table = artifact.get("my_table")
df = table.get_dataframe()
df.to_csv("example.csv", encoding="utf-8")
assert Path("example.csv").read_text().splitlines()[:3] == [",a,b,c", "0,0,0,1", "1,1,2,2"]
