"""Tables are made from rows, arrays and data frames, grow columns, and are compared."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from artstore.api.tables.table import Table
from artstore.errors import Conflict, InvalidType, InvalidValue, NotFound
from tests.support.tables import NAN, UTC, assert_kept_or_refused, assert_same, cells, column, through

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")


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
    assert "[1, 2, &#x27;a&#x27;" in Table(columns=["s"], data=[[frozenset({"b", 2, "a", 1, "c"})]])._repr_html_()
    long = Table(columns=["n"], data=[[i] for i in range(250)])._repr_html_()
    assert "150 more rows" in long and "<td>99</td>" in long and "<td>100</td>" not in long


def test_a_tables_repr_has_no_control_characters() -> None:
    assert repr(Table(columns=["a\x1b[31m\nb"])).isprintable()
