"""Compare the configs of two runs.

After: docs, track, public API: compare two runs
Needs: pandas
Runs.
"""

import pandas as pd

import artstore as wandb

for name, config in (("a", {"batch": 32, "opt": "adam", "seed": 1}), ("b", {"batch": 16, "opt": "sgd", "seed": 1})):
    with wandb.init(project="pairs", id=name, name=f"run {name}", config=config):
        pass

api = wandb.Api()
run1, run2 = api.run("pairs/a"), api.run("pairs/b")
df = pd.DataFrame([run1.config, run2.config]).transpose()
df.columns = [run1.name, run2.name]
assert sorted(df[df[run1.name] != df[run2.name]].index) == ["batch", "opt"]
