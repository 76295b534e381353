"""Read the tables of several parts as one.

After: docs, reference, PartitionedTable
Runs.
"""

import artstore as wandb

with wandb.init(project="partitioned") as run:
    artifact = wandb.Artifact("parts", type="dataset")
    for part in range(3):
        table = wandb.Table(columns=["part", "value"], data=[[part, part * 10], [part, part * 10 + 1]])
        artifact.add(table, f"parts/{part}")
    artifact.add(wandb.data_types.PartitionedTable(parts_path="parts"), "whole")
    run.log_artifact(artifact)
whole = wandb.Api().artifact("partitioned/parts:latest").get("whole")
assert [row for _, row in whole.iterrows()] == [[0, 0], [0, 1], [1, 10], [1, 11], [2, 20], [2, 21]]
