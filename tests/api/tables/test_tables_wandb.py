"""Tables between artstore and the real wandb package: either reads what the other wrote, with equal values."""

import datetime as dt
import importlib.util
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import artstore
from artstore.api.tables.table import Table
from tests.support.artifacts import log

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
real = pytest.importorskip("wandb")

GOLDEN = Path(__file__).parent / "wandb_tables"
UTC = dt.UTC
NAN, INF = float("nan"), float("inf")


def _reader() -> ModuleType:
    """The program beside the golden files that reads tables with the real package."""
    spec = importlib.util.spec_from_file_location("read_ours", GOLDEN / "read_ours.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = _reader()


def by_wandb(file: Path, root: Path) -> Any:
    """What the real wandb.Table.from_json makes of a file."""
    return real.Table.from_json(json.loads(file.read_text()), source_artifact=reader.Source(str(root)))


def by_us(file: Path, root: Path) -> Table:
    return Table.read(lambda: open(file, "rb"), lambda path: open(root / path, "rb"), file.name)


def rewritten(table: Table, folder: Path) -> Path:
    """The table as a file, arrays beside it, as it lies in an artifact."""
    folder.mkdir(exist_ok=True)
    beside: dict[str, bytes] = {}
    out = io.BytesIO()
    table.write(out, beside.__setitem__)
    for path, data in [*beside.items(), ("t.table.json", out.getvalue())]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder / "t.table.json"


def plain(value: Any) -> Any:
    """Values for comparing: arrays with their type, times in UTC, NaN as itself once."""
    shown = reader.plain(_in_utc(value))
    return json.loads(json.dumps(shown))


def _in_utc(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, list | tuple):
        return [_in_utc(item) for item in value]
    return {key: _in_utc(item) for key, item in value.items()} if isinstance(value, dict) else value


pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # wandb leaves files open

DIFFERENT: dict[str, tuple[str, list[Any]]] = {
    "list_dates": ("nested times stay numbers, as they stand in the file", [[[1577923200000]]]),
    "log_mode_incremental": ("W&B asks its server for the rows of increments, and has none without it", [[1]]),
    "dict_date": ("nested times stay numbers, as they stand in the file", [[{"d": 1577923200000}]]),
}
"""Golden files of which W&B and we read other values: why, and ours."""

_NAMES = sorted(path.name.removesuffix(".table.json") for path in GOLDEN.glob("*.table.json"))


def test_there_are_golden_files() -> None:
    assert len(_NAMES) > 60


@pytest.mark.parametrize("name", _NAMES)
def test_what_wandb_wrote_and_reads_is_read_with_equal_values(name: str) -> None:
    file = GOLDEN / f"{name}.table.json"
    try:
        theirs = by_wandb(file, GOLDEN)
    except Exception as error:  # what it wrote and can't read
        theirs, why = None, error
    ours = by_us(file, GOLDEN)
    if theirs is None:
        assert len(ours) == json.loads(file.read_text())["nrows"], why
        return
    assert ours.columns == theirs.columns
    if name in DIFFERENT:
        assert plain(list(ours.data)) == DIFFERENT[name][1] != plain(theirs.data)
    else:
        assert plain(list(ours.data)) == plain(theirs.data)


@pytest.mark.parametrize("name", _NAMES)
def test_what_wandb_wrote_is_written_again_with_equal_values(name: str, tmp_path: Path) -> None:
    ours = by_us(GOLDEN / f"{name}.table.json", GOLDEN)
    file = rewritten(ours, tmp_path / "out")
    assert plain(list(by_us(file, tmp_path / "out").data)) == plain(list(ours.data))


@pytest.mark.parametrize("name", _NAMES)
def test_golden_tables_are_stored_as_they_are_and_got(name: str, here: Path) -> None:
    artifact = artstore.Artifact("data")
    artifact.add_dir(GOLDEN, include=["media/**", f"{name}.table.json"])
    logged = log(artifact)
    found = logged.get(name)
    assert plain(list(found.data)) == plain(list(by_us(GOLDEN / f"{name}.table.json", GOLDEN).data))
    assert logged.get_entry(name).size == (GOLDEN / f"{name}.table.json").stat().st_size


COLUMNS: dict[str, list[Any]] = {
    "ints": [1, -2, 2**53 + 1, 2**70, None],
    "floats": [1.5, -0.0, 1e300, NAN, None],
    "infinity": [INF, -INF, 1],
    "ints and floats": [1, 2.5],
    "booleans": [True, None],
    "text": ["", 'é\n"☃"', "😀", None],
    "none": [None, None],
    "dates": [dt.date(2020, 1, 2), dt.date(1969, 7, 20), None],
    "naive times": [dt.datetime(2020, 1, 2, 3, 4, 5, 678000), None],
    "aware times": [dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=1)))],
    "Timestamps": [pd.Timestamp("2020-01-02"), pd.NaT],
    "lists": [[1, 2], [3], None],
    "empty lists": [[], []],
    "nested lists": [[[1, 2], [3]], [[4], []]],
    "lists with None": [[1, None], [None, 2]],
    "lists of anything": [[1, "x"]],
    "lists of dicts": [[{"a": 1}, {"a": 2}]],
    "tuples": [(1, 2), (3, 4)],
    "sets": [{1}, {2}],
    "dicts": [{"b": 1, "a": "x"}, {"b": 2, "a": "y"}],
    "dicts of other keys": [{"a": 1}, {"b": 2}],
    "nested dicts": [{"a": {"b": [1, 2]}, "n": None}],
    "empty dicts": [{}, {}],
    "numpy scalars": [np.int8(1), np.float32(0.5)],
    "arrays": [np.array([1, 2, 3]), np.array([4, 5, 6])],
    "arrays with None": [np.array([1, 2]), None],
    "long arrays": [np.arange(151.0), np.arange(151.0)],
    "arrays of two dimensions": [np.ones((2, 3)), np.zeros((2, 3))],
    "arrays of text in two dimensions": [np.array([["x"]]), np.array([["long"]])],
}


def _as_wandb_gives(value: Any) -> Any:
    """W&B knows no dates apart from times, and gives lists for arrays that stand in cells; NaN and NaT are None."""
    if value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, pd.Timestamp):
        return _as_wandb_gives(value.to_pydatetime())
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.size <= 150:
        return value.tolist()
    return sorted(value) if isinstance(value, set) else value


def _without_dtype(value: Any) -> Any:
    """Arrays of text are as wide as their longest, together."""
    if isinstance(value, dict) and list(value) == ["$ndarray"]:
        return value["$ndarray"][1]
    return [_without_dtype(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("optional", [True, False], ids=["optional", "not optional"])
@pytest.mark.parametrize("name", COLUMNS)
def test_what_we_write_is_read_by_wandb(name: str, optional: bool, here: Path) -> None:
    values = COLUMNS[name]
    missing = [value for value in values if _as_wandb_gives(value) is None]
    if missing and not optional:
        pytest.skip("needs an optional column")
    artifact = artstore.Artifact("data")
    rows = [["k", value] for value in values]
    artifact.add(Table(columns=["k", "c"], data=rows, optional=optional), "t")
    root = Path(log(artifact).download())
    found = by_wandb(root / "t.table.json", root)
    assert found.columns == ["k", "c"]
    wanted = [["k", _as_wandb_gives(value)] for value in values]
    assert _without_dtype(plain(found.data)) == _without_dtype(plain(wanted))
    found.add_data("k", found.data[0][1])  # and goes on there
    assert len(found.data) == len(values) + 1


def test_mixed_tables_and_numbered_columns_and_empty_ones_are_read_by_wandb(tmp_path: Path) -> None:
    tables = [
        Table(columns=["c"], data=[[1], ["x"], [None], [[1, "y"]]], allow_mixed_types=True),
        Table(columns=[0, 1], data=[[1, "x"]]),
        Table(columns=["a", "b"]),
        Table(columns=[]),
    ]
    for number, table in enumerate(tables):
        root = tmp_path / str(number)
        found = by_wandb(rewritten(table, root), root)
        assert (found.columns, plain(found.data)) == (table.columns, plain(list(table.data)))


REAL: dict[str, Callable[[], Any]] = {
    "values": lambda: real.Table(columns=["i", "s", "b"], data=[[1, "x", True], [None, None, None]]),
    "times": lambda: real.Table(columns=["t"], data=[[dt.datetime(2020, 1, 2, 3, 4, 5)], [None]]),
    "dataframe": lambda: real.Table(dataframe=pd.DataFrame({"i": [1, 2], "f": [0.5, NAN]})),
    "arrays": lambda: real.Table(columns=["k", "a"], data=[["x", np.ones((2, 2))], ["y", np.zeros((2, 2))]]),
    "long arrays": lambda: real.Table(columns=["a"], data=[[np.arange(151)]]),
    "nested": lambda: real.Table(columns=["l", "d"], data=[[[[1], [2]], {"k": ["x"]}]]),
    "mixed": lambda: real.Table(columns=["c"], data=[[1], ["x"]], allow_mixed_types=True),
}


@pytest.mark.parametrize("name", REAL)
def test_what_wandb_adds_to_a_draft_is_stored_and_got(name: str, here: Path) -> None:
    made = REAL[name]()
    theirs = real.Artifact("theirs", type="dataset")
    theirs.add(made, "d/t")
    artifact = artstore.Artifact("data", type="dataset")
    folder = Path("theirs")
    for path, entry in theirs.manifest.entries.items():
        artifact.add_file(entry.local_path, name=path)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(entry.local_path, folder / path)
    found = log(artifact).get("d/t")
    assert isinstance(found, Table) and found.columns == made.columns
    again = by_wandb(folder / "d" / "t.table.json", folder)
    assert plain(list(found.data)) == plain(again.data)
    assert len(found) == len(made.data)


def test_what_wandb_refuses_for_its_shape_or_type_is_refused_here() -> None:
    errors = json.loads((GOLDEN / "errors.json").read_text())
    ours: dict[str, Callable[[], Any]] = {
        "str_after_int": lambda: Table(columns=["c"], data=[[1], ["x"]]),
        "bool_after_int": lambda: Table(columns=["c"], data=[[1], [True]]),
        "none_not_optional": lambda: Table(columns=["c"], data=[[None]], optional=False),
        "nan_not_optional": lambda: Table(columns=["c"], data=[[1.0], [NAN]], optional=False),
        "none_in_add_column": lambda: Table(columns=["a"], data=[[1]]).add_column("b", [None]),
        "row_too_short": lambda: Table(columns=["a", "b"], data=[[1]]),
        "row_too_long": lambda: Table(columns=["a"]).add_data(1, 2),
        "row_wrong_length_default_columns": lambda: Table(data=[[1, 2]]),
        "columns_wrong_type": lambda: Table(columns=[1.5]),
        "log_mode": lambda: Table(columns=["a"], log_mode="X"),
        "add_column_exists": lambda: Table(columns=["c"], data=[[1]]).add_column("c", [1]),
        "get_column_unknown": lambda: Table(columns=["c"]).get_column("d"),
    }
    taken = []
    for name, make in ours.items():
        kind = {"TypeError": TypeError, "ValueError": ValueError}.get(errors[name]["class"], Exception)
        try:
            make()
        except kind as error:
            assert isinstance(error, artstore.errors.ArtstoreError), name
        else:
            taken.append(name)
    assert taken == []
