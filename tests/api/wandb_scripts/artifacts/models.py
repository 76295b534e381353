"""Log, use and link a model with the short functions for models.

After: docs, track, log models
Runs.
"""

from pathlib import Path

import artstore as wandb

Path("net.h5").write_text("weights")
with wandb.init(project="models", config={"lr": 0.1}) as run:
    run.log_model(path="net.h5", name="digits-net", aliases=["staging"])

with wandb.init(project="models") as run:
    path = run.use_model(name="digits-net:staging")
    assert Path(path).read_text() == "weights"
    run.link_model(path="net.h5", registered_model_name="Digits", aliases=["production"])

artifact = wandb.Api().artifact("model-registry/Digits:production", type="model")
assert artifact.is_link and Path(artifact.download(), "net.h5").read_text() == "weights"
