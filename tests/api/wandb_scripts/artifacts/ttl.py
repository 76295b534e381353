"""Let versions expire: set, change, read and remove a time to live.

After: examples, colabs, time-to-live walkthrough
Runs.
"""

from datetime import timedelta

import artstore as wandb

with wandb.init(project="ttl") as run:
    artifact = wandb.Artifact("logs", type="logs")
    with artifact.new_file("log.txt") as file:
        file.write("nothing happened")
    artifact.ttl = timedelta(days=10)
    run.log_artifact(artifact)

api = wandb.Api()
artifact = api.artifact("ttl/logs:latest")
assert artifact.ttl == timedelta(days=10)
artifact.ttl = timedelta(days=7 * 4)
artifact.save()
assert api.artifact("ttl/logs:latest").ttl.days == 28
artifact.ttl = None
artifact.save()
assert api.artifact("ttl/logs:latest").ttl is None
