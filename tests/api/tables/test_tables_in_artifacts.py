"""Tables in artifacts, and tables of more rows than are kept in memory."""

import datetime as dt
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import artstore as wandb
from artstore.api.tables.table import Table
from artstore.errors import ArtifactNotLoggedError, InvalidType, InvalidValue
from tests.support.artifacts import again, draft, log, paths, write
from tests.support.checks import check
from tests.support.commands import environment
from tests.support.tables import _table, assert_same, cells, column, through

np = pytest.importorskip("numpy")


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
    monkeypatch.setattr("artstore.api.tables.typed.IN_MEMORY", 10)
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


# -- on the command line --


def test_the_store_is_whole_after_many_tables(here: Path) -> None:
    for number in range(3):
        through(Table(columns=["a", "b"], data=[[np.full((3, 3), number), number]]))
    check(here / ".artifacts")
