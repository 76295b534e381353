"""Make a version from an existing one by changing some of its files.

After: docs, artifacts, create a version from an existing version
Runs.
"""

from pathlib import Path

import artstore as wandb

with wandb.init(project="drafts", job_type="make") as run:
    artifact = wandb.Artifact("shelf", type="dataset")
    for name in ("keep.txt", "change.txt", "old/one.txt", "old/two.txt"):
        with artifact.new_file(name) as file:
            file.write("first")
    run.log_artifact(artifact)

Path("add.txt").write_text("added")
Path("change.txt").write_text("changed")
with wandb.init(project="drafts", job_type="modify dataset") as run:
    saved = run.use_artifact("shelf:latest")
    draft = saved.new_draft()
    draft.add_file("add.txt")
    draft.remove("old/")
    draft.remove("change.txt")
    draft.add_file("change.txt")
    run.log_artifact(draft)

artifact = wandb.Api().artifact("drafts/shelf:latest")
assert artifact.version == "v1"
assert sorted(artifact.manifest.entries) == ["add.txt", "change.txt", "keep.txt"]

draft = artifact.new_draft()
draft.remove("keep.txt")
draft.save()
assert sorted(wandb.Api().artifact("drafts/shelf:latest").manifest.entries) == ["add.txt", "change.txt"]
