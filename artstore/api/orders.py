"""Orders of listings, as W&B writes them: `+` or `-`, followed by a field."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from artstore.api.listing import checked_order
from artstore.domain.collection import State
from artstore.domain.names import printable
from artstore.errors import InvalidValue
from artstore.operations.finding.lookup import Lookup, Version

_SAME = {
    "createdAt": "created_at", "artifact_created_at": "created_at", "updatedAt": "updated_at", "version_index": "version",
    "versionIndex": "version", "artifact_size": "size", "acm_created_at": "linked_at",
}  # fmt: skip
"""Other names that W&B has for fields."""

Key = Callable[[Any], Any]


def key_of(order: Any, keys: Mapping[str, Key], default: str) -> tuple[Key, bool]:
    """(key, whether descending) of an order such as `-created_at`. Raises InvalidValue for an unknown field."""
    text = checked_order(order, default)
    found = re.fullmatch(r"([+-]?)(\w+)", text)
    if found is None:
        raise InvalidValue(f"Invalid order string: '{printable(text)}' is not '+' or '-' and a field")
    name = _SAME.get(found[2], found[2])
    if name not in keys:
        raise InvalidValue(f"Invalid order field '{found[2]}', must be one of: {', '.join(keys)}")
    return keys[name], found[1] == "-"


def ordered_versions(
    lookup: Lookup, found: Iterable[Version], order: str | None, default: str | None = None
) -> list[Version]:
    """Versions in an order; those that are equal in it by their numbers. Without an order they stay as they are."""
    if not order and default is None:
        return list(found)
    keys: dict[str, Key] = {
        "created_at": lambda one: one.version["created"], "updated_at": lambda one: one.version["updated"],
        "version": lambda one: one.number, "size": lambda one: one.version["size"],
        "linked_at": lambda one: lookup.linked_at(one) or "",
    }  # fmt: skip
    key, descending = key_of(order, keys, default or "")
    return sorted(found, key=lambda one: (key(one), one.number), reverse=descending)


_COLLECTION_KEYS: dict[str, Key] = {
    "name": lambda state: state.path.name,
    "created_at": lambda state: min((version["created"] for version in state.versions.values()), default=0),
    "updated_at": lambda state: max((version["updated"] for version in state.versions.values()), default=""),
}


def ordered_collections(states: list[State], order: str | None) -> list[State]:
    """Collections in an order; without one they stay as they are."""
    if not checked_order(order, ""):
        return states
    key, descending = key_of(order, _COLLECTION_KEYS, "")
    return sorted(states, key=key, reverse=descending)
