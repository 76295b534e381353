"""Data frames as tables and back: what pandas, numpy and pyarrow hold comes back exactly, or is refused with a way out."""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artstore.api.media.image import Image
from artstore.api.tables.rows import Rows
from artstore.api.tables.table import Table
from artstore.errors import InvalidValue
from tests.support.tables import assert_same, cells, column, through

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

NS = "2020-01-02T03:04:05.123456789"
US = "2020-01-02T03:04:05.123456"


def nullable(kind: str, *values: Any) -> Any:
    return pd.Series(pd.array([*values, None], dtype=kind))


def objects(*values: Any) -> Any:
    return pd.Series([*values], dtype=object)


def moments(text: str, unit: str) -> Any:
    return pd.Series(np.array([text, "NaT"], dtype=f"M8[{unit}]"))


def zoned(text: str, unit: str) -> Any:
    return moments(text, unit).dt.tz_localize("UTC").dt.tz_convert("Europe/Paris")


def whole(kind: str) -> list[int]:
    return [int(np.iinfo(kind).min), int(np.iinfo(kind).max)]


INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]

KEPT: dict[str, tuple[Any, str]] = {
    **{kind: (pd.Series(np.array(whole(kind), dtype=kind)), "uint64" if kind == "uint64" else "int64") for kind in INTEGERS},
    **{
        kind.replace("int", "Int").replace("uI", "UI"): (
            nullable(kind.replace("int", "Int").replace("uI", "UI"), *whole(kind)),
            "UInt64" if kind == "uint64" else "Int64",
        )
        for kind in INTEGERS
    },
    "Int64 behind what a float tells": (nullable("Int64", 2**53 + 1), "Int64"),
    "Int64 without missing values": (pd.Series([2**53 + 1], dtype="Int64"), "int64"),
    "whole numbers of both signs that no type holds": (objects(-1, 2**63), "object"),
    "whole numbers of 70 bits": (objects(2**70, None), "object"),
    "whole numbers and floats": (objects(1, 2.5, None), "float64"),
    "whole numbers and floats that no float tells": (objects(2**53 + 1, 2.5, None), "object"),
    "float16": (pd.Series([0.1, np.nan, -np.inf], dtype="float16"), "float64"),
    "float32": (pd.Series([0.1, np.nan, np.inf], dtype="float32"), "float64"),
    "float64": (pd.Series([0.1, np.nan, -0.0, 5e-324]), "float64"),
    "Float32": (nullable("Float32", 0.1), "float64"),
    "Float64": (nullable("Float64", 0.1), "float64"),
    "numpy scalars": (objects(np.int8(1), np.float32(0.1), np.uint64(7)), "float64"),
    "bool": (pd.Series([True, False]), "bool"),
    "boolean": (nullable("boolean", True, False), "boolean"),
    "booleans among objects": (objects(True, None), "boolean"),
    "string": (nullable("string", "a", "é\n"), "str"),
    "text among objects": (objects("a", None, np.nan, pd.NA, pd.NaT), "str"),
    "text that is not valid Unicode": (objects("\ud800", "a"), "object"),
    "category": (pd.Series(pd.Categorical(["b", None, "a"])), "str"),
    "category of numbers": (pd.Series(pd.Categorical([3, 1, 3])), "int64"),
    "sparse": (pd.Series(pd.arrays.SparseArray([0, 0, 2**53 + 1])), "int64"),
    "nothing": (objects(None, None), "object"),
    "nothing but NaN": (pd.Series([np.nan, np.nan]), "object"),
    "nothing but NaT": (moments("NaT", "ns"), "object"),
    "datetime64[s]": (moments(US, "s"), "datetime64[us]"),
    "datetime64[ms]": (moments(US, "ms"), "datetime64[us]"),
    "datetime64[us]": (moments(US, "us"), "datetime64[us]"),
    "datetime64[ns] of microseconds": (moments(US, "ns"), "datetime64[us]"),
    "datetime64[s] long ago": (moments("0001-01-01", "s"), "datetime64[us]"),
    "times of a zone": (zoned(US, "us"), "datetime64[us, UTC]"),
    "times of a zone in nanoseconds": (zoned(US, "ns"), "datetime64[us, UTC]"),
    "datetimes": (objects(dt.datetime(2020, 1, 2, 3, 4, 5, 6), None), "datetime64[us]"),
    "numpy times": (objects(np.datetime64(US, "ns"), np.datetime64("NaT")), "datetime64[us]"),
    "dates": (objects(dt.date(2020, 1, 2), None), "object"),
    "arrays": (objects(np.array([1, 2], dtype="i2"), np.array([3], dtype="i2")), "object"),
    "arrays of nanoseconds": (objects(np.array([NS, "NaT"], dtype="M8[ns]")), "object"),
    "arrays of two dimensions": (objects(np.ones((2, 2), dtype="f4"), np.zeros((2, 2), dtype="f4")), "object"),
    "lists": (objects([1, "x"], None), "object"),
    "dicts": (objects({"a": [1.5]}), "object"),
}  # fmt: skip


def _wanted(value: Any) -> Any:
    """A cell as Python has it: what is missing is None, a time with a zone is in UTC."""
    if type(value).__name__ in ("NAType", "NaTType") or (not np.ndim(value) and value is not None and value != value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime() if value.tz is None else value.tz_convert("UTC").to_pydatetime()
    if isinstance(value, np.datetime64):
        return value.astype("M8[us]").item()
    if isinstance(value, np.generic):
        return value.item()
    return value


@pytest.mark.parametrize("name", KEPT)
def test_a_column_of_pandas_comes_back_exactly(here: Path, name: str) -> None:
    series, dtype = KEPT[name]
    wanted = [_wanted(value) for value in series]
    found = through(Table(dataframe=pd.DataFrame({"c": series})))
    assert_same(cells(found), wanted)
    frame = found.get_dataframe()
    assert_same([_wanted(value) for value in frame["c"]], [float(v) if dtype == "float64" and v is not None else v for v in wanted])  # fmt: skip
    assert str(frame["c"].dtype) == dtype or (dtype, str(frame["c"].dtype)) == ("str", "object")
    assert str(found.get_column("c", convert_to="pandas").dtype) == str(frame["c"].dtype)
    again = through(Table(dataframe=frame))
    assert_same([_wanted(value) for value in again.get_dataframe()["c"]], [_wanted(value) for value in frame["c"]])


REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "datetime64[ns]": (lambda: moments(NS, "ns"), "the time 2020-01-02 03:04:05.123456789", "floor('us')"),
    "times of a zone": (lambda: zoned(NS, "ns"), "the time 2020-01-02 04:04:05.123456789", "floor('us')"),
    "numpy times": (lambda: objects(np.datetime64(NS)), "the time 2020-01-02T03:04:05.123456789", "floor('us')"),
    "numpy times in a list": (lambda: objects([np.datetime64(NS)]), "the time 2020-01-02T03:04:05", "floor('us')"),
    "an array of times in a list": (lambda: objects([np.array([NS], "M8[ns]")]), "the time 2020-01-02T03", "floor('us')"),
    "a year behind the last": (lambda: moments("12000-01-01", "s"), "the time 12000-01-01", "store its text"),
    "timedelta": (lambda: pd.Series(pd.to_timedelta(["1s", None])), "type pandas.Timedelta", "total_seconds()"),
    "Python's timedelta": (lambda: objects(dt.timedelta(1)), "type datetime.timedelta", "total_seconds()"),
    "period": (lambda: pd.Series(pd.period_range("2020-01", periods=2, freq="M")), "type pandas.Period", ".astype(str)"),
    "interval": (lambda: pd.Series(pd.interval_range(0, 2)), "type pandas.Interval", ".left and .right"),
    "time of day": (lambda: objects(dt.time(1, 2)), "type datetime.time", "value.isoformat()"),
    "Decimal": (lambda: objects(decimal.Decimal("1.5")), "type decimal.Decimal", "str(value)"),
    "bytes": (lambda: objects(b"x"), "type bytes", "value.hex()"),
    "complex": (lambda: pd.Series([1j]), "type complex", "value.real"),
    "UUID": (lambda: objects(uuid.UUID(int=1)), "type uuid.UUID", "str(value)"),
    "text and numbers": (lambda: objects("a", 1), "column 'c' holds text: 1 does not fit", "allow_mixed_types=True"),
    "numbers and booleans": (lambda: objects(1, True), "column 'c' holds numbers: True does not", "allow_mixed_types"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_come_back_is_refused_with_column_type_and_way_out(name: str) -> None:
    make, said, hint = REFUSED[name]
    with pytest.raises(InvalidValue) as error:
        Table(dataframe=pd.DataFrame({"ok": [0] * len(make()), "c": make()}))
    assert str(error.value).startswith("column 'c'") and said in str(error.value)
    assert error.value.hint is not None and hint in error.value.hint


def test_the_way_out_of_times_with_nanoseconds_is_one(here: Path) -> None:
    frame = pd.DataFrame({"t": moments(NS, "ns").dt.floor("us"), "s": moments(NS, "ns").astype(str)})
    found = through(Table(dataframe=frame)).get_dataframe()
    assert found["t"][0] == pd.Timestamp(US) and pd.Timestamp(found["s"][0]) == pd.Timestamp(NS)


def test_an_array_of_times_is_exact_or_refused(here: Path) -> None:
    kept = Table(columns=["t"], data=np.array([[US], ["NaT"]], "M8[ns]"))
    assert_same(cells(through(kept)), [dt.datetime.fromisoformat(US), None])
    with pytest.raises(InvalidValue, match="whole microseconds"):
        Table(columns=["t"], data=np.array([[NS]], "M8[ns]"))


def test_an_arrow_table_is_exact_or_refused(here: Path) -> None:
    exact = pa.table({"i": pa.array([2**53 + 1, None]), "u": pa.array([2**64 - 1, None], pa.uint64())})
    assert_same([*through(Table(dataframe=exact)).data], [[2**53 + 1, 2**64 - 1], [None, None]])
    for array in (pa.array([1], pa.timestamp("ns")), pa.array([1], pa.time64("us")), pa.array([decimal.Decimal(1)])):
        with pytest.raises(InvalidValue, match="^column 'c'"):
            Table(dataframe=pa.table({"c": array}))


@pytest.mark.parametrize(
    "values",
    [[2**53 + 1, 2.5], [-1, 2**63], [1, None], [1, "x"], [True, None], [0, 2**64 - 1], [2**70], [1.5, None], [], [True, "a"]],
    ids=str,
)  # fmt: skip
def test_a_column_as_an_array_or_series_changes_no_value(values: list[Any]) -> None:
    table = column(*values, allow_mixed_types=True)
    for kind in ("numpy", "pandas"):
        found = table.get_column("c", convert_to=kind)
        assert [None if value is pd.NA or value != value else value for value in found.tolist()] == values
        assert [type(v) is str for v in found.tolist()] == [type(v) is str for v in values]


def test_whole_numbers_that_arrow_has_no_type_for_are_refused() -> None:
    with pytest.raises(InvalidValue, match="can't be given to arrow"):
        column(2**70).get_column("c", convert_to="arrow")


def test_frames_are_exact_beyond_what_stays_in_memory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artstore.api.tables.typed.IN_MEMORY", 1)
    frame = pd.DataFrame({"i": nullable("Int64", 2**53 + 1, 1), "t": [*moments(US, "ns"), pd.NaT]})
    table = through(Table(dataframe=frame))
    assert isinstance(table.data, Rows)
    found = table.get_dataframe()
    assert found["i"].tolist() == [2**53 + 1, 1, pd.NA] and found["t"].tolist() == [pd.Timestamp(US), pd.NaT, pd.NaT]


def test_frames_without_rows_or_columns_come_back(here: Path) -> None:
    assert through(Table(columns=["a", 7])).get_dataframe().shape == (0, 2)
    assert Table(columns=[], data=[[], []]).get_dataframe().shape == (2, 0)


def test_a_column_of_images_as_an_array_has_their_pixels() -> None:
    pytest.importorskip("PIL")
    pixels = [np.full((4, 3), shade, dtype=np.uint8) for shade in (1, 2)]
    table = Table(columns=["image"], data=[[Image(one)] for one in pixels])
    assert (table.get_column("image", convert_to="numpy") == np.array(pixels)).all()
    table.add_data(Image(np.zeros((5, 5))))
    with pytest.raises(ValueError, match="'image' can't be"):
        table.get_column("image", convert_to="numpy")


def test_an_array_of_many_dimensions_makes_cells_that_are_arrays() -> None:
    given = np.arange(2 * 1 * 2 * 3).reshape(2, 1, 2, 3)
    table = Table(columns=["a"], data=given)
    assert (table.get_column("a", convert_to="numpy") == given[:, 0]).all()
    with pytest.raises(TypeError):
        table.add_data(np.zeros((3, 3)))
