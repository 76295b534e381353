"""Changes: the records in a log's entries, and the checks for the fields of each kind."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypedDict

from artstore.domain.codec import MAX_JSON, decode_json, encode_json
from artstore.domain.digest import is_hex
from artstore.domain.names import check_name, check_project, printable
from artstore.errors import DamagedLog, UnsupportedFormat

Change = dict[str, Any]

_PORTION = MAX_JSON // 2
"""Bytes of changes in one entry, if they are divided into several."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class Origin(TypedDict):
    """When, where and by whom a change was first made."""

    host: str | None
    time: str
    user: str | None


class LogEntry(NamedTuple):
    number: int
    digest: str
    """of the file's bytes, hex"""
    prev: str | None
    time: str
    """ISO 8601, UTC, microseconds"""
    host: str | None
    user: str | None
    write: str
    changes: list[Change]
    author: str | None = None
    """the verified name under which a server accepted the entry; None if no server was asked"""


def new_change(kind: str, **fields: Any) -> Change:
    """Make a change with a random id. It keeps this id when it is applied to another log."""
    return {"change": os.urandom(16).hex(), "kind": kind, **fields}


def origin_of(entry: LogEntry, change: Change) -> Origin:
    """When, where and by whom a change was first made, as its writer claimed.

    A change that came from another log carries this in `by`; for any other change its entry has it.
    """
    origin: Origin | None = change.get("by")
    return origin or {"host": entry.host, "time": entry.time, "user": entry.user}


def portions(changes: list[Change]) -> Iterator[list[Change]]:
    """Divide changes, in order, into one list for each entry, so that no entry is too large to be read."""
    some: list[Change] = []
    size = 0
    for change in changes:
        length = len(encode_json(change))
        if some and size + length > _PORTION:
            yield some
            some, size = [], 0
        some.append(change)
        size += length
    yield some


def is_text(value: Any) -> bool:
    """Whether a value is text without lone surrogates, which can be written only as escapes in JSON."""
    return type(value) is str and (value.isascii() or not _SURROGATE.search(value))


# -- what a change must be like --

Good = Callable[[Any], object]
"""A check of a field's value. It returns False for a wrong value, or raises ValueError with the reason."""
Fields = dict[str, Good]
"""The check for each field of a record."""


class ChangeKind(NamedTuple):
    """A kind of change: its fields, and how it changes the state of its log."""

    fields: Fields
    fold: Callable[[Any, LogEntry, Change], None]
    """raises ValueError or KeyError if the change contradicts the log"""


Kinds = Mapping[str, ChangeKind]


def apply(kinds: Kinds, state: Any, entry: LogEntry, change: Change, what: str) -> None:
    """Apply one change to a state. `what` is the log's name in errors.

    Raises DamagedLog if the change is malformed or contradicts the log, and UnsupportedFormat if its kind is unknown,
    because a newer artstore wrote it.
    """
    check_known(kinds, entry, change, what)
    try:
        kinds[change["kind"]].fold(state, entry, change)
    except (KeyError, ValueError) as error:
        raise _not_applicable(entry, change, what, error) from error


def check_known(kinds: Kinds, entry: LogEntry, change: Change, what: str) -> None:
    """Raise as `apply` does unless a change is of a known kind, and has the fields of that."""
    name = change["kind"]
    if name not in kinds:
        unknown = f"{what} has a change of kind '{printable(name)}', which this artstore does not know"
        raise UnsupportedFormat(unknown, hint="update artstore")
    try:
        check_change(kinds, change)
    except (KeyError, ValueError) as error:
        raise _not_applicable(entry, change, what, error) from error


def _not_applicable(entry: LogEntry, change: Change, what: str, error: Exception) -> DamagedLog:
    where = f"entry {entry.number} of {printable(what)}"
    return DamagedLog(f"{where} has a '{change['kind']}' change that can't be applied: {error}")


def check_change(kinds: Kinds, change: Change) -> None:
    """Raise ValueError (InvalidValue is one) unless a change has exactly the fields of its kind, with right values.

    A change that came from another log also has the field `by`: who made it, where and when.
    """
    fields = kinds[change["kind"]].fields
    if len(change) - ("by" in change) != len(fields) + 2 or not ("change" in change and fields.keys() <= change.keys()):
        raise ValueError("it does not have the fields of its kind")
    if "by" in change and not _is_origin(change["by"]):
        raise ValueError("it does not say by whom it was made")
    for field, good in fields.items():
        if good(change[field]) is False:
            raise ValueError(f"its {field} is malformed")


def _is_origin(value: Any) -> bool:
    return (
        type(value) is dict
        and value.keys() == {"host", "time", "user"}
        and is_text(value["time"])
        and all(value[key] is None or is_text(value[key]) for key in ("host", "user"))
    )


def is_digest(value: Any) -> bool:
    return type(value) is str and is_hex(value)


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def or_null(good: Good) -> Good:
    return lambda value: value is None or good(value)


def list_of(good: Good) -> Good:
    return lambda value: type(value) is list and all(good(item) is not False for item in value)


def dict_of(good: Good) -> Good:
    return lambda value: type(value) is dict and all(good(item) is not False for item in value.values())


def is_record(fields: dict[str, Good], optional: dict[str, Good] | None = None) -> Callable[[Any], bool]:
    """The check for a dict that has all of `fields`, and maybe some of `optional`, each with a right value."""
    goods = {**fields, **(optional or {})}
    return lambda value: (
        type(value) is dict
        and fields.keys() <= value.keys() <= goods.keys()
        and all(goods[field](item) is not False for field, item in value.items())
    )


def is_json(good: Good) -> Good:
    """The check for the canonical JSON of a value that passes `good`."""
    return lambda value: type(value) is bytes and good(decode_json(value, "a value"))


def anything(value: Any) -> bool:
    return True


def one_of(*values: object) -> Good:
    return lambda value: value in values


def named(check: Callable[[str], object]) -> Good:
    """The check for text that a name check such as `check_tag` accepts."""
    return lambda value: type(value) is str and check(value) is not None


PLACE: Fields = {"entity": named(check_project), "project": named(check_project), "name": named(check_name)}
