"""Read the metrics of a run: sampled, all, some keys, in pages.

After: docs, track, public API: read metrics from a run
Needs: pandas
Runs.
"""

import artstore as wandb

with wandb.init(project="metrics", id="m") as run:
    for step in range(30):
        run.log({"loss": 1 / (step + 1), **({"val": step} if step % 10 == 0 else {})})

api = wandb.Api()
run = api.run("local/metrics/m")
if run.state == "finished":
    frame = run.history()
    assert len(frame) == 30 and {"_timestamp", "_step", "loss", "val"} <= set(frame.columns)
    for i, row in run.history(keys=["loss"]).iterrows():
        assert row["loss"] == 1 / (i + 1)
assert len(run.history(samples=10)) == 10
assert [row["val"] for row in run.history(keys=["val"], pandas=False)] == [0, 10, 20]
assert [row["loss"] for row in run.scan_history()][:2] == [1.0, 0.5]
assert len(list(run.scan_history(keys=["loss"], page_size=7, min_step=10, max_step=20))) == 10
assert run.lastHistoryStep == 29
