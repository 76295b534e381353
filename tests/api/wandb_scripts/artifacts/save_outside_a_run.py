"""Save an artifact without a run.

After: docs, artifacts, create an artifact version
Runs.
"""

from pathlib import Path

import artstore as wandb

Path("image1.txt").write_text("one")
artifact = wandb.Artifact("pictures", "images")
artifact.add_file("image1.txt")
artifact.save()
artifact.wait()

assert wandb.Api().artifact(artifact.qualified_name).manifest.entries["image1.txt"].size == 3
