"""List types, collections and versions of a project, and pick one by its metadata.

After: docs, reference, public API
Runs.
"""

import artstore as wandb

with wandb.init(project="library") as run:
    for accuracy in (0.7, 0.9, 0.8):
        artifact = wandb.Artifact("net", type="model", metadata={"accuracy": accuracy})
        with artifact.new_file("net.txt") as file:
            file.write(str(accuracy))
        run.log_artifact(artifact)

api = wandb.Api()
assert [kind.name for kind in api.artifact_types("library")] == ["model"]
collection = api.artifact_type("model", "library").collection("net")
best = max(collection.artifacts(), key=lambda version: version.metadata["accuracy"])
assert best.version == "v1"
best.aliases.append("best")
best.save()
assert api.artifact("library/net:best").version == "v1"
assert api.artifact_exists("library/net:best") and not api.artifact_exists("library/net:worst")
assert api.artifact_collection_exists("library/net", type="model")
ordered = [version.version for version in api.artifacts("model", "library/net", order="+created_at")]
assert ordered == ["v0", "v1", "v2"]
