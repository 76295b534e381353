"""Log the same content twice: it stays one version.

After: docs, artifacts, how versions are made
Runs.
"""

import artstore as wandb


def log(run, text):
    artifact = wandb.Artifact("greeting", type="text")
    with artifact.new_file("text.txt") as file:
        file.write(text)
    return run.log_artifact(artifact).wait().version


with wandb.init(project="equal") as run:
    assert [log(run, text) for text in ("hello", "hello", "bye", "bye")] == ["v0", "v0", "v1", "v1"]
assert len(wandb.Api().artifacts("text", "equal/greeting")) == 2
