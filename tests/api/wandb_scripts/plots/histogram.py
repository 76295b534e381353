"""Log the distribution of scores.

After: docs, track, plots: histogram
Runs.
"""

import artstore as wandb

with wandb.init(project="plots", id="histogram") as run:
    table = wandb.Table(data=[[s / 10] for s in range(10)], columns=["scores"])
    run.log({"my_histogram": wandb.plot.histogram(table, "scores", title="Histogram")})
assert wandb.Api().run("plots/histogram").summary["my_histogram_table"]["nrows"] == 10
