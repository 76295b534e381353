"""Log a picture of Pillow, and one from a file.

After: docs, track, log media: images
Needs: PIL, numpy
Runs.
"""

import numpy as np
from PIL import Image

import artstore as wandb

with wandb.init(project="pillow") as run:
    image = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8))
    if image.mode != "RGB":
        image = image.convert("RGB")
    run.log({"example": wandb.Image(image, caption="My Image")})
    image.save("myimage.jpg")
    run.log({"example": wandb.Image("myimage.jpg")})
rows = list(wandb.Api().run(run.path).scan_history())
assert [row["example"]["format"] for row in rows] == ["png", "jpg"]
