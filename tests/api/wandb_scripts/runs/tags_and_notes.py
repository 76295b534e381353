"""Tag and describe a run while it runs and afterwards.

After: docs, runs, add labels to runs with tags
Runs.
"""

import artstore as wandb

with wandb.init(project="labels", id="l", tags=["tag1", "tag2"], notes="first try") as run:
    run.tags += ("tag3",)
    run.notes = "second thought"
    run.name = "a better name"
found = wandb.Api().run("labels/l")
assert sorted(found.tags) == ["tag1", "tag2", "tag3"]
assert (found.notes, found.name) == ("second thought", "a better name")
found.tags.append("reviewed")
found.notes = "third"
found.update()
found = wandb.Api().run("labels/l")
assert "reviewed" in found.tags and found.notes == "third"
