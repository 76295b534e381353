"""XGBoost with W&B's callback."""

import numpy
import wandb
import xgboost
from wandb.integration.xgboost import WandbCallback

random = numpy.random.default_rng(0)
x, y = random.normal(size=(60, 3)), random.normal(size=60)
with wandb.init(project="trees", id="boost") as run:
    xgboost.train(
        {"objective": "reg:squarederror", "max_depth": 2}, xgboost.DMatrix(x[:40], y[:40]), num_boost_round=5,
        evals=[(xgboost.DMatrix(x[40:], y[40:]), "eval")], callbacks=[WandbCallback(log_model=True)], verbose_eval=False,
        early_stopping_rounds=20,
    )  # fmt: skip
    assert run.summary["eval-rmse"]["min"] > 0
