"""Rename a metric in the summary of a run that has finished.

After: docs, track, public API: rename a metric in a completed run
Runs.
"""

import artstore as wandb

with wandb.init(project="renames", id="r") as run:
    run.log({"old_name": 3})

run = wandb.Api().run("renames/r")
run.summary["new_name"] = run.summary["old_name"]
del run.summary["old_name"]
run.summary.update()
summary = wandb.Api().run("renames/r").summary
assert summary["new_name"] == 3 and "old_name" not in summary
