"""Extras: the keys that users give to entries of a version, as in W&B's manifests. They never change."""

from collections.abc import Callable, Mapping
from typing import Any

from artstore.domain.changes import is_text
from artstore.domain.codec import decode_json
from artstore.domain.digest import Digest, from_hex
from artstore.domain.metadata import MAX_KEYS
from artstore.errors import Damage

Extras = dict[str, dict[str, Any]]
"""The keys of each entry that has any, with JSON values, by the entry's path as text."""
Read = Callable[[Digest], bytes]
"""Reads a blob."""


def are_extras(value: Any) -> bool:
    """Whether a value maps paths to JSON objects with at least one key and at most 100."""
    return type(value) is dict and all(map(_is_extra, value.values()))


def _is_extra(value: Any) -> bool:
    return type(value) is dict and 0 < len(value) <= MAX_KEYS and all(map(is_text, value))


def extras_of(version: Mapping[str, Any], read: Read) -> Extras:
    """The extras of a version's entries. Don't edit them: they may be the collection's state.

    Raises Damage if their blob holds anything else.
    """
    told: Extras = version.get("extras", {})
    return extras_in(blob, read) if isinstance(blob := told.get("blob"), str) else told


def extras_in(blob: str, read: Read) -> Extras:
    """The extras in the blob with this digest. Raises Damage if it holds anything else."""
    extras = decode_json(read(from_hex(blob)), "the extra keys of entries")
    if not are_extras(extras):
        raise Damage(f"blob {blob[:12]} does not hold the extra keys of entries")
    return extras  # type: ignore[no-any-return]


def joined_extras(*some: Extras) -> Extras:
    """Extras put together. Where two have the same key of an entry, the later one counts."""
    joined: Extras = {}
    for extras in some:
        for path, keys in extras.items():
            joined[path] = joined.get(path, {}) | keys
    return joined
