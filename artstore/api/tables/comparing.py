"""Comparing two tables: rows by their keys, columns by their names, cells by their values."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from blake3 import blake3

from artstore.api.tables import columns as kinds
from artstore.domain.names import printable
from artstore.errors import InvalidValue, NotFound


class TableDiff(NamedTuple):
    """The differences of two tables. A row's key is the list of its key columns' values."""

    added: list[Any]
    removed: list[Any]
    changed: list[Any]
    columns_added: list[Any]
    columns_removed: list[Any]

    def __bool__(self) -> bool:
        return any(self[:])


def table_diff(
    old: tuple[list[Any], Iterable[list[Any]]], new: tuple[list[Any], Iterable[list[Any]]], key: Any
) -> TableDiff:
    """Compare two tables, each given as (columns, rows). Memory: a key and a hash for each row of both.

    Keys are returned as JSON values, in the order of the tables. Raises NotFound if a key column is missing,
    InvalidValue if two rows have the same key.
    """
    names = [key] if isinstance(key, str | int) else list(key)
    before, after = old[0], new[0]
    for columns in (before, after):
        if missing := [name for name in names if name not in columns]:
            listed = printable(", ".join(map(str, columns)))
            raise NotFound(f"the table has no column '{printable(str(missing[0]))}'", hint=f"there are {listed}")
    common = [name for name in before if name in after]
    known, now = _keyed(before, old[1], names, common), _keyed(after, new[1], names, common)
    return TableDiff(
        [json.loads(k) for k in now if k not in known],
        [json.loads(k) for k in known if k not in now],
        [json.loads(k) for k, found in now.items() if known.get(k, found) != found],
        [name for name in after if name not in before],
        [name for name in before if name not in after],
    )


def _keyed(columns: list[Any], rows: Iterable[list[Any]], names: list[Any], common: list[Any]) -> dict[str, bytes]:
    """The key of each row, and a hash of its cells in the common columns.

    Raises InvalidValue for a key that two rows have.
    """
    key_at, at, found = [columns.index(n) for n in names], [columns.index(n) for n in common], dict[str, bytes]()
    for row in rows:
        key = json.dumps([_json_of(row[i]) for i in key_at])
        if key in found:
            raise InvalidValue(
                f"two rows have the key {printable(key)[:80]}", hint="choose columns whose values identify one row"
            )
        found[key] = blake3(json.dumps([_json_of(row[i]) for i in at], sort_keys=True).encode()).digest(16)
    return found


def _json_of(cell: Any) -> Any:
    """A cell's JSON value. Equal numbers, such as 1 and 1.0, become the same."""
    value = kinds.encoded(cell.tolist() if kinds.is_array(cell) else cell)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def same_row(one: Any, other: Any) -> bool:
    """Whether all cells of two rows are equal."""
    return len(one) == len(other) and all(map(_same_cell, one, other))


def _same_cell(one: Any, other: Any) -> bool:
    if one is None or other is None or type(one).__name__ == "NAType" or type(other).__name__ == "NAType":
        return all(kinds.is_null(cell) and not isinstance(cell, float) for cell in (one, other))
    if kinds.is_array(one) or kinds.is_array(other):
        return getattr(one, "shape", None) == getattr(other, "shape", None) and bool((one == other).all())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return type(one) is type(other) and same_row(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same_cell(one[key], other[key]) for key in one)
    return bool(one == other)
