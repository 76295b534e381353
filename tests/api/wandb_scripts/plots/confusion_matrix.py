"""Log a confusion matrix of labels, and one of probabilities.

After: examples, colabs, confusion matrix
Needs: numpy
Runs.
"""

import numpy as np

import artstore as wandb

class_names = ["cat", "dog", "bird"]
ground_truth = [0, 1, 1, 0, 2]
predictions = [0, 1, 0, 0, 2]
with wandb.init(project="plots", id="confusion") as run:
    cm = wandb.plot.confusion_matrix(y_true=ground_truth, preds=predictions, class_names=class_names)
    run.log({"conf_mat": cm})
    run.log({"of_probs": wandb.plot.confusion_matrix(probs=np.eye(3)[predictions], y_true=ground_truth)})
assert wandb.Api().run("plots/confusion").summary["conf_mat_table"]["nrows"] == 9
