"""Put an artifact into the config: it counts as used.

After: docs, artifacts, use artifacts in the config
Runs.
"""

import artstore as wandb

with wandb.init(project="configured") as run:
    artifact = wandb.Artifact("vocabulary", type="dataset")
    with artifact.new_file("words.txt") as file:
        file.write("a an the")
    run.log_artifact(artifact)

with wandb.init(project="configured", config={"words": wandb.Api().artifact("configured/vocabulary:latest")}) as run:
    assert run.config["words"].version == "v0"
    assert open(run.config["words"].file()).read() == "a an the"

assert [used.name for used in wandb.Api().run(run.path).used_artifacts()] == ["vocabulary:v0"]
