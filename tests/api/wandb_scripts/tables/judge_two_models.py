"""Join the answers of two models in pandas and log the verdicts.

After: edu, model management course, eval.py
Needs: pandas
Runs.
"""

from types import SimpleNamespace

import pandas as pd

import artstore as wandb

config = SimpleNamespace(model_names=["small", "large"], num_samples=-1)
for name, answers in (("small", ["4", "no"]), ("large", ["4", "yes"])):
    with wandb.init(project="judge", id=f"gen-{name}") as run:
        rows = [[f"q{number}", answer] for number, answer in enumerate(answers)]
        run.log({"sample_predictions": wandb.Table(columns=["prompt", "generation"], data=rows)})

wandb.init(project="judge", job_type="eval", tags=["judge"], config=config)
frames = []
for name in config.model_names:
    artifact = wandb.use_artifact(f"judge/run-gen-{name}-sample_predictions:v0", type="run_table")
    frames.append(artifact.get("sample_predictions").get_dataframe())
merged = pd.merge(frames[0], frames[1], on="prompt", suffixes=config.model_names)
merged["agree"] = merged["generationsmall"] == merged["generationlarge"]
wandb.log({"judged": wandb.Table(dataframe=merged)})
wandb.finish()
assert merged["agree"].tolist() == [True, False]
