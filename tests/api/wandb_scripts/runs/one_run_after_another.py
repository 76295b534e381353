"""Start several runs in one process, each after the last.

After: docs, runs, several runs in one process: finish_previous
Runs.
"""

import artstore as wandb

for lr in (0.1, 0.01):
    run = wandb.init(project="one-by-one", config={"lr": lr}, reinit="finish_previous")
    run.log({"loss": lr})
same = wandb.init(project="one-by-one", reinit="return_previous")
assert same is run and wandb.run is run
wandb.finish()
assert wandb.run is None
assert sorted(run.config["lr"] for run in wandb.Api().runs("one-by-one")) == [0.01, 0.1]
