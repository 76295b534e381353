"""Construct an artifact of files, folders and new files, and log it.

After: docs, artifacts, construct an artifact
Runs.
"""

from pathlib import Path

import artstore as wandb

Path("photos/cats").mkdir(parents=True)
Path("photos/cats/tom.txt").write_text("tom")
Path("photos/dogs.txt").write_text("dogs")
Path("labels.csv").write_text("tom,cat\n")

with wandb.init(project="zoo", job_type="add-dataset") as run:
    artifact = wandb.Artifact(name="animals", type="dataset", description="photos", metadata={"classes": 2})
    artifact.add_file(local_path="labels.csv")
    artifact.add_file(local_path="labels.csv", name="meta/labels.csv")
    artifact.add_dir(local_path="photos", name="images")
    with artifact.new_file("readme.md", mode="w") as file:
        file.write("# Animals")
    run.log_artifact(artifact)
    artifact.wait()

assert artifact.version == "v0" and artifact.aliases == ["latest"]
assert sorted(artifact.manifest.entries) == [
    "images/cats/tom.txt",
    "images/dogs.txt",
    "labels.csv",
    "meta/labels.csv",
    "readme.md",
]
