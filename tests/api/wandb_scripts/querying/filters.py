"""Find runs by config, summary, tags, name and time, and order them.

After: docs, track, public API: filter runs
Runs.
"""

import artstore as wandb

for name, lr, accuracy, tags in (("foo", 0.1, 0.5, ["baseline"]), ("bar", 0.01, 0.9, ["trial"]), ("baz", 0.1, 0.7, [])):
    with wandb.init(project="queries", name=name, tags=tags, config={"lr": lr, "experiment_name": name}) as run:
        run.log({"accuracy": accuracy})

api = wandb.Api()


def names(**options):
    return [run.name for run in api.runs("queries", **options)]


assert names() == ["foo", "bar", "baz"]
either = {"$or": [{"config.experiment_name": "foo"}, {"config.experiment_name": "bar"}]}
assert names(filters=either) == ["foo", "bar"]
assert names(filters={"display_name": {"$regex": "^ba"}}) == ["bar", "baz"]
assert names(filters={"summary_metrics.accuracy": {"$gt": 0.6}}) == ["bar", "baz"]
assert names(filters={"tags": {"$in": ["baseline"]}}) == ["foo"]
assert names(filters={"$and": [{"created_at": {"$lt": "2124-01-01", "$gt": "2024-01-01"}}]}) == ["foo", "bar", "baz"]
assert names(order="-summary_metrics.accuracy") == ["bar", "baz", "foo"]
assert names(order="+config.lr", per_page=1)[0] == "bar"
assert names(order="-created_at") == ["baz", "bar", "foo"]
