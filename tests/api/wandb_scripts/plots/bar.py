"""Log bars with labels.

After: docs, track, plots: bar
Runs.
"""

import artstore as wandb

with wandb.init(project="plots", id="bar") as run:
    table = wandb.Table(data=[["cat", 3], ["dog", 5]], columns=["label", "value"])
    run.log({"my_bar_chart_id": wandb.plot.bar(table, "label", "value", title="Custom Bar Chart")})
assert wandb.Api().run("plots/bar").summary["my_bar_chart_id_table"]["nrows"] == 2
