"""Walk the graph of artifacts and runs in both directions.

After: docs, artifacts, explore and traverse an artifact graph
Runs.
"""

import artstore as wandb


def write(run, name, kind):
    artifact = wandb.Artifact(name, type=kind)
    with artifact.new_file("content.txt") as file:
        file.write(name)
    return run.log_artifact(artifact)


with wandb.init(project="graph", name="collect") as run:
    write(run, "raw", "dataset")
with wandb.init(project="graph", name="clean") as run:
    run.use_artifact("raw:latest")
    write(run, "clean", "dataset")
with wandb.init(project="graph", name="train") as run:
    run.use_artifact("clean:latest")
    write(run, "net", "model")

api = wandb.Api()
model = api.artifact("graph/net:latest")
producer = model.logged_by()
assert producer.name == "train"
upstream = [artifact.name for artifact in producer.used_artifacts()]
assert upstream == ["clean:v0"]
raw = api.artifact("graph/raw:v0")
consumers = raw.used_by()
assert [run.name for run in consumers] == ["clean"]
assert [artifact.name for run in consumers for artifact in run.logged_artifacts()] == ["clean:v0"]
