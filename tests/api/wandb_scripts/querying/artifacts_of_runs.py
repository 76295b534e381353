"""Find what the best run logged, and download it.

After: edu, CI/CD course
Runs.
"""

from pathlib import Path

import artstore as wandb

for score in (0.3, 0.8, 0.5):
    with wandb.init(project="scores", config={"score": score}) as run:
        run.log({"val_acc": score})
        artifact = wandb.Artifact("model", type="model")
        with artifact.new_file("model.txt") as file:
            file.write(str(score))
        run.log_artifact(artifact)

api = wandb.Api()
runs = sorted(api.runs("scores"), key=lambda run: run.summary.get("val_acc", 0), reverse=True)
best = runs[0]
models = [artifact for artifact in best.logged_artifacts() if artifact.type == "model"]
assert Path(models[0].download(root="best"), "model.txt").read_text() == "0.8"
