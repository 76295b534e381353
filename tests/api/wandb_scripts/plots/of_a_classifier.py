"""Plot a classifier with the functions for scikit-learn.

After: examples, scikit, classification
Needs: sklearn
Runs.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

import artstore as wandb

generator = np.random.default_rng(0)
x = generator.normal(size=(60, 3))
y = (x[:, 0] + x[:, 1] > 0).astype(int)
x_train, x_test, y_train, y_test = x[:40], x[40:], y[:40], y[40:]
labels = ["no", "yes"]
wandb.init(project="wine", id="plots")
model = LogisticRegression().fit(x_train, y_train)
y_pred, y_probas = model.predict(x_test), model.predict_proba(x_test)
wandb.sklearn.plot_class_proportions(y_train, y_test, labels)
wandb.sklearn.plot_confusion_matrix(y_test, y_pred, labels)
wandb.sklearn.plot_roc(y_test, y_probas, labels)
wandb.sklearn.plot_precision_recall(y_test, y_probas, labels)
wandb.sklearn.plot_summary_metrics(model, x_train, y_train, x_test, y_test)
wandb.finish()
summary = wandb.Api().run("wine/plots").summary
assert {"class_proportions", "confusion_matrix", "precision_recall_table", "roc_table"} <= set(summary.keys())
