"""Log texts as a table, whole and row by row.

After: docs, track, log media: text
Runs.
"""

import artstore as wandb

with wandb.init(project="texts", id="t") as run:
    columns = ["Text", "Predicted Sentiment", "True Sentiment"]
    data = [["I love my phone", "1", "1"], ["My phone broke", "0", "-1"]]
    run.log({"examples": wandb.Table(data=data, columns=columns)})
    table = wandb.Table(columns=columns)
    for row in data:
        table.add_data(*row)
    run.log({"examples": table})
    default = wandb.Table()
    default.add_data("in", "out", "expected")
assert default.columns == ["Input", "Output", "Expected"]
assert wandb.Api().run("texts/t").summary["examples"]["nrows"] == 2
