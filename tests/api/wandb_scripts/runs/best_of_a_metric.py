"""Let the summary hold the best value of a metric, not the last.

After: docs, track, log summary metrics
Runs.
"""

import artstore as wandb

with wandb.init(project="summaries", id="s") as run:
    run.define_metric("loss", summary="min")
    run.define_metric("acc", summary="max")
    run.define_metric("time", summary="mean")
    for loss, acc in ((0.9, 0.1), (0.2, 0.8), (0.5, 0.6)):
        run.log({"loss": loss, "acc": acc, "time": acc})
    run.summary["best_epoch"] = 1
    run.summary.update({"done": True})
summary = wandb.Api().run("summaries/s").summary
assert summary["loss"]["min"] == 0.2 and summary["acc"]["max"] == 0.8
assert abs(summary["time"]["mean"] - 0.5) < 1e-9
assert summary["best_epoch"] == 1 and summary["done"] is True
