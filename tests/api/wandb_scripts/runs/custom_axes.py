"""Plot metrics over an axis of their own.

After: docs, track, customize log axes
Runs.
"""

import artstore as wandb

with wandb.init(project="axes", id="a") as run:
    run.define_metric("custom_step")
    run.define_metric("validation_loss", step_metric="custom_step")
    run.define_metric("train/step")
    run.define_metric("train/*", step_metric="train/step")
    for i in range(10):
        run.log(
            {
                "train_loss": 1 / (i + 1),
                "custom_step": i**2,
                "validation_loss": 1 / (i + 1),
                "train/step": 2**i,
                "train/accuracy": 1 - 1 / (1 + i),
            }
        )
rows = list(wandb.Api().run("axes/a").scan_history(keys=["custom_step", "validation_loss"]))
assert [row["custom_step"] for row in rows][:4] == [0, 1, 4, 9]
