"""Log a table of predictions each epoch, and compare two epochs.

After: docs, tables, compare tables across time
Needs: numpy, pandas
Runs.
"""

import numpy as np

import artstore as wandb

truth = np.array([0, 1, 1, 0])
with wandb.init(project="over-time") as run:
    for epoch, wrong in enumerate([3, 1]):
        predicted = np.where(np.arange(4) < wrong, 1 - truth, truth)
        table = wandb.Table(columns=["row", "truth", "predicted"])
        for row in range(4):
            table.add_data(row, int(truth[row]), int(predicted[row]))
        artifact = wandb.Artifact("predictions", type="predictions", metadata={"epoch": epoch})
        artifact.add(table, "predictions")
        run.log_artifact(artifact, aliases=[f"epoch-{epoch}"])

api = wandb.Api()
first, last = (api.artifact(f"over-time/predictions:epoch-{epoch}").get("predictions") for epoch in (0, 1))
frame = first.get_dataframe().merge(last.get_dataframe(), on="row", suffixes=("_first", "_last"))
assert (frame["predicted_first"] != frame["predicted_last"]).sum() == 2
