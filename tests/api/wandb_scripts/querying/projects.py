"""List the projects of an entity.

After: docs, reference, Api.projects
Runs.
"""

import artstore as wandb

for name in ("first", "second"):
    with wandb.init(project=name):
        pass
api = wandb.Api()
assert sorted(project.name for project in api.projects()) == ["first", "second"]
assert api.project("first").name == "first"
assert api.default_entity == "local"
