"""Run with mode `offline`, as on a cluster without a network.

After: docs, support, run offline
Runs.
"""

import os

import artstore as wandb

os.environ["WANDB_MODE"] = "offline"
try:
    with wandb.init(project="cluster", id="job-7") as run:
        run.log({"loss": 0.5})
        artifact = wandb.Artifact("result", type="results")
        with artifact.new_file("result.txt") as file:
            file.write("42")
        run.log_artifact(artifact)
finally:
    del os.environ["WANDB_MODE"]
assert wandb.Api().run("cluster/job-7").summary["loss"] == 0.5
assert wandb.Api().artifact("cluster/result:latest").logged_by().id == "job-7"
