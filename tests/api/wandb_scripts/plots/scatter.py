"""Log a cloud of points.

After: docs, track, plots: scatter
Runs.
"""

import artstore as wandb

with wandb.init(project="plots", id="scatter") as run:
    table = wandb.Table(data=[[x, x % 3] for x in range(6)], columns=["class_x", "class_y"])
    run.log({"my_custom_id": wandb.plot.scatter(table, "class_x", "class_y")})
assert wandb.Api().run("plots/scatter").summary["my_custom_id_table"]["ncols"] == 2
