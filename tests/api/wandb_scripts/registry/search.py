"""Find registries, collections and versions with filters.

After: docs, registry, find registry items
Runs.
"""

import artstore as wandb

api = wandb.Api()
for name in ("models-2026", "datasets-2026"):
    api.create_registry(name=name, visibility="organization")
with wandb.init(project="searching") as run:
    for number in range(2):
        artifact = wandb.Artifact("yolo", type="model", metadata={"map": number / 2})
        with artifact.new_file("yolo.txt") as file:
            file.write(str(number))
        run.log_artifact(artifact)
        run.link_artifact(artifact, "wandb-registry-models-2026/yolo", aliases=["production"] if number else None)

assert [registry.name for registry in api.registries(filter={"name": {"$regex": "model"}})] == ["models-2026"]
collections = api.registries().collections(filter={"name": {"$regex": "yolo"}})
assert [collection.name for collection in collections] == ["yolo"]
either = {"$or": [{"tag": "image-classification"}, {"alias": "production"}]}
versions = api.registries(filter={"name": {"$regex": "model"}}).collections().versions(filter=either)
assert [(version.name, version.collection.name) for version in versions] == [("yolo:v1", "yolo")]
recent = {"alias": "latest", "created_at": {"$gte": "2024-01-08", "$lte": "2124-03-04 13:10:00"}}
assert len(list(api.registries().collections().versions(filter=recent))) == 1
