"""Log a picture with masks of what was predicted and what is true.

After: docs, track, image overlays: segmentation masks
Needs: PIL, numpy
Runs.
"""

import numpy as np

import artstore as wandb

image = np.zeros((6, 8, 3), dtype=np.uint8)
mask_data = np.tile(np.array([1, 2, 3, 3], dtype=np.uint8), (6, 2))
class_labels = {1: "tree", 2: "car", 3: "road"}
with wandb.init(project="masks", id="m") as run:
    mask_img = wandb.Image(
        image,
        masks={
            "predictions": {"mask_data": mask_data, "class_labels": class_labels},
            "ground_truth": {"mask_data": np.ones_like(mask_data), "class_labels": class_labels},
        },
    )
    run.log({"scene": mask_img})
    artifact = wandb.Artifact("scene", type="results")
    artifact.add(mask_img, "scene")
    run.log_artifact(artifact)
assert sorted(wandb.Api().run("masks/m").summary["scene"]["masks"]) == ["ground_truth", "predictions"]
assert (wandb.Api().artifact("masks/scene:v0").get("scene").masks["predictions"].mask_data == mask_data).all()
