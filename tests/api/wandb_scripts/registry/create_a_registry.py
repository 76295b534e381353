"""Create a registry, read it, change it and delete it.

After: docs, registry, create a registry
Runs.
"""

import artstore as wandb

api = wandb.Api()
registry = api.create_registry(
    name="vision", visibility="organization", description="models that see", artifact_types=["model"]
)
assert registry.name == "vision" and registry.visibility == "organization"
registry = api.registry(name="vision")
registry.description = "models that see well"
registry.artifact_types.append("dataset")
registry.save()
assert sorted(api.registry("vision").artifact_types) == ["dataset", "model"]
assert api.registry("vision").description == "models that see well"
registry.delete()
try:
    api.registry("vision").load()
except ValueError:
    pass
else:
    raise AssertionError("the registry is deleted")
