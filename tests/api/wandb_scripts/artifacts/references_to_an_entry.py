"""Put a file of one artifact into another one without a copy.

After: docs, reference, Artifact.add_reference
Runs.
"""

from pathlib import Path

import artstore as wandb

with wandb.init(project="pieces") as run:
    source = wandb.Artifact("source", type="dataset")
    with source.new_file("shared.txt") as file:
        file.write("shared by both")
    run.log_artifact(source).wait()

with wandb.init(project="pieces") as run:
    source = run.use_artifact("source:latest")
    other = wandb.Artifact("other", type="dataset")
    other.add_reference(source.get_entry("shared.txt"), "copied/shared.txt")
    run.log_artifact(other)

folder = Path(wandb.Api().artifact("pieces/other:latest").download())
assert (folder / "copied/shared.txt").read_text() == "shared by both"
