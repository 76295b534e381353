"""Changes: what an entry of a log says, and what the fields of each kind of change must be like."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from artstore.domain.codec import MAX_JSON, decode_json, encode_json
from artstore.domain.digest import is_hex
from artstore.domain.names import check_name, check_project, printable
from artstore.errors import DamagedLog, UnsupportedFormat

Change = dict[str, Any]

_PORTION = MAX_JSON // 2
"""Bytes of changes that go into one entry, where several are written."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class Entry(NamedTuple):
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


def new_change(kind: str, **fields: Any) -> Change:
    """A change with an identity of its own, which it keeps wherever it is re-applied."""
    return {"change": os.urandom(16).hex(), "kind": kind, **fields}


def origin_of(entry: Entry, change: Change) -> dict[str, str | None]:
    """When, where and by whom a change was first made: its entry says so, or what it brought along from another log."""
    origin: dict[str, str | None] | None = change.get("by")
    return origin or {"host": entry.host, "time": entry.time, "user": entry.user}


def portions(changes: list[Change]) -> Iterator[list[Change]]:
    """Changes of another log, in order, for as many entries as it takes that each can be read."""
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
    """Whether it is text without lone surrogates, which only JSON's escapes have a form for."""
    return type(value) is str and (value.isascii() or not _SURROGATE.search(value))


# -- what a change must be like --

Good = Callable[[Any], object]
"""False for a value that must not stand there; a check that raises ValueError says why."""
Fields = dict[str, Good]
"""What each field of a record must be like."""


class Kind(NamedTuple):
    """A kind of change: its fields, and what it does to the state of the log that it is in."""

    fields: Fields
    fold: Callable[[Any, Entry, Change], None]
    """raises ValueError or KeyError where it contradicts the log"""


Kinds = Mapping[str, Kind]


def apply(kinds: Kinds, state: Any, entry: Entry, change: Change, what: str) -> None:
    """Do to a state what one change says. `what` names the log in errors: DamagedLog for a change that is malformed or
    contradicts the log, UnsupportedFormat for a kind of a newer artstore.
    """
    name = change["kind"]
    if name not in kinds:
        raise UnsupportedFormat(
            f"{what} has a change of kind '{printable(name)}', which this artstore does not know",
            hint="update artstore",
        )
    try:
        check_change(kinds, change)
        kinds[name].fold(state, entry, change)
    except (KeyError, ValueError) as error:
        raise DamagedLog(
            f"entry {entry.number} of {printable(what)} has a '{name}' change that can't be applied: {error}"
        ) from error


def check_change(kinds: Kinds, change: Change) -> None:
    """Raises ValueError (InvalidValue is one) unless the change has exactly the fields of its kind, each as it should be;
    one that came from another log also says `by` whom and when it was made.
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
    """A dict with these fields, and maybe some of the `optional` ones, each as it should be."""
    goods = {**fields, **(optional or {})}
    return lambda value: (
        type(value) is dict
        and fields.keys() <= value.keys() <= goods.keys()
        and all(goods[field](item) is not False for field, item in value.items())
    )


def is_json(good: Good) -> Good:
    """Canonical JSON of such a value."""
    return lambda value: type(value) is bytes and good(decode_json(value, "a value"))


def anything(value: Any) -> bool:
    return True


def one_of(*values: object) -> Good:
    return lambda value: value in values


def named(check: Callable[[str], object]) -> Good:
    """A name that passes the rules that held when it was given."""
    return lambda value: type(value) is str and check(value) is not None


PLACE: Fields = {"entity": named(check_project), "project": named(check_project), "name": named(check_name)}
