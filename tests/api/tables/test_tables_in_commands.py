"""`cat` and `diff` of tables."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest

import artstore as wandb
from artstore.api.tables.table import Table
from artstore.errors import InvalidValue, NotFound
from tests.support.artifacts import again, log, write
from tests.support.commands import Cli, environment
from tests.support.tables import INF, UTC, column

np = pytest.importorskip("numpy")


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
        ("bad", 7, "error: 'bad.table.json' of data:v0 is not a table: '{' is missing\n"),
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
            cwd=here, env=environment(here), capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.fail("a wide cell takes longer than 30 s to be cut")
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
            "error: two rows have the key [1]\nhint: choose columns whose values identify one row\n",
        ),
        (["bad", "--key", "k"], 7, "error: 'bad.table.json' of data:v0 is not a table: '{' is missing\n"),
        (["plain.txt", "--key", "k"], 7, "error: 'plain.txt' of data:v0 is not a table: '{' is missing\n"),
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


def test_a_set_is_shown_in_one_order_and_a_tuple_as_a_list(cli: Cli, here: Path) -> None:
    artifact = wandb.Artifact("data")
    artifact.add(Table(columns=["t", "s"], data=[[(2, 1), {"c", "a", "b"}]]), "t")
    log(artifact)
    lines = cli("cat", "data", "t", cwd=here).out.splitlines()
    assert lines[-1].split("  ") == ["[2, 1]", '["a", "b", "c"]'], lines
