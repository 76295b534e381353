"""Define automations on a metric that passes a threshold, and on runs that fail.

After: examples, colabs, automations tutorial
Runs.
"""

import artstore as wandb
from artstore.automations import DoNothing, OnRunMetric, OnRunState, RunEvent

api = wandb.Api()
with wandb.init(project="watched") as run:
    run.log({"loss": 0.5})
project = api.project("watched")
high = OnRunMetric(scope=project, filter=RunEvent.metric("loss").avg(window=5) > 0.9)
failed = OnRunState(scope=project, filter=RunEvent.state == "failed")
for name, event in (("high-loss", high), ("failed-run", failed)):
    api.create_automation(event >> DoNothing(), name=name)
assert sorted(found.name for found in api.automations()) == ["failed-run", "high-loss"]
