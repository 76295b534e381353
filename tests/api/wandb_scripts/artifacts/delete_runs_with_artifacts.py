"""Delete finished runs together with what they logged.

After: docs, artifacts, pace deletions to stay within limits
Runs.
"""

import artstore as wandb

for number in range(3):
    with wandb.init(project="old") as run:
        artifact = wandb.Artifact(f"output-{number}", type="results")
        with artifact.new_file("output.txt") as file:
            file.write(str(number))
        run.log_artifact(artifact)

api = wandb.Api()
for run in api.runs("old"):
    if run.state != "finished":
        continue
    run.delete(delete_artifacts=True)
assert len(wandb.Api().runs("old")) == 0
assert not wandb.Api().artifact_exists("old/output-0:latest")
