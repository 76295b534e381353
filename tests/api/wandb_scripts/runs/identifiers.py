"""Read a run's names, and choose them.

After: docs, runs, run identifiers
Runs.
"""

import artstore as wandb

with wandb.init(entity="team", project="ids", id="my-id", name="my name") as run:
    assert (run.id, run.name, run.entity, run.project) == ("my-id", "my name", "team", "ids")
    assert run.path == "team/ids/my-id"
    assert run.step == 0 and run.start_time
    assert run.url == run.get_url()
with wandb.init(project="ids", id=wandb.util.generate_id()) as run:
    assert len(run.id) == 8
