"""Give columns types, allow mixed ones, and refuse what doesn't fit.

After: docs, reference, Table(dtype=, optional=, allow_mixed_types=)
Runs.
"""

import artstore as wandb

table = wandb.Table(columns=["id", "name"], dtype=[int, str], optional=[False, True])
table.add_data(1, "one")
table.add_data(2, None)
try:
    table.add_data("three", "three")
except TypeError:
    pass
else:
    raise AssertionError("text in a column of numbers is refused")
mixed = wandb.Table(columns=["value"], data=[[1], ["two"], [3.5]], allow_mixed_types=True)
with wandb.init(project="types") as run:
    artifact = wandb.Artifact("typed", type="dataset")
    artifact.add(table, "typed")
    artifact.add(mixed, "mixed")
    run.log_artifact(artifact)
artifact = wandb.Api().artifact("types/typed:latest")
assert artifact.get("typed").data == [[1, "one"], [2, None]]
assert artifact.get("mixed").get_column("value") == [1, "two", 3.5]
