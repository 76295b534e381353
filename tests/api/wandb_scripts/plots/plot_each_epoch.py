"""Log a confusion matrix each epoch, beside the metrics.

After: examples, colabs, confusion matrix
Needs: numpy
Runs.
"""

import numpy as np

import artstore as wandb

generator = np.random.default_rng(0)
truth = generator.integers(0, 2, 20)
with wandb.init(project="plots", id="epochs") as run:
    for epoch in range(3):
        wrong = generator.random(20) < 0.5 / (epoch + 1)
        said = np.where(wrong, 1 - truth, truth)
        matrix = wandb.plot.confusion_matrix(y_true=truth, preds=said, class_names=["no", "yes"])
        run.log({"epoch": epoch, "acc": float((said == truth).mean()), "confusion": matrix})
rows = [row for row in wandb.Api().run("plots/epochs").scan_history() if "confusion_table" in row]
assert len(rows) == 3
