"""Walk through rows, read columns, and compute columns of rows.

After: docs, reference, Table
Needs: numpy
Runs.
"""

import numpy as np

import artstore as wandb

table = wandb.Table(columns=["x", "y"], data=[[1, 2], [3, 4]])
table.add_column(name="z", data=np.array([5.0, 6.0]))
assert [(index, row) for index, row in table.iterrows()] == [(0, [1, 2, 5.0]), (1, [3, 4, 6.0])]
assert table.get_column("x") == [1, 3]
assert table.get_column("z", convert_to="numpy").sum() == 11
table.add_computed_columns(lambda index, row: {"sum": row["x"] + row["y"], "row": int(index)})
assert table.columns == ["x", "y", "z", "sum", "row"] and table.get_column("sum") == [3, 7]
assert table.get_index() == [0, 1]
with wandb.init(project="iterate") as run:
    run.log({"computed": table})
