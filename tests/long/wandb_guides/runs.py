"""What belongs to runs: tags, retention, graphs, tables, models, code, queries."""

import importlib.util
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common import api, contents, ids, names, paths, refusal, section, write

import artstore as wandb

section("update an artifact: tags and aliases")
artifact = api.artifact("guides/files:latest")
artifact.tags = ["tag1", "tag2"]
artifact.save()
artifact.tags = [*artifact.tags, "new-tag", "other-tag"]
artifact.tags += ["one more"]
artifact.tags.extend(["another"])
artifact.tags.remove("tag1")
artifact.save()
print(sorted(api.artifact("guides/files:v1").tags))
artifact.tags = set(artifact.tags) - {"one more", "another"}
artifact.save()
print(sorted(api.artifact("guides/files:v1").tags))
print(names(api.artifacts(type_name="dataset", name="guides/files", tags=["tag2", "new-tag"])))
artifact.tags[:] = ["kept"]
artifact.save()
print(api.artifact("guides/files:v1").tags, sorted(api.artifact("guides/files:v0").tags))
artifact.tags.clear()
artifact.save()
artifact.aliases = ["replaced"]
artifact.save()
print(api.artifact("guides/files:v1").tags, sorted(api.artifact("guides/files:replaced").aliases))
with wandb.init(project="guides", id="names") as run:
    artifact = wandb.Artifact("names", type="dataset")
    artifact.add_file("hello.txt")
    print(refusal(ValueError, run.log_artifact, artifact, aliases=["a/b"]))
    print(refusal(ValueError, run.log_artifact, artifact, tags=["no/tag"]))
    print(run.log_artifact(artifact, aliases="one", tags=["a tag"]).name, sorted(artifact.aliases), artifact.tags)

section("manage data retention")
with wandb.init(project="guides", id="retention") as run:
    artifact = wandb.Artifact(name="short-lived", type="dataset")
    artifact.add_file("hello.txt")
    artifact.ttl = timedelta(days=30)
    run.log_artifact(artifact)
    print(run.use_artifact("short-lived:latest").ttl)
    artifact = run.use_artifact("short-lived:latest")
    artifact.ttl = timedelta(days=365 * 2)
    artifact.save()
artifact = api.artifact("guides/short-lived:latest")
print(artifact.ttl)
artifact.ttl = None
artifact.save()
print(api.artifact("guides/short-lived:latest").ttl)
artifact.ttl = wandb.ArtifactTTL.INHERIT
artifact.save()
print(api.artifact("guides/short-lived:latest").ttl)
print(refusal(ValueError, setattr, artifact, "ttl", timedelta(0)))

section("explore artifact graphs")
artifact = api.artifact("guides/files:v0")
producer_run = artifact.logged_by()
print(producer_run.id, producer_run.job_type, sorted(ids(artifact.used_by())))
print(names(api.run("guides/modify").used_artifacts()), names(api.run("guides/modify").logged_artifacts()))
print(ids(api.artifact("guides/race:v2").used_by()), api.artifact("guides/album:v0").type)

section("tables")
table = wandb.Table(columns=["a", "b", "c"], data=[["1a", "1b", "1c"], ["2a", "2b", "2c"]])
my_row_list = ["3a", "3b", "3c"]
table.add_data(*my_row_list)
table.add_column(name="n", data=[1, 2, 3])
print(table.columns)
for ndx, row in table.iterrows():
    print(ndx, row)
print(table.get_column("n"), table.get_column(name="a"))
print(refusal(ValueError, table.add_data, "only one"), len(table.data))
if importlib.util.find_spec("numpy"):
    assert table.get_column("n", convert_to="numpy").tolist() == [1, 2, 3]
if importlib.util.find_spec("pandas"):
    assert table.get_dataframe().to_dict("list") == {name: table.get_column(name) for name in table.columns}
    assert wandb.Table(dataframe=table.get_dataframe()).columns == table.columns
with wandb.init(project="guides", id="tables") as run:
    artifact = wandb.Artifact("tables", type="dataset")
    print(artifact.add(table, "my_table").path)
    odd = wandb.Table(columns=["when", "nested", "nothing"])
    odd.add_data(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), [[1, 2], [3]], None)
    artifact["folder/odd"] = odd
    print(refusal(TypeError, artifact.add, "text", "text"), paths(artifact))
    run.log_artifact(artifact)
with wandb.init(project="guides", id="use-tables") as run:
    artifact = run.use_artifact("tables:latest")
    my_table = artifact.get("my_table")
    print(my_table == table, my_table.columns, my_table.data[0], artifact["my_table"] == table)
    when, nested, nothing = artifact.get("folder/odd").data[0]
    print(when.isoformat(), nested, nothing, artifact.get("no_table"))
    stored = json.loads(Path(artifact.get_entry("my_table.table.json").download()).read_text())
    print(stored["_type"], stored["ncols"], stored["nrows"], stored["columns"], stored["data"][2])
    longer = wandb.Table(columns=my_table.columns, data=my_table.data)
    longer.add_data("4a", "4b", "4c", 4)
    draft = artifact.new_draft()
    draft.add(longer, "my_table", overwrite=True)
    run.log_artifact(draft)
    print(draft.name, api.artifact("guides/tables:latest").get("my_table").get_column("n"), longer == table)

section("log, use and link models")
write("clf.pt", "weights")
write("bundle/config.json", "{}")
write("bundle/weights.pt", "heavy")
with wandb.init(project="guides", id="log-model") as run:
    print(run.log_model(path="clf.pt", name="clf", aliases=["best"]))
    wandb.log_model("clf.pt")
    run.log_model(path="bundle", name="bundle")
    print(names(run.logged_artifacts()), api.artifact("guides/clf:best").type)
with wandb.init(project="guides", id="use-model") as run:
    path = run.use_model("clf:best")
    print(Path(path).name, Path(path).read_text())
    print(contents(run.use_model(name="local/guides/bundle:latest")))
    linked = run.link_model(path="clf.pt", registered_model_name="Classifier", name="clf", aliases=["staging"])
    print(linked.qualified_name, linked.is_link, sorted(linked.aliases), linked.source_qualified_name)
    print(refusal(AssertionError, run.link_model, "clf.pt", "model-registry/Classifier"))
    print(names(run.used_artifacts()))
with wandb.init(project="guides", id="no-model") as run:
    print(refusal(AssertionError, run.use_model, "files:latest"))
print(api.artifact("model-registry/Classifier:staging", type="model").name)

section("log code")
for name in ("train.py", "lib/util.py", "cache/old.py", "explore.ipynb", "notes.md"):
    write(f"src/{name}", name)
with wandb.init(project="guides", id="code") as run:
    code = run.log_code("src", name="my-code")
    print(code.wait().name, code.type, paths(code))
    code = run.log_code(
        root="src",
        name="my-code",
        include_fn=lambda path: path.endswith((".py", ".ipynb")),
        exclude_fn=lambda path, root: os.path.relpath(path, root).startswith("cache/"),
    )
    print(code.wait().name, paths(code))
    print(run.log_code("images", name="my-code"), len(run.logged_artifacts()))

section("artifacts in the config")
with wandb.init(project="guides", id="config", config={"lr": 0.1}) as run:
    run.config["dataset"] = api.artifact("guides/files:v1")
    wandb.config.update({"model": api.artifact("guides/clf:best")})
    print(run.config["dataset"].name, run.config["lr"], names(run.used_artifacts()))
print(names(api.run("guides/config").used_artifacts()), api.run("guides/config").config["lr"])

section("query runs, export their data")
for name, lr, accuracy in (("foo-1", 0.1, 0.5), ("foo-2", 0.01, 0.9), ("bar", 0.1, 0.7)):
    with wandb.init(
        project="sweep",
        id=f"id-{name}",
        name=name,
        job_type="train",
        group="grid" if name == "bar" else None,
        tags=["baseline"] if name == "foo-1" else ["trial"],
        config={"lr": lr, "experiment_name": name[:3]},
    ) as run:
        for step in range(3):
            run.log({"loss": (3 - step) / 4, "accuracy": accuracy})
try:
    with wandb.init(project="sweep", id="id-broken", name="broken", job_type="eval"):
        raise RuntimeError
except RuntimeError:
    pass
runs = api.runs("local/sweep")
print(len(runs), ids(runs))
print(ids(api.runs(path="local/sweep", filters={"config.experiment_name": "foo"})))
print(ids(api.runs("sweep", filters={"$or": [{"config.lr": 0.01}, {"config.experiment_name": "bar"}]})))
print(ids(api.runs("sweep", filters={"config.experiment_name": {"$regex": "b.*"}})))
print(ids(api.runs("sweep", filters={"display_name": {"$regex": "^foo.*"}})))
print(ids(api.runs("sweep", filters={"summary_metrics.accuracy": {"$gt": 0.6}})))
print(ids(api.runs("sweep", filters={"$and": [{"state": "finished"}, {"tags": {"$in": ["baseline"]}}]})))
print(ids(api.runs("sweep", filters={"state": "failed"})), ids(api.runs("sweep", filters={"group": "grid"})))
print(ids(api.runs("sweep", filters={"jobType": {"$ne": "train"}})))
print(ids(api.runs("sweep", filters={"state": "finished"}, order="-created_at")))
print(ids(api.runs("sweep", filters={"jobType": "train"}, order="+summary_metrics.accuracy")))
run = api.run("local/sweep/id-foo-1")
print(run.name, run.state, run.config["experiment_name"], run.summary["loss"], run.summary.get("nothing"))
print([row["loss"] for row in run.scan_history(keys=["loss"])])
print([(row["_step"], row["accuracy"]) for row in run.history(pandas=False)])
