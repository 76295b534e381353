"""A run in which the script fails is marked so.

After: docs, runs, run states
Runs.
"""

import artstore as wandb

try:
    with wandb.init(project="states", id="fails") as run:
        run.log({"loss": float("nan")})
        raise ValueError("the loss is NaN")
except ValueError:
    pass
run = wandb.init(project="states", id="says-so")
run.finish(exit_code=3)
api = wandb.Api()
assert (api.run("states/fails").state, api.run("states/says-so").state) == ("failed", "failed")
