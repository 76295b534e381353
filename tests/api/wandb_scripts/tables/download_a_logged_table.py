"""Get the table that a run logged, by the artifact `run-ID-KEY`.

After: edu, model management course, eval.py
Needs: pandas
Runs.
"""

import pandas as pd

import artstore as wandb

with wandb.init(project="tinyllama", id="cn0wuoij") as run:
    run.log({"sample_predictions": wandb.Table(columns=["prompt", "generation"], data=[["2+2?", "4"], ["hi", "ho"]])})

with wandb.init(project="tinyllama", job_type="eval") as run:
    artifact = wandb.use_artifact("tinyllama/run-cn0wuoij-sample_predictions:v0", type="run_table")
    artifact.download()
    table = artifact.get("sample_predictions")
    frame = pd.DataFrame(data=table.data, columns=table.columns)
assert frame["generation"].tolist() == ["4", "ho"]
