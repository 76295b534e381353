"""Read the command, the commit and the start of a run.

After: docs, track, public API: get the command that ran the run
Runs.
"""

import json

import artstore as wandb

with wandb.init(project="commands", id="c") as run:
    run.log({"loss": 1})

run = wandb.Api().run("commands/c")
meta = json.load(run.file("wandb-metadata.json").download())
program = ["python", meta["program"], *meta["args"]]
assert program[1].endswith("command_of_a_run.py")
assert run.created_at and run.metadata["host"] == meta["host"]
