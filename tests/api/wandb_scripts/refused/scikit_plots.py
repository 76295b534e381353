"""Plot a classifier with the functions for scikit-learn.

After: examples, scikit, classification
Needs: numpy
Can't: artstore has no 'sklearn': log the metrics yourself, with log()
"""

import numpy as np

import artstore as wandb

wandb.init(project="wine")
labels = ["one", "two"]
wandb.sklearn.plot_class_proportions(np.array([0, 1, 1]), np.array([0, 1]), labels)
