"""Log a video made of an array of frames.

After: docs, track, log media: video
Needs: moviepy, numpy
Runs.
"""

import numpy as np

import artstore as wandb

with wandb.init(project="videos") as run:
    frames = np.zeros((4, 3, 8, 8), dtype=np.uint8)
    run.log({"video": wandb.Video(frames, fps=4, format="gif")})
