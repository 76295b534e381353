"""Log a data frame of pandas as a table.

After: docs, tables, tables walkthrough
Needs: pandas
Runs.
"""

import pandas as pd

import artstore as wandb

frame = pd.DataFrame({"name": ["ann", "bob"], "age": [31, 42], "score": [0.5, None]})
with wandb.init(project="df-table") as run:
    table = wandb.Table(dataframe=frame)
    run.log({"people": table})
    run.log({"straight": frame})

assert table.columns == ["name", "age", "score"]
summary = wandb.Api().run(run.path).summary
assert summary["people"]["nrows"] == summary["straight"]["nrows"] == 2
