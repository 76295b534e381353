"""Group the runs of a cross-validation, with a job type each.

After: examples, api-examples, group and resume
Runs.
"""

import artstore as wandb

group = "experiment-1"
for fold in range(3):
    with wandb.init(project="folds", group=group, job_type="train", name=f"fold {fold}") as run:
        run.log({"loss": fold / 10})
with wandb.init(project="folds", group=group, job_type="eval") as run:
    folds = wandb.Api().runs("folds", filters={"group": group, "jobType": "train"})
    run.summary["mean loss"] = sum(fold.summary["loss"] for fold in folds) / len(folds)
assert abs(wandb.Api().run(run.path).summary["mean loss"] - 0.1) < 1e-9
assert {fold.group for fold in folds} == {group}
