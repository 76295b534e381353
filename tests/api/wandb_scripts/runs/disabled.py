"""Run a whole script without recording anything.

After: docs, integrations, make W&B logging optional
Runs.
"""

from pathlib import Path

import artstore as wandb

with wandb.init(project="dry", mode="disabled", config={"lr": 0.1}) as run:
    run.log({"loss": 0.5, "table": wandb.Table(columns=["a"], data=[[1]])})
    run.summary["best"] = 1
    artifact = wandb.Artifact("dry", type="dataset")
    with artifact.new_file("dry.txt") as file:
        file.write("dry")
    run.log_artifact(artifact)
    artifact.wait()
    assert run.config.lr == 0.1
assert not Path(".artifacts/refs/runs").exists() or not wandb.Api().runs("dry")
