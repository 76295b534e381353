"""Read the use of resources during a run.

After: docs, track, public API: export system resource consumption
Needs: pandas
Runs.
"""

from pathlib import Path

import artstore as wandb

with wandb.init(project="system", id="s") as run:
    run.log({"loss": 1})

system_metrics = wandb.Api().run("system/s").history(stream="events")
system_metrics.to_csv("sys_metrics.csv")
assert Path("sys_metrics.csv").exists()
