"""Delete the runs that failed.

After: docs, runs, delete runs
Runs.
"""

import artstore as wandb

for number in range(3):
    try:
        with wandb.init(project="tidy", id=f"n{number}"):
            if number == 1:
                raise RuntimeError
    except RuntimeError:
        pass
api = wandb.Api()
for run in api.runs("tidy", filters={"state": {"$in": ["crashed", "failed"]}}):
    run.delete()
assert [run.id for run in wandb.Api().runs("tidy")] == ["n0", "n2"]
