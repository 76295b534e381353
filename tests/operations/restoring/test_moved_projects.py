"""A project that was moved: what its repository noted by paths in it is still right."""

import json
import os
from pathlib import Path

import pytest

from artstore.domain.digest import plain_digest
from artstore.domain.names import LOCK_FILE
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot

BIG = "x" * (2 << 20)


@pytest.fixture
def moved(tmp_path: Path, cli: Cli) -> Path:
    """A project with a folder and a file that were put, a remote in it, and a checkout by symlinks, after `mv`."""
    project = make_tree(tmp_path / "project", {"data/f": "1", "data/big": BIG, "model.bin": "m"})
    for command in (
        ["put", "data"], ["put", "model.bin", "--name", "model"], ["get", "data", "--root", "linked", "--link", "symlink"],
        ["remote", "add", "store", "store", "--init"], ["push"],
    ):  # fmt: skip
        result = cli(*command, cwd=project)
        assert result.code == 0, result
    (tmp_path / "deeper").mkdir()
    project.rename(tmp_path / "deeper/p2")
    return tmp_path / "deeper/p2"


def test_status_knows_the_folders_of_a_moved_project_and_sees_edits(moved: Path, cli: Cli) -> None:
    told = cli("status", cwd=moved)
    assert told.code == 0 and [line.split(":")[0] for line in told.out.splitlines()] == ["data", "linked", "model.bin"]
    (moved / "data/f").write_text("edited")
    (moved / "model.bin").write_text("edited")
    told = cli("status", cwd=moved)
    assert told.out.count("1 changed") == 2, told.out


def test_symlinks_to_the_store_lead_there_after_a_move(moved: Path, cli: Cli) -> None:
    assert (moved / "linked/big").is_symlink() and (moved / "linked/big").read_text() == BIG
    again = cli("get", "data", "--root", "linked", "--link", "symlink", cwd=moved)
    assert again.code == 0 and "0 B written" in again.out


def test_a_remote_in_a_moved_project_is_found(moved: Path, cli: Cli) -> None:
    make_tree(moved / "data", {"new": "2"})
    assert cli("put", "data", cwd=moved).code == 0
    told = cli("push", cwd=moved)
    assert told.code == 0 and "data: pushed v1" in told.out
    assert cli("lock", "data", cwd=moved).code == 0 and 'url = "store"' in (moved / LOCK_FILE).read_text()


def test_a_folder_outside_the_project_is_known_after_the_move(tmp_path: Path, cli: Cli) -> None:
    outside = make_tree(tmp_path / "outside", {"f": "1"})
    (tmp_path / "project").mkdir()
    assert cli("put", outside, "--name", "data", cwd=tmp_path / "project").code == 0
    (tmp_path / "project").rename(tmp_path / "p2")
    told = cli("status", cwd=tmp_path / "p2")
    assert told.code == 0 and "outside" in told.out


def test_links_that_lead_nowhere_since_a_store_was_moved_are_replaced_without_force(tmp_path: Path, cli: Cli) -> None:
    make_tree(tmp_path / "project/data", {"big": BIG})
    assert cli("put", "data", cwd=tmp_path / "project").code == 0
    assert cli("get", "data", "--root", "../out", "--link", "symlink", cwd=tmp_path / "project").code == 0
    assert os.path.isabs(os.readlink(tmp_path / "out/big"))
    (tmp_path / "project").rename(tmp_path / "p2")
    assert not (tmp_path / "out/big").exists()
    for options in (["--link", "symlink"], []):
        told = cli("get", "data", "--root", "../out", *options, cwd=tmp_path / "p2")
        assert told.code == 0, told
        assert (tmp_path / "out/big").read_text() == BIG
    (tmp_path / "out/big").unlink()
    (tmp_path / "out/big").symlink_to("/nowhere/objects/blobs/ab/" + "ab" * 32)
    assert cli("get", "data", "--root", "../out", cwd=tmp_path / "p2").code == 6, "nobody knows what this was"


def test_a_copy_of_a_project_knows_its_own_folders(tmp_path: Path, cli: Cli) -> None:
    project = make_tree(tmp_path / "project", {"data/f": "1"})
    assert cli("put", "data", cwd=project).code == 0
    copy = tmp_path / "copy"
    os.system(f"cp -a '{project}' '{copy}'")
    (copy / "data/f").write_text("edited")
    assert "1 changed" in cli("status", cwd=copy).out and "1 changed" not in cli("status", cwd=project).out
    assert snapshot(project / "data") == {"f": (False, b"1")}


def test_notes_with_absolute_paths_in_the_project_are_read_and_replaced(here: Path, cli: Cli) -> None:
    """As they were written before notes were relative to the project."""
    make_tree(here / "src", {"a": "1"})
    cli("put", "src", "--name", "a", cwd=here)
    (note,) = (here / ".artifacts/checkouts").iterdir()
    value = json.loads(note.read_text())
    assert value["place"] == "src"
    note.unlink()
    old = note.with_name(f"{plain_digest(os.fsencode(here / 'src')).hex()[:32]}.json")
    old.write_text(json.dumps(value | {"place": str(here / "src")}))
    assert "src: a:v0 (the newest), unchanged" in cli("status", cwd=here).out
    (here / "src/a").write_text("2")
    cli("put", "src", "--name", "a", cwd=here)
    assert list((here / ".artifacts/checkouts").iterdir()) == [note]
