"""Fork a run at a step.

After: docs, runs, fork a run
Runs.
Warns: init(fork_from=…) changes nothing: a run begins without steps of another one
"""

import artstore as wandb

with wandb.init(project="forks") as run1:
    for i in range(30):
        run1.log({"metric": i})
with wandb.init(project="forks", fork_from=f"{run1.id}?_step=20") as run2:
    for i in range(20, 30):
        run2.log({"metric": i * 2, "additional_metric": i * 1.1})
