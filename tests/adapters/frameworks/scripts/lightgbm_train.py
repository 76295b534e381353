"""LightGBM with W&B's callback and summary."""

import lightgbm
import numpy
import wandb
from wandb.integration.lightgbm import log_summary, wandb_callback

random = numpy.random.default_rng(0)
x = random.normal(size=(100, 3))
y = x[:, 0] + random.normal(size=100) / 10
with wandb.init(project="trees", id="light") as run:
    training = lightgbm.Dataset(x[:70], y[:70])
    model = lightgbm.train(
        {"objective": "regression", "metric": "rmse", "num_leaves": 4, "verbosity": -1}, training, num_boost_round=5,
        valid_sets=[lightgbm.Dataset(x[70:], y[70:], reference=training)], valid_names=["validation"],
        callbacks=[wandb_callback()],
    )  # fmt: skip
    log_summary(model, save_model_checkpoint=True)
    lightgbm.cv(
        {"metric": "rmse", "verbosity": -1},
        training,
        num_boost_round=2,
        callbacks=[wandb_callback(log_params=False)],
        stratified=False,
    )
