"""Delete the versions that have no alias.

After: docs, artifacts, delete an artifact
Runs.
"""

import artstore as wandb

with wandb.init(project="tidy") as run:
    for number in range(4):
        artifact = wandb.Artifact("junk", type="dataset")
        with artifact.new_file("junk.txt") as file:
            file.write(str(number))
        run.log_artifact(artifact, aliases=["keep"] if number == 0 else [])

api = wandb.Api()
for version in api.artifact_versions("dataset", "tidy/junk"):
    if len(version.aliases) == 0:
        version.delete()
assert [version.name for version in api.artifacts("dataset", "tidy/junk")] == ["junk:v3", "junk:v0"]

try:
    api.artifact("tidy/junk:keep").delete()
except wandb.CommError:
    api.artifact("tidy/junk:keep").delete(delete_aliases=True)
assert [version.name for version in api.artifacts("dataset", "tidy/junk")] == ["junk:v3"]
