"""Give a config as a dict, read it, and change it during the run.

After: docs, track, configure experiments
Runs.
"""

import artstore as wandb

config = {"hidden_layer_sizes": [32, 64], "activation": "ReLU", "dropout": 0.5, "optim": {"name": "adam", "lr": 0.1}}
with wandb.init(project="config_example", config=config) as run:
    assert run.config["hidden_layer_sizes"] == [32, 64]
    assert run.config.get("activation") == "ReLU" and run.config.get("nothing", 3) == 3
    assert run.config["optim"]["lr"] == 0.1
    run.config.update({"dropout": 0.2}, allow_val_change=True)
    run.config.epochs = 4
    run.config["batch_size"] = 32
    run.config.update({"lr": 0.1, "channels": 16})
    run.config.setdefaults({"lr": 5, "momentum": 0.9})
found = wandb.Api().run(run.path).config
assert (found["dropout"], found["epochs"], found["lr"], found["momentum"]) == (0.2, 4, 0.1, 0.9)
