"""A config value that was set can't be changed by accident.

After: docs, reference, init(allow_val_change=)
Runs.
"""

import artstore as wandb

with wandb.init(project="locked", config={"lr": 0.1}) as run:
    try:
        run.config["lr"] = 0.2
    except Exception as error:
        assert "lr" in str(error)
    else:
        raise AssertionError("lr was changed")
    run.config.update({"lr": 0.3}, allow_val_change=True)
with wandb.init(project="locked", config={"lr": 0.1}, allow_val_change=True) as run:
    run.config["lr"] = 0.2
    assert run.config.lr == 0.2
