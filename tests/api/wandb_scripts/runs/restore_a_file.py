"""Restore a file of an earlier run.

After: docs, reference, restore
Runs.
"""

from pathlib import Path

import artstore as wandb

with wandb.init(project="restoring", id="first") as run:
    Path("model-best.txt").write_text("weights")
    run.save("model-best.txt")
Path("model-best.txt").unlink()
with wandb.init(project="restoring") as run:
    best_model = wandb.restore("model-best.txt", run_path="restoring/first")
    assert best_model.read() == "weights"
    best_model.close()
