"""Tables for tests: stored and read back, and compared cell by cell."""

import datetime as dt
import io
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest

import artstore as wandb
from artstore.api.tables.table import Table
from artstore.errors import InvalidValue, NoEntry
from tests.support.artifacts import log

np = pytest.importorskip("numpy")
UTC = dt.UTC
NAN, INF = float("nan"), float("inf")
_numbers = itertools.count()


def through(table: Table) -> Table:
    """The table as it comes back from a logged artifact."""
    artifact = wandb.Artifact(f"data-{next(_numbers)}")
    artifact.add(table, "t")
    found = log(artifact).get("t")
    assert isinstance(found, Table)
    return found


def column(*values: Any, **options: Any) -> Table:
    return Table(columns=["c"], data=[[value] for value in values], **options)


def cells(table: Table) -> list[Any]:
    return [row[0] for row in table.data]


def same(one: Any, other: Any) -> bool:
    """Equal in value and in kind: a date is no time, a number no text, an array no list, a naive time no aware one."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        if type(one) is not type(other) or one.dtype != other.dtype or one.shape != other.shape:
            return False
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fcmM"))
    if type(one) is not type(other):
        return False
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, dt.datetime):
        return bool(one == other and (one.tzinfo is None) == (other.tzinfo is None))
    return bool(one == other)


def assert_same(found: list[Any], wanted: list[Any]) -> None:
    assert same(found, wanted), f"{found!r}\nis not\n{wanted!r}"


def assert_kept_or_refused(make: Callable[[], Table], wanted: list[Any]) -> None:
    """Values come back as they were, or the table is refused when it is made or added: never silently others."""
    try:
        table = make()
        artifact = wandb.Artifact("data")
        artifact.add(table, "t")
    except InvalidValue:
        return
    found = log(artifact).get("t")
    assert_same(found.data, wanted)


_NUMBER = '{"c": {"wb_type": "number"}}'


def _typed(types: str) -> str:
    return f'{{"wb_type": "typedDict", "params": {{"type_map": {types}}}}}'


def _table(
    types: str = _typed(_NUMBER), columns: str = '["c"]', data: str = "[[1]]", more: str = '"_type": "table"'
) -> str:
    return f'{{{more}, "column_types": {types}, "columns": {columns}, "data": {data}}}'


def read(data: str | bytes, beside: dict[str, bytes] | None = None) -> Table:
    content, files = data.encode() if isinstance(data, str) else data, beside or {}

    def entry(path: str) -> io.BytesIO:
        if path not in files:
            raise NoEntry(f"data:v0 has no '{path}'")
        return io.BytesIO(files[path])

    return Table.read(lambda: io.BytesIO(content), entry, "'t.table.json' of data:v0")
