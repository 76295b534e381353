"""Go on with a run after a crash.

After: docs, runs, resume a run
Runs.
"""

import json
from pathlib import Path

import artstore as wandb

CHECKPOINT = Path("checkpoint.json")


def train(run, until, fail=None):
    start = json.loads(CHECKPOINT.read_text())["epoch"] if run.resumed else 0
    for epoch in range(start, until):
        if epoch == fail:
            raise RuntimeError("the machine went away")
        run.log({"loss": 1 / (epoch + 1), "epoch": epoch})
        CHECKPOINT.write_text(json.dumps({"epoch": epoch + 1}))


try:
    with wandb.init(project="preemptible", id="my-run", resume="allow") as run:
        assert not run.resumed
        train(run, 5, fail=3)
except RuntimeError:
    pass
assert wandb.Api().run("preemptible/my-run").state in ("failed", "crashed")
with wandb.init(project="preemptible", id="my-run", resume="must") as run:
    assert run.resumed and run.step == 3
    train(run, 5)
rows = list(wandb.Api().run("preemptible/my-run").scan_history())
assert [row["epoch"] for row in rows] == [0, 1, 2, 3, 4]
assert wandb.Api().run("preemptible/my-run").state == "finished"
try:
    wandb.init(project="preemptible", id="my-run", resume="never")
except wandb.Error:
    pass
else:
    raise AssertionError("the run exists")
