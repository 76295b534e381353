"""Rewind a run to a step.

After: docs, runs, rewind a run
Runs.
Warns: init(resume_from=…) changes nothing: a run continues after its last step
"""

import artstore as wandb

with wandb.init(project="rewinds") as run:
    for i in range(30):
        run.log({"metric": i})
with wandb.init(project="rewinds", resume_from=f"{run.id}?_step=20") as run:
    for i in range(20, 30):
        run.log({"metric": i * 2})
