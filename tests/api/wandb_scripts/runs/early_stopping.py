"""Stop when the validation loss doesn't get better.

After: examples, colabs, simple PyTorch integration
Runs.
"""

import artstore as wandb

with wandb.init(project="stopping", config={"patience": 2, "epochs": 10}) as run:
    best, since = float("inf"), 0
    for epoch, loss in zip(range(run.config.epochs), [0.9, 0.5, 0.6, 0.7, 0.1], strict=False):
        run.log({"epoch": epoch, "val/loss": loss})
        best, since = (loss, 0) if loss < best else (best, since + 1)
        if since >= run.config.patience:
            run.summary["stopped_at"] = epoch
            break
summary = wandb.Api().run(run.path).summary
assert summary["stopped_at"] == 3 and summary["val/loss"] == 0.7
