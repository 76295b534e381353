"""Describe and tag a collection of a registry, and its versions.

After: docs, registry, annotate and organize with tags
Runs.
"""

import artstore as wandb

api = wandb.Api()
api.create_registry(name="cards", visibility="organization")
with wandb.init(project="annotate") as run:
    artifact = wandb.Artifact("reader", type="model")
    with artifact.new_file("reader.txt") as file:
        file.write("weights")
    run.link_artifact(run.log_artifact(artifact), "wandb-registry-cards/reader")

collection = api.artifact_collection(type_name="model", name="wandb-registry-cards/reader")
collection.description = "Reads letters. Trained on letters of 1900."
collection.tags = ["letters", "historic"]
collection.save()
collection.tags = ["letters"]
collection.save()
version = api.artifact("wandb-registry-cards/reader:v0", type="model")
version.tags = ["reviewed"]
version.save()

collection = api.artifact_collection(type_name="model", name="wandb-registry-cards/reader")
assert collection.description.startswith("Reads letters") and collection.tags == ["letters"]
assert api.artifact("wandb-registry-cards/reader:v0").tags == ["reviewed"]
