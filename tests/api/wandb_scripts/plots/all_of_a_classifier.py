"""Plot all about a classifier at once.

After: docs, integrations, scikit-learn
Needs: sklearn
Runs.
"""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

import artstore as wandb

generator = np.random.default_rng(0)
x = generator.normal(size=(40, 3))
y = (x[:, 0] + x[:, 1] > 0).astype(int)
run = wandb.init(project="wine", id="all")
model = RandomForestClassifier(n_estimators=3).fit(x[:30], y[:30])
wandb.sklearn.plot_classifier(
    model,
    x[:30],
    x[30:],
    y[:30],
    y[30:],
    model.predict(x[30:]),
    model.predict_proba(x[30:]),
    ["no", "yes"],
    model_name="RandomForest",
    feature_names=["a", "b", "c"],
)
wandb.finish()
assert "roc_table" in wandb.Api().run("wine/all").summary
