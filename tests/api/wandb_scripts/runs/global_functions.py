"""Use the functions of the module on the active run.

After: edu, MLOps course, lesson 1
Runs.
"""

from pathlib import Path

import artstore as wandb

assert wandb.run is None
wandb.init(project="globals", job_type="upload")
Path("raw.csv").write_text("a,b\n1,2\n")
raw_data_at = wandb.Artifact("raw", type="raw_data")
raw_data_at.add_file("raw.csv")
wandb.log_artifact(raw_data_at)
wandb.config.update({"seed": 1})
wandb.log({"rows": 1})
wandb.summary["rows_total"] = 1
run_id = wandb.run.id
wandb.finish()
wandb.init(project="globals", job_type="explore")
assert Path(wandb.use_artifact("raw:latest").download(), "raw.csv").exists()
wandb.finish()
assert wandb.Api().run(f"globals/{run_id}").summary["rows_total"] == 1
