"""Log pictures with masks in the cells of a table.

After: docs, track, image overlays in tables
Needs: PIL, numpy
Runs.
"""

import numpy as np

import artstore as wandb

class_labels = {0: "road", 1: "car"}
images = np.zeros((2, 6, 6, 3), dtype=np.uint8)
labels = np.stack([np.eye(6, dtype=np.uint8), np.ones((6, 6), dtype=np.uint8)])
table = wandb.Table(columns=["ID", "Image"])
for number, img, label in zip(range(2), images, labels, strict=True):
    mask_img = wandb.Image(img, masks={"prediction": {"mask_data": label, "class_labels": class_labels}})
    table.add_data(number, mask_img)
with wandb.init(project="segmentation") as run:
    run.log({"Table": table})
    artifact = wandb.Artifact("masks", type="results")
    artifact.add(table, "Table")
    run.log_artifact(artifact)

found = wandb.Api().artifact("segmentation/masks:latest").get("Table").data[0][1]
assert (found.masks["prediction"].mask_data == labels[0]).all()
