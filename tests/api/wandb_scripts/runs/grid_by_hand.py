"""Search a grid in a loop, a run for each point, and take the best.

After: tutorials, sweeps, without a sweep's server
Runs.
"""

import itertools

import artstore as wandb

grid = {"lr": [0.1, 0.3], "layers": [1, 2]}
for values in itertools.product(*grid.values()):
    config = dict(zip(grid, values, strict=True))
    with wandb.init(project="grid", group="grid-1", config=config) as run:
        loss = (run.config.lr - 0.3) ** 2 + run.config.layers / 10
        run.log({"loss": loss})
best = wandb.Api().runs("grid", filters={"group": "grid-1"}, order="+summary_metrics.loss")[0]
assert dict(best.config) == {"lr": 0.3, "layers": 1}
