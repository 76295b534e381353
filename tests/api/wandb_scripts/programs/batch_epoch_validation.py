"""Log batches, epochs and validations, each over steps of their own.

After: edu, life science course, train.py
Runs.
"""

import artstore as wandb

wandb.init(project="brain", id="axes")
config = wandb.config
config.seed = 0
config.roi_size = [224, 224, 144]
for kind in ("epoch", "batch", "validation"):
    wandb.define_metric(f"{kind}/{kind}_step")
    wandb.define_metric(f"{kind}/*", step_metric=f"{kind}/{kind}_step")
batch_step = 0
for epoch in range(2):
    for _ in range(3):
        wandb.log({"batch/batch_step": batch_step, "batch/train_loss": 1 / (batch_step + 1)})
        batch_step += 1
    wandb.log({"epoch/epoch_step": epoch, "epoch/mean_train_loss": 0.5})
    wandb.log({"validation/validation_step": epoch, "validation/mean_dice": epoch / 2})
wandb.finish()
history = wandb.Api().run("brain/axes").history(keys=["batch/batch_step", "batch/train_loss"], pandas=False)
assert [row["batch/batch_step"] for row in history] == [0, 1, 2, 3, 4, 5]
