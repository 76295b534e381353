"""Log a picture with bounding boxes, in fractions and in pixels.

After: docs, track, image overlays: bounding boxes
Needs: PIL, numpy
Runs.
"""

import numpy as np

import artstore as wandb

class_id_to_label = {1: "car", 2: "road", 3: "building"}
img = wandb.Image(
    np.zeros((120, 200, 3), dtype=np.uint8),
    boxes={
        "predictions": {
            "box_data": [
                {
                    "position": {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4},
                    "class_id": 2,
                    "box_caption": class_id_to_label[2],
                    "scores": {"acc": 0.1, "loss": 1.2},
                },
                {
                    "position": {"middle": [150, 20], "width": 68, "height": 12},
                    "domain": "pixel",
                    "class_id": 3,
                    "box_caption": "a building",
                    "scores": {"acc": 0.5, "loss": 0.7},
                },
            ],
            "class_labels": class_id_to_label,
        }
    },
)
with wandb.init(project="my_project", id="drive") as run:
    run.log({"driving_scene": img})
assert "boxes" in wandb.Api().run("my_project/drive").summary["driving_scene"]
