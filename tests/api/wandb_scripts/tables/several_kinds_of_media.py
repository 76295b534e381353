"""Put sounds, pages and 3D points into the cells of one table.

After: examples, colabs, log (almost) anything
Needs: numpy
Runs.
"""

import math
import struct
import wave

import numpy as np

import artstore as wandb

with wave.open("tone.wav", "wb") as file:
    file.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
    file.writeframes(b"".join(struct.pack("<h", int(8000 * math.sin(i / 4))) for i in range(400)))
table = wandb.Table(columns=["sound", "page", "points"])
table.add_data(wandb.Audio("tone.wav", caption="a tone"), wandb.Html("<i>a page</i>"), wandb.Object3D(np.eye(3)))
with wandb.init(project="anything") as run:
    artifact = wandb.Artifact("anything", type="demo")
    artifact.add(table, "anything")
    run.log_artifact(artifact)
    run.log({"anything": table})
sound, page, points = wandb.Api().artifact("anything/anything:latest").get("anything").data[0]
assert "a page" in page.html and isinstance(points, wandb.Object3D) and isinstance(sound, wandb.Audio)
