"""Tables: what a cell may hold and how it comes back, files that are no tables, a million rows, what commands show."""

import datetime as dt
import decimal
import io
import itertools
import json
import math
import os
import pickle
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import artstore as wandb
from artstore.api.tables import file as tablefiles
from artstore.api.tables.table import Table
from artstore.errors import ArtifactNotLoggedError, Conflict, Damage, InvalidType, InvalidValue, NoEntry, NotFound
from tests.conftest import Cli, check, environment
from tests.support.artifacts import again, draft, log, paths, write

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

UTC = dt.UTC
PARIS = dt.timezone(dt.timedelta(hours=1))
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


# -- making --


def test_columns_are_input_output_and_expected_unless_given() -> None:
    table = Table()
    assert (table.columns, list(table.data), len(table), bool(table)) == (["Input", "Output", "Expected"], [], 0, True)
    table.add_data("a", "b", "c")
    assert Table(data=[["a", "b", "c"]]) == table
    assert repr(table) == "<Table 1 × 3: Input, Output, Expected>"


def test_rows_come_as_lists_an_array_a_dataframe_or_an_arrow_table() -> None:
    rows = [[1, "x"], [2, "y"]]
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    arrow = pa.table({"a": [1, 2], "b": ["x", "y"]})
    wanted = Table(columns=["a", "b"], data=rows)
    assert Table(columns=["a", "b"], rows=rows) == wanted
    assert Table(columns=["a", "b"], data=np.array(rows, dtype=object)) == wanted
    for table in (Table(dataframe=frame), Table(data=frame), Table(dataframe=arrow), Table(data=arrow)):
        assert through(table) == wanted
    assert_same([*Table(columns=["a"], data=np.array([[1.5], [2.0]])).data], [[1.5], [2.0]])


def test_a_dataframe_gives_its_own_kinds_of_missing_values_and_times() -> None:
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"), "s": pd.array(["a", None], dtype="string"),
            "b": pd.array([True, None], dtype="boolean"), "c": pd.Categorical(["x", "y"]),
            "t": pd.to_datetime(["2020-01-02T03:04:05.000006", None]), "z": pd.to_datetime(["2020-01-02", None], utc=True),
        }
    )  # fmt: skip
    found = through(Table(dataframe=frame))
    assert found.columns == ["i", "s", "b", "c", "t", "z"]
    naive, aware = dt.datetime(2020, 1, 2, 3, 4, 5, 6), dt.datetime(2020, 1, 2, tzinfo=UTC)
    assert_same([*found.data], [[1, "a", True, "x", naive, aware], [None, None, None, "y", None, None]])


def test_an_arrow_table_gives_dates_times_lists_and_nulls() -> None:
    arrow = pa.table(
        {
            "d": [dt.date(2020, 1, 2), None],
            "t": pa.array([dt.datetime(2020, 1, 2), None], pa.timestamp("ns")),
            "l": [[1], [2, 3]],
        }
    )
    found = through(Table(data=arrow))
    assert_same([*found.data], [[dt.date(2020, 1, 2), dt.datetime(2020, 1, 2), [1]], [None, None, [2, 3]]])


def test_an_array_of_times_in_nanoseconds_gives_times_and_not_numbers() -> None:
    table = Table(columns=["t"], data=np.array([["2020-01-02"]], dtype="M8[ns]"))
    assert_same([*through(table).data], [[dt.datetime(2020, 1, 2)]])


@pytest.mark.parametrize(
    "arguments",
    [
        {"columns": "abc"}, {"columns": 5}, {"columns": [1.5]}, {"columns": [None]}, {"columns": ["a"], "data": 5},
        {"columns": ["a"], "data": "x"}, {"columns": ["a"], "data": {"a": [1]}}, {"columns": ["a"], "data": [1]},
        {"columns": ["a", "b"], "data": ["xy"]}, {"columns": ["a", "b"], "data": [{"a": 1, "b": 2}]},
        {"columns": ["a"], "data": np.array([1, 2])}, {"columns": ["a"], "data": np.ones((1, 3))},
        {"dataframe": [[1]]}, {"dataframe": pd.Series([1])}, {"columns": ["a"], "optional": None},
        {"columns": ["a", "b"], "optional": [True]}, {"log_mode": "x"}, {"data": [[1, 2]]},
        {"columns": ["a"], "data": [[1, 2]]}, {"columns": ["a", "b"], "data": [[1, 2], []]},
    ],
    ids=repr,
)  # fmt: skip
def test_what_makes_no_table_is_a_typed_error_in_a_sentence(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as caught:
        Table(**arguments)
    assert "\n" not in str(caught.value)


def test_columns_that_share_a_name_are_refused_or_keep_their_values(here: Path) -> None:
    day = dt.date(2020, 1, 2)
    assert_kept_or_refused(lambda: Table(columns=["a", "a"], data=[[day, "x"]]), [[day, "x"]])
    assert_kept_or_refused(lambda: Table(columns=[0, "0"], data=[[day, 1]]), [[day, 1]])


def test_a_row_of_another_length_says_how_many_columns_there_are() -> None:
    table = Table(columns=["a", "b"], data=[[1, 2]])
    for row in ([], [1], [1, 2, 3]):
        with pytest.raises(InvalidValue, match=f"expects 2 columns: \\['a', 'b'\\], found {len(row)}"):
            table.add_data(*row)
    assert len(table) == 1


def test_a_value_of_another_type_is_refused_by_the_name_of_its_column_and_nothing_is_added() -> None:
    table = Table(columns=["a", "b"], data=[[1, "x"]])
    for row in ((2, 3), ("x", "y"), (True, "y"), (2, [1]), (2, dt.date(2020, 1, 2))):
        name = "b" if type(row[0]) is int else "a"
        with pytest.raises(InvalidType, match=f"^column '{name}' holds") as caught:
            table.add_data(*row)
        assert isinstance(caught.value, TypeError) and caught.value.hint
    assert (list(table.data), len(table)) == ([[1, "x"]], 1)
    fresh = Table(columns=["a", "b"])
    with pytest.raises(InvalidType):
        fresh.add_data("text", object())
    fresh.add_data(1, 2)  # the row that was refused left no type behind
    assert list(fresh.data) == [[1, 2]]


def test_none_and_nan_need_an_optional_column() -> None:
    for value in (None, NAN, pd.NA, pd.NaT):
        with pytest.raises(InvalidType, match="^column 'b' has no value in a row, and is not optional$"):
            Table(columns=["a", "b"], data=[[value, 1], [value, value]], optional=[True, False])
    assert len(Table(columns=["a"], data=[[None], [1]], optional=True)) == 2
    with pytest.raises(InvalidType):
        Table(columns=["a"], data=[[1.5], [NAN]], optional=False)


def test_mixed_types_are_taken_when_they_are_allowed() -> None:
    values = [1, "x", None, [1, "y"], 2.5, True, {"k": [None]}]
    assert_same(cells(through(column(*values, allow_mixed_types=True))), values)


@pytest.mark.parametrize(
    "value",
    [
        dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5, 6), dt.datetime(2020, 1, 2, tzinfo=UTC), np.array([1, 2]),
        np.ones((2, 2)), np.zeros(200),
    ],
    ids=["date", "naive", "aware", "array", "two dimensions", "long"],
)  # fmt: skip
def test_mixed_types_keep_dates_and_arrays_or_refuse_them(here: Path, value: Any) -> None:
    assert_kept_or_refused(lambda: column(value, allow_mixed_types=True), [[value]])
    assert_kept_or_refused(lambda: column(value, "x", allow_mixed_types=True), [[value], ["x"]])


# -- what a cell may hold --

KEPT: dict[str, list[Any]] = {
    "ints": [0, -1, 2**53 + 1, 2**63, -(2**64), 10**400],
    "floats": [1.5, 5e-324, 1.7976931348623157e308, 0.1],
    "ints and floats": [1, 2.5],
    "infinity": [INF, -INF, 1.0],
    "booleans": [True, False, None],
    "text": ["", 'é\n"☃"\x00\x1b', "😀", "\u2028", "</script>"],
    "lone surrogates": ["\ud800", "a\udcff"],
    "none": [None, None],
    "dates": [dt.date(2020, 1, 2), dt.date(1969, 7, 20), dt.date(1, 1, 1), dt.date(9999, 12, 31), None],
    "naive times": [dt.datetime(2020, 1, 2, 3, 4, 5, 678901), dt.datetime(1900, 1, 1, 0, 0, 0, 1), dt.datetime.min],
    "aware times": [dt.datetime(2020, 1, 2, 3, 4, 5, 678901, UTC), dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=PARIS)],
    "times far away": [dt.datetime(9000, 1, 2, 3, 4, 5, 678000), dt.datetime(1, 1, 1, 0, 0, 0, 1000)],
    "lists": [[1, 2], [], [3, None]],
    "lists of anything": [[1, "x", [None, [2.5]], {"k": []}]],
    "dicts": [{"b": 1, "a": "x"}, {"b": None, "a": ""}],
    "dicts of other keys": [{"a": 1}, {}],
    "arrays": [np.array([1, 2, 3]), np.array([4])],
    "long arrays": [np.arange(151), np.arange(151) * 2],
    "arrays of 150": [np.arange(150.0)],
    "arrays of two dimensions": [np.ones((2, 3)), np.zeros((2, 3))],
    "arrays of three dimensions": [np.arange(24, dtype="u1").reshape(2, 3, 4)],
    "empty arrays": [np.array([], dtype="f4")],
    "arrays without rows": [np.zeros((0, 3), dtype="i2")],
    "arrays of small floats": [np.array([1.5, NAN, INF], dtype="f2")],
    "arrays of booleans": [np.array([True, False])],
    "arrays of text": [np.array(["x", "long"])],
    "arrays of times": [np.array(["2020-01-02", "NaT"], dtype="M8[ns]")],
    "arrays of complex numbers in two dimensions": [np.array([[1j]])],
}


@pytest.mark.parametrize("name", KEPT)
def test_a_cell_comes_back_as_it_was(here: Path, name: str) -> None:
    table = column(*KEPT[name])
    assert_same(cells(through(table)), KEPT[name])


BECOME: dict[str, tuple[Any, Any]] = {
    "NaN": (NAN, None),
    "pandas NA": (pd.NA, None),
    "pandas NaT": (pd.NaT, None),
    "numpy NaN": (np.float64("nan"), None),
    "numpy NaT": (np.datetime64("NaT"), None),
    "Timestamp": (pd.Timestamp("2020-01-02T03:04:05.000006"), dt.datetime(2020, 1, 2, 3, 4, 5, 6)),
    "aware Timestamp": (pd.Timestamp("2020-01-02", tz="Europe/Paris"), dt.datetime(2020, 1, 1, 23, tzinfo=UTC)),
    "datetime64": (np.datetime64("2020-01-02T03:04:05.678", "ms"), dt.datetime(2020, 1, 2, 3, 4, 5, 678000)),
    "int8": (np.int8(-1), -1),
    "uint64": (np.uint64(2**64 - 1), 2**64 - 1),
    "float32": (np.float32(0.5), 0.5),
    "bool_": (np.bool_(True), True),
    "str_": (np.str_("x"), "x"),
    "array without dimensions": (np.array(5), 5),
    "tuple": ((1, (2, "x")), [1, [2, "x"]]),
    "set": ({3, 1}, [1, 3]),
    "frozenset": (frozenset("a"), ["a"]),
    "nested date": ([dt.date(2020, 1, 2)], ["2020-01-02"]),
    "nested NaN": ([NAN, {"k": NAN}], [None, {"k": None}]),
    "nested array": ([np.array([1, 2])], [[1, 2]]),
    "nested numpy scalars": ({"k": np.int64(1)}, {"k": 1}),
}


@pytest.mark.parametrize("name", BECOME)
def test_a_cell_becomes_pythons_own_value(here: Path, name: str) -> None:
    given_value, wanted = BECOME[name]
    assert_same(cells(through(column(given_value))), [wanted])


_deep: list[Any] = []
for _ in range(150):
    _deep = [_deep]
_loop: list[Any] = []
_loop.append(_loop)

REFUSED: dict[str, Any] = {
    "bytes": b"x",
    "nested bytes": [1, {"k": b"x"}],
    "complex": 1j,
    "numpy complex": np.complex128(1),
    "Decimal": decimal.Decimal("1.5"),
    "object": object(),
    "function": print,
    "time of day": dt.time(1),
    "timedelta": dt.timedelta(1),
    "numpy timedelta": np.timedelta64(5, "s"),
    "numpy timedelta in nanoseconds": np.timedelta64(5, "ns"),
    "Series": pd.Series([1]),
    "array of bytes": np.array([b"x"]),
    "array of objects": np.array([[object()]]),
    "long array of objects": np.array([object()] * 200),
    "deep nesting": _deep,
    "a list in itself": _loop,
    "a time out of range": np.datetime64("300000-01-01"),
    "an int that no text holds": 10**5000,
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("mixed", [False, True], ids=["typed", "mixed"])
def test_what_has_no_json_form_is_refused_by_column_and_type(name: str, mixed: bool) -> None:
    value = REFUSED[name]
    with pytest.raises(InvalidValue) as caught:
        Table(columns=["ok", "it\x1b"], data=[[1, value]], allow_mixed_types=mixed)
    said = str(caught.value)
    assert said.startswith("column 'it\\x1b'") and said.isprintable(), said
    if type(value) in (bytes, complex, decimal.Decimal):
        assert type(value).__name__ in said


@pytest.mark.parametrize(
    "values",
    [
        [dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3)],
        [dt.datetime(2020, 1, 2), dt.datetime(2020, 1, 2, tzinfo=UTC)],
        [np.array([1, 2]), np.array([1.5])],
        [np.array([1, 2]), [1, 2]],
        [np.array([[1.0]]), np.array([["x"]])],
        [np.array([[2**63 - 1]], dtype="i8"), np.array([[2**64 - 1]], dtype="u8")],
        [np.array([["a", None], [1, "b"]], dtype=object)],
        [np.array(["a"] * 200, dtype=object)],
        [np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")])],
        [np.ones((2, 2)), None],
        [{1: "a", "1": "b"}],
        [dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=12)))],
        [np.ma.array([1, 2], mask=[False, True])],
    ],
    ids=[
        "dates and times", "naive and aware", "int and float arrays", "arrays and lists", "number and text arrays",
        "signed and unsigned arrays", "object arrays", "long object arrays", "records", "arrays and None",
        "keys that are one as text", "a time behind the last in UTC", "masked arrays",
    ],
)  # fmt: skip
def test_values_that_do_not_fit_one_column_are_refused_or_kept(here: Path, values: list[Any]) -> None:
    assert_kept_or_refused(lambda: column(*values), [[value] for value in values])


@pytest.mark.parametrize("name", ["file", "allow_pickle", "args", "arr_0", "a/../b", "é\n", "", "c.npy", 7])
def test_a_column_of_arrays_may_have_any_name(here: Path, name: str | int) -> None:
    table = Table(columns=[name, "k"], data=[[np.ones((2, 2)), 1]])
    assert_same([*through(table).data], [[np.ones((2, 2)), 1]])


def test_two_columns_of_arrays_stand_in_files_beside(here: Path) -> None:
    rows = [[np.full((1, 2), i), np.full((2, 1), -i), i] for i in range(5)]
    artifact = wandb.Artifact("data")
    artifact.add(Table(columns=["a", "b", "i"], data=rows), "d/t")
    logged = log(artifact)
    assert_same([*logged.get("d/t").data], rows)
    beside = [path for path in paths(logged) if path.startswith("media/serialized_data/") and path.endswith(".npz")]
    assert len(beside) == 2 and len(paths(logged)) == 3


_times = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))
_leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
_nested = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
_kinds: list[st.SearchStrategy[Any]] = [
    st.integers() | st.none(), st.floats(allow_nan=False), st.booleans(), st.text(st.characters()) | st.none(), st.dates(),
    _times, _times.map(lambda moment: moment.replace(tzinfo=UTC)), st.lists(_nested, max_size=3),
    st.fixed_dictionaries({"a": _nested, "b": _nested}),
    st.lists(st.integers(-(2**31), 2**31), max_size=5).map(lambda values: np.array(values, dtype="i8")),
]  # fmt: skip


@st.composite
def _tables(make: st.DrawFn) -> Table:
    chosen = make(st.lists(st.sampled_from(_kinds), min_size=1, max_size=4))
    names = make(st.lists(st.text(max_size=8), min_size=len(chosen), max_size=len(chosen), unique=True))
    return Table(columns=names, data=make(st.lists(st.tuples(*chosen).map(list), max_size=6)))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=_tables())
def test_any_table_comes_back(here: Path, table: Table) -> None:
    found = through(table)
    assert found.columns == table.columns
    assert_same([*found.data], [*table.data])
    assert found == table and len(found) == len(table)


@settings(max_examples=60, deadline=None)
@given(table=_tables(), size=st.integers(1, 9))
def test_any_table_reads_the_same_whatever_the_size_of_pieces(table: Table, size: int) -> None:
    beside: dict[str, bytes] = {}
    out = io.BytesIO()
    table.write(out, beside.__setitem__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tablefiles, "_CHUNK", size)
        assert_same([*read(out.getvalue(), beside).data], [*table.data])


# -- working with one --


def test_a_column_is_added_for_all_rows_or_not_at_all() -> None:
    table = Table(columns=["a"], data=[[1], [2]])
    table.add_column("b", ["x", "y"])
    table.add_column("n", np.array([0.5, 1.5]))
    table.add_column(7, [None, 1], optional=True)
    assert table.columns == ["a", "b", "n", 7]
    wanted = [[1, "x", 0.5, None], [2, "y", 1.5, 1]]
    assert list(table.data) == wanted
    with pytest.raises(InvalidValue, match="^column 'c' has 1 values for 2 rows$"):
        table.add_column("c", [1])
    with pytest.raises(Conflict, match="^the table has a column 'a' already$"):
        table.add_column("a", [1, 2])
    with pytest.raises(InvalidType, match="^column 'c' has no value in a row, and is not optional$"):
        table.add_column("c", [1, None])
    with pytest.raises(InvalidType, match="^column 'c' holds numbers"):
        table.add_column("c", [1, "x"])
    with pytest.raises(InvalidValue):
        table.add_column("c", 5)
    assert (table.columns, list(table.data)) == (["a", "b", "n", 7], wanted)
    empty = Table(columns=[])
    empty.add_column("a", [1, 2])
    assert list(empty.data) == [[1], [2]]


def test_computed_columns_come_from_a_functions_dicts() -> None:
    table = Table(columns=["a"], data=[[1], [2]])
    table.add_computed_columns(lambda number, row: {"b": row["a"] * 10 + number, "c": None if number else "x"})
    assert (table.columns, list(table.data)) == (["a", "b", "c"], [[1, 10, "x"], [2, 21, None]])


@pytest.mark.parametrize("made", [{"x": 1, "a": 2}, {"x": 1, "y": object()}], ids=["a name taken", "no value"])
def test_computed_columns_that_can_not_be_added_change_nothing(made: dict[str, Any]) -> None:
    table = Table(columns=["a"], data=[[1], [2]])
    with pytest.raises((InvalidValue, Conflict)):
        table.add_computed_columns(lambda number, row: made)
    assert (table.columns, list(table.data)) == (["a"], [[1], [2]])


def test_a_column_is_had_as_list_array_series_or_arrow_array() -> None:
    table = Table(columns=["a", "d"], data=[[1, dt.date(2020, 1, 2)], [2, None]])
    assert table.get_column("a") == [1, 2]
    assert_same([table.get_column("a", convert_to="numpy")], [np.array([1, 2])])
    series = table.get_column("a", convert_to="pandas")
    assert (list(series), series.name) == ([1, 2], "a")
    assert table.get_column("d", convert_to="arrow").to_pylist() == [dt.date(2020, 1, 2), None]
    with pytest.raises(NotFound, match="^the table has no column 'c'"):
        table.get_column("c")
    with pytest.raises(InvalidValue, match="^convert_to 'x' is not one of numpy, pandas, arrow$"):
        table.get_column("a", convert_to="x")


@pytest.mark.parametrize(
    ("values", "kind"),
    [([[1, 2], [3]], "numpy"), ([1, "x"], "arrow")],
    ids=["lists of other lengths", "mixed"],
)
def test_a_column_that_can_not_be_converted_is_given_some_way_or_is_our_error(values: list[Any], kind: str) -> None:
    table = column(*values, allow_mixed_types=True)
    try:
        assert len(table.get_column("c", convert_to=kind)) == len(values)
    except InvalidValue:
        pass


def test_a_dataframe_and_back() -> None:
    rows = [[1, "x", 1.5], [2, "y", None]]
    frame = Table(columns=["a", "b", "f"], data=rows).get_dataframe()
    assert list(frame.columns) == ["a", "b", "f"] and frame["a"].tolist() == [1, 2]
    assert_same(cells(Table(dataframe=frame[["b"]])), ["x", "y"])
    assert_same([*through(Table(dataframe=frame)).data], rows)


def test_rows_know_their_number_and_their_table() -> None:
    table = Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]])
    assert [(number, row) for number, row in table.iterrows()] == [(0, [1, "x"]), (1, [2, "y"])]
    number = table.index_ref(1)
    assert (number, number.get_row()) == (1, {"a": 2, "b": "y"})
    assert [one.get_row()["a"] for one in table.get_index()] == [1, 2]
    with pytest.raises(IndexError):
        table.index_ref(2)


def test_tables_are_equal_by_columns_and_cells() -> None:
    one = Table(columns=["a", "b"], data=[[1, np.ones(2)], [2, np.zeros(2)]])
    assert one == Table(columns=["a", "b"], data=[[1.0, np.ones(2)], [2, np.zeros(2)]])
    assert one != Table(columns=["a", "c"], data=[*one.data])
    assert one != Table(columns=["a", "b"], data=[one.data[0]])
    assert one != Table(columns=["a", "b"], data=[[1, np.ones(2)], [2, np.ones(2)]])
    assert one != 5 and one != [[1, 2]]
    assert column(dt.datetime(2020, 1, 1)) != column(dt.datetime(2020, 1, 1, tzinfo=UTC))
    assert column("x") != column("y")
    with pytest.raises(TypeError):
        hash(one)


@pytest.mark.parametrize(
    "value", [pd.NA, [np.array([1, 2])], {"k": np.array([1, 2])}], ids=["NA", "arrays in lists", "arrays in dicts"]
)
def test_comparing_tables_never_fails(value: Any) -> None:
    assert isinstance(column(value) == column(value), bool)
    assert column(value) != column([1])


def test_html_escapes_names_and_cells_and_cuts_long_tables() -> None:
    html = Table(columns=["<b>"], data=[["<script>alert(1)</script>&\x1b"]])._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html and "&lt;b&gt;" in html and "\x1b" not in html
    long = Table(columns=["n"], data=[[i] for i in range(250)])._repr_html_()
    assert "150 more rows" in long and "<td>99</td>" in long and "<td>100</td>" not in long


def test_a_tables_repr_has_no_control_characters() -> None:
    assert repr(Table(columns=["a\x1b[31m\nb"])).isprintable()


# -- in artifacts --


def test_a_table_is_added_under_a_name_with_and_without_its_suffix_and_in_folders(here: Path) -> None:
    artifact = wandb.Artifact("data")
    one, two, three = (column(i) for i in range(3))
    assert artifact.add(one, "t").path == "t.table.json"
    assert artifact.add(two, "u.table.json").path == "u.table.json"
    artifact["a/b/t"] = three
    logged = log(artifact)
    assert paths(logged) == ["a/b/t.table.json", "t.table.json", "u.table.json"]
    for name, table in (("t", one), ("u", two), ("a/b/t", three)):
        assert logged.get(name) == logged.get(name + ".table.json") == logged[name] == again().get(name) == table
    assert logged.get_entry("t").path == "t.table.json"


@pytest.mark.parametrize(
    "name", ["my_table.json", "table.json", "d/my_table.json", "a.json", "t.table.json.table.json"]
)
def test_a_table_is_got_by_the_name_that_it_was_added_under(here: Path, name: str) -> None:
    artifact = wandb.Artifact("data")
    artifact.add(column(1), name)
    assert log(artifact).get(name) == column(1)


def test_another_table_under_the_same_name_needs_overwrite(here: Path) -> None:
    artifact = wandb.Artifact("data")
    artifact.add(column(1), "t")
    artifact.add(column(1), "t")  # the same content: fine
    with pytest.raises(ValueError, match="Cannot add the same path twice"):
        artifact.add(column(2), "t")
    with pytest.raises(ValueError, match="Cannot add the same path twice"):
        artifact["t.table.json"] = column(2)
    artifact.add(column(3), "t", overwrite=True)
    assert log(artifact).get("t") == column(3)


def test_a_table_that_is_refused_when_it_is_added_leaves_nothing(here: Path) -> None:
    table = column(1)
    table.data.append(["text"])  # in place: found when it is written
    artifact = write(wandb.Artifact("data"), f="1")
    with pytest.raises(InvalidType, match="^column 'c' holds numbers"):
        artifact.add(table, "t")
    table.data[1] = [1, 2]
    with pytest.raises(InvalidValue):
        artifact.add(table, "t")
    assert paths(log(artifact)) == ["f"]


def test_rows_changed_in_place_are_what_is_added(here: Path) -> None:
    table = column(1, 2)
    table.data[0][0] = 5
    table.data.append([6])
    assert cells(through(table)) == [5, 2, 6]


def test_an_entry_of_another_artifact_is_added_as_a_reference_to_it(here: Path) -> None:
    first = wandb.Artifact("first")
    first.add(column(1), "t")
    entry = log(first).get_entry("t")
    second = wandb.Artifact("second")
    second.add(entry, "copy.table.json")
    second["again.table.json"] = entry
    logged = log(second)
    assert logged.get("copy") == logged.get("again") == column(1)


def test_a_table_that_was_read_can_be_added_again(here: Path) -> None:
    table = Table(columns=["d", "m", "a"], data=[[dt.date(2020, 1, 2), "x", np.ones((2, 2))]])
    assert_same([*through(through(table)).data], [*table.data])
    mixed = Table(columns=["a", "b"], data=[[1, 1], ["x", 2]], allow_mixed_types=True)
    assert list(through(through(mixed)).data) == [[1, 1], ["x", 2]]


def test_get_of_what_is_no_table_is_none(here: Path) -> None:
    artifact = write(wandb.Artifact("data"), **{"plain.txt": "1", "d.table.json/x": "1"})
    logged = log(artifact)
    for name in ("plain.txt", "nothing", "d", "d.table.json", "d.table.json/x"):
        assert logged.get(name) is None and logged[name] is None
    with pytest.raises(ArtifactNotLoggedError):
        draft().get("f")
    for strange in (object(), [[1]], None):
        with pytest.raises(TypeError):
            wandb.Artifact("data").add(strange, "t")


def test_a_table_behind_a_file_reference_is_read(here: Path) -> None:
    Path("r.table.json").write_text(_table())
    artifact = wandb.Artifact("data")
    artifact.add_reference(Path("r.table.json").resolve().as_uri())
    assert log(artifact).get("r") == column(1)


def test_a_table_may_be_had_by_several_threads_at_once(here: Path) -> None:
    rows = [[i, str(i)] for i in range(3000)]
    artifact = wandb.Artifact("data")
    artifact.add(Table(columns=["a", "b"], data=rows), "t")
    logged, found = log(artifact), []
    threads = [threading.Thread(target=lambda: found.append(list(logged.get("t").data) == rows)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


# -- more rows than are kept in memory --


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_more_rows_than_stay_in_memory_are_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artstore.api.tables.table.IN_MEMORY", 10)
    rows = [[i, f"é{i}", dt.date(2020, 1, 2), {"k": [i]}, np.array([i, 1.5])] for i in range(2500)]
    table = Table(columns=list("abcde"), data=rows)
    assert len(table) == len(table.data) == 2500
    assert_same(table.data[-1], rows[-1])
    assert_same(table.data[5:2000:700], rows[5:2000:700])
    assert_same([*table.data], rows)
    assert table == Table(columns=list("abcde"), data=rows)
    assert table.get_column("a") == list(range(2500))
    assert table.index_ref(1234).get_row()["b"] == "é1234"
    with pytest.raises(IndexError):
        table.data[2500]
    with pytest.raises(InvalidType):
        table.add_data("text", "", None, None, None)
    assert len(table) == 2500
    assert "2,400 more rows" in table._repr_html_()
    table.add_column("f", range(2500))
    assert len(table.data[0]) == 6


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", [*KEPT, *BECOME])
def test_cells_are_the_same_beyond_what_stays_in_memory(monkeypatch: pytest.MonkeyPatch, here: Path, name: str) -> None:
    monkeypatch.setattr("artstore.api.tables.table.IN_MEMORY", 0)
    values, wanted = (KEPT[name], KEPT[name]) if name in KEPT else ([BECOME[name][0]], [BECOME[name][1]])
    assert_same(cells(through(column(*values))), wanted)


MILLION = """
import json, time
import artstore as wandb
from artstore.api.tables.table import Table
def peak():
    with open("/proc/self/status") as f:
        return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) // 1024
wandb.init(project="p")
wandb.run.log_artifact(wandb.Artifact("warm"))
start, figures, at = peak(), {}, time.monotonic()
def done(step):
    global at
    figures[step] = (peak() - start, round(time.monotonic() - at, 1)); at = time.monotonic()
table = Table(columns=["id", "text", "x"])
for i in range(1_000_000):
    table.add_data(i, f"row {i}", i / 4)
done("add")
artifact = wandb.Artifact("big"); artifact.add(table, "t"); logged = wandb.run.log_artifact(artifact)
done("write")
found = logged.get("t")
assert len(found) == 1_000_000 and found.data[999_999] == [999_999, "row 999999", 249999.75]
done("read")
assert found == table
done("compare")
wandb.finish()
print(json.dumps(figures))
"""


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_many_rows_are_compared_by_key_in_python() -> None:
    rows = [[i, f"row {i}", i / 4] for i in range(100_500)]
    one = Table(columns=["id", "text", "x"], data=rows)
    two = Table(columns=["id", "text", "x"], data=[*rows[1:7], [7, "changed", 1.75], *rows[8:], [200_000, "", 0.0]])
    assert one.diff(two, "id") == ([[200_000]], [[0]], [[7]], [], [])


LARGE = """
import gc, warnings
from artstore.api.tables.table import Table
table = Table(columns=["a"])
for i in range(100_001):
    table.add_data(i)
del table
gc.collect()
"""


def test_a_large_table_that_is_no_longer_used_closes_its_file(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", LARGE]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
def test_a_million_rows_take_little_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MILLION], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=300
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {step: used for step, (used, _) in figures.items() if used > 150} == {}
    assert list(figures) == ["add", "write", "read", "compare"]


# -- files that are no tables --

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


def _of_kind(kind: str, **more: str) -> str:
    return _table(_typed(f'{{"c": {kind}}}'), **more)


def _with_params(wb_type: str, params: str) -> str:
    return _of_kind(f'{{"wb_type": "{wb_type}", "params": {params}}}')


HOSTILE: dict[str, str | bytes] = {
    "empty": "",
    "text": "hello",
    "a list": "[]",
    "null": "null",
    "an empty object": "{}",
    "cut in a row": _table()[:-4],
    "cut before the columns": '{"data": [[1]], "columns": ["c"]',
    "no columns": '{"data": [[1]]}',
    "no data": '{"columns": ["c"], "column_types": {}}',
    "a list as key": '{[1]: 2, "columns": [], "column_types": {}, "data": []}',
    "an object as key": '{{}: 2, "columns": [], "column_types": {}, "data": []}',
    "a comma first": '{,"columns": []}',
    "a comma missing": '{"x": 1 "y": 2}',
    "a comma missing between rows": _table(data="[[1] [2]]"),
    "a comma after the last row": _table(data="[[1],]"),
    "types as a list": _table('{"params": []}'),
    "types as text": _table('{"params": "x"}'),
    "types mapped as a list": _table(_typed("[]")),
    "a type as text": _of_kind('"number"'),
    "a type without a name": _of_kind("{}"),
    "a union of a list": _with_params("union", "[]"),
    "a union of null": _with_params("union", "null"),
    "a union of a number": _with_params("union", '{"allowed_types": 5}'),
    "a union of nothing": _with_params("union", '{"allowed_types": null}'),
    "a union of text": _with_params("union", '{"allowed_types": ["x", {"wb_type": "none"}]}'),
    "arrays of null": _with_params("ndarray", "null"),
    "arrays of a list": _with_params("ndarray", '["serialization_path"]'),
    "arrays at text": _with_params("ndarray", '{"serialization_path": "x"}'),
    "arrays at null": _with_params("ndarray", '{"serialization_path": null}'),
    "arrays at a number": _with_params("ndarray", '{"serialization_path": {"path": 5, "key": "c"}}'),
    "arrays at a list": _with_params("ndarray", '{"serialization_path": {"path": [], "key": "c"}}'),
    "arrays that are absent": _with_params("ndarray", '{"serialization_path": {"path": "x.npz", "key": "c"}}'),
    "forms as a list": _table(more='"column_forms": []'),
    "a form as a number": _table(more='"column_forms": {"c": 5}'),
    "a form of no array": _table(more='"column_forms": {"c": "array zzz"}', data="[[[1]]]"),
    "a time out of range": _of_kind('{"wb_type": "timestamp"}', data="[[1e300]]"),
    "a time that is no number": _of_kind('{"wb_type": "timestamp"}', data="[[NaN]]"),
    "a short row": _table(data="[[1], []]"),
    "a long row": _table(data="[[1, 2]]"),
    "a number as row": _table(data="[1]"),
    "an object as row": _table(data='[{"c": 1}]'),
    "rows as an object": _table(data="{}"),
    "rows as null": _table(data="null"),
    "columns as null": _table(columns="null"),
    "columns as numbers with a point": _table(columns="[1.5]"),
    "columns as lists": _table(columns="[[]]"),
    "a cell nested deeply": _table(data="[[" + "[" * 100_000 + "]" * 100_000 + "]]"),
    "columns nested deeply": _table(columns="[" * 100_000 + "]" * 100_000),
    "objects without an end": '{"a":' * 100_000,
    "no UTF-8": b'{"columns": ["\xff"]}',
    "UTF-16": _table().encode("utf-16"),
    "an int of 5000 digits": _table(data=f"[[{'9' * 5000}]]"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_table_is_damage(name: str) -> None:
    with pytest.raises(Damage) as caught:
        list(read(HOSTILE[name]).data)
    assert str(caught.value).startswith("'t.table.json' of data:v0 "), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        _of_kind('{"wb_type": "frobnicate"}'), _of_kind('{"wb_type": "frobnicate", "params": 5}'), _with_params("list", "{}"),
        _table("{}"), _table("null"), '{"columns": ["a"], "columns": ["c"], "column_types": {}, "data": [[1]], "data": [[2]]}',
    ],
    ids=["unknown type", "unknown parameters", "a list without its element", "no types", "null types", "keys twice"],
)  # fmt: skip
def test_a_file_that_says_strange_things_of_its_columns_is_read_or_is_damage(text: str) -> None:
    try:
        table = read(text)
    except Damage:
        return
    assert len(table) == 1
    try:
        table.add_data([1])
        table.write(io.BytesIO(), {}.__setitem__)
    except InvalidValue:
        pass  # a sentence, no crash


def test_damaged_tables_are_our_errors_at_the_artifact_and_at_the_command_line(here: Path, cli: Cli) -> None:
    names = [
        "text",
        "a short row",
        "types as a list",
        "no UTF-8",
        "a list as key",
        "arrays of null",
        "arrays that are absent",
    ]
    artifact = wandb.Artifact("data")
    for number, name in enumerate(names):
        with artifact.new_file(f"t{number}.table.json", "xb") as file:
            text = HOSTILE[name]
            file.write(text if isinstance(text, bytes) else text.encode())
    logged = log(artifact)
    for number, name in enumerate(names):
        with pytest.raises(Damage, match=f"^'t{number}.table.json' of data:v0 "):
            logged.get(f"t{number}")
        result = cli("cat", "data", f"t{number}", cwd=here)
        assert (result.code, result.out) == (7, ""), name
        assert result.err.startswith(f"error: 't{number}.table.json' of data:v0 "), name


_ARRAYS = _with_params("ndarray", '{"shape": [2], "serialization_path": {"path": "a.npz", "key": "c"}}')


def _npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def _npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def _zip(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(name, data)
    return out.getvalue()


def _flipped(data: bytes) -> bytes:
    at = len(data) // 3
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


_GOOD = _npz(c=np.ones((1, 2)))
_HUGE = _npy(np.ones((1, 2))).replace(b"(1, 2), }          ", b"(9999999999, 2), } ")

NO_ARRAYS: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello",
    "cut": _GOOD[:-30],
    "half": _GOOD[:100],
    "a byte changed": _flipped(_GOOD),
    "another key": _npz(d=np.ones(1)),
    "no archive": _npy(np.ones((1, 2))),
    "fewer than rows": _npz(c=np.ones((0, 2))),
    "no dimensions": _npz(c=np.array(5)),
    "no array in the archive": _zip("c.npy", b"hello"),
    "nothing in the archive's file": _zip("c.npy", b""),
    "a cut array": _zip("c.npy", _npy(np.ones((1, 2)))[:-5]),
    "a shape of terabytes": _zip("c.npy", _HUGE),
}


@pytest.mark.parametrize("name", NO_ARRAYS)
def test_a_damaged_file_of_arrays_is_damage(name: str) -> None:
    with pytest.raises(Damage, match="^'t.table.json' of data:v0 "):
        read(_ARRAYS, {"a.npz": NO_ARRAYS[name]})


class _Touch:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


def test_pickled_objects_in_a_file_of_arrays_are_never_run(here: Path) -> None:
    objects = np.array([_Touch()], dtype=object)
    for content in (_npz(c=objects), _npy(objects), pickle.dumps(_Touch()), _zip("c.npy", _npy(objects))):
        artifact = wandb.Artifact("data")
        for name, data in (("a.npz", content), ("t.table.json", _ARRAYS.encode())):
            with artifact.new_file(name, "xb") as file:
                file.write(data)
        logged = log(artifact)
        with pytest.raises(Damage):
            logged.get("t")
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    "path", ["../../outside.npz", "/outside.npz", "media/absent.npz", "", ".", "a\x00b", "t.table.json"]
)
def test_arrays_are_read_from_the_same_artifact_only(here: Path, path: str) -> None:
    place = os.path.abspath("outside.npz") if path.startswith("/") else path
    Path("outside.npz").write_bytes(_GOOD)
    artifact = write(wandb.Artifact("data"), f="1")
    where = json.dumps({"shape": [2], "serialization_path": {"path": place, "key": "c"}})
    with artifact.new_file("t.table.json") as file:
        file.write(_with_params("ndarray", where))
    with pytest.raises(Damage):
        log(artifact).get("t")


BOUNDED = """
import sys
from artstore.errors import Damage
from artstore.api.tables.table import Table
def peak():
    with open("/proc/self/status") as f:
        return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) // 1024
start = peak()
try:
    found = Table.read(lambda: open(sys.argv[1], "rb"), None, "it").data[0][0]
    print("read", len(found))
except Damage as error:
    print("damage", error)
print(peak() - start)
"""


def _peak_of(tmp_path: Path, file: Path) -> tuple[str, int]:
    command = [sys.executable, "-c", BOUNDED, str(file)]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said, peak = done.stdout.splitlines()
    return said.partition(" ")[0], int(peak)


def test_a_row_of_300_megabytes_is_damage_in_bounded_memory(tmp_path: Path) -> None:
    before, _, behind = _table(data='[["!"]]').partition("!")
    with open(tmp_path / "t", "wb") as file:
        file.write(before.encode())
        for _ in range(300):
            file.write(b"x" * (1 << 20))
        file.write(behind.encode())
    said, peak = _peak_of(tmp_path, tmp_path / "t")
    assert (said, peak < 700) == ("damage", True), peak


def test_a_form_of_huge_text_does_not_take_gigabytes(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(_table(more='"column_forms": {"c": "array <U50000000"}', data='[[["x", "y"]]]'))
    _, peak = _peak_of(tmp_path, tmp_path / "t")
    assert peak < 300


# -- reading piece by piece --

_CELLS = [[1], [-2.5e-3], ['é☃"[{😀'], [None], [-INF], [[1, [2, {"k": "\\"}]]]]
LAYOUTS: dict[str, str] = {
    "as it is written": _table(data=json.dumps(_CELLS)),
    "indented": json.dumps(json.loads(_table(data=json.dumps(_CELLS))), indent=2, ensure_ascii=False),
    "tabs and returns": _table(data=json.dumps(_CELLS)).replace(" ", "\t\r\n "),
    "data first": f'{{"data": {json.dumps(_CELLS)}, "columns": ["c"], "column_types": {_typed(_NUMBER)}}}',
    "data between": f'{{"columns": ["c"], "data": {json.dumps(_CELLS)}, "ncols": 1, "column_types": {_typed(_NUMBER)}}}',
    "numbers beside": '{"a": 1.5, "b": -2e3, "c": 0.25E+2, "d": 12, ' + _table(data=json.dumps(_CELLS))[1:],
    "numbers behind": (
        f'{{"data": {json.dumps(_CELLS)}, "nrows": 6.0, "x": 1e0, "columns": ["c"], "column_types": {_typed(_NUMBER)}}}'
    ),
}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 16, 64])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_table_is_read_the_same_at_every_boundary_of_pieces(
    monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    monkeypatch.setattr(tablefiles, "_CHUNK", size)
    assert_same([*read(LAYOUTS[name]).data], _CELLS)


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize("rows", ["[]", "[ ]", "[\n]"])
def test_a_table_without_rows_is_read_whatever_its_order(monkeypatch: pytest.MonkeyPatch, rows: str, size: int) -> None:
    monkeypatch.setattr(tablefiles, "_CHUNK", size)
    for text in (_table(data=rows), f'{{"data": {rows}, "columns": ["c"], "column_types": {_typed(_NUMBER)}}}'):
        table = read(text)
        assert (table.columns, len(table)) == (["c"], 0)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_damage_is_damage_at_every_boundary_of_pieces(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(tablefiles, "_CHUNK", size)
    for name in ("text", "cut in a row", "a short row", "a comma missing between rows", "no UTF-8", "columns as null"):
        with pytest.raises(Damage):
            list(read(HOSTILE[name]).data)


# -- on the command line --


@pytest.fixture
def shown(here: Path) -> Path:
    """Two versions of `data` with tables."""
    one, two = wandb.Artifact("data"), wandb.Artifact("data")
    rows = [[1, "a", 1.5], [2, "日本語\x1b[31m\n", None], [3, "x" * 100, -0.25], [10, None, 2.0]]
    one.add(Table(columns=["id", "v", "x"], data=rows), "t")
    two.add(Table(columns=["id", "v", "w"], data=[[1, "a", 0], [2, "changed", 0], [4, "n", 0]]), "t")
    days = [dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5, 6), dt.datetime(2020, 1, 2, tzinfo=UTC), True]
    one.add(Table(columns=["d", "n", "a", "b"], data=[days]), "kinds/days")
    one.add(column(INF, -INF, 1.5), "infinite")
    one.add(column(None, 1, 100), "late")
    one.add(column(1234567.25, 1234567.5), "exact")
    one.add(column({"é": [1, None]}, {"é": []}), "nested")
    one.add(Table(columns=["a", "b"]), "empty")
    for artifact, value in ((one, 1.0), (two, 2.0)):
        artifact.add(Table(columns=["k", "c"], data=[["x", np.full((2, 2), value)], ["y", np.ones((2, 2))]]), "arrays")
        artifact.add(Table(columns=[0, 1], data=[[1, value]]), "numbered")
    one.add(Table(columns=["k", "v"], data=[[1, 1], [2, 2]]), "keys")
    two.add(Table(columns=["v"], data=[[1]]), "keys")
    one.add(Table(columns=["k", "v"], data=[[1, 1], [1, 2]]), "twice")
    two.add(Table(columns=["k", "v"], data=[[1, 1]]), "twice")
    one.add(Table(columns=["k\x1b"], data=[[1]]), "escapes")
    two.add(Table(columns=["k\x1b"], data=[[2]]), "escapes")
    one.add(column(1), "numbers")
    two.add(column(1.0), "numbers")
    write(one, **{"plain.txt": "1\n", "bad.table.json": "hello", "d.table.json/x": "1"})
    write(two, **{"plain.txt": "1\n", "bad.table.json": "hello", "d.table.json/x": "1"})
    log(one)
    log(two)
    return here


CATS = {
    "t": (
        [
            "id  v                                                                 x",
            " 1  a                                                               1.5",
            " 2  日本語\\x1b[31m\\x0a",
            " 3  " + "x" * 59 + "…  -0.25",
            "10                                                                  2.0",
        ],
        "4 rows, 3 columns",
    ),
    "kinds/days.table.json": (
        [
            "d           n                           a                          b",
            "2020-01-02  2020-01-02 03:04:05.000006  2020-01-02 00:00:00+00:00  True",
        ],
        "1 row, 4 columns",
    ),
    "empty": (["a  b"], "0 rows, 2 columns"),
    "nested": (["c", '{"é": [1, null]}', '{"é": []}'], "2 rows, 1 column"),
    "infinite": (["   c", " inf", "-inf", " 1.5"], "3 rows, 1 column"),
    "late": (["  c", "", "  1", "100"], "3 rows, 1 column"),
    "exact": (["         c", "1234567.25", " 1234567.5"], "2 rows, 1 column"),
    "escapes": (["k\\x1b", "    1"], "1 row, 1 column"),
}


@pytest.mark.parametrize("name", CATS)
def test_cat_shows_a_table_a_row_a_line(shown: Path, cli: Cli, name: str) -> None:
    result = cli("cat", "data:v0", name, cwd=shown)
    lines, summary = CATS[name]
    assert result.code == 0, result
    assert result.out.splitlines() == lines
    assert result.err == f"{summary}\n"


def test_cat_of_few_rows_and_of_the_bytes(shown: Path, cli: Cli) -> None:
    result = cli("cat", "data:v0", "keys", "-n", "1", cwd=shown)
    assert (result.code, result.out, result.err) == (0, "k  v\n1  1\n", "2 rows, 2 columns\n")
    assert cli("cat", "data:v0", "keys", "-n", "0", cwd=shown).out == "k  v\n"
    assert cli("cat", "data:v0", "keys", "-n", "-1", cwd=shown).code == 2
    raw = cli("cat", "data:v0", "keys", "--raw", cwd=shown)
    assert (raw.code, raw.err, json.loads(raw.out)["data"]) == (0, "", [[1, 1], [2, 2]])
    assert cli("cat", "data:v0", "plain.txt", cwd=shown).out == "1\n"


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("bad", 7, "error: 'bad.table.json' of data:v0 is no table: '{' is missing\n"),
        ("d", 3, "error: 'd.table.json' in data:v0 is a folder\nhint: `artstore ls data:v0 d.table.json` lists it\n"),
        ("qqqqq", 4, "error: data:v0 has no 'qqqqq'\nhint: `artstore ls data:v0` lists its files\n"),
    ],
)
def test_cat_of_what_can_not_be_shown_is_a_sentence(shown: Path, cli: Cli, name: str, code: int, said: str) -> None:
    result = cli("cat", "data:v0", name, cwd=shown)
    assert (result.code, result.out, result.err) == (code, "", said)


def test_cat_cuts_a_long_cell_at_once(here: Path, cli: Cli) -> None:
    artifact = wandb.Artifact("data")
    artifact.add(Table(columns=["a", "b"], data=[["é" * 30_000, "x" * 2_000_000]]), "t")
    log(artifact)
    try:
        result = cli("cat", "data", "t", "-n", "0", cwd=here)
        assert result.out == "a  b\n"
        result = subprocess.run(
            [sys.executable, "-m", "artstore", "cat", "data", "t"],
            cwd=here, env=environment(here), capture_output=True, text=True, timeout=5,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.fail("a wide cell takes longer than 5 s to be cut")
    assert result.stdout.splitlines()[1] == "é" * 59 + "…  " + "x" * 59 + "…"


def diff(cli: Cli, here: Path, *args: str) -> tuple[int, str, str]:
    result = cli("diff", *args, cwd=here)
    return result.code, result.out, result.err


def test_diff_of_a_table_shows_rows_by_key_and_columns(shown: Path, cli: Cli) -> None:
    wanted = "A  id=4\nD  id=3\nD  id=10\nM  id=2\ncolumns added: w\ncolumns removed: x\n"
    wanted += "rows: 1 added, 2 removed, 1 changed\n"
    for name in ("t", "t.table.json"):
        assert diff(cli, shown, "data:v0", "data:v1", "--table", name, "--key", "id") == (0, wanted, "")
    assert diff(cli, shown, "data:v0", "data:v1", "--table", "t", "--key", "id", "--exit-code") == (1, wanted, "")
    same_ones = diff(cli, shown, "data:v0", "data:v0", "--table", "t", "--key", "id", "--exit-code")
    assert same_ones == (0, "no rows differ\n", "")


def test_diff_of_a_table_by_two_columns_escapes_what_it_shows(shown: Path, cli: Cli) -> None:
    code, out, err = diff(cli, shown, "data:v0", "data:v1", "--table", "t", "--key", "id", "--key", "v")
    assert (code, err) == (0, "")
    assert out.splitlines()[:4] == [
        "A  id=2, v=changed",
        "A  id=4, v=n",
        "D  id=2, v=日本語\\x1b[31m\\x0a",
        "D  id=3, v=" + "x" * 100,
    ]
    code, out, err = diff(cli, shown, "data:v0", "data:v1", "--table", "escapes", "--key", "k\x1b")
    assert (code, out, err) == (0, "A  k\\x1b=2\nD  k\\x1b=1\nrows: 1 added, 1 removed\n", "")


def test_diff_of_a_table_as_json(shown: Path, cli: Cli) -> None:
    args = ("data:v0", "data:v1", "--table", "t", "--key", "id", "--json", "--exit-code")
    code, out, err = diff(cli, shown, *args)
    assert (code, err) == (1, "")
    wanted = {
        "old": "local/uncategorized/data:v0", "new": "local/uncategorized/data:v1", "key": ["id"], "added": [[4]],
        "removed": [[3], [10]], "changed": [[2]], "columns_added": ["w"], "columns_removed": ["x"],
    }  # fmt: skip
    assert json.loads(out) == wanted


def test_diff_of_a_table_sees_arrays_that_stand_beside_it(shown: Path, cli: Cli) -> None:
    wanted = (0, "M  k=x\nrows: 1 changed\n", "")
    assert diff(cli, shown, "data:v0", "data:v1", "--table", "arrays", "--key", "k") == wanted
    old, new = again("data:v0").get("arrays"), again("data:v1").get("arrays")
    assert old.diff(new, "k").changed == [["x"]]


def test_diff_of_a_table_whose_columns_are_numbered(shown: Path, cli: Cli) -> None:
    assert diff(cli, shown, "data:v0", "data:v1", "--table", "numbered", "--key", "0") == (
        0,
        "M  0=1\nrows: 1 changed\n",
        "",
    )


def test_diff_of_a_table_takes_equal_numbers_as_equal(shown: Path, cli: Cli) -> None:
    assert again("data:v0").get("numbers") == again("data:v1").get("numbers")
    assert diff(cli, shown, "data:v0", "data:v1", "--table", "numbers", "--key", "c") == (0, "no rows differ\n", "")


def test_diff_shows_keys_in_full(shown: Path, cli: Cli) -> None:
    one = wandb.Artifact("data")
    one.add(column(1234567.25), "exact")
    log(one)
    wanted = (0, "D  c=1234567.5\nrows: 1 removed\n", "")
    assert diff(cli, shown, "data:v0", "data:v2", "--table", "exact", "--key", "c") == wanted


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["keys", "--key", "k"], 4, "error: the table has no column 'k'\nhint: there are v\n"),
        (["t", "--key", "nope"], 4, "error: the table has no column 'nope'\nhint: there are id, v, x\n"),
        (
            ["twice", "--key", "k"], 3,
            "error: two rows have the key [1]\nhint: choose columns whose values together name one row\n",
        ),
        (["bad", "--key", "k"], 7, "error: 'bad.table.json' of data:v0 is no table: '{' is missing\n"),
        (["plain.txt", "--key", "k"], 7, "error: 'plain.txt' of data:v0 is no table: '{' is missing\n"),
        (["t"], 3, "error: --table PATH and --key COLUMN must be used together\n"),
    ],
    ids=["a key that the new one lacks", "a key that neither has", "a key twice", "damage", "no table", "no key"],
)  # fmt: skip
def test_diff_of_a_table_that_can_not_be_compared_is_a_sentence(
    shown: Path, cli: Cli, args: list[str], code: int, said: str
) -> None:
    assert diff(cli, shown, "data:v0", "data:v1", "--table", *args) == (code, "", said)
    result = cli("diff", "data:v0", "data:v1", "--table", *args, "--json", cwd=shown)
    assert result.code == code and "message" in json.loads(result.out)["error"]


def test_diff_by_key_in_python() -> None:
    one = Table(columns=["k", "v", "old"], data=[[1, "a", 0], [2, "b", 0], [3, None, 0]])
    two = Table(columns=["v", "k", "new"], data=[["a", 1, 0], ["c", 2, 0], ["d", 4, 0]])
    found = one.diff(two, "k")
    assert found == ([[4]], [[3]], [[2]], ["new"], ["old"]) and found
    assert one.diff(two, ["k", "v"]).added == [[2, "c"], [4, "d"]]
    assert not one.diff(one, "k")
    with pytest.raises(NotFound):
        one.diff(two, "old")
    with pytest.raises(InvalidValue, match="^two rows have the key"):
        Table(columns=["k"], data=[[1], [1]]).diff(one, "k")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(here: Path) -> None:
    """Nothing of these tests is stored elsewhere."""


def test_the_store_is_whole_after_many_tables(here: Path) -> None:
    for number in range(3):
        through(Table(columns=["a", "b"], data=[[np.full((3, 3), number), number]]))
    check(here / ".artifacts")
