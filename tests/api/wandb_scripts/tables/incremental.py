"""Log a table in batches during training, and whole at the end.

After: docs, tables, INCREMENTAL mode
Runs.
"""

import artstore as wandb

with wandb.init(project="combined-logging-example", id="both") as run:
    incr_table = wandb.Table(columns=["step", "input", "prediction"], log_mode="INCREMENTAL")
    for step in range(3):
        for inp in (step, step + 10):
            incr_table.add_data(step, inp, inp % 2)
        run.log({"table-incr": incr_table}, step=step)
    final_table = wandb.Table(columns=incr_table.columns, data=incr_table.data, log_mode="IMMUTABLE")
    run.log({"table": final_table})

found = wandb.Api().run("combined-logging-example/both")
assert found.summary["table"]["nrows"] == 6
assert len([row for row in found.scan_history() if "table-incr" in row]) == 3
