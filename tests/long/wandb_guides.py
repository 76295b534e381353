"""W&B's guides on artifacts, one section each, as a user would try them one after another: only the imports differ, and
a server on the loopback stands for the web. Prints what happens, the same each time.
"""

import importlib.util
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import artstore as wandb
from artstore.api.automations import (
    ArtifactEvent,
    DoNothing,
    OnAddArtifactAlias,
    OnCreateArtifact,
    OnLinkArtifact,
    OnRunMetric,
    OnRunState,
    RunEvent,
    SendWebhook,
    WebhookIntegration,
)


def section(title: str) -> None:
    print(f"\n# {title}")


def write(path: str, text: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return path


def paths(artifact: Any) -> str:
    return " ".join(sorted(str(path) for path in artifact.manifest.entries))


def contents(root: str) -> dict[str, str]:
    """Text of each file below a folder."""
    files = sorted(path for path in Path(root).rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_text() for path in files}


def names(things: Iterable[Any]) -> list[str]:
    return sorted(thing.name for thing in things)


def ids(runs: Iterable[Any]) -> list[str]:
    return [run.id for run in runs]


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def refusal(expected: type[Exception], action: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """What a guide says is raised; anything else ends the script."""
    try:
        action(*args, **kwargs)
    except expected:
        return expected.__name__
    return f"no {expected.__name__}"


# -- the web: files with and without an ETag, and a place to post to --

SERVED: dict[str, tuple[bytes, str | None]] = {}
POSTED: list[dict[str, Any]] = []


class Web(BaseHTTPRequestHandler):
    def answer(self, code: int, body: bytes = b"", etag: str | None = None) -> None:
        self.send_response(code)
        if etag is not None:
            self.send_header("ETag", f'"{etag}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path in SERVED:
            self.answer(200, *SERVED[self.path])
        else:
            self.answer(404)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        POSTED.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(200)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def arrived(count: int) -> list[str]:
    """What has been posted since the last call, once it is that much, or after ten seconds."""
    deadline = time.monotonic() + 10
    while len(POSTED) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    posts, POSTED[:] = POSTED[:], []
    return sorted(as_json(post) for post in posts)


server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
server.handle_error = lambda request, client_address: None  # a client that hangs up is none of the guides' business
listening = threading.Thread(target=server.serve_forever, daemon=True)
listening.start()
web = f"http://127.0.0.1:{server.server_address[1]}"

# -- what a user has on disk --

write("hello.txt", "hello")
write("images/cat.png", "cat")
write("images/dog.png", "dog")
write("checkpoints/model.h5", "early")
write("models/model.h5", "late")
write("file_to_add.txt", "added")
write("mount/datasets/mnist/labels.txt", "one two")
write("mount/datasets/mnist/train/1.txt", "one")
write("mount/datasets/mnist/train/2.txt", "two")
for number in (1, 2, 3):
    write(f"image{number}.png", f"image {number}")

api = wandb.Api()

section("create an artifact")
artifact = wandb.Artifact(name="files", type="dataset")
artifact.add_file(local_path="hello.txt", name="new/path/hello_world.txt")
artifact.add_file("checkpoints/model.h5")
artifact.add_file("models/model.h5", name="models/mymodel.h5")
artifact.add_dir("images")
artifact.add_dir(local_path="images", name="images")
with wandb.init(project="guides", job_type="add-files", id="create") as run:
    run.log_artifact(artifact, tags=["small", "text"])
print(artifact.name, sorted(artifact.tags))
print(paths(artifact))
with wandb.init(project="guides", id="race") as run:
    for i in range(3):
        a = wandb.Artifact(name="race", type="dataset", metadata={"index": i})
        with a.new_file("index.txt") as file:
            file.write(str(i))
        run.log_artifact(a)
print([(version.name, version.metadata["index"]) for version in api.artifacts("dataset", "guides/race")])

section("download and use artifacts")
with wandb.init(project="guides", job_type="use", id="download") as run:
    artifact = run.use_artifact("files:latest")
    datadir = artifact.download()
    print(Path(datadir).name, contents(datadir))
    print(contents(artifact.download(root="part", path_prefix="images/")))
    entry = artifact.get_path("new/path/hello_world.txt")
    print(Path(entry.download(root="entry")).read_text(), entry.ref)
    artifact = run.use_artifact("local/guides/race:v1", type="dataset")
    print(artifact.name, Path(artifact.file()).read_text())

section("track files in a filesystem")
folder = Path("mount/datasets/mnist").resolve().as_uri()
with wandb.init(project="guides", id="track-files") as run:
    artifact = wandb.Artifact("mnist", type="dataset")
    entries = artifact.add_reference(f"{folder}/")
    print(sorted((str(entry.path), entry.size) for entry in entries))
    print([str(entry.path) for entry in artifact.add_reference(f"{folder}/labels.txt", name="docs/labels.txt")])
    run.log_artifact(artifact)
    print(artifact.name, paths(artifact))
    entry = artifact.get_entry("train/1.txt")
    print(entry.ref == f"{folder}/train/1.txt", entry.ref_target() == entry.ref, entry.size)
    print(artifact.get_entry("docs/labels.txt").ref == f"{folder}/labels.txt")
    again = wandb.Artifact("mnist", type="dataset")
    again.add_reference(f"{folder}/")
    again.add_reference(f"{folder}/labels.txt", name="docs/labels.txt")
    print(run.log_artifact(again).name)
with wandb.init(project="guides", id="use-files") as run:
    artifact = run.use_artifact("mnist:latest", type="dataset")
    print(contents(artifact.download(root="mnist")))
    print(Path(artifact.get_entry("train/2.txt").download(root="mnist-entry")).read_text())

section("files that change, and files that go")
with wandb.init(project="guides", id="loose") as run:
    loose = wandb.Artifact("loose", type="dataset")
    loose.add_reference(f"{folder}/labels.txt", checksum=False)
    run.log_artifact(loose)
write("mount/datasets/mnist/labels.txt", "one two three")
print(refusal(ValueError, api.artifact("guides/mnist:v0").download, root="changed"))
with wandb.init(project="guides", id="track-again") as run:
    artifact = wandb.Artifact("mnist", type="dataset")
    artifact.add_reference(folder)
    print(run.log_artifact(artifact).name, contents(artifact.download(root="mnist-v1")))
    loose = wandb.Artifact("loose", type="dataset")
    loose.add_reference(f"{folder}/labels.txt", checksum=False)
    print(run.log_artifact(loose).name)
Path("mount/datasets/mnist/train/2.txt").unlink()
print(refusal(FileNotFoundError, artifact.download, root="gone"))
print(contents(artifact.download(root="what-is-left", allow_missing_references=True)))
draft = wandb.Artifact("draft", type="dataset")
print(refusal(ValueError, draft.add_reference, folder, max_objects=1))
print(refusal(ValueError, draft.add_reference, f"{folder}/nowhere"))
print(refusal(ValueError, draft.add_reference, "mount/datasets/mnist"))
print(refusal(ValueError, draft.add_reference, "mars://base/far.bin"))
print(len(draft.manifest.entries))

section("track files of an HTTP server, and elsewhere")
SERVED["/data/model.bin"] = b"weights", "tag-1"
SERVED["/data/plain.txt"] = b"plain", None
SERVED["/data/later.bin"] = b"now", "tag-2"
with wandb.init(project="guides", id="track-web") as run:
    artifact = wandb.Artifact("downloads", type="dataset")
    (entry,) = artifact.add_reference(f"{web}/data/model.bin")
    print(entry.path, entry.size, entry.digest, entry.ref == f"{web}/data/model.bin")
    (entry,) = artifact.add_reference(uri=f"{web}/data/plain.txt", name="texts/plain.txt")
    print(entry.path, entry.size, entry.digest == entry.ref)
    run.log_artifact(artifact)
    moving = wandb.Artifact("moving", type="dataset")
    moving.add_reference(f"{web}/data/later.bin")
    run.log_artifact(moving)
    far = wandb.Artifact("far", type="dataset")
    far.add_reference("mars://base/far.bin", name="far.bin")
    run.log_artifact(far)
print(contents(api.artifact("guides/downloads:latest").download(root="downloads")))
SERVED["/data/later.bin"] = b"then", "tag-3"
print(refusal(ValueError, moving.download, root="moving"))
print(far.get_entry("far.bin").ref, far.get_entry("far.bin").size, refusal(ValueError, far.download, root="far"))

section("refer to an entry of another artifact")
with wandb.init(project="guides", id="collage") as run:
    source = run.use_artifact("race:v0")
    collage = wandb.Artifact("collage", type="dataset")
    collage.add_reference(source.get_entry("index.txt"), name="first/index.txt")
    run.log_artifact(collage)
source.delete()
print(api.artifact_exists("guides/race:v0"), contents(api.artifact("guides/collage:v0").download(root="collage")))

section("create a new version from an existing one")
with wandb.init(project="guides", job_type="modify dataset", id="modify") as run:
    saved_artifact = run.use_artifact("files:latest")
    draft_artifact = saved_artifact.new_draft()
    draft_artifact.add_file("file_to_add.txt")
    draft_artifact.remove("images/")
    draft_artifact.remove("model.h5")
    draft_artifact.add_file("models/model.h5")
    run.log_artifact(draft_artifact)
print(draft_artifact.name, paths(draft_artifact))
print(Path(draft_artifact.get_entry("model.h5").download(root="modified")).read_text())

section("distributed runs")
for number in (1, 2):
    with wandb.init(project="guides", id=f"part-{number}") as run:
        artifact = wandb.Artifact("album", "dataset")
        artifact.add_file(f"image{number}.png")
        run.upsert_artifact(artifact, distributed_id="my_dist_artifact")
print(api.artifact_exists("guides/album:latest"))
with wandb.init(project="guides", id="part-3") as run:
    artifact = wandb.Artifact("album", "dataset")
    artifact.add_file("image3.png")
    run.finish_artifact(artifact, distributed_id="my_dist_artifact")
print(artifact.wait().name, paths(api.artifact("guides/album:latest")))
with wandb.init(project="guides", id="part-4") as run:
    artifact = wandb.Artifact("album", "dataset")
    artifact.add_file("image1.png")
    run.upsert_artifact(artifact, distributed_id="my_dist_artifact")
    print(api.artifact("guides/album:latest").name)
    run.finish_artifact(wandb.Artifact("album", "dataset"), aliases=["small"], distributed_id="my_dist_artifact")
print(api.artifact("guides/album:small").name, paths(api.artifact("guides/album:latest")))

section("parallel writers, each with a table")
for i in range(3):
    with wandb.init(project="guides", group="writer-group", id=f"writer-{i}") as run:
        artifact = wandb.Artifact(name="parallel-artifact", type="dataset")
        table = wandb.Table(columns=["a", "b", "c"], data=[[i, i * 2, 2**i]])
        artifact.add(table, f"parts/table_{i}")
        run.upsert_artifact(artifact)
with wandb.init(project="guides", group="writer-group", id="writer-last") as run:
    run.finish_artifact(wandb.Artifact("parallel-artifact", type="dataset"))
parallel = api.artifact("guides/parallel-artifact:latest")
print(parallel.name, [parallel.get(f"parts/table_{i}").data for i in range(3)])
with wandb.init(project="guides", id="no-group") as run:
    print(refusal(TypeError, run.upsert_artifact, wandb.Artifact("alone", "dataset")))
    print(refusal(TypeError, run.finish_artifact, wandb.Artifact("alone", "dataset")))
try:
    for text in ("one", "other"):
        with wandb.init(project="guides", id=f"clash-{text}") as run:
            artifact = wandb.Artifact("clash", "dataset")
            artifact.add_file(write("same.txt", text))
            run.upsert_artifact(artifact, distributed_id="clash")
    with wandb.init(project="guides", id="clash-last") as run:
        run.finish_artifact(wandb.Artifact("clash", "dataset"), distributed_id="clash")
except ValueError as error:
    print("same.txt" in str(error), api.artifact_exists("guides/clash:latest"))

section("update an artifact: tags and aliases")
artifact = api.artifact("guides/files:latest")
artifact.tags = ["tag1", "tag2"]
artifact.save()
artifact.tags = [*artifact.tags, "new-tag", "other-tag"]
artifact.tags += ["one more"]
artifact.tags.extend(["another"])
artifact.tags.remove("tag1")
artifact.save()
print(sorted(api.artifact("guides/files:v1").tags))
artifact.tags = set(artifact.tags) - {"one more", "another"}
artifact.save()
print(sorted(api.artifact("guides/files:v1").tags))
print(names(api.artifacts(type_name="dataset", name="guides/files", tags=["tag2", "new-tag"])))
artifact.tags[:] = ["kept"]
artifact.save()
print(api.artifact("guides/files:v1").tags, sorted(api.artifact("guides/files:v0").tags))
artifact.tags.clear()
artifact.save()
artifact.aliases = ["replaced"]
artifact.save()
print(api.artifact("guides/files:v1").tags, sorted(api.artifact("guides/files:replaced").aliases))
with wandb.init(project="guides", id="names") as run:
    artifact = wandb.Artifact("names", type="dataset")
    artifact.add_file("hello.txt")
    print(refusal(ValueError, run.log_artifact, artifact, aliases=["a/b"]))
    print(refusal(ValueError, run.log_artifact, artifact, tags=["no/tag"]))
    print(run.log_artifact(artifact, aliases="one", tags=["a tag"]).name, sorted(artifact.aliases), artifact.tags)

section("manage data retention")
with wandb.init(project="guides", id="retention") as run:
    artifact = wandb.Artifact(name="short-lived", type="dataset")
    artifact.add_file("hello.txt")
    artifact.ttl = timedelta(days=30)
    run.log_artifact(artifact)
    print(run.use_artifact("short-lived:latest").ttl)
    artifact = run.use_artifact("short-lived:latest")
    artifact.ttl = timedelta(days=365 * 2)
    artifact.save()
artifact = api.artifact("guides/short-lived:latest")
print(artifact.ttl)
artifact.ttl = None
artifact.save()
print(api.artifact("guides/short-lived:latest").ttl)
artifact.ttl = wandb.ArtifactTTL.INHERIT
artifact.save()
print(api.artifact("guides/short-lived:latest").ttl)
print(refusal(ValueError, setattr, artifact, "ttl", timedelta(0)))

section("explore artifact graphs")
artifact = api.artifact("guides/files:v0")
producer_run = artifact.logged_by()
print(producer_run.id, producer_run.job_type, sorted(ids(artifact.used_by())))
print(names(api.run("guides/modify").used_artifacts()), names(api.run("guides/modify").logged_artifacts()))
print(ids(api.artifact("guides/race:v2").used_by()), api.artifact("guides/album:v0").type)

section("tables")
table = wandb.Table(columns=["a", "b", "c"], data=[["1a", "1b", "1c"], ["2a", "2b", "2c"]])
my_row_list = ["3a", "3b", "3c"]
table.add_data(*my_row_list)
table.add_column(name="n", data=[1, 2, 3])
print(table.columns)
for ndx, row in table.iterrows():
    print(ndx, row)
print(table.get_column("n"), table.get_column(name="a"))
print(refusal(ValueError, table.add_data, "only one"), len(table.data))
if importlib.util.find_spec("numpy"):
    assert table.get_column("n", convert_to="numpy").tolist() == [1, 2, 3]
if importlib.util.find_spec("pandas"):
    assert table.get_dataframe().to_dict("list") == {name: table.get_column(name) for name in table.columns}
    assert wandb.Table(dataframe=table.get_dataframe()).columns == table.columns
with wandb.init(project="guides", id="tables") as run:
    artifact = wandb.Artifact("tables", type="dataset")
    print(artifact.add(table, "my_table").path)
    odd = wandb.Table(columns=["when", "nested", "nothing"])
    odd.add_data(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), [[1, 2], [3]], None)
    artifact["folder/odd"] = odd
    print(refusal(TypeError, artifact.add, "text", "text"), paths(artifact))
    run.log_artifact(artifact)
with wandb.init(project="guides", id="use-tables") as run:
    artifact = run.use_artifact("tables:latest")
    my_table = artifact.get("my_table")
    print(my_table == table, my_table.columns, my_table.data[0], artifact["my_table"] == table)
    when, nested, nothing = artifact.get("folder/odd").data[0]
    print(when.isoformat(), nested, nothing, artifact.get("no_table"))
    stored = json.loads(Path(artifact.get_entry("my_table.table.json").download()).read_text())
    print(stored["_type"], stored["ncols"], stored["nrows"], stored["columns"], stored["data"][2])
    longer = wandb.Table(columns=my_table.columns, data=my_table.data)
    longer.add_data("4a", "4b", "4c", 4)
    draft = artifact.new_draft()
    draft.add(longer, "my_table", overwrite=True)
    run.log_artifact(draft)
    print(draft.name, api.artifact("guides/tables:latest").get("my_table").get_column("n"), longer == table)

section("log, use and link models")
write("clf.pt", "weights")
write("bundle/config.json", "{}")
write("bundle/weights.pt", "heavy")
with wandb.init(project="guides", id="log-model") as run:
    print(run.log_model(path="clf.pt", name="clf", aliases=["best"]))
    wandb.log_model("clf.pt")
    run.log_model(path="bundle", name="bundle")
    print(names(run.logged_artifacts()), api.artifact("guides/clf:best").type)
with wandb.init(project="guides", id="use-model") as run:
    path = run.use_model("clf:best")
    print(Path(path).name, Path(path).read_text())
    print(contents(run.use_model(name="local/guides/bundle:latest")))
    linked = run.link_model(path="clf.pt", registered_model_name="Classifier", name="clf", aliases=["staging"])
    print(linked.qualified_name, linked.is_link, sorted(linked.aliases), linked.source_qualified_name)
    print(refusal(AssertionError, run.link_model, "clf.pt", "model-registry/Classifier"))
    print(names(run.used_artifacts()))
with wandb.init(project="guides", id="no-model") as run:
    print(refusal(AssertionError, run.use_model, "files:latest"))
print(api.artifact("model-registry/Classifier:staging", type="model").name)

section("log code")
for name in ("train.py", "lib/util.py", "cache/old.py", "explore.ipynb", "notes.md"):
    write(f"src/{name}", name)
with wandb.init(project="guides", id="code") as run:
    code = run.log_code("src", name="my-code")
    print(code.wait().name, code.type, paths(code))
    code = run.log_code(
        root="src",
        name="my-code",
        include_fn=lambda path: path.endswith((".py", ".ipynb")),
        exclude_fn=lambda path, root: os.path.relpath(path, root).startswith("cache/"),
    )
    print(code.wait().name, paths(code))
    print(run.log_code("images", name="my-code"), len(run.logged_artifacts()))

section("artifacts in the config")
with wandb.init(project="guides", id="config", config={"lr": 0.1}) as run:
    run.config["dataset"] = api.artifact("guides/files:v1")
    wandb.config.update({"model": api.artifact("guides/clf:best")})
    print(run.config["dataset"].name, run.config["lr"], names(run.used_artifacts()))
print(names(api.run("guides/config").used_artifacts()), api.run("guides/config").config["lr"])

section("query runs, export their data")
for name, lr, accuracy in (("foo-1", 0.1, 0.5), ("foo-2", 0.01, 0.9), ("bar", 0.1, 0.7)):
    with wandb.init(
        project="sweep",
        id=f"id-{name}",
        name=name,
        job_type="train",
        group="grid" if name == "bar" else None,
        tags=["baseline"] if name == "foo-1" else ["trial"],
        config={"lr": lr, "experiment_name": name[:3]},
    ) as run:
        for step in range(3):
            run.log({"loss": (3 - step) / 4, "accuracy": accuracy})
try:
    with wandb.init(project="sweep", id="id-broken", name="broken", job_type="eval"):
        raise RuntimeError
except RuntimeError:
    pass
runs = api.runs("local/sweep")
print(len(runs), ids(runs))
print(ids(api.runs(path="local/sweep", filters={"config.experiment_name": "foo"})))
print(ids(api.runs("sweep", filters={"$or": [{"config.lr": 0.01}, {"config.experiment_name": "bar"}]})))
print(ids(api.runs("sweep", filters={"config.experiment_name": {"$regex": "b.*"}})))
print(ids(api.runs("sweep", filters={"display_name": {"$regex": "^foo.*"}})))
print(ids(api.runs("sweep", filters={"summary_metrics.accuracy": {"$gt": 0.6}})))
print(ids(api.runs("sweep", filters={"$and": [{"state": "finished"}, {"tags": {"$in": ["baseline"]}}]})))
print(ids(api.runs("sweep", filters={"state": "failed"})), ids(api.runs("sweep", filters={"group": "grid"})))
print(ids(api.runs("sweep", filters={"jobType": {"$ne": "train"}})))
print(ids(api.runs("sweep", filters={"state": "finished"}, order="-created_at")))
print(ids(api.runs("sweep", filters={"jobType": "train"}, order="+summary_metrics.accuracy")))
run = api.run("local/sweep/id-foo-1")
print(run.name, run.state, run.config["experiment_name"], run.summary["loss"], run.summary.get("nothing"))
print([row["loss"] for row in run.scan_history(keys=["loss"])])
print([(row["_step"], row["accuracy"]) for row in run.history(pandas=False)])

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

section("create automations")
with wandb.init(project="guides", id="live-1") as run:
    artifact = wandb.Artifact("live", type="model", metadata={"stage": "candidate"})
    artifact.add_file(write("live.pt", "live 1"))
    run.link_artifact(artifact, "wandb-registry-models/yolo-live", aliases=["staging"])
webhook = WebhookIntegration(name="ci", url_endpoint=f"{web}/hook")
payload = {
    "event_type": "${event_type}",
    "alias": "${alias}",
    "collection": "${artifact_collection_name}",
    "project": "${project_name}",
    "entity": "${entity_name}",
    "client_payload": {"stage": "${artifact_metadata.stage}"},
}
action = SendWebhook.from_integration(webhook, payload=payload)
collection = api.artifact_collection(name="wandb-registry-models/yolo-live", type_name="model")
event = OnAddArtifactAlias(scope=collection, filter=ArtifactEvent.alias.matches_regex("^prod"))
automation = api.create_automation(event >> action, name="deploy", description="When it goes to production.")
print(automation.name, automation.description, automation.enabled, automation.scope.name)
print(automation.event.event_type.name, automation.action.action_type.name)
api.create_automation(OnLinkArtifact(scope=api.registry("models")).then(action), name="announce")
event = OnCreateArtifact(scope=api.artifact_collection(name="guides/live", type_name="model"))
api.create_automation(event >> action, name="evaluate")
project = api.project("guides")
event = OnRunState(scope=project, filter=RunEvent.state == "failed")
alarm = SendWebhook.from_integration(webhook, payload={"event_type": "${event_type}", "project": "${project_name}"})
api.create_automation(event >> alarm, name="alarm")
event = OnRunMetric(scope=project, filter=RunEvent.metric("loss").gt(10))
automation = api.create_automation(event >> DoNothing(), name="explosion", enabled=False)
print(automation.event.event_type.name, automation.action.action_type.name, automation.enabled)
print(names(api.automations()), api.automation(name="announce").event.event_type.name)
print(refusal(ValueError, api.create_automation, event >> DoNothing(), name="deploy"))
print(api.create_automation(event >> DoNothing(), name="deploy", fetch_existing=True).description)
print(refusal(ValueError, api.automation, "nothing"), refusal(TypeError, event.then, "a letter"))

section("what automations do")
version = api.artifact("wandb-registry-models/yolo-live:staging")
version.aliases.append("candidate")
version.save()
version.aliases.append("production")
version.save()
print(*arrived(1), sep="\n")
with wandb.init(project="guides", id="live-2") as run:
    artifact = wandb.Artifact("live", type="model", metadata={"stage": "better"})
    artifact.add_file(write("live.pt", "live 2"))
    run.link_artifact(artifact, "wandb-registry-models/yolo-live")
print(*arrived(2), sep="\n")
try:
    with wandb.init(project="guides", id="fails"):
        raise RuntimeError
except RuntimeError:
    pass
print(*arrived(1), sep="\n")

section("edit and delete automations")
automation = api.automation("announce")
automation.enabled = False
automation.description = "Kept for reference, but no longer used."
updated_automation = api.update_automation(automation)
print(updated_automation.enabled, api.automation("announce").enabled, api.automation("announce").description)
print(api.update_automation(api.automation("explosion"), enabled=True, description="Look at it.").enabled)
print(api.delete_automation(api.automation("deploy")), names(api.automations()))
api.artifact("guides/live:v0").link("wandb-registry-models/yolo-other", aliases=["production"])
version = api.artifact("wandb-registry-models/yolo-live:v1")
version.aliases.append("production")
version.save()
try:
    with wandb.init(project="guides", id="fails-again"):
        raise RuntimeError
except RuntimeError:
    pass
print(*arrived(1), sep="\n")
for automation in list(api.automations()):
    api.delete_automation(automation.id)
print(names(api.automations()), len(list(api.automations(name="alarm"))), refusal(ValueError, api.automation, "alarm"))

server.shutdown()
listening.join()
server.server_close()
