"""Texts of a run: its name, notes and tags, checked."""

from typing import Any

from artstore.errors import CommError, InvalidType


class WrongKeys(InvalidType, CommError):
    """Keys that aren't a list of names, for which W&B raises a CommError."""


def checked_text(what: str, text: Any) -> str:
    """The text. Raises InvalidType, which says `what` it is for, if it isn't one."""
    if not isinstance(text, str):
        raise InvalidType(f"a run's {what} must be text, not {text!r}")
    return text


def checked_texts(tags: Any) -> list[str]:
    """A run's tags, from a list or from one text. Raises InvalidType."""
    return [checked_text("tag", tag) for tag in ([tags] if isinstance(tags, str) else tags)]


def checked_keys(keys: list[str] | None) -> list[str] | None:
    """Names of metrics. Raises WrongKeys, with W&B's text, if they aren't a list of texts."""
    if keys is not None and not isinstance(keys, list | tuple):
        raise WrongKeys("keys must be specified in a list")
    if not all(isinstance(key, str) for key in keys or ()):
        raise WrongKeys("keys argument must be a list of strings")
    return keys
