"""Log videos from files.

After: docs, track, log media: video
Needs: PIL, numpy
Runs.
"""

import io

import numpy as np
from PIL import Image

import artstore as wandb

frames = [Image.fromarray(np.full((8, 8, 3), shade, dtype=np.uint8)) for shade in (0, 120, 240)]
frames[0].save("fade.gif", save_all=True, append_images=frames[1:])
with wandb.init(project="videos", id="v") as run:
    run.log({"video": wandb.Video("fade.gif", caption="fading")})
    with open("fade.gif", "rb") as file:
        run.log({"from_memory": wandb.Video(io.BytesIO(file.read()), format="gif")})
summary = wandb.Api().run("videos/v").summary
assert summary["video"]["_type"] == summary["from_memory"]["_type"] == "video-file"
