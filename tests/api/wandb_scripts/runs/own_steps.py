"""Log with steps of your own, some of them late.

After: docs, reference, Run.log(step=)
Runs.
Warns: step 3 is before the current step 20: dropped late
"""

import artstore as wandb

with wandb.init(project="own-steps", id="o") as run:
    for step in (0, 10, 20):
        run.log({"loss": 1 / (step + 1)}, step=step)
    run.log({"same": True}, step=20)
    run.log({"late": 1}, step=3)
rows = list(wandb.Api().run("own-steps/o").scan_history())
assert [row["_step"] for row in rows] == [0, 10, 20] and rows[2]["same"] is True
