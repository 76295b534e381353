"""Name the run to go on with by variables of the environment.

After: docs, track, environment variables
Runs.
"""

import os

import artstore as wandb

os.environ.update(
    {
        "WANDB_PROJECT": "env",
        "WANDB_RUN_ID": "akj172",
        "WANDB_RESUME": "allow",
        "WANDB_NAME": "from the shell",
        "WANDB_NOTES": "a note",
        "WANDB_TAGS": "a,b",
        "WANDB_RUN_GROUP": "group-1",
        "WANDB_JOB_TYPE": "eval",
    }
)
try:
    for value in (1, 2):
        with wandb.init() as run:
            run.log({"value": value})
finally:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        del os.environ[name]
found = wandb.Api().run("env/akj172")
assert (found.name, found.group, found.job_type, found.notes) == ("from the shell", "group-1", "eval", "a note")
assert list(found.tags) == ["a", "b"] and [row["value"] for row in found.scan_history()] == [1, 2]
