"""Log much data: averages, samples and histograms in place of each value.

After: examples, colabs, strategies for high-frequency data
Needs: numpy
Runs.
"""

import numpy as np

import artstore as wandb

signal = np.sin(np.arange(3000) / 50)
with wandb.init(project="fast", id="f") as run:
    for start in range(0, len(signal), 100):
        window = signal[start : start + 100]
        run.log({"mean": window.mean(), "histogram": wandb.Histogram(window, num_bins=8)})
    every = wandb.Table(columns=["i", "value"], data=[[i, float(signal[i])] for i in range(0, 3000, 50)])
    run.log({"samples": every})
found = wandb.Api().run("fast/f")
assert len(list(found.scan_history(keys=["mean"]))) == 30 and found.summary["samples"]["nrows"] == 60
