"""Log arrays as pictures.

After: docs, track, log media: images
Needs: PIL, numpy
Runs.
"""

import numpy as np

import artstore as wandb

generator = np.random.default_rng(0)
with wandb.init(project="image-log-example", id="arrays") as run:
    rgb = generator.integers(0, 256, (8, 6, 3), dtype=np.uint8)
    run.log({"examples": wandb.Image(rgb, caption="Top: Output, Bottom: Input")})
    run.log({"grey": wandb.Image(generator.random((8, 6, 1))), "rgba": wandb.Image(np.ones((4, 4, 4)))})
    run.log({"several": [wandb.Image(image, caption=f"no. {i}") for i, image in enumerate(rgb[None].repeat(3, 0))]})

summary = wandb.Api().run("image-log-example/arrays").summary
assert summary["examples"]["_type"] == "image-file" and summary["examples"]["width"] == 6
assert summary["several"]["_type"] == "images/separated" and summary["several"]["count"] == 3
