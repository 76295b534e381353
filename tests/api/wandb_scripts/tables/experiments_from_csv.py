"""Make a run of each row of a CSV file of experiments.

After: docs, track, CSV files with experiments
Needs: pandas
Runs.
"""

from pathlib import Path

import pandas as pd

import artstore as wandb

Path("experiments.csv").write_text(
    "Experiment,Notes,Tags,Num Layers,Final Val Acc,Losses\n"
    'first,overfits,latest,300,0.9,"[0.55, 0.45]"\n'
    'second,best model,prod,250,0.96,"[0.5, 0.4]"\n'
)
frame = pd.read_csv("experiments.csv")
frame["Losses"] = frame["Losses"].map(lambda text: [float(value) for value in text.strip("[]").split(",")])
for _, row in frame.iterrows():
    run = wandb.init(
        project="Converted Experiments",
        name=row["Experiment"],
        tags=[row["Tags"]],
        notes=row["Notes"],
        config={"Num Layers": row["Num Layers"]},
    )
    for value in row["Losses"]:
        run.log({"Losses": value})
    run.summary.update({"Final Val Acc": row["Final Val Acc"]})
    run.finish()

runs = wandb.Api().runs("Converted Experiments", order="+created_at")
assert [(run.name, run.config["Num Layers"], run.notes) for run in runs] == [
    ("first", 300, "overfits"),
    ("second", 250, "best model"),
]
assert [row["Losses"] for row in runs[1].scan_history(keys=["Losses"])] == [0.5, 0.4]
