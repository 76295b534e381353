"""Use and download a version that a registry holds.

After: docs, registry, download an artifact from a registry
Runs.
"""

from pathlib import Path

import artstore as wandb

REGISTRY, COLLECTION, ALIAS = "shared", "phi3-finetuned", "production"
wandb.Api().create_registry(name=REGISTRY, visibility="organization")
with wandb.init(project="finetune") as run:
    artifact = wandb.Artifact("phi3", type="model")
    with artifact.new_file("adapter.txt") as file:
        file.write("adapter")
    run.link_artifact(run.log_artifact(artifact), f"wandb-registry-{REGISTRY}/{COLLECTION}", aliases=[ALIAS])

with wandb.init(project="serving") as run:
    name = f"wandb-registry-{REGISTRY}/{COLLECTION}:{ALIAS}"
    fetched = run.use_artifact(artifact_or_name=name)
    path = fetched.download()
    assert Path(path, "adapter.txt").read_text() == "adapter"

assert [user.id for user in wandb.Api().artifact(name).used_by()] == [run.id]
