"""Add tables and media to an artifact, and get them back as objects.

After: docs, artifacts, construct an artifact
Needs: PIL, numpy
Runs.
"""

import numpy as np

import artstore as wandb

pixels = np.zeros((4, 4, 3), dtype=np.uint8)
with wandb.init(project="objects") as run:
    artifact = wandb.Artifact("mixed", type="results")
    artifact.add(wandb.Table(columns=["n", "square"], data=[[1, 1], [2, 4]]), "numbers")
    artifact.add(wandb.Image(pixels, caption="black"), "black")
    artifact.add(wandb.Html("<b>done</b>"), "note")
    run.log_artifact(artifact)

with wandb.init(project="objects") as run:
    artifact = run.use_artifact("mixed:latest")
    assert artifact.get("numbers").get_column("square") == [1, 4]
    assert artifact["black"].caption == "black" and artifact.get("black").image.size == (4, 4)
    assert "<b>done</b>" in artifact.get("note").html
    assert artifact.get("nothing") is None
