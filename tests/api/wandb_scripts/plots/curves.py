"""Log precision-recall and ROC curves of a classifier.

After: examples, colabs, precision-recall curves and ROC curves
Needs: numpy, sklearn
Runs.
"""

import numpy as np

import artstore as wandb

ground_truth = [0, 1, 1, 0, 2]
predictions = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.4, 0.5, 0.1], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
with wandb.init(project="plots", id="curves") as run:
    run.log({"pr": wandb.plot.pr_curve(ground_truth, predictions, labels=["cat", "dog", "bird"])})
    run.log({"roc": wandb.plot.roc_curve(ground_truth, predictions, labels=["cat", "dog", "bird"])})
summary = wandb.Api().run("plots/curves").summary
assert summary["pr_table"]["nrows"] > 3 and summary["roc_table"]["nrows"] > 3
