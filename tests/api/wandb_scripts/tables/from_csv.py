"""Log a CSV file as a table, and keep the file itself in an artifact.

After: docs, track, CSV files with experiments
Needs: pandas
Runs.
"""

from pathlib import Path

import pandas as pd

import artstore as wandb

Path("iris.csv").write_text("length,kind\n1.4,setosa\n4.7,versicolor\n")
new_iris_dataframe = pd.read_csv("iris.csv")
iris_table = wandb.Table(dataframe=new_iris_dataframe)
iris_table_artifact = wandb.Artifact("iris_artifact", type="dataset")
iris_table_artifact.add(iris_table, "iris_table")
iris_table_artifact.add_file("iris.csv")

run = wandb.init(project="tables-walkthrough")
run.log({"iris": iris_table})
run.log_artifact(iris_table_artifact)
run.finish()

artifact = wandb.Api().artifact("tables-walkthrough/iris_artifact:latest")
assert artifact.get("iris_table").get_column("kind") == ["setosa", "versicolor"]
