"""The first script: a config, a loop that logs, a finish.

After: docs, quickstart
Needs: pandas
Runs.
"""

import random

import artstore as wandb

wandb.login()
run = wandb.init(
    project="my-awesome-project",
    config={"learning_rate": 0.02, "architecture": "CNN", "dataset": "CIFAR-100", "epochs": 5},
)
random.seed(0)
offset = random.random() / 5
for epoch in range(2, run.config.epochs):
    acc = 1 - 2**-epoch - random.random() / epoch - offset
    loss = 2**-epoch + random.random() / epoch + offset
    wandb.log({"acc": acc, "loss": loss})
run.finish()

found = wandb.Api().run(f"my-awesome-project/{run.id}")
assert found.state == "finished" and found.summary["acc"] == acc
assert found.config["architecture"] == "CNN" and len(found.history(pandas=False)) == 3
