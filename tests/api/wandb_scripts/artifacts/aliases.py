"""Give versions aliases, use a version by its alias, and move an alias.

After: docs, artifacts, create a custom alias
Runs.
"""

import artstore as wandb

with wandb.init(project="aliases") as run:
    for epoch in range(3):
        artifact = wandb.Artifact("weights", type="model")
        with artifact.new_file("weights.txt") as file:
            file.write(f"epoch {epoch}")
        run.log_artifact(artifact, aliases=["latest", f"epoch-{epoch}", *(["best"] if epoch == 1 else [])])

with wandb.init(project="aliases") as run:
    best = run.use_artifact("weights:best")
    assert best.version == "v1"
    assert open(best.file()).read() == "epoch 1"

artifact = wandb.Api().artifact("aliases/weights:v2")
artifact.aliases.append("best")
artifact.aliases.remove("epoch-2")
artifact.save()
assert sorted(wandb.Api().artifact("aliases/weights:best").aliases) == ["best", "latest"]
assert wandb.Api().artifact("aliases/weights:v1").aliases == ["epoch-1"]
