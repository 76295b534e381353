"""Types that are declared for columns, and columns that name rows of other tables."""

import copy
import datetime as dt
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.tables.table import Table
from artstore.errors import ArtstoreError, Damage, InvalidType, InvalidValue
from tests.api.tables.test_tables_wandb import by_us, by_wandb, rewritten
from tests.support.artifacts import log
from tests.support.tables import through

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
real = pytest.importorskip("wandb")

NONE = {"wb_type": "none"}


def type_of(table: Any) -> Any:
    """The type of column c as it is in the table's file."""
    if isinstance(table, Table):
        out = io.BytesIO()
        table.write(out, {}.__setitem__)
        return json.loads(out.getvalue())["column_types"]["params"]["type_map"]["c"]
    return table._column_types.to_json()["params"]["type_map"]["c"]


DECLARED: dict[str, tuple[Any, list[Any]]] = {
    "int": (int, [1, 2.5, None]),
    "str": (str, ["a", None]),
    "bool": (bool, [True]),
    "time": (dt.datetime, [dt.datetime(2020, 1, 2)]),
    "either": ([int, str], [1, "x", None]),
    "list": ([int], [[1], [2, 3]]),
    "value": ("m", ["m", "m"]),
    "number": (1, [1]),
    "dict": ({"a": int, "b": str}, [{"a": 1, "b": "x"}]),
    "lists of dicts": ([{"a": int}], [[{"a": 1}]]),
}


@pytest.mark.parametrize("name", DECLARED)
def test_a_declared_type_is_wandbs_and_wandb_reads_the_table(name: str, tmp_path: Path) -> None:
    dtype, values = DECLARED[name]
    arguments: dict[str, Any] = {"columns": ["c"], "data": [[value] for value in values], "dtype": dtype}
    if isinstance(dtype, list):
        arguments["dtype"] = [dtype]  # one column
    ours, theirs = Table(**arguments), real.Table(**arguments)
    kind = type_of(ours)
    if "list" in name:  # W&B notes that it doesn't know the length
        kind = json.loads(json.dumps(kind).replace(f'"length": {len(values[0])}', '"length": null'))
    assert kind == type_of(theirs) or "list" in name
    found = by_wandb(rewritten(ours, tmp_path / "t"), tmp_path / "t")
    assert found.data == theirs.data if name != "time" else len(found.data) == 1
    assert through(ours).get_column("c") == values


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (int, "x"), (str, 1), (bool, 1), (dt.date, 5), ([[int, str]], 1.5 + 0j), ([[int, str]], [1]), ("m", "n"),
        ({"a": int}, {"a": "x"}), ({"a": int}, {"b": 1}), ([[int]], ["x"]), (wandb.Image, 1), (int, None),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_that_does_not_have_the_declared_type_is_refused(dtype: Any, value: Any) -> None:
    table = Table(columns=["c"], dtype=dtype, optional=False)
    with pytest.raises(TypeError, match="^column 'c'") as caught:
        table.add_data(value)
    assert isinstance(caught.value, InvalidType) and not len(table)


def test_a_column_is_cast_if_all_its_values_have_the_type() -> None:
    table = Table(columns=["c", "d"], data=[[1, "x"], [2, None]])
    assert table.cast("c", int) == {"wb_type": "number"} == type_of(table)
    with pytest.raises(TypeError, match="^Existing data 1 cannot be cast to text$"):
        table.cast("c", str)
    with pytest.raises(TypeError, match="^column 'd' has no value in a row, and is not optional$"):
        table.cast("d", str)
    assert table.cast("d", str, optional=True)["params"]["allowed_types"] == [NONE, {"wb_type": "string"}]
    with pytest.raises(TypeError):
        table.add_data(None, "y")  # not optional any more
    with pytest.raises(TypeError):
        table.add_data("x", "y")
    assert table.cast("c", [int, str])["wb_type"] == "union"
    table.add_data("x", "y")
    assert through(table).data == [[1, "x"], [2, None], ["x", "y"]]


@pytest.mark.parametrize("dtype", [object, bytes, complex, np.void, Table])
def test_a_type_that_no_cell_can_have_is_refused(dtype: Any) -> None:
    with pytest.raises(InvalidType, match="^a column can't be declared to hold"):
        Table(columns=["c"], dtype=dtype)


def test_types_are_declared_for_all_columns_or_each() -> None:
    table = Table(columns=["a", "b"], dtype=[int, str], data=[[1, "x"]], optional=[True, False])
    with pytest.raises(InvalidType):
        table.add_data("x", "x")
    for wrong in ([int], [int, str, int]):
        with pytest.raises(InvalidType, match="^dtype must be one value, or a list with one for each column$"):
            Table(columns=["a", "b"], dtype=wrong)
    assert Table(columns=["a", "b"], dtype=np.float32, data=[[1, np.float64(2)]]).data == [[1, 2.0]]
    mixed = Table(columns=["a"], dtype=int, allow_mixed_types=True, data=[["x"], [1]])
    assert through(mixed).data == [["x"], [1]]


ASSERTED: dict[str, Callable[[Any], Any]] = {
    "log_mode": lambda of: of.Table(columns=["c"], log_mode="x"),
    "columns": lambda of: of.Table(columns="abc"),
    "a frame as columns": lambda of: of.Table(pd.DataFrame({"a": [1]})),
    "a number as a column": lambda of: of.Table(columns=[1.5]),
    "data": lambda of: of.Table(columns=["c"], data=5),
    "dataframe": lambda of: of.Table(dataframe=[[1]]),
    "cast": lambda of: of.Table(columns=["c"]).cast("d", int),
    "set_pk": lambda of: of.Table(columns=["c"]).set_pk("d"),
    "a second key": lambda of: of.Table(columns=["c", "d"]).set_pk("c") or _second_key(of),
    "set_fk": lambda of: of.Table(columns=["c"]).set_fk("d", of.Table(columns=["x"]), "x"),
    "set_fk to no column": lambda of: of.Table(columns=["c"]).set_fk("c", of.Table(columns=["x"]), "y"),
    "set_fk to itself": lambda of: (table := of.Table(columns=["c", "d"])) and table.set_fk("c", table, "d"),
    "add_column": lambda of: of.Table(columns=["c"]).add_column("c", []),
    "add_column of other length": lambda of: of.Table(columns=["c"]).add_column("d", [1]),
    "add_column of no list": lambda of: of.Table(columns=["c"]).add_column("d", 5),
    "get_column": lambda of: of.Table(columns=["c"]).get_column("d"),
    "convert_to": lambda of: of.Table(columns=["c"]).get_column("c", convert_to="x"),
    "index_ref": lambda of: of.Table(columns=["c"]).index_ref(0),
}


def _second_key(of: Any) -> Any:
    table = of.Table(columns=["c", "d"])
    table.set_pk("c")
    return table.set_pk("d")


@pytest.mark.parametrize("name", ASSERTED)
def test_what_wandb_refuses_by_an_assertion_is_refused_by_an_error_that_is_one(name: str) -> None:
    with pytest.raises(AssertionError):
        ASSERTED[name](real)
    with pytest.raises(AssertionError) as caught:
        ASSERTED[name](wandb)
    assert isinstance(caught.value, ArtstoreError) and str(caught.value)


def test_a_frame_that_is_given_as_columns_says_how_it_is_given() -> None:
    for frame in (pd.DataFrame({"a": [1]}), pytest.importorskip("pyarrow").table({"a": [1]})):
        with pytest.raises(InvalidValue, match="^columns must be a list of names, not a (DataFrame|Table)") as caught:
            Table(frame)
        assert caught.value.hint == "Table(dataframe=…) makes one of it"


# -- columns that name rows --


def digits(of: Any = wandb) -> Any:
    table = of.Table(columns=["name", "value"], data=[["one", 1], ["two", 2]])
    table.set_pk("name")
    return table


def naming(of: Any, digits: Any) -> dict[str, Any]:
    keys = of.Table(columns=["c", "n"], data=[["two", 1], ["one", 2]])
    keys.set_fk("c", digits, "name")
    return {
        "keys": keys,
        "rows": of.Table(columns=["c"], data=[[digits.index_ref(1)], [digits.index_ref(0)]], optional=False),
        "own": digits,
    }


@pytest.mark.parametrize("name", ["keys", "rows", "own"])
def test_a_table_that_names_rows_is_stored_with_the_other_one_and_wandb_reads_both(name: str) -> None:
    artifact = wandb.Artifact("data")
    artifact.add(naming(wandb, digits())[name], "sub/t")
    logged = log(artifact)
    root = Path(logged.download())
    paths = sorted(file.name for file in logged.files())
    theirs = real.Artifact("theirs", type="dataset")
    theirs.add(naming(real, digits(real))[name], "sub/t")
    assert [path.rpartition("/")[0] for path in paths] == [
        path.rpartition("/")[0] for path in sorted(theirs.manifest.entries)
    ]

    class Source:
        """An artifact for W&B's reader."""

        def get(self, path: str) -> Any:
            return real.Table.from_json(json.loads((root / path).read_text()), self)

    found, ours = Source().get("sub/t.table.json"), logged.get("sub/t")
    for table in (found, ours):
        assert table.data == naming(wandb, digits())[name].data
    if name == "rows":
        assert [cell.get_row() for cell in found.get_column("c")] == [cell.get_row() for cell in ours.get_column("c")]
        assert ours.data[0][0].get_row() == {"name": "two", "value": 2}
    if name == "keys":
        assert found.data[0][0]._table.data == ours.data[0][0].table.data == digits().data
        assert (found.data[0][0]._col_name, ours.data[0][0].column) == ("name", "name")
    if name == "own":
        assert ours.data[0][0].table is ours


def test_what_wandb_wrote_of_tables_that_name_rows_is_read(tmp_path: Path) -> None:
    for name, table in naming(real, digits(real)).items():
        theirs = real.Artifact(f"theirs-{name}", type="dataset")
        theirs.add(table, "t")
        for path, entry in theirs.manifest.entries.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(Path(entry.local_path).read_bytes())
        found = by_us(tmp_path / "t.table.json", tmp_path)
        assert found == naming(wandb, digits())[name]
        cell = found.data[0][0]
        assert cell.table == (found if name == "own" else digits())
        assert by_us(rewritten(found, tmp_path / name), tmp_path / name) == found


def test_rows_are_named_by_the_cells_that_a_loop_over_another_table_gives() -> None:
    first = Table(columns=["v"], data=[[5], [6]])
    second = Table(columns=["c", "w"], data=[[0, None]])
    for index, row in first.iterrows():
        second.add_data(index, row[0])
    assert type_of(second)["params"]["allowed_types"][0]["wb_type"] == "foreignIndex"
    assert [cell.get_row()["v"] for cell in second.get_column("c")] == [5, 5, 6]
    second.add_data(None, 7)
    found = through(second)
    assert found.get_column("c") == [0, 0, 1, None] and found.data[2][0].get_row() == {"v": 6}
    other = Table(columns=["v"], data=[[1]])
    with pytest.raises(InvalidType, match="^column 'c' holds rows of a table: 0 does not fit"):
        second.add_data(other.index_ref(0), 1)
    own = Table(columns=["c"], data=[[1]])
    own.add_data(own.index_ref(0))  # a number
    assert through(own).data == [[1], [0]]
    assert second.get_dataframe()["c"].tolist()[:3] == [0, 0, 1]


def test_keys_are_text_and_stay_keys() -> None:
    table, other = digits(), Table(columns=["c"], data=[["one"]])
    with pytest.raises(TypeError, match="^Existing data 1 cannot be cast to keys$"):
        Table(columns=["n"], data=[[1]]).set_pk("n")
    with pytest.raises(TypeError, match="which can't be unset$"):
        table.cast("name", str)
    with pytest.raises(AssertionError, match="^column 'name' is the key of this table$"):
        table.set_fk("name", other, "c")
    with pytest.raises(AssertionError, match="^a key names rows of a Table, not of list$"):
        table.set_fk("value", [], "c")
    with pytest.raises(TypeError):
        table.add_data(5, 5)
    table.add_data("three", 3)
    assert table.data[2][0].table is table
    other.add_data(table.data[0][0])
    assert (other.data[1][0].table is table, type_of(other)["params"]["allowed_types"][0]["wb_type"]) == (
        True,
        "foreignKey",
    )
    for same in (copy.deepcopy(other), pickle.loads(pickle.dumps(other))):
        assert same == other
    json.dumps(other.data)


def test_tables_that_name_each_other_are_refused_when_they_are_stored() -> None:
    one, two = (Table(columns=["c"], data=[["x"]]) for _ in range(2))
    one.set_fk("c", two, "c")
    two.set_fk("c", one, "c")
    with pytest.raises(InvalidValue, match="^the tables name each other in a circle, and can't be stored$"):
        wandb.Artifact("data").add(one, "t")


def test_a_table_that_names_itself_or_nothing_is_damage_or_never_read(tmp_path: Path) -> None:
    kind = {"wb_type": "foreignIndex", "params": {"table": "t.table.json"}}
    told = {
        "_type": "table", "columns": ["c"], "data": [[0]], "ncols": 1, "nrows": 1,
        "column_types": {"wb_type": "typedDict", "params": {"type_map": {"c": kind}}},
    }  # fmt: skip
    file = tmp_path / "t.table.json"
    file.write_text(json.dumps(told))
    assert by_us(file, tmp_path).data[0][0].get_row() == {"c": 0}
    for params in ({}, {"table": 5}, {"table": "t.table.json", "col_name": []}):
        kind["params"] = params
        file.write_text(json.dumps(told))
        with pytest.raises(Damage, match="has a column of keys that names no table$"):
            by_us(file, tmp_path)


def test_a_table_comes_from_the_json_of_its_file() -> None:
    artifact = wandb.Artifact("data")
    table = Table(columns=["a", "t"], data=[[np.ones((2, 2)), dt.date(2020, 1, 2)]])
    artifact.add(table, "t")
    logged = log(artifact)
    told = json.loads(logged.get_entry("t").open().read())
    assert Table.from_json(told, logged) == table
