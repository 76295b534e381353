"""Give a table one set of classes, and boxes that use it.

After: tests of wandb, tables with media and classes
Needs: PIL, numpy
Runs.
"""

import numpy as np

import artstore as wandb

class_set = wandb.Classes([{"name": "cat", "id": 0}, {"name": "dog", "id": 1}])
table = wandb.Table(columns=["number", "image"])
for number in range(2):
    boxes = {
        "predictions": {
            "box_data": [
                {
                    "position": {"minX": 0.1, "maxX": 0.4, "minY": 0.2, "maxY": 0.5},
                    "class_id": number,
                    "scores": {"p": 0.9},
                }
            ],
            "class_labels": {0: "cat", 1: "dog"},
        }
    }
    table.add_data(number, wandb.Image(np.full((5, 5, 3), number, dtype=np.uint8), classes=class_set, boxes=boxes))
with wandb.init(project="boxes") as run:
    artifact = wandb.Artifact("animals", type="dataset")
    artifact.add(table, "animals")
    run.log_artifact(artifact)
found = wandb.Api().artifact("boxes/animals:latest").get("animals").data[1][1]
assert found == table.data[1][1] and list(found.boxes) == ["predictions"]
