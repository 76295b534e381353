"""Go on with a table in batches in a run that is resumed.

After: docs, tables, resume runs with INCREMENTAL tables
Runs.
"""

import artstore as wandb

with wandb.init(project="resume-incremental", id="r1") as run:
    table = wandb.Table(columns=["step", "metric"], log_mode="INCREMENTAL")
    for step in range(2):
        table.add_data(step, step / 10)
        run.log({"metrics": table}, step=step)

resumed_run = wandb.init(project="resume-incremental", id="r1", resume="must")
table = wandb.Table(columns=["step", "metric"], log_mode="INCREMENTAL")
for step in range(2, 4):
    table.add_data(step, step / 10)
    resumed_run.log({"metrics": table}, step=step)
resumed_run.finish()

rows = [row for row in wandb.Api().run("resume-incremental/r1").scan_history() if "metrics" in row]
assert [row["_step"] for row in rows] == [0, 1, 2, 3]
