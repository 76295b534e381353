"""What a cell may hold, and how it comes back."""

import datetime as dt
import decimal
import io
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import artstore as wandb
from artstore.api.tables import columns
from artstore.api.tables import file as tablefiles
from artstore.api.tables.table import Table
from artstore.errors import InvalidValue
from tests.support.artifacts import log, paths
from tests.support.tables import INF, NAN, UTC, assert_kept_or_refused, assert_same, cells, column, read, through

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
PARIS = dt.timezone(dt.timedelta(hours=1))


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
    "tuples": [(1, [2, "x"]), (), None],
    "sets": [{3, 1}, set()],
    "sets of anything": [{1, "x", None, 2.5}],
    "frozensets": [frozenset("a")],
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
    "arrays of times in microseconds": [np.array(["2020-01-02", "NaT"], dtype="M8[us]")],
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
    "time without dimensions": (np.array("2020-01-02T03", "M8[ns]"), dt.datetime(2020, 1, 2, 3)),
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


INSIDE: dict[str, tuple[Any, str, str]] = {
    "a date": ([dt.date(2020, 1, 2)], "the time 2020-01-02 inside a list or dict", "value.isoformat()"),
    "a time": ({"k": [dt.datetime(2020, 1, 2)]}, "the time 2020-01-02 00:00:00 inside", "numpy array"),
    "times in an array": ([np.array(["2020-01-02"], "M8[us]")], "the time 2020-01-02 00:00:00 inside", "numpy array"),
    "NaN": ([1.0, NAN], "nan inside a list or dict", "numpy array"),
    "NaN in an array": ([np.array([NAN])], "nan inside a list or dict", "store None"),
    "NaN without dimensions": ([np.array(NAN)], "nan inside a list or dict", "store None"),
    "NaN in a tuple": ((NAN,), "nan inside a list or dict", "store None"),
    "NA": ({"k": pd.NA}, "<NA> inside a list or dict", "store None"),
    "a number as key": ({1: "x"}, "a dict's key in a table must be text, not 1", "str(key)"),
    "a tuple": ([(1, 2)], "values of type tuple inside a list or dict", "list(value)"),
    "a set": ({"k": {1}}, "values of type set inside a list or dict", "sorted(value)"),
    "nanoseconds without dimensions": (
        np.array("2020-01-01T00:00:00.123456789", "M8[ns]"), "the time 2020-01-01T00:00:00.123456789", "floor('us')",
    ),
    "a record": (np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")])[0], "values of type numpy.void", "value.tolist()"),
    "a long float": (np.array(1, "g"), "values of type numpy.longdouble", "store a float"),
}  # fmt: skip


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("mixed", [False, True], ids=["typed", "mixed"])
def test_what_would_change_inside_a_cell_is_refused_with_a_way_out(name: str, mixed: bool) -> None:
    value, said, hint = INSIDE[name]
    with pytest.raises(InvalidValue) as caught:
        Table(columns=["c"], data=[[value]], allow_mixed_types=mixed)
    assert str(caught.value).startswith("column 'c'") and said in str(caught.value)
    assert caught.value.hint is not None and hint in caught.value.hint


@pytest.mark.parametrize("value", [(1, 2), {1}, dt.datetime(2020, 1, 2), np.array([1])], ids=str)
def test_a_column_of_any_type_says_what_it_holds_instead_of_what_has_a_form(value: Any) -> None:
    with pytest.raises(InvalidValue, match="would not come back equal") as caught:
        Table(columns=["c"], data=[[value]], allow_mixed_types=True)
    assert caught.value.hint is not None and caught.value.hint.startswith("store ")


def test_a_forged_set_of_lists_is_read_as_the_list_that_it_is() -> None:
    assert columns.decoded([[1]], columns.type_of([[1]]), "set") == [[1]]


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
        [(1, 2), [1, 2]],
        [{1}, frozenset([1])],
        [dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=12)))],
        [np.ma.array([1, 2], mask=[False, True])],
    ],
    ids=[
        "dates and times", "naive and aware", "int and float arrays", "arrays and lists", "number and text arrays",
        "signed and unsigned arrays", "object arrays", "long object arrays", "records", "arrays and None",
        "keys that are one as text", "tuples and lists", "sets and frozensets", "a time behind the last in UTC", "masked arrays",
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


# -- more rows than are kept in memory --


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", [*KEPT, *BECOME])
def test_cells_are_the_same_beyond_what_stays_in_memory(monkeypatch: pytest.MonkeyPatch, here: Path, name: str) -> None:
    monkeypatch.setattr("artstore.api.tables.typed.IN_MEMORY", 0)
    values, wanted = (KEPT[name], KEPT[name]) if name in KEPT else ([BECOME[name][0]], [BECOME[name][1]])
    assert_same(cells(through(column(*values))), wanted)
