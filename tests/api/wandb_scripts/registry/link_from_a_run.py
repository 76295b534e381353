"""Log a model and link it into a registry in the run that trains it.

After: docs, registry, link an artifact version to a collection
Runs.
"""

import artstore as wandb

wandb.Api().create_registry(name="models", visibility="organization", artifact_types=["model"])
with wandb.init(project="training") as run:
    artifact = wandb.Artifact(name="detector", type="model")
    with artifact.new_file("detector.txt") as file:
        file.write("weights")
    run.log_artifact(artifact)
    run.link_artifact(
        artifact=artifact, target_path="wandb-registry-models/street-detector", aliases=["production", "staging"]
    )

linked = wandb.Api().artifact("wandb-registry-models/street-detector:production")
assert linked.is_link and linked.source_artifact.name == "detector:v0"
assert sorted(linked.aliases) == ["latest", "production", "staging"]
