"""Log dicts in dicts, arrays, tensors' items and text.

After: docs, reference, Run.log
Needs: numpy
Runs.
"""

import numpy as np

import artstore as wandb

with wandb.init(project="nested", id="n") as run:
    run.log({"train": {"loss": 0.5, "acc": np.float32(0.25)}, "note": "fine", "count": np.int64(3), "flag": True})
    run.log({"train": {"loss": 0.25}, "nothing": None, "nan": float("nan"), "big": float("inf")})
summary = wandb.Api().run("nested/n").summary
assert summary["train"]["loss"] == 0.25 and summary["note"] == "fine" and summary["count"] == 3
