"""Tag versions and collections, and find them by their tags.

After: examples, colabs, artifact tags
Runs.
"""

import artstore as wandb

with wandb.init(project="tags") as run:
    for number in range(2):
        artifact = wandb.Artifact("samples", type="dataset")
        with artifact.new_file("number.txt") as file:
            file.write(str(number))
        run.log_artifact(artifact, tags=["raw"])

api = wandb.Api()
version = api.artifact("tags/samples:v1")
version.tags = [*version.tags, "checked"]
version.tags.append("small")
version.save()
version.tags.remove("raw")
version.save()
assert sorted(api.artifact("tags/samples:v1").tags) == ["checked", "small"]
assert [found.name for found in api.artifacts("dataset", "tags/samples", tags=["raw"])] == ["samples:v0"]
assert [found.name for found in api.artifacts("dataset", "tags/samples", tags="checked")] == ["samples:v1"]

collection = api.artifact_collection("dataset", "tags/samples")
collection.tags = ["demo"]
collection.save()
assert api.artifact_collection("dataset", "tags/samples").tags == ["demo"]
