"""Keep a run open while others begin and end.

After: docs, runs, several runs in one process: create_new
Runs.
"""

import artstore as wandb


def train(name):
    with wandb.init(project="my_project", name=name, reinit="create_new") as run:
        run.log({"train_loss": 0.42})


with wandb.init(project="my_project", name="tracking_run", reinit="create_new") as tracking_run:
    for number in (1, 2):
        train(f"training_{number}")
        tracking_run.log({"eval_loss": 0.27, "eval_accuracy": 0.91})
assert wandb.run is None
assert [
    run.summary["train_loss"] for run in wandb.Api().runs("my_project", filters={"display_name": {"$regex": "train"}})
] == [0.42, 0.42]
