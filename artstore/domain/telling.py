"""Telling changes: what the changes that a push or pull sent mean, in words."""

from collections.abc import Container, Iterable, Iterator

from artstore.domain.changes import Change
from artstore.domain.collection import State
from artstore.domain.names import printable
from artstore.domain.properties import PROPERTIES

_VERBS = {"delete": "deleted", "withdraw": "deleted", "undelete": "undeleted"}


def in_words(changes: Iterable[Change], state: State, new: Container[str]) -> tuple[str, ...]:
    """What changes did besides adding versions and giving them numbers, each thing once, such as `deleted v0`.

    Args:
        state: Of the side that they come from: its numbers are used.
        new: Ids of the versions that they add. Of these, only aliases that other versions had are of interest.
    """
    old = (change for change in changes if change.get("id") not in new or change.get("old") is not None)
    return tuple(dict.fromkeys(text for change in old for text in _in_words(change, state)))


def _in_words(change: Change, state: State) -> Iterator[str]:
    kind, version = change["kind"], state.versions.get(change.get("id") or "")
    number = f"v{version['number']}" if version is not None else ""
    if kind in _VERBS:
        yield f"{_VERBS[kind]} {number}"
    elif kind == "delete collection":
        yield "deleted the artifact"
    elif kind == "alias":
        alias = printable(change["alias"])
        yield f"alias '{alias}' is {number}" if number else f"removed the alias '{alias}'"
    elif kind in PROPERTIES and not PROPERTIES[kind].lasting:
        yield f"changed the {PROPERTIES[kind].words} of {number or 'the artifact'}"
