"""Change the config and the summary of a run that has finished.

After: docs, track, public API: update config for an existing run
Runs.
"""

import artstore as wandb

with wandb.init(project="updates", id="u", config={"lr": 0.1}) as run:
    run.log({"accuracy": 0.5, "old_name": 3})

api = wandb.Api()
run = api.run("local/updates/u")
run.config["bar"] = 32
run.update()
run.summary["accuracy"] = 0.9
run.summary["accuracy_histogram"] = wandb.Histogram([1, 2, 2])
run.summary["note"] = wandb.Html("<b>checked</b>")
run.summary.update()

run = wandb.Api().run("updates/u")
assert run.config["bar"] == 32 and run.summary["accuracy"] == 0.9
assert run.summary["accuracy_histogram"]["_type"] == "histogram"
assert run.file(run.summary["note"]["path"]).size > 10
