"""Log histograms of gradients during training, and one that numpy counted.

After: docs, track, log media: histograms
Needs: numpy
Runs.
"""

import numpy as np

import artstore as wandb

generator = np.random.default_rng(0)
with wandb.init(project="histograms", id="h") as run:
    for step in range(3):
        grads = generator.normal(scale=step + 1, size=100)
        run.log({"gradients": wandb.Histogram(grads)})
    run.log({"counted": wandb.Histogram(np_histogram=np.histogram(grads, density=True, range=(0.0, 1.0)))})
    run.summary.update({"final": wandb.Histogram(grads, num_bins=8)})
found = wandb.Api().run("histograms/h")
assert [len(row["gradients"]["bins"]) for row in found.scan_history(keys=["gradients"])] == [65, 65, 65]
assert len(found.summary["final"]["values"]) == 8
