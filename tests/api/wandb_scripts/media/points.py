"""Log point clouds: plain, with categories, with colours, and a scene with boxes.

After: docs, track, log media: 3D visualizations
Needs: numpy
Runs.
"""

import json
from pathlib import Path

import numpy as np

import artstore as wandb

corners = [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]
points = np.random.default_rng(0).random((10, 3))
with wandb.init(project="points", id="p") as run:
    run.log({"xyz": wandb.Object3D(points)})
    run.log({"category": wandb.Object3D.from_numpy(np.c_[points, np.arange(10) % 14 + 1])})
    run.log({"rgb": wandb.Object3D(np.c_[points, np.full((10, 3), 200)])})
    run.log(
        {
            "scene": wandb.Object3D.from_point_cloud(
                points=points.tolist(),
                boxes=[{"corners": corners, "color": [0, 0, 255], "label": "car", "score": 0.6}],
                vectors=[{"start": [0, 0, 0], "end": [0.1, 0.2, 0.5], "color": [255, 0, 0]}],
                point_cloud_type="lidar/beta",
            )
        }
    )
    Path("cloud.pts.json").write_text(json.dumps({"points": points.tolist(), "boxes": [], "type": "lidar/beta"}))
    run.log({"from_file": wandb.Object3D.from_file("cloud.pts.json")})
    Path("cube.obj").write_text("o cube\nv 0 0 0\n")
    run.log({"mesh": wandb.Object3D(open("cube.obj"))})
summary = wandb.Api().run("points/p").summary
keys = ("xyz", "category", "rgb", "scene", "from_file", "mesh")
assert {summary[key]["_type"] for key in keys} == {"object3D-file"}
