"""Log the same pictures with other boxes each epoch: the pixels are stored once.

After: examples, colabs, image logging without duplicates
Needs: PIL, numpy
Runs.
"""

import numpy as np

import artstore as wandb

pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
with wandb.init(project="dedupe", id="d") as run:
    for epoch in range(3):
        box = {"position": {"minX": 0.1 * epoch, "maxX": 0.5, "minY": 0, "maxY": 1}, "class_id": 1}
        image = wandb.Image(pixels, boxes={"said": {"box_data": [box]}})
        table = wandb.Table(columns=["epoch", "image"], data=[[epoch, image]])
        artifact = wandb.Artifact("valid", type="predictions")
        artifact.add(table, "valid")
        run.log_artifact(artifact)
versions = wandb.Api().artifacts("predictions", "dedupe/valid")
pictures = {entry.digest for version in versions for path, entry in version.manifest.entries.items() if ".png" in path}
assert len(versions) == 3 and len(pictures) == 1
