"""Promote the model of a run from a continuous integration script.

After: edu, CI/CD course, promote_model.py
Runs.
"""

import os

import artstore as wandb

with wandb.init(project="cicd_demo") as run:
    model = wandb.Artifact("candidate", type="model")
    with model.new_file("model.txt") as file:
        file.write("weights")
    run.log_artifact(model)
    data = wandb.Artifact("predictions", type="results")
    with data.new_file("predictions.txt") as file:
        file.write("0 1 1")
    run.log_artifact(data)
os.environ["RUN_UNDER_TEST"] = run.id
registry_path = "model-registry/CICD_Demo_Registry"

api = wandb.Api()
run = api.run(f"cicd_demo/{os.environ.pop('RUN_UNDER_TEST')}")
art = [a for a in run.logged_artifacts() if a.type == "model"]
if art:
    assert len(art) == 1, "more than one model"
    art[0].link(registry_path, aliases=["production candidate"])
versions = api.artifact_versions("model", registry_path)
assert versions[0].version == "v0" and versions[0].entity == "local"
assert "production candidate" in versions[0].aliases
