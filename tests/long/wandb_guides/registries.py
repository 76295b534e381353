"""Collections and registries: made, linked to, searched, deleted."""

from common import api, as_json, contents, ids, names, refusal, section, write

import artstore as wandb

section("exists, collections and types")
print([api.artifact_exists(name) for name in ("guides/files:v1", "guides/files:v9", "guides/nothing:v0")])
print([api.artifact_exists("guides/files:v1", type=kind) for kind in ("dataset", "model")])
print([api.artifact_collection_exists(name=f"guides/{name}", type="model") for name in ("clf", "files")])
print(names(api.artifact_types("guides")))
print(names(api.artifact_type("model", "guides").collections()))
print(names(api.artifact_type("model", "guides").collections(filters={"name": "clf"})))
collection = api.artifact_type("dataset", "guides").collection("files")
print(collection.name, collection.is_sequence(), names(collection.artifacts()), sorted(collection.aliases))

section("create a registry")
registry = api.create_registry(
    name="models", visibility="organization", description="what we ship", artifact_types=["model"]
)
print(registry.name, registry.description, list(registry.artifact_types), registry.allow_all_artifact_types)
api.create_registry(name="datasets", visibility="restricted")
print(refusal(ValueError, api.create_registry, name="models", visibility="organization"))
print(names(api.registries()), names(registry.collections()), refusal(ValueError, api.registry, "nothing"))
registry = api.registry(name="models")
registry.description = "models that we ship"
registry.save()
print(api.registry("models").description, api.registry("datasets").allow_all_artifact_types)

section("link an artifact version to a collection")
with wandb.init(project="guides", id="train-yolo") as run:
    artifact = wandb.Artifact(name="yolo", type="model", metadata={"accuracy": 0.8})
    artifact.add_file(local_path=write("yolo.pt", "first"))
    linked = run.link_artifact(artifact=artifact, target_path="wandb-registry-models/yolo-detector")
print(linked.qualified_name, linked.version, linked.is_link, linked.aliases)
print(artifact.qualified_name, artifact.is_link, linked.source_name, linked.source_project, linked.source_version)
print(linked.source_artifact.qualified_name, linked.collection.name, linked.source_collection.name)
print([link.qualified_name for link in artifact.linked_artifacts], linked.linked_artifacts)
artifact = wandb.Artifact(name="yolo-tiny", type="model")
artifact.add_file(local_path=write("tiny.pt", "tiny"))
linked = artifact.link(target_path="wandb-registry-models/yolo-detector", aliases=["tiny"])
print(linked.name, sorted(linked.aliases), linked.source_qualified_name)
linked = api.artifact("guides/yolo:v0").link("wandb-registry-models/yolo-detector", aliases=["production"])
print(linked.name, linked.aliases, api.artifact("guides/yolo:v0").aliases)
races = api.artifact("guides/race:v2")
print(refusal(wandb.CommError, races.link, "wandb-registry-models/yolo-detector"))
print(refusal(wandb.CommError, races.link, "wandb-registry-models/races"))
print(races.link("wandb-registry-datasets/races", aliases=["production"]).name)

section("download an artifact from a registry")
with wandb.init(project="apps", id="deploy") as run:
    fetched_artifact = run.use_artifact(artifact_or_name="wandb-registry-models/yolo-detector:production")
    print(fetched_artifact.name, contents(fetched_artifact.download()))
    print(contents(run.use_artifact("wandb-registry-models/yolo-detector:latest").download(root="tiny")))
    print(run.use_artifact("registry-models/yolo-detector:v0").qualified_name)
artifact = api.artifact(name="wandb-registry-models/yolo-detector:v0", type="model")
print(artifact.qualified_name, artifact.metadata, artifact.logged_by().id)
print(ids(artifact.used_by()), ids(api.artifact("guides/yolo:v0").used_by()))

section("annotate and organize a registry")
artifact.metadata["reviewed"] = True
artifact.tags = ["image-classification"]
artifact.aliases.append("reviewed")
artifact.save()
source = api.artifact("guides/yolo:v0")
print(as_json(source.metadata), source.tags, source.aliases)
print(sorted(api.artifact("wandb-registry-models/yolo-detector:v0").aliases))
collection = api.artifact_collection(type_name="model", name="wandb-registry-models/yolo-detector")
collection.description = "finds things"
collection.tags = ["vision", "cnn"]
collection.save()
collection.tags = set(collection.tags) - {"vision"}
collection.save()
collection = api.artifact_collection("model", "wandb-registry-models/yolo-detector")
print(collection.name, collection.type, collection.description, list(collection.tags), collection.is_sequence())
print(names(collection.artifacts()), sorted(collection.aliases))
print(names(api.project(name="wandb-registry-models").artifacts_types()))

section("find registry items")
print(names(api.registries(filter={"name": {"$regex": "model"}})), names(api.registries(filter={"name": "datasets"})))
print(names(api.registries().collections(filter={"name": {"$regex": "yolo"}})))
print(names(api.registries().collections(filter={"name": {"$regex": "yolo"}, "tag": "cnn"})))
print(names(api.registries().collections(filter={"name": {"$regex": "yolo"}, "tag": "vision"})))
version_filters = {"$or": [{"tag": "image-classification"}, {"alias": "production"}]}
found = api.registries(filter={"name": {"$regex": "model"}}).collections().versions(filter=version_filters)
for version in found:
    print(version.name, version.collection.name, sorted(version.aliases), version.tags)
print(names(api.registries().collections().versions(filter=version_filters)))
print(names(api.registries().versions(filter={"alias": "latest", "created_at": {"$gte": "2024-01-08"}})))
print(names(api.registries().versions(filter={"created_at": {"$gte": "2024-01-08", "$lte": "2025-03-04 13:10:00"}})))
print(names(registry.collections()), names(registry.versions(filter={"metadata.accuracy": {"$gt": 0.5}})))

section("unlink, delete in a registry")
api.artifact("wandb-registry-models/yolo-detector:tiny").unlink()
print(api.artifact_exists("wandb-registry-models/yolo-detector:v1"), api.artifact("uncategorized/yolo-tiny:v0").name)
print(api.artifact("wandb-registry-models/yolo-detector:latest").name)
source = api.artifact("guides/yolo:v0")
print(refusal(ValueError, source.unlink), refusal(wandb.CommError, source.delete))
source.delete(delete_aliases=True)
print(api.artifact_exists("guides/yolo:v0"))
print(contents(api.artifact("wandb-registry-models/yolo-detector:production").download(root="shipped")))
api.artifact("wandb-registry-datasets/races:production").delete()
print(api.artifact_exists("wandb-registry-datasets/races:v0"), api.artifact("guides/race:v2").name)
api.artifact_collection("model", "wandb-registry-models/yolo-detector").delete()
print(api.artifact_collection_exists(name="wandb-registry-models/yolo-detector", type="model"))
api.registry("datasets").delete()
print(names(api.registries()), refusal(ValueError, api.registry, "datasets"))

section("delete artifacts")
with wandb.init(project="cleanup", id="mess") as run:
    for i in range(4):
        write("junk.txt", str(i))
        run.log_artifact("junk.txt", name="junk", type="dataset", aliases=["first"] if i == 0 else None)
for artifact_version in api.run("cleanup/mess").logged_artifacts():
    if artifact_version.name[-2:] == "v0":
        print(refusal(wandb.CommError, artifact_version.delete))
        artifact_version.delete(delete_aliases=True)
cleaner = wandb.Api(overrides={"project": "cleanup", "entity": "local"})
print([version.name for version in cleaner.artifact_versions("dataset", "junk")])
for version in cleaner.artifact_versions("dataset", "junk"):
    if len(version.aliases) == 0:
        version.delete()
print(names(cleaner.artifacts("dataset", "junk")))
cleaner.artifact_collection("dataset", "local/cleanup/junk").delete()
print(cleaner.artifact_collection_exists("junk", "dataset"), len(api.run("cleanup/mess").logged_artifacts()))
