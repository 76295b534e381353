"""Log a checkpoint each epoch, mark the best one, and delete the rest.

After: examples, colabs, model management guide
Needs: numpy
Runs.
"""

import json

import numpy as np

import artstore as wandb

generator = np.random.default_rng(0)
with wandb.init(project="checkpoints", config={"epochs": 4}) as run:
    best = float("inf")
    for epoch, loss in zip(range(run.config.epochs), [0.9, 0.4, 0.6, 0.5], strict=True):
        run.log({"loss": loss, "epoch": epoch})
        np.save("weights.npy", generator.normal(size=4))
        artifact = wandb.Artifact(f"run-{run.id}-net", type="model", metadata={"loss": loss, "epoch": epoch})
        artifact.add_file("weights.npy")
        with artifact.new_file("config.json") as file:
            json.dump(dict(run.config), file)
        aliases = ["latest", f"epoch-{epoch}"]
        if loss < best:
            best = loss
            aliases.append("best")
        run.log_artifact(artifact, aliases=aliases)
    run.summary["best_loss"] = best

api = wandb.Api()
versions = api.artifacts("model", f"checkpoints/run-{run.id}-net")
for version in versions:
    if not {"best", "latest"} & set(version.aliases):
        version.delete(delete_aliases=True)
kept = api.artifacts("model", f"checkpoints/run-{run.id}-net")
assert [version.metadata["epoch"] for version in kept] == [3, 1]
assert np.load(api.artifact(f"checkpoints/run-{run.id}-net:best").get_entry("weights.npy").download()).shape == (4,)
