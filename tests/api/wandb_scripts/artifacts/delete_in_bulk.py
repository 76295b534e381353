"""List what a project's collections take, and delete all but some of them.

After: docs, artifacts, delete artifacts in bulk
Runs.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import artstore as wandb

with wandb.init(project="full") as run:
    for name, kind, versions in (("checkpoints", "model", 3), ("train-split", "dataset", 1), ("scratch", "dataset", 2)):
        for number in range(versions):
            artifact = wandb.Artifact(name, type=kind)
            with artifact.new_file("bytes.txt") as file:
                file.write(f"{name} {number}" * 10)
            run.log_artifact(artifact)

api = wandb.Api()
project = api.project(name="full", entity="local")
sizes = {}
for collection in project.collections():
    total, newest = 0, None
    for version in collection.artifacts():
        total += version.size
        if newest is None or version.created_at > newest:
            newest = version.created_at
    sizes[f"{collection.type}/{collection.name}"] = total
assert sizes == {"model/checkpoints": 390, "dataset/train-split": 130, "dataset/scratch": 180}

cutoff = datetime.now(UTC) + timedelta(minutes=5)
selected = []
for version in api.artifacts(type_name="model", name="local/full/checkpoints"):
    created_at = datetime.fromisoformat(version.created_at.replace("Z", "+00:00"))
    if created_at.tzinfo is None:
        created_at = created_at.replace(tzinfo=UTC)
    if created_at < cutoff:
        selected.append(version.qualified_name)
Path("to_delete.txt").write_text("\n".join(selected))
for name in Path("to_delete.txt").read_text().split():
    api.artifact(name).delete(delete_aliases=True)
for collection in project.collections():
    if collection.name not in {"train-split"}:
        collection.delete()
assert [collection.name for collection in project.collections()] == ["train-split"]
