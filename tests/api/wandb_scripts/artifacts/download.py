"""Use an artifact in a run: download it whole, in part, or one file of it.

After: docs, artifacts, download and use an artifact
Runs.
"""

from pathlib import Path

import artstore as wandb

with wandb.init(project="download", job_type="make") as run:
    artifact = wandb.Artifact("corpus", type="dataset")
    for name in ("train/a.txt", "train/b.txt", "test/c.txt"):
        with artifact.new_file(name) as file:
            file.write(name)
    run.log_artifact(artifact)

with wandb.init(project="download", job_type="train") as run:
    artifact = run.use_artifact("corpus:latest", type="dataset")
    folder = Path(artifact.download())
    assert (folder / "train/a.txt").read_text() == "train/a.txt"
    part = Path(artifact.download(root="part", path_prefix="test/"))
    assert [path.name for path in part.rglob("*.txt")] == ["c.txt"]
    entry = artifact.get_entry("train/b.txt")
    assert Path(entry.download()).read_text() == "train/b.txt"
    assert Path(artifact.get_path("test/c.txt").download(root="one")).name == "c.txt"

api = wandb.Api()
artifact = api.artifact("download/corpus:v0")
assert artifact.type == "dataset" and len(list(artifact.files())) == 3
assert sorted(Path(artifact.download("again")).rglob("*.txt"))[0].name == "c.txt"
