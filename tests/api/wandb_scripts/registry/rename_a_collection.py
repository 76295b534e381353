"""Rename a collection, move it to another type, and delete it.

After: docs, reference, ArtifactCollection
Runs.
"""

import artstore as wandb

with wandb.init(project="names") as run:
    artifact = wandb.Artifact("draft-name", type="dataset")
    with artifact.new_file("data.txt") as file:
        file.write("data")
    run.log_artifact(artifact)

api = wandb.Api()
collection = api.artifact_collection("dataset", "names/draft-name")
collection.name = "final-name"
collection.save()
assert api.artifact("names/final-name:v0").collection.name == "final-name"
collection = api.artifact_collection("dataset", "names/final-name")
collection.change_type("text")
assert api.artifact("names/final-name:v0").type == "text"
assert collection.is_sequence()
collection.delete()
assert not api.artifact_collection_exists("names/final-name", type="text")
