"""Log the slices of volumes, each with four channels and three masks, in a table.

After: tutorials, 3D brain tumor segmentation
Needs: PIL, numpy
Runs.
"""

import numpy as np

import artstore as wandb

generator = np.random.default_rng(0)
with wandb.init(project="segmentation", id="volumes") as run:
    config = run.config
    config.seed = 0
    config.roi_size = [8, 8, 3]
    config.inference_roi_size = (4, 4, 2)
    table = wandb.Table(columns=["Split", "Data Index", "Slice Index", *[f"Image-Channel-{i}" for i in range(4)]])
    for split in ("train", "val"):
        image = generator.random((4, 8, 8, 3))
        label = generator.integers(0, 2, (3, 8, 8, 3)).astype("float32")
        for slice_idx in range(image.shape[-1]):
            masks = {
                f"ground-truth/{name}": {
                    "mask_data": label[number, :, :, slice_idx] * (number + 1),
                    "class_labels": {0: "background", number + 1: name},
                }
                for number, name in enumerate(("Tumor-Core", "Whole-Tumor", "Enhancing-Tumor"))
            }
            images = [wandb.Image(image[channel, :, :, slice_idx], masks=masks) for channel in range(4)]
            table.add_data(split, 0, slice_idx, *images)
    run.log({"Tumor-Segmentation-Data": table})

found = wandb.Api().artifact("segmentation/run-volumes-Tumor-Segmentation-Data:latest").get("Tumor-Segmentation-Data")
assert len(found.data) == 6 and len(found.data[0][3].masks) == 3
assert wandb.Api().run("segmentation/volumes").config["inference_roi_size"] == [4, 4, 2]
