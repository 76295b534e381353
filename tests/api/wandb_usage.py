"""Artifact code as W&B's guides have it: only the import differs. Prints what happens, the same each time."""

import argparse
import json
from pathlib import Path

import artstore as wandb


def files_below(root: str) -> str:
    return " ".join(sorted(str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file()))


def as_json(metadata: dict) -> str:
    return json.dumps(metadata, sort_keys=True)


def section(title: str) -> None:
    print(f"\n# {title}")


def write(path: str, text: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return path


# -- what a user has on disk --

write("cats/labels.csv", "cat\n")
write("cats/images/bike.png", "a bike")
write("cats/images/bikes/red.png", "red")
write("cats/images/bikes/blue.png", "blue")
write("notes.txt", "first notes")

section("construct an artifact and log it")
with wandb.init(project="digits", job_type="upload", id="upload-1", name="first upload") as run:
    artifact = wandb.Artifact(
        name="cats", type="dataset", description="pictures", metadata={"source": "camera", "classes": 3}
    )
    print(artifact.name, artifact.type, artifact.is_draft(), artifact.state)
    entry = artifact.add_file("notes.txt", name="docs/notes.md")
    print(entry.path, entry.size)
    artifact.add_file(local_path="cats/labels.csv")
    artifact.add_dir("cats/images", name="images")
    with artifact.new_file("stats/mean.json") as file:
        json.dump({"mean": 0.5}, file)
    with artifact.new_file("raw.bin", mode="wb") as file:
        file.write(b"\0\1\2")
    artifact.add_file("notes.txt")
    artifact.remove("notes.txt")
    print(hasattr(artifact, "version"), hasattr(artifact, "aliases"), artifact.id)
    logged = run.log_artifact(artifact, aliases=["latest", "raw"])
    logged.wait()
    print(logged.name, logged.version, sorted(logged.aliases), logged.is_draft(), logged.state)
    print(logged.qualified_name, logged.file_count, logged.size)
    print(logged.entity, logged.project, logged.source_name, logged.description, as_json(logged.metadata))

section("use it in a later run")
with wandb.init(project="digits", job_type="train", id="train-1") as run:
    data = run.use_artifact("cats:latest")
    print(data.name, data.type, data.metadata["classes"])
    print(files_below(data.download()))
    print(root := data.download(root="everything"), files_below("everything"))
    print(files_below(data.download(root="one", path_prefix="images/bike.png")))
    print(files_below(data.download(root="folder", path_prefix="images/bikes/")))
    path = data.get_path("stats/mean.json").download(root="entry")
    print(path, json.loads(Path(path).read_text()), files_below("entry"))
    print(data.get_entry("labels.csv").ref, data.get_entry("labels.csv").size)
    print(sorted(data.manifest.entries))
    print([file.name for file in data.files(names=["labels.csv"])], len(data.files()))
    print(Path(wandb.use_artifact("cats:raw").get_entry("raw.bin").download()).name)

section("repair, verify and check out a folder")
write("everything/labels.csv", "damaged")
write("everything/own.txt", "mine")
try:
    data.verify(root="everything")
except ValueError:
    print("everything differs")
data.download("everything")
print(Path("everything/labels.csv").read_text().strip(), Path("everything/own.txt").exists())
data.checkout(root="everything")
print(Path("everything/own.txt").exists(), len(files_below(root).split()))
data.verify("everything")

section("a training script: config, metrics, a checkpoint each epoch")
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--lr", type=float, default=0.1)
with wandb.init(project="digits", id="train-2", config=parser.parse_args([]), tags=["baseline"]) as run:
    wandb.config.update({"optimizer": "sgd"})
    print(wandb.config.epochs, wandb.config["lr"], run.config.get("optimizer"), dict(wandb.config))
    wandb.use_artifact("cats:latest", type="dataset")
    best = 0.0
    for epoch, accuracy in enumerate([0.5, 0.9, 0.8]):
        wandb.log({"epoch": epoch, "accuracy": accuracy})
        write("model.pt", f"weights {epoch}")
        model = wandb.Artifact(f"model-{run.id}", type="model", metadata={"epoch": epoch, **wandb.config})
        model.add_file("model.pt")
        aliases = ["latest", f"epoch-{epoch}"]
        if accuracy > best:
            best = accuracy
            aliases.append("best")
        wandb.log_artifact(model, aliases=aliases)
    run.summary["best_accuracy"] = best
    wandb.summary.update({"done": True})
print(wandb.run)
api = wandb.Api()
for version in api.artifacts("model", "digits/model-train-2", order="+created_at"):
    print(version.name, sorted(version.aliases), version.metadata["epoch"])
finished = api.run("digits/train-2")
print(finished.state, finished.config["epochs"], finished.summary["best_accuracy"], finished.summary["accuracy"])

section("outside a run")
best = api.artifact("local/digits/model-train-2:best")
print(best.name, Path(best.file()).read_text(), best.version)
print(api.artifact("digits/cats:v0", type="dataset").name, api.artifact("digits/cats").name)
print([api.artifact_exists(f"digits/{name}") for name in ("cats:latest", "cats:v7", "dogs:latest")])
print([api.artifact_collection_exists(name=f"digits/{name}", type="dataset") for name in ("cats", "dogs")])

section("the same content again, then another version")
with wandb.init(project="digits", id="upload-2") as run:
    same = wandb.Artifact("model-train-2", type="model")
    same.add_file(write("model.pt", "weights 2"))
    run.log_artifact(same, aliases=["again"])
    print(same.wait().version, sorted(same.aliases))
    run.log_artifact("notes.txt", name="notes", type="text").wait()
    write("notes.txt", "second notes")
    print(run.log_artifact("notes.txt", name="notes", type="text", aliases="edited").wait().version)
    print(run.use_artifact("notes:v0").get_entry("notes.txt").size, run.use_artifact("notes:edited").name)

section("a new version from an old one")
draft = api.artifact("digits/cats:latest").new_draft()
print(draft.name, draft.type, draft.is_draft(), as_json(draft.metadata))
draft.remove("images/bikes")
draft.add_file(write("cats/labels.csv", "cat\ndog\n"), overwrite=True)
draft.add_file("notes.txt", name="docs/more.md")
draft.save()
print(draft.name, draft.project, sorted(draft.manifest.entries), sorted(draft.aliases))
with wandb.init(project="digits", id="upload-3") as run:
    patch = wandb.Artifact("cats", type="dataset", incremental=True)
    patch.add_file("notes.txt", name="docs/patch.md")
    run.log_artifact(patch).wait()
    print(patch.version, len(patch.manifest.entries), patch.get_entry("labels.csv").size)

section("update it in place")
artifact = api.artifact("digits/cats:latest")
artifact.description = "pictures and labels"
artifact.metadata["reviewed"] = True
artifact.metadata["split"] = {"train": 0.8, "test": 0.2}
artifact.aliases.append("reviewed")
artifact.tags = ["clean", "small"]
artifact.save()
artifact = api.artifact("digits/cats:reviewed")
print(artifact.version, artifact.description, as_json(artifact.metadata))
print(sorted(artifact.aliases), sorted(artifact.tags))
artifact.aliases.remove("reviewed")
artifact.tags.remove("small")
artifact.metadata = {"reviewed": False}
artifact.save()
artifact = api.artifact("digits/cats:v2")
print(as_json(artifact.metadata), sorted(artifact.aliases), artifact.tags, artifact.description)
artifact = api.artifact("digits/cats:v0")
artifact.aliases = ["golden", "release-1"]
artifact.save()
print(sorted(api.artifact("digits/cats:golden").aliases), api.artifact("digits/cats:latest").version)
print(api.artifact_exists("digits/cats:raw"))

section("delete versions")
try:
    api.artifact("digits/model-train-2:epoch-0").delete()
except wandb.CommError:
    print("v0 has aliases")
api.artifact("digits/model-train-2:v0").delete(delete_aliases=True)
for version in [version for version in api.artifacts("dataset", "digits/cats") if not version.aliases]:
    version.delete()
print([version.name for version in api.artifacts(type_name="model", name="digits/model-train-2")])
print([version.name for version in api.artifacts("dataset", "digits/cats")])
api.artifact("digits/model-train-2:latest").delete(delete_aliases=True)
print(api.artifact("digits/model-train-2:latest").version)
with wandb.init(project="digits", id="upload-4") as run:
    print(run.log_artifact(write("model.pt", "more"), name="model-train-2", type="model").wait().version)

section("other projects and entities")
with wandb.init(entity="team", project="<example>", id="other-1") as run:
    mine = wandb.Artifact("cats", type="pets")
    mine.add_file("cats/labels.csv")
    run.log_artifact(mine).wait()
    print(mine.qualified_name, run.entity, run.project)
    theirs = run.use_artifact("local/digits/cats:golden")
    print(theirs.qualified_name, theirs.type)
    print(run.use_artifact("cats:latest").qualified_name)
print(wandb.Api().artifact("team/<example>/cats:v0").type)
print([used.qualified_name for used in api.run("team/<example>/other-1").used_artifacts()])
api = wandb.Api(overrides={"entity": "team", "project": "<example>"})
print(api.artifact("cats:latest").qualified_name)
api = wandb.Api()

section("the same artifact, used again and again")
with wandb.init(project="digits", id="again") as run:
    reference = wandb.Artifact("reference model")
    reference.add_file("model.pt")
    for _ in range(3):
        print(run.use_artifact(reference).name)
    stored = run.use_artifact("reference model:latest")
    print(stored == reference, run.use_artifact(stored).version, reference.logged_by())
    print([used.name for used in run.used_artifacts()], len(run.logged_artifacts()))
print([used.name for used in api.run("digits/again").used_artifacts()])

section("who logged and who used it")
golden = api.artifact("digits/cats:golden")
print(golden.logged_by().id, golden.logged_by().name, sorted(run.id for run in golden.used_by()))
print([logged.name for logged in api.run("local/digits/upload-2").logged_artifacts()])
print([logged.name for logged in api.run("digits/train-2").logged_artifacts()])
for run in api.runs("local/digits", order="+created_at"):
    name = run.id if run.job_type != "auto" else "of save()"
    print(name, run.state, run.job_type, len(run.used_artifacts()), len(run.logged_artifacts()))
runs = api.runs(path="digits")
print(len(runs), runs[0].project, len(runs[:2]), api.run("digits/train-2").tags)

section("types and collections")
print(sorted(kind.name for kind in api.artifact_types("digits")))
print([collection.name for collection in api.artifact_type("dataset", project="digits").collections()])
for collection in api.artifact_collections(project_name="local/digits", type_name="text"):
    print(collection.name, collection.type, len(collection.artifacts()), sorted(collection.aliases))
collection = api.artifact_collection("text", "digits/notes")
collection.description = "what we noted"
collection.tags = ["prose"]
collection.save()
collection.name = "remarks"
collection.save()
renamed = api.artifact_collection("text", "digits/remarks")
print(renamed.name, renamed.description, renamed.tags, renamed.is_sequence())
print(api.artifact("digits/remarks:v0").name)
renamed.delete()
print(api.artifact_collection_exists("digits/remarks", "text"))

section("errors")
for name in ("a/b", "a:b", ""):
    try:
        wandb.Artifact(name, type="dataset")
    except ValueError:
        print(f"no name: {name!r}")
draft = wandb.Artifact("cats", type="dataset")
for what in ("version", "aliases", "tags", "created_at"):
    try:
        getattr(draft, what)
    except AttributeError as error:
        print(what, type(error).__name__)
try:
    draft.add_file("nowhere.txt")
except ValueError as error:
    print("Path is not a file" in str(error))
draft.add_file("cats/labels.csv", name="x")
try:
    draft.add_file("notes.txt", name="x")
except ValueError as error:
    print(str(error).split(":")[0])
try:
    draft.remove("y")
except FileNotFoundError:
    print("no such file in the draft")
try:
    draft.metadata = {str(number): number for number in range(101)}
except ValueError:
    print("too many keys")
try:
    golden.add_file("notes.txt")
except wandb.errors.Error as error:
    print(type(error).__name__)
try:
    golden.get_entry("nowhere.txt")
except KeyError:
    print("no such entry")
for spec in ("digits/cats:v99", "digits/nothing:latest", "nowhere/cats:latest"):
    try:
        api.artifact(spec)
    except wandb.CommError:
        print(f"not found: {spec}")
try:
    api.artifact("digits/cats:v0", type="model")
except ValueError as error:
    print(error)
try:
    golden.file()
except ValueError:
    print("more than one file")
try:
    wandb.log({"loss": 1})
except wandb.Error:
    print("no run")
try:
    with wandb.init(project="digits", id="broken") as run:
        other = wandb.Artifact("cats", type="model")
        other.add_file("notes.txt")
        run.log_artifact(other).wait()
except ValueError as error:
    print(str(error).split(";")[0])
print(api.run("digits/broken").state, wandb.run is None)
