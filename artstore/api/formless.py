"""Values of config that have no JSON form: media and tables are refused, and others are a warning."""

from collections.abc import Mapping
from typing import Any

from artstore.backends.callers import warn_caller
from artstore.domain.metadata import class_of, has_form
from artstore.errors import InvalidType

_MEDIA = "artstore.api.media.", "artstore.api.tables."
_DEEPEST = 50


def check_config(values: Mapping[str, Any]) -> None:
    """Warn of each value of which only a text will be kept that doesn't tell it.

    Raises InvalidType for media and tables, as W&B does.
    """
    for key, value in values.items():
        if _is_of(value, *_MEDIA):
            kind = type(value).__name__
            raise InvalidType(
                f"WBValue objects cannot be added to the run config: '{key}' is of type {kind}",
                hint="run.log() and the summary take it",
            )
        _warn_if_formless(str(key), value, 0)


def _warn_if_formless(key: str, value: Any, depth: int) -> None:
    if value is None or isinstance(value, int | float | str) or depth > _DEEPEST:
        return
    if isinstance(value, dict | list | tuple):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            _warn_if_formless(f"{key}.{name}", inner, depth + 1)
    elif _is_of(value, *_MEDIA) or not (has_form(value) or _is_of(value, "artstore.api.artifact")):
        warn_caller(f"recorded config '{key}' as text: artstore has no form for {class_of(value)} values")


def _is_of(value: Any, *modules: str) -> bool:
    """Whether its class, or one that it is made from, is in these modules, of which none is loaded for it."""
    return any(kind.__module__.startswith(modules) for kind in type(value).__mro__)
