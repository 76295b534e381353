"""Check that a folder is what a run used: verify it, repair it, and name its digest.

After: examples, colabs, artifacts for auditing purposes
Runs.
"""

from pathlib import Path

import artstore as wandb

with wandb.init(project="audit") as run:
    artifact = wandb.Artifact("ledger", type="dataset")
    for month in ("01", "02"):
        with artifact.new_file(f"2026-{month}.csv") as file:
            file.write(f"{month},100\n")
    run.log_artifact(artifact)
    digest = artifact.digest

artifact = wandb.Api().artifact("audit/ledger:v0")
folder = Path(artifact.download())
artifact.verify()
(folder / "2026-02.csv").write_text("02,900\n")
try:
    artifact.verify(str(folder))
except ValueError:
    artifact.checkout(str(folder))
artifact.verify(str(folder))
assert (folder / "2026-02.csv").read_text() == "02,100\n"
assert artifact.digest == digest
assert artifact.logged_by().state == "finished"
