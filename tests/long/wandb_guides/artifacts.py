"""Artifacts: made, used, of references, from several processes."""

from pathlib import Path

from common import SERVED, api, contents, paths, refusal, section, web, write

import artstore as wandb

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
source.delete(delete_aliases=True)
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
