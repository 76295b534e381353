"""Plot a regressor with the functions for scikit-learn.

After: examples, scikit, housing
Needs: sklearn
Runs.
Warns: artstore has no plot_outlier_candidates: nothing is logged; wandb.plot has charts of any table
"""

import numpy as np
from sklearn.linear_model import Ridge

import artstore as wandb

generator = np.random.default_rng(0)
x = generator.normal(size=(60, 2))
y = x @ [1.0, 2.0]
run = wandb.init(project="housing", id="ridge")
reg = Ridge().fit(x[:40], y[:40])
wandb.sklearn.plot_residuals(reg, x[:40], y[:40])
wandb.sklearn.plot_outlier_candidates(reg, x[:40], y[:40])
wandb.sklearn.plot_regressor(reg, x[:40], x[40:], y[:40], y[40:], model_name="Ridge")
run.finish()
assert "residuals" in wandb.Api().run("housing/ridge").summary
