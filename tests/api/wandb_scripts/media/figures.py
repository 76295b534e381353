"""Log figures of matplotlib, as plots and as pictures.

After: examples, machine-learning, matplotlib
Needs: PIL, matplotlib, numpy
Runs.
"""

import matplotlib.pyplot as plt
import numpy as np

import artstore as wandb

wandb.init(project="matplotlib-demo", id="figures")
plt.figure()
plt.plot([1, 2, 3, 4])
plt.ylabel("some interesting numbers")
wandb.log({"chart": plt})
fig, axes = plt.subplots(1, 2)
axes[0].hist(np.arange(10) % 3)
axes[1].imshow(np.eye(4))
wandb.log({"figure": fig})
wandb.log({"picture": wandb.Image(fig)})
plt.close("all")
wandb.finish()
summary = wandb.Api().run("matplotlib-demo/figures").summary
assert summary["picture"]["_type"] == "image-file"
assert {summary[key]["_type"] for key in ("chart", "figure")} <= {"image-file", "plotly-file"}
