"""Clones: of empty remotes, into folders that are taken, and called again."""

import shutil
from pathlib import Path

import pytest

from artstore.domain.properties import Properties
from artstore.errors import ArtstoreError, Conflict, NotFound
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.exchange import FILES, cloned, files_below, only, put, says
from tests.support.folders import make_tree, snapshot


def test_a_clone_of_an_empty_remote_is_empty_and_one_of_a_folder_that_holds_a_repository_works(
    anna: Repository, nas: Path, tmp_path: Path
) -> None:
    with cloned(tmp_path, nas, "empty") as empty:
        assert list(empty.collections()) == []
    put(anna, "a", FILES)
    with cloned(tmp_path, tmp_path / "anna", "of a folder") as clone:
        assert says(clone) == says(anna)
        put(clone, "a", {"f": "back"})
        clone.push()
    assert anna.find("a").version["number"] == 1
    check(tmp_path / "of a folder/.artifacts")


def test_a_clone_goes_into_no_repository_that_is_there(anna: Repository, nas: Path, tmp_path: Path) -> None:
    Repository.init(str(tmp_path / "other/.artifacts")).close()
    before = files_below(tmp_path / "other")
    with pytest.raises(Conflict, match="there is another repository in"):
        cloned(tmp_path, nas, "other")
    assert files_below(tmp_path / "other") == before
    make_tree(tmp_path / "full/.artifacts", {"x": ""})
    with pytest.raises(ArtstoreError):
        cloned(tmp_path, nas, "full")
    assert snapshot(tmp_path / "full") == {".artifacts": None, ".artifacts/x": (False, b"")}


def test_a_clone_that_fails_at_once_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        cloned(tmp_path, tmp_path / "nowhere")
    assert not (tmp_path / "clone/.artifacts").exists()


def test_a_clone_called_again_is_a_pull(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    cloned(tmp_path, nas).close()
    put(anna, "a", {"f": "1"})
    anna.push()
    with cloned(tmp_path, nas) as clone:
        assert says(clone) == says(anna)


def test_notes_of_remotes_may_be_deleted_at_any_time(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    put(bob, "a", {"f": "1"})
    shutil.rmtree(Path(bob.root) / "remotes")
    shutil.rmtree(Path(bob.root) / "cache")
    with Repository(bob.root) as again:
        assert only(again.push()).versions == ("a:v1",)
    shutil.rmtree(Path(anna.root) / "remotes")
    assert only(anna.pull()).versions == ("a:v1",)
    assert says(anna) == says(nas)


def test_a_log_of_many_entries_is_pushed_and_pulled_with_its_checkpoints(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", {"f": "0"})
    for n in range(66):
        anna.set_tags("a", (f"t{n}",))
    anna.push()
    bob.pull()
    with Repository(str(nas)) as there:
        for n in range(66):
            there.edit("a", Properties(metadata={f"k{n}": n}))
    assert list((nas / "refs").rglob("*.checkpoint"))
    bob.edit("a", Properties(aliases=("his",)))
    bob.push()
    for repository in (bob, anna):
        repository.pull()
        assert says(repository) == says(nas)
    assert anna.find("a:his").version["tags"] == [f"t{n}" for n in range(66)]
