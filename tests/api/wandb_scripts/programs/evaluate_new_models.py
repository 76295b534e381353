"""Evaluate all models that lack a score on the newest data, and give the best one an alias.

After: examples, model evaluation
Needs: PIL, numpy
Runs.
"""

import numpy as np

import artstore as wandb

PROJECT, USE_CASE = "model_registry_example", "digits"
generator = np.random.default_rng(0)


def publish_dataset():
    artifact = wandb.Artifact(f"{USE_CASE}_ds", "dataset")
    for split, size in (("train", 8), ("eval", 4)):
        table = wandb.Table(data=[], columns=[])
        table.add_column(f"x_{split}", generator.random((size, 6, 6, 1)).astype("float32"))
        table.add_column(f"y_{split}", generator.integers(0, 10, size))
        table.add_computed_columns(lambda ndx, row, split=split: {"img": wandb.Image(row[f"x_{split}"])})
        artifact.add(table, f"{split}_table")
    artifact.save()


def publish_candidate(weight):
    artifact = wandb.Artifact(f"{USE_CASE}_model_candidates", "model")
    with artifact.new_file("model.txt") as file:
        file.write(str(weight))
    artifact.save()


def candidates():
    return wandb.Api({"project": PROJECT}).artifact_versions("model", f"{USE_CASE}_model_candidates")


with wandb.init(project=PROJECT, job_type="dataset_builder"):
    publish_dataset()
for weight in (0.5, 0.1, 0.9):
    with wandb.init(project=PROJECT, job_type="trainer"):
        table = wandb.run.use_artifact(f"{USE_CASE}_ds:latest").get("train_table")
        assert table.get_column("x_train", convert_to="numpy").shape == (8, 6, 6, 1)
        publish_candidate(weight)

run = wandb.init(project=PROJECT, job_type="evaluator")
dataset = wandb.run.use_artifact(f"{USE_CASE}_ds:latest")
x_eval = dataset.get("eval_table").get_column("x_eval", convert_to="numpy")
metric = f"{dataset.name}-ce_loss"
for model in [candidate for candidate in candidates() if metric not in candidate.metadata]:
    artifact = wandb.run.use_artifact(model)
    score = float(open(artifact.get_path("model.txt").download()).read()) * float(x_eval.mean())
    model.metadata[metric] = score
    model.save()
best = min(candidates(), key=lambda candidate: candidate.metadata[metric])
best.aliases.append("production")
best.save()
run.finish()

api = wandb.Api()
assert api.artifact(f"{PROJECT}/{USE_CASE}_model_candidates:production").version == "v1"
assert len(api.run(run.path).used_artifacts()) == 4
