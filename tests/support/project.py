"""A whole project, as its owner would write it: raw data to a model in production. Run it again after the data has grown.

python project.py RAW_FOLDER
"""

import csv
import random
import sys
from pathlib import Path

import artstore as wandb

RAW = Path(sys.argv[1]).resolve()


def collect() -> None:
    """The raw data stays where it is: a version of it is what its files' digests are today."""
    with wandb.init(project="flowers", job_type="collect", group="nightly") as run:
        raw = wandb.Artifact("raw", type="raw")
        raw.add_reference(RAW.as_uri())
        run.log_artifact(raw)
        print("collected", raw.name, [entry.path for entry in raw.files()])


def prepare() -> None:
    with wandb.init(
        project="flowers", job_type="prepare", group="nightly", config={"seed": 7, "held out": 0.25}
    ) as run:
        folder = Path(run.use_artifact("raw:latest").download())
        rows = [row for path in sorted(folder.glob("*.csv")) for row in csv.reader(path.read_text().splitlines())]
        random.Random(run.config.seed).shuffle(rows)
        cut = int(len(rows) * run.config["held out"])
        dataset = wandb.Artifact("flowers", type="dataset", metadata={"rows": len(rows)})
        for name, part in (("test.csv", rows[:cut]), ("train.csv", rows[cut:])):
            with dataset.new_file(name) as file:
                csv.writer(file).writerows(part)
        run.log_artifact(dataset)
        print("prepared", dataset.name, dataset.metadata)


def read(folder: str, name: str) -> list[tuple[float, str]]:
    with open(Path(folder) / name) as file:
        return [(float(length), kind) for length, kind in csv.reader(file)]


def text_of(model: wandb.Artifact) -> float:
    with model.get_entry("threshold.txt").open("r") as file:
        return float(file.read())


def train() -> None:
    """The threshold between two kinds of flowers, by trying."""
    with wandb.init(project="flowers", job_type="train", group="nightly", config={"steps": 50}) as run:
        run.define_metric("error", summary="min")
        run.config["data"] = run.use_artifact("flowers:latest")
        rows = read(run.config["data"].download(path_prefix="train.csv"), "train.csv")
        best, threshold = 1.0, 0.0
        for step in range(run.config["steps"]):
            candidate = step / 10
            error = sum((length > candidate) != (kind == "iris") for length, kind in rows) / len(rows)
            run.log({"error": error, "threshold": candidate})
            if error < best:
                best, threshold = error, candidate
        model = wandb.Artifact("classifier", type="model", metadata={"error": best})
        with model.new_file("threshold.txt") as file:
            file.write(str(threshold))
        run.log_artifact(model)
        print("trained", model.name, dict(run.summary["error"]), len(run.used_artifacts()))


def evaluate() -> None:
    with wandb.init(project="flowers", job_type="evaluate", group="nightly") as run:
        model, dataset = run.use_artifact("classifier:latest"), run.use_artifact("flowers:latest")
        threshold = text_of(model)
        table = wandb.Table(columns=["length", "kind", "said", "right"])
        for length, kind in read(dataset.download(), "test.csv"):
            said = "iris" if length > threshold else "daisy"
            table.add_data(length, kind, said, said == kind)
        report = wandb.Artifact("report", type="evaluation")
        report.add(table, "answers")
        run.log_artifact(report)
        right = table.get_column("right").count(True) / len(table)
        print("evaluated", model.name, "with", dataset.name, f"{right:.2f}")
        if right >= 0.9:
            linked = run.link_artifact(model, "registry-models/flowers", aliases=["prod"])
            print("in production:", linked.name, "is", linked.source_name)


for stage in (collect, prepare, train, evaluate):
    stage()

in_production = wandb.Api().artifact("registry-models/flowers:prod")
print([run.job_type for run in wandb.Api().runs("flowers", filters={"state": "finished"})])
print(text_of(in_production), in_production.metadata)
