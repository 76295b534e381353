"""Link a version that was logged long ago.

After: docs, registry, link an artifact version to a collection
Runs.
"""

import artstore as wandb

wandb.Api().create_registry(name="datasets", visibility="restricted")
with wandb.init(project="collecting") as run:
    artifact = wandb.Artifact("streets", type="dataset")
    with artifact.new_file("streets.csv") as file:
        file.write("a,b\n")
    run.log_artifact(artifact)

artifact = wandb.Api().artifact("collecting/streets:latest")
linked = artifact.link(target_path="wandb-registry-datasets/street-photos", aliases=["gold"])
assert linked.qualified_name.endswith("registry-datasets/street-photos:v0")
assert wandb.Api().artifact("wandb-registry-datasets/street-photos:gold").logged_by().id == run.id
linked.unlink()
assert not wandb.Api().artifact_exists("wandb-registry-datasets/street-photos:v0")
