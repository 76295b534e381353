"""Models: artifacts whose type contains `model`, which `use_model` and `link_model` ask for."""

from artstore.api.recording import Recording
from artstore.domain.collection import Path
from artstore.errors import InvalidValue

MODEL = "model"
"""The type of a model that is logged as one."""


class NotAModel(InvalidValue, AssertionError):
    """The artifact isn't a model, for which W&B raises an AssertionError."""


def check_model(name: str, type: str) -> None:
    """Raise NotAModel for an artifact of another type."""
    if MODEL not in type:
        raise NotAModel(f"You can only use this method for 'model' artifacts; '{name}' is a '{type}'")


def type_of_models(run: Recording, name: str | None) -> str:
    """The type of the models with a name, which may be new. Raises NotAModel if the artifact isn't a model."""
    found = None if name is None else run.repository.refs.read(Path(*run.home, name))
    if found is None or not found.exists:
        return MODEL
    check_model(found.path.name, found.type)
    return found.type
