"""The config of a run as users give it: a dict, a namespace, a dataclass, a YAML file, and artifacts as values."""

import os
from typing import Any

from artstore.api.artifact import Artifact
from artstore.api.formless import check_config
from artstore.api.needed import needed
from artstore.api.values import as_dict_of, plain_values
from artstore.domain.names import printable
from artstore.domain.plain import loaded
from artstore.errors import Damage, InvalidValue

DEFAULTS = "config-defaults.yaml"
"""A file in the working folder with values for all runs that start there."""
_LARGEST = 16 << 20
_ARTIFACT = "wandb-artifact://"
_BY_ID = f"{_ARTIFACT}_id/", f"{_ARTIFACT}_version/"


def config_of(
    given: Any, include: list[str] | None, exclude: list[str] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plain values of a config, and the artifacts in it: Artifact objects, and names of artifacts to use.

    Args:
        given: What the user gave, or the path of a YAML file. Values of `config-defaults.yaml` come before it.
        include: Only these keys of what was given.
        exclude: Not these keys of what was given.
    """
    is_file = isinstance(given, str | os.PathLike) and os.path.isfile(given)
    values = _of_file(given) if is_file else as_dict_of(given)
    if include is not None:
        values = {key: value for key, value in values.items() if key in include}
    values = {key: value for key, value in values.items() if key not in (exclude or ())}
    if os.path.isfile(DEFAULTS):
        values = _of_file(DEFAULTS) | values
    artifacts = {key: value for key, value in values.items() if _is_artifact(value)}
    others = {key: value for key, value in values.items() if key not in artifacts}
    check_config(others)
    return plain_values(others), {
        key: value if isinstance(value, Artifact) else value.removeprefix(_ARTIFACT) for key, value in artifacts.items()
    }


def _is_artifact(value: Any) -> bool:
    """Whether a value is an artifact, or the URI of one by its name. One by W&B's id, which only W&B knows, stays text."""
    if isinstance(value, Artifact):
        return True
    return (
        isinstance(value, str)
        and value.startswith(_ARTIFACT)
        and not value.startswith((f"{_ARTIFACT}_id/", f"{_ARTIFACT}_version/"))
    )


def _of_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The values in a YAML file: `key: value`, or as W&B writes them, `key: {desc: …, value: …}`."""
    name = printable(os.fspath(path))
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise InvalidValue(f"config file '{name}' can't be read: {error.strerror}") from error
    needed("yaml", f"config file '{name}'", "pyyaml")
    try:
        found = loaded(data[:_LARGEST], f"config file '{name}'") or {}
    except Damage as error:
        raise InvalidValue(str(error).splitlines()[0]) from error
    if not isinstance(found, dict) or len(data) > _LARGEST:
        raise InvalidValue(f"config file '{name}' must hold names and values, such as 'lr: 0.1'")
    return {
        str(key): value["value"] if isinstance(value, dict) and "value" in value else value
        for key, value in found.items()
        if key not in ("wandb_version", "_wandb")
    }
