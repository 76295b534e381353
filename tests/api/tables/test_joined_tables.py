"""Joined and partitioned tables in W&B's layout: written, read, and exchanged with the real package."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.tables.naming import is_table
from artstore.errors import Damage, InvalidValue
from tests.support.artifacts import log

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # wandb leaves files open


def seen(of: Any = wandb) -> Any:
    return of.Table(columns=["image", "digit"], data=[["1.png", 7], ["2.png", 1]])


def true(of: Any = wandb) -> Any:
    return of.Table(columns=["name", "digit"], data=[["1.png", 1], ["2.png", 1]])


def told(artifact: wandb.Artifact, path: str) -> Any:
    return json.loads(artifact.get_entry(path).open().read())


def logged(**objects: Any) -> wandb.Artifact:
    artifact = wandb.Artifact("data", type="dataset")
    for name, value in objects.items():
        artifact.add(value, name.replace("__", "/"))
    return log(artifact)


def test_a_joined_table_names_two_tables_that_are_added_beside_it() -> None:
    data = logged(d__seen=seen(), sub__both=wandb.JoinedTable("d/seen.table.json", true(), ["image", "name"]))
    assert sorted(file.name for file in data.files()) == [
        "d/seen.table.json", "sub/both.joined-table.json", "t2_sub_both.table.json",
    ]  # fmt: skip
    assert told(data, "sub/both") == {
        "_type": "joined-table", "join_key": ["image", "name"], "table1": "d/seen.table.json",
        "table2": "t2_sub_both.table.json",
    }  # fmt: skip
    found = data.get("sub/both")
    assert found == wandb.JoinedTable(seen(), true(), ["image", "name"]) == data["sub/both.joined-table.json"]
    assert (found.entry.path, repr(found)) == ("sub/both.joined-table.json", "<JoinedTable by image = name>")
    assert found != wandb.JoinedTable(seen(), true(), ["name", "image"]) and found != 5


def test_a_joined_table_that_was_read_is_added_to_another_artifact_with_its_tables() -> None:
    first = logged(d__seen=seen(), both=wandb.JoinedTable("d/seen.table.json", true(), "digit"))
    again = wandb.Artifact("again", type="dataset")
    again.add(first.get("both"), "copy")
    entry = first.get_entry("d/seen")
    again.add(wandb.JoinedTable(entry, entry, "image"), "self")
    found = log(again)
    assert told(found, "copy")["table1"] == "seen.table.json"
    assert found.get("copy") == first.get("both")
    assert told(found, "self")["table1"] == told(found, "self")["table2"] == f"{entry.digest[:20]}.table.json"
    assert found.get("self").tables == (seen(), seen())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "b.table.json", "id"), "JoinedTable table1 should be an artifact path to a table or wandb.Table object"),
        (("a.table.json", 5, "id"), "JoinedTable table2 should be an artifact path to a table or wandb.Table object"),
        (("a.table.json", "b.table.json", ["x"]), "JoinedTable join_key should be a string or a list of two strings"),
        (("a.table.json", "b.table.json", 5), "JoinedTable join_key should be a string or a list of two strings"),
    ],
)  # fmt: skip
def test_what_can_not_be_joined_is_refused_as_wandb_does(arguments: tuple[Any, ...], message: str) -> None:
    real = pytest.importorskip("wandb")
    for of in (wandb, real):
        with pytest.raises(ValueError) as caught:
            of.JoinedTable(*arguments)
        assert str(caught.value) == message


def test_a_table_that_is_not_in_the_artifact_is_refused_by_its_path() -> None:
    artifact = wandb.Artifact("data", type="dataset")
    with pytest.raises(InvalidValue, match="^JoinedTable table:x.table.json not found in artifact. Add a table to the"):
        artifact.add(wandb.JoinedTable("x.table.json", seen(), "image"), "both")


def test_a_partitioned_table_is_all_tables_in_a_folder() -> None:
    parts = {f"parts__{n}": wandb.Table(columns=["n"], data=[[n], [n]]) for n in range(3)}
    data = logged(
        **parts,
        others=seen(),
        parts__both=wandb.JoinedTable(seen(), true(), "digit"),
        all=wandb.PartitionedTable("parts"),
    )
    assert told(data, "all") == {"_type": "partitioned-table", "parts_path": "parts"}
    found = data.get("all")
    assert list(found.iterrows()) == [(at, [at // 2]) for at in range(6)]
    assert (repr(found), found.entry.path) == ("<PartitionedTable parts>", "all.partitioned-table.json")
    assert found == wandb.PartitionedTable("parts") != wandb.PartitionedTable("part")
    again = wandb.Artifact("again", type="dataset")
    again.add(found, "all")
    copied = log(again)
    assert list(copied.get("all").iterrows()) == list(found.iterrows())
    assert "others.table.json" not in [file.name for file in copied.files()]


def test_parts_with_other_columns_are_refused_as_wandb_does() -> None:
    data = logged(parts__1=seen(), parts__2=true(), all=wandb.PartitionedTable("parts"))
    with pytest.raises(
        ValueError, match="^Table parts have non-matching columns. \\['image', 'digit'\\] != \\['name', 'digit'\\]$"
    ):
        list(data.get("all").iterrows())
    assert list(wandb.PartitionedTable("parts").iterrows()) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.joined-table.json", "5"), ("x.joined-table.json", "{"), ("x.joined-table.json", '{"table1": "a.table.json"}'),
        ("x.joined-table.json", '{"table1": "x.joined-table.json", "table2": "x.joined-table.json", "join_key": "a"}'),
        ("x.joined-table.json", '{"table1": "a.table.json", "table2": "a.table.json"}'),
        ("x.partitioned-table.json", "[]"), ("x.partitioned-table.json", '{"parts_path": 5}'),
    ],
)  # fmt: skip
def test_a_file_that_is_no_group_of_tables_is_damage(name: str, content: str) -> None:
    artifact = wandb.Artifact("data", type="dataset")
    with artifact.new_file(name) as file:
        file.write(content)
    with pytest.raises(Damage):
        log(artifact).get("x")


def test_a_joined_table_whose_table_is_gone_has_its_path() -> None:
    artifact = wandb.Artifact("data", type="dataset")
    with artifact.new_file("x.joined-table.json") as file:
        json.dump({"table1": "a.table.json", "table2": "b.table.json", "join_key": "id"}, file)
    assert log(artifact).get("x").tables == ("a.table.json", "b.table.json")


def test_only_tables_have_the_ending_of_tables() -> None:
    assert list(map(is_table, ["a.table.json", "a/table.json", "my-table.json", "a.joined-table.json"])) == [
        True,
        True,
        True,
        False,
    ]
    assert not is_table("x.partitioned-table.json")


def test_a_run_logs_groups_of_tables_as_artifacts() -> None:
    with wandb.init(id="r") as run:
        run.log({"both": wandb.JoinedTable(seen(), true(), "digit")})
    artifact = wandb.Api().artifact("run-r-both:v0")
    assert artifact.type == "run_table" and artifact.get("both").tables == (seen(), true())
    assert wandb.Api().run("r").summary["both"] == {
        "_type": "joined-table", "artifact_path": artifact.get_entry("both").ref_url(),
    }  # fmt: skip


# -- the real package --


class Source:
    """A downloaded artifact for W&B's readers."""

    def __init__(self, root: Path) -> None:
        self.root, self.manifest = root, self

    def get(self, path: str) -> Any:
        real = pytest.importorskip("wandb")
        return real.Table.from_json(json.loads((self.root / path).read_text()), self)

    def get_entries_in_directory(self, folder: str) -> Any:
        from types import SimpleNamespace

        return [
            SimpleNamespace(path=str(path.relative_to(self.root))) for path in sorted((self.root / folder).iterdir())
        ]


def test_wandb_reads_what_is_written_here() -> None:
    real = pytest.importorskip("wandb")
    data = logged(
        parts__1=seen(),
        parts__2=seen(),
        all=wandb.PartitionedTable("parts"),
        both=wandb.JoinedTable(seen(), true(), "digit"),
    )
    root = Path(data.download())
    joined = real.JoinedTable.from_json(json.loads((root / "both.joined-table.json").read_text()), Source(root))
    assert (joined._table1.data, joined._table2.data, joined._join_key) == (seen().data, true().data, "digit")
    parts = json.loads((root / "all.partitioned-table.json").read_text())
    whole = real.data_types.PartitionedTable.from_json(parts, Source(root))
    assert [row for _, row in whole.iterrows()] == [*seen().data, *seen().data]


def test_what_wandb_writes_is_read_here(tmp_path: Path) -> None:
    real = pytest.importorskip("wandb")
    theirs = real.Artifact("theirs", type="dataset")
    theirs.add(seen(real), "parts/1")
    theirs.add(true(real), "true")
    theirs.add(real.JoinedTable("true.table.json", seen(real), ["name", "image"]), "both")
    theirs.add(real.data_types.PartitionedTable("parts"), "all")
    ours = wandb.Artifact("ours", type="dataset")
    for path, entry in theirs.manifest.entries.items():
        ours.add_file(entry.local_path, name=path)
    found = log(ours)
    assert found.get("both") == wandb.JoinedTable(true(), seen(), ["name", "image"])
    assert [row for _, row in found.get("all").iterrows()] == seen().data
