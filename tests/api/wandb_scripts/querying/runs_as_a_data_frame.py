"""Write all runs of a project as a CSV file.

After: docs, track, public API: export metrics from all runs
Needs: pandas
Runs.
"""

from pathlib import Path

import pandas as pd

import artstore as wandb

for number in range(3):
    with wandb.init(project="all", name=f"run {number}", config={"lr": number, "_internal": 1}) as run:
        run.log({"acc": number / 10})

api = wandb.Api()
entity, project = "local", "all"
runs = api.runs(entity + "/" + project)
summary_list, config_list, name_list = [], [], []
for run in runs:
    summary_list.append(run.summary._json_dict)
    config_list.append({k: v for k, v in run.config.items() if not k.startswith("_")})
    name_list.append(run.name)
runs_df = pd.DataFrame({"summary": summary_list, "config": config_list, "name": name_list})
runs_df.to_csv("project.csv")
assert Path("project.csv").read_text().count("\n") == 4
assert sorted(runs_df["name"]) == ["run 0", "run 1", "run 2"] and {"lr": 2} in config_list
