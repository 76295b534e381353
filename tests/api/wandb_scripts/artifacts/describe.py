"""Change the description and metadata of a version that was logged.

After: docs, artifacts, update an artifact
Runs.
"""

import artstore as wandb

with wandb.init(project="describe") as run:
    artifact = wandb.Artifact("scores", type="results", metadata={"accuracy": 0.5})
    with artifact.new_file("scores.txt") as file:
        file.write("0.5")
    artifact.metadata["split"] = "test"
    run.log_artifact(artifact)

with wandb.init(project="describe") as run:
    artifact = run.use_artifact("scores:latest")
    artifact.metadata["reviewed"] = True
    artifact.metadata.update({"accuracy": 0.6})
    artifact.description = "scores of the test split"
    artifact.save()

artifact = wandb.Api().artifact("describe/scores:latest")
assert artifact.metadata == {"accuracy": 0.6, "split": "test", "reviewed": True}
assert artifact.description == "scores of the test split"
