"""Tables that a run logs: once, again after a change, or bit by bit. They become artifacts and files of the run."""

import hashlib
import json
import os
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import artstore as wandb
from artstore.api.tables.file import increment_of
from artstore.errors import Damage, InvalidValue
from tests.support.media import run_files
from tests.support.runs import rows

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
MUTATING = (
    "^You are mutating a Table with log_mode='IMMUTABLE' that has been logged already. Subsequent log\\(\\) calls"
)


def table(mode: str = "IMMUTABLE", *more: Any) -> wandb.Table:
    return wandb.Table(columns=["a", "b"], data=[[1, "x"], *more], log_mode=mode)


def artifact(name: str) -> wandb.Artifact:
    return wandb.Api().artifact(name)


def test_a_table_that_a_run_logs_is_an_artifact_and_a_file_of_the_run_with_the_same_bytes() -> None:
    with wandb.init(id="r") as run:
        run.log({"val/k": table()})
        told = run.summary["val/k"]
        assert run.use_artifact("run-r-val-k:v0").get("val/k") == table()
    data = run_files()[told["path"]]
    sha256 = hashlib.sha256(data).hexdigest()
    logged = artifact("run-r-val-k:v0")
    assert logged.type == "run_table"
    assert told == rows("r")[0]["val/k"] == {
        "_type": "table-file", "path": f"media/table/val/k_0_{sha256[:20]}.table.json", "sha256": sha256,
        "size": len(data), "artifact_path": logged.get_entry("val/k").ref_url(), "ncols": 2, "nrows": 1,
        "log_mode": "IMMUTABLE",
    }  # fmt: skip
    assert logged.get_entry("val/k").open().read() == data
    assert json.loads(data)["data"] == [[1, "x"]]


def test_media_in_a_table_that_a_run_logs_come_back() -> None:
    image = wandb.Image(np.zeros((2, 3, 3), dtype="u1"), caption="dark")
    with wandb.init(id="r") as run:
        run.log({"k": wandb.Table(columns=["n", "im"], data=[[1, image], [2, None]])})
    assert artifact("run-r-k:latest").get("k").data == [[1, image], [2, None]]


def test_a_dataframe_that_a_run_logs_is_a_table() -> None:
    with wandb.init(id="r") as run:
        run.log({"k": pd.DataFrame({"a": [1, 2]}), "/odd//key": pd.DataFrame({"a": [3]})})
    assert artifact("run-r-k:v0").get("k").data == [[1], [2]]
    assert [file.name for file in artifact("run-r--odd-key:v0").files()] == ["odd/key.table.json"]


def test_a_table_is_logged_once_unless_its_mode_says_otherwise() -> None:
    one = table()
    with wandb.init(id="r") as run:
        run.log({"k": one})
        run.log({"k": one})
        with pytest.warns(UserWarning, match=MUTATING) as said:
            one.add_data(2, "y")
            one.add_data(3, "z")
        assert [warning.filename for warning in said] == [__file__]
        run.log({"k": one})
    first, *later = [row["k"] for row in rows("r")]
    assert later == [first, first]
    assert (artifact("run-r-k:latest").version, artifact("run-r-k:latest").get("k")) == ("v0", table())
    with wandb.init(id="other") as run:  # another run logs all of it
        run.log({"k": one})
    assert len(artifact("run-other-k:v0").get("k")) == 3


def test_rows_that_were_added_behind_a_tables_back_are_not_left_out_silently() -> None:
    one = table()
    with wandb.init(id="r") as run:
        run.log({"k": one})
        one.data.append([2, "y"])  # type: ignore[union-attr]
        with pytest.warns(UserWarning, match=MUTATING) as said:
            run.log({"k": one})
        assert said[0].filename == __file__


def test_a_mutable_table_is_logged_again_after_each_change() -> None:
    one = table("MUTABLE")
    with wandb.init(id="r") as run, warnings.catch_warnings():
        warnings.simplefilter("error")
        run.log({"k": one})
        run.log({"k": one})
        assert artifact("run-r-k:latest").version == "v0"
        one.add_data(2, "y")
        run.log({"k": one})
        one.add_column("c", [0.5, 1.5])
        run.log({"k": one})
        one.data.append([3, "z", 2.5])  # type: ignore[union-attr]
        run.log({"k": one})
    assert artifact("run-r-k:v1").get("k").data == [[1, "x"], [2, "y"]]
    found = artifact("run-r-k:latest").get("k")
    assert (found.data, found.log_mode) == ([[1, "x", 0.5], [2, "y", 1.5], [3, "z", 2.5]], "MUTABLE")
    assert [row["k"]["nrows"] for row in rows("r")] == [1, 1, 2, 2, 3]


def test_an_incremental_table_stores_with_each_log_the_rows_that_are_new() -> None:
    one = table("INCREMENTAL")
    with wandb.init(id="r") as run:
        for number in range(3):
            run.log({"k": one})
            run.log({"k": one})  # nothing is new
            one.add_data(number, "y")
    logged = artifact("run-r-incr-k:latest")
    assert (logged.type, logged.version) == ("wandb-run-incremental-table", "v2")
    files = sorted(file.name for file in logged.files())
    assert [increment_of(file)[0] for file in files] == [0, 1, 2]
    stored = [json.loads(logged.get_entry(file).open().read()) for file in files]
    assert [(each["increment_num"], each["data"]) for each in stored] == [
        (0, [[1, "x"]]),
        (1, [[0, "y"]]),
        (2, [[1, "y"]]),
    ]
    assert {each["log_mode"] for each in stored} == {"INCREMENTAL"}
    for file in files:
        assert logged.get(file).data == [[1, "x"], [0, "y"], [1, "y"]]
    assert artifact("run-r-incr-k:v1").get(files[0]).data == [[1, "x"], [0, "y"]]
    told = [row["k"] for row in rows("r")]
    assert [(each["_type"], each["increment_num"], each["nrows"]) for each in told] == [
        ("incremental-table-file", number, number + 1) for number in (0, 0, 1, 1, 2, 2)
    ]
    assert [json.loads(run_files()[each["path"]])["data"] for each in told[::2]] == [each["data"] for each in stored]


def test_a_continued_run_goes_on_with_its_incremental_table() -> None:
    for number in range(3):
        with wandb.init(id="r", resume="allow") as run:
            run.log({"k": wandb.Table(columns=["n"], data=[[number]], log_mode="INCREMENTAL")})
    logged = artifact("run-r-incr-k:latest")
    assert logged.get(next(iter(logged.manifest.entries))).data == [[0], [1], [2]]
    assert wandb.Api().run("r").summary["k"]["increment_num"] == 2


def test_images_and_arrays_are_in_the_increments_in_which_they_were_added() -> None:
    images = [wandb.Image(np.full((2, 2, 3), n, dtype="u1")) for n in range(3)]
    one = wandb.Table(columns=["im", "a"], log_mode="INCREMENTAL")
    with wandb.init(id="r") as run:
        for n, image in enumerate(images):
            one.add_data(image, np.full((2, 2), n))
            run.log({"k": one})
    logged = artifact("run-r-incr-k:latest")
    found = logged.get(next(path for path in logged.manifest.entries if path.endswith(".table.json")))
    assert found.get_column("im") == images
    assert [array.tolist() for array in found.get_column("a")] == [[[n, n], [n, n]] for n in range(3)]
    again = wandb.Artifact("copy", type="data")
    again.add(found, "t")  # as a whole
    again.save()
    assert artifact("copy:v0").get("t") == found


def test_what_would_change_rows_that_are_logged_is_refused_for_an_incremental_table() -> None:
    one = table("INCREMENTAL")
    with wandb.init(id="r") as run:
        run.log({"k": one})
    for change in (lambda: one.add_column("c", [1]), lambda: one.add_computed_columns(lambda n, row: {"c": n})):
        with pytest.raises(
            wandb.Error, match="^Operation 'add_.*' is not supported for tables with log_mode='INCREMENTAL'"
        ):
            change()
    one.add_data(2, "y")
    with wandb.init(id="other") as run, pytest.raises(AssertionError, match="can only be logged to one Run") as caught:
        run.log({"k": one})
    assert isinstance(caught.value, InvalidValue)


def test_increments_with_other_columns_are_damage() -> None:
    draft = wandb.Artifact("parts", type="data")
    for number, name in enumerate("ab"):
        draft.add(wandb.Table(columns=[name], data=[[1]], log_mode="INCREMENTAL").part(0, number), f"{number}-1.k")
    draft.save()
    with pytest.raises(Damage, match="^increments of a table have other columns: \\['a'\\] and \\['b'\\]$"):
        draft.get("0-1.k")


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("3-17.k.table.json", (3, 17)), ("None-17.k.table.json", (0, 17)), ("12.k.table.json", (12, 0)),
        ("k.table.json", (0, 0)), ("1-x.k.table.json", (1, 0)), ("٣-1.table.json", (3, 1)),
    ],
)  # fmt: skip
def test_increments_are_in_the_order_of_their_names(name: str, order: tuple[int, int]) -> None:
    assert increment_of(name) == order


def test_wandb_reads_all_increments_of_a_version() -> None:
    real = pytest.importorskip("wandb")
    one = table("INCREMENTAL")
    with wandb.init(id="r") as run:
        for number in range(3):
            run.log({"k": one})
            one.add_data(number, None)
    logged = artifact("run-r-incr-k:latest")
    root = Path(logged.download())
    entries = {path: SimpleNamespace(download=lambda path=path: str(root / path)) for path in logged.manifest.entries}
    source = SimpleNamespace(aliases=["latest"], manifest=SimpleNamespace(entries=entries))
    for path in entries:
        found = real.Table.from_json(json.loads((root / path).read_text()), source)
        assert (found.data, found.log_mode) == ([[1, "x"], [0, None], [1, None]], "INCREMENTAL")
