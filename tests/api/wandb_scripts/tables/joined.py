"""Join two tables of one artifact by a key.

After: tests of wandb, JoinedTable
Runs.
"""

import artstore as wandb

with wandb.init(project="joined") as run:
    artifact = wandb.Artifact("joined", type="dataset")
    left = wandb.Table(columns=["id", "name"], data=[[1, "one"], [2, "two"]])
    right = wandb.Table(columns=["id", "square"], data=[[1, 1], [2, 4]])
    artifact.add(left, "left")
    artifact.add(right, "right")
    artifact.add(wandb.JoinedTable(left, right, "id"), "both")
    run.log_artifact(artifact)
found = wandb.Api().artifact("joined/joined:latest").get("both")
assert isinstance(found, wandb.JoinedTable)
stored = wandb.Api().artifact("joined/joined:latest").manifest.entries
assert {"left.table.json", "right.table.json", "both.joined-table.json"} <= set(stored)
