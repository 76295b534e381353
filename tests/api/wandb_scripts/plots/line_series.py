"""Log several lines on shared axes.

After: docs, track, plots: multi-line
Runs.
"""

import artstore as wandb

with wandb.init(project="plots", id="series") as run:
    run.log(
        {
            "my_custom_id": wandb.plot.line_series(
                xs=[0, 1, 2, 3, 4],
                ys=[[10, 20, 30, 40, 50], [0.5, 11, 72, 3, 41]],
                keys=["metric Y", "metric Z"],
                title="Two Random Metrics",
                xname="x units",
            )
        }
    )
assert wandb.Api().run("plots/series").summary["my_custom_id_table"]["nrows"] == 10
