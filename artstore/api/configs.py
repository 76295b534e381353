"""The config of a run as users give it: a dict, a namespace, a dataclass, a YAML file, and artifacts as values."""

import os
from collections.abc import Callable
from typing import Any

from artstore.api.artifact import Artifact
from artstore.api.formless import check_config
from artstore.api.handles import opened
from artstore.api.needed import needed
from artstore.api.values import as_dict_of, plain_values
from artstore.domain.charts import OWN
from artstore.domain.names import parse_spec, printable
from artstore.domain.plain import loaded
from artstore.errors import Damage, InvalidValue, NotFound
from artstore.operations.finding.lookup import Version

DEFAULTS = "config-defaults.yaml"
"""A file in the working folder with values for all runs that start there."""
_LARGEST = 16 << 20
_ARTIFACT = "wandb-artifact://"


def config_of(
    given: Any, include: list[str] | None, exclude: list[str] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plain values of a config, and those that are artifacts or name one.

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
    artifacts = {key: value for key, value in values.items() if isinstance(value, Artifact) or _named(value)}
    others = {key: value for key, value in values.items() if key not in artifacts}
    check_config(others)
    return plain_values(others), artifacts


def artifact_in(value: Any, found: Callable[[str], tuple[str, Version]], root: str) -> Artifact | None:
    """The artifact that a value is or names; None for any other value, and for an id that isn't here.

    Args:
        value: An Artifact; `wandb-artifact://` with a name, `_id/` and an id, or either behind a server's address; or
            what config records of an artifact.
        found: Returns the repository and the version that a name means. It raises NotFound.
        root: The repository in which ids are looked up.
    """
    if isinstance(value, Artifact):
        return value
    text = _named(value)
    if text is None:
        return None
    kind, _, id = text.partition("/")
    if kind not in ("_id", "_version"):
        return Artifact.of(*found(text), parse_spec(text).number)
    try:
        return Artifact.of(root, opened(root).lookup.of_id(id))
    except NotFound:
        return None


def _named(value: Any) -> str | None:
    """The name of an artifact, or `_id/` and its id, if a value names one."""
    if isinstance(value, dict):
        is_one = value.get("_type") == "artifactVersion" and isinstance(value.get("id"), str)
        return f"_id/{value['id']}" if is_one else None
    if not isinstance(value, str) or not value.startswith(_ARTIFACT):
        return None
    text = value.removeprefix(_ARTIFACT)
    return text.partition("://")[2].partition("/")[2] if "://" in text else text


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
        if key not in ("wandb_version", OWN)
    }
