"""CatBoost with W&B's callback and summary."""

import catboost
import numpy
import wandb
from wandb.integration.catboost import WandbCallback, log_summary

random = numpy.random.default_rng(0)
x = random.normal(size=(60, 3))
with wandb.init(project="trees", id="cat"):
    model = catboost.CatBoostRegressor(iterations=5, depth=2, allow_writing_files=False)
    model.fit(x[:40], x[:40, 0], eval_set=(x[40:], x[40:, 0]), callbacks=[WandbCallback()], verbose=False)
    log_summary(model, save_model_checkpoint=True)
