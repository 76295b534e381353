"""Log a table with a run.

After: docs, tables, log tables
Runs.
"""

import artstore as wandb

with wandb.init(project="table-test", id="first") as run:
    my_table = wandb.Table(columns=["a", "b"], data=[["a1", "b1"], ["a2", "b2"]], log_mode="IMMUTABLE")
    my_table.add_data("a3", "b3")
    run.log({"Table Name": my_table})

row = wandb.Api().run("table-test/first").summary["Table Name"]
assert row["_type"] == "table-file" and (row["nrows"], row["ncols"]) == (3, 2)
