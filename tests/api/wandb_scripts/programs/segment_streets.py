"""Log predictions of a segmentation as a table with scores of each class, a figure and histograms as pictures.

After: edu, MLOps course, lesson 3, eval.py
Needs: PIL, matplotlib, numpy
Runs.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import artstore as wandb

CLASSES = {0: "background", 1: "road", 2: "car"}
generator = np.random.default_rng(0)
with wandb.init(project="streets", job_type="training", config={"img_size": 8, "bs": 4}) as run:
    model = wandb.Artifact("segmenter", type="model")
    with model.new_file("model.txt") as file:
        file.write("weights")
    run.log_artifact(model)
    run.link_artifact(model, "model-registry/Street Segmentation")

run = wandb.init(project="streets", job_type="evaluation", tags=["staging"])
artifact = run.use_artifact("model-registry/Street Segmentation:latest", type="model")
assert next(Path(artifact.download()).iterdir()).name == "model.txt"
wandb.config.update(artifact.logged_by().config)
assert wandb.config.img_size == 8
table = wandb.Table(columns=["Image", *[f"{name} IOU" for name in CLASSES.values()]])
targets, predictions = generator.integers(0, 3, (2, 3, 8, 8))
for target, prediction in zip(targets, predictions, strict=True):
    masks = {
        "ground_truth": {"mask_data": target, "class_labels": CLASSES},
        "prediction": {"mask_data": prediction, "class_labels": CLASSES},
    }
    ious = [
        float(((target == c) & (prediction == c)).sum() / max(1, ((target == c) | (prediction == c)).sum()))
        for c in CLASSES
    ]
    table.add_data(wandb.Image(generator.random((8, 8, 3)), masks=masks), *ious)
wandb.log({"val_pred_table": table})
for number, name in CLASSES.items():
    plt.hist((targets == number).sum(axis=(1, 2)), bins=3, alpha=0.5, label="target")
    plt.legend(loc="upper right")
    plt.savefig(f"hist_{name}.png")
    plt.clf()
    wandb.log({f"hist_{name}": wandb.Image(f"hist_{name}.png", caption=name)})
figure, axes = plt.subplots()
axes.imshow(np.eye(3))
wandb.log({"val_confusion_matrix": figure})
plt.close("all")
for name, value in {"val_loss": 0.5, "val_miou": 0.4}.items():
    wandb.summary[name] = value
run.finish()
assert wandb.Api().run(run.path).summary["hist_car"]["_type"] == "image-file"
