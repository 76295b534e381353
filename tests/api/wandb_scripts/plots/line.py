"""Log a line of points.

After: docs, track, plots: line
Runs.
"""

import artstore as wandb

with wandb.init(project="plots", id="line") as run:
    data = [[x, x**2] for x in range(10)]
    table = wandb.Table(data=data, columns=["x", "y"])
    run.log({"my_custom_plot_id": wandb.plot.line(table, "x", "y", title="Custom Y vs X Line Plot")})
assert wandb.Api().run("plots/line").summary["my_custom_plot_id_table"]["nrows"] == 10
