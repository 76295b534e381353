"""Track files of a mounted folder by reference, and download them.

After: docs, artifacts, track external files
Runs.
"""

from pathlib import Path

import artstore as wandb

mount = Path("mount/datasets/digits").resolve()
mount.mkdir(parents=True)
for digit in range(3):
    (mount / f"{digit}.txt").write_text(str(digit))

with wandb.init(project="references") as run:
    artifact = wandb.Artifact("digits", type="dataset")
    artifact.add_reference(f"file://{mount}/")
    run.log_artifact(artifact)

with wandb.init(project="references") as run:
    artifact = run.use_artifact("references/digits:latest", type="dataset")
    entry = artifact.get_entry("1.txt")
    assert entry.ref == f"file://{mount}/1.txt"
    folder = Path(artifact.download())
    assert sorted(path.read_text() for path in folder.iterdir()) == ["0", "1", "2"]

(mount / "1.txt").write_text("seven")
try:
    artifact.download(root="again")
except ValueError:
    pass
else:
    raise AssertionError("a file that was overwritten can't be downloaded")
