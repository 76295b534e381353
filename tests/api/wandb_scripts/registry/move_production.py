"""Move the alias `production` to a newer version after a test, as an automation's job does.

After: docs, automations, registry automation tutorial
Runs.
"""

import artstore as wandb

api = wandb.Api()
api.create_registry(name="stages", visibility="organization")
TARGET = "wandb-registry-stages/ranker"
with wandb.init(project="ranker") as run:
    for accuracy in (0.6, 0.8):
        artifact = wandb.Artifact("ranker", type="model", metadata={"accuracy": accuracy})
        with artifact.new_file("ranker.txt") as file:
            file.write(str(accuracy))
        run.log_artifact(artifact)
        run.link_artifact(artifact, TARGET, aliases=["candidate"])
first = api.artifact(f"{TARGET}:v0")
first.aliases.append("production")
first.save()

candidate, production = api.artifact(f"{TARGET}:candidate"), api.artifact(f"{TARGET}:production")
assert (candidate.version, production.version) == ("v1", "v0")
if candidate.metadata["accuracy"] > production.metadata["accuracy"]:
    candidate.aliases.append("production")
    candidate.save()
assert api.artifact(f"{TARGET}:production").version == "v1"
