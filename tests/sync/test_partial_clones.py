"""Partial clones: bytes that were left at the remote are fetched when they are needed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import artstore
from artstore.domain.ignore import PathFilter
from artstore.domain.selection import Selection
from artstore.errors import ArtstoreError, MissingObject
from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from artstore.store.packs import LARGE
from artstore.sync.transfer import NOTHING
from tests.support.checks import check
from tests.support.exchange import BIG, FILES, cloned, got, objects_of, only, put, says
from tests.support.folders import make_tree, snapshot


def blobs_here(repository: Repository) -> int:
    return sum(kind == "blob" for kind, _ in objects_of(Path(repository.root)))


@pytest.fixture
def filled(anna: Repository) -> Repository:
    put(anna, "a", FILES)
    put(anna, "a", FILES | {"a.txt": "second"}, metadata={"long": "x" * 9000})
    anna.push()
    return anna


@pytest.fixture
def partial(filled: Repository, nas: Path, tmp_path: Path) -> Iterator[Repository]:
    """A clone without files' bytes."""
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as repository:
        yield repository
    check_partial(tmp_path / "partial/.artifacts")


def check_partial(root: Path) -> None:
    with Repository(str(root)) as repository:
        assert repository.fsck().problems == []


def test_a_clone_without_bytes_has_all_else_and_fetches_them_when_they_are_asked_for(
    partial: Repository, filled: Repository
) -> None:
    assert blobs_here(partial) == 1, "a long value of metadata"
    assert partial.remotes.all()["origin"].partial
    assert says(partial) == says(filled)
    report = partial.fsck()
    assert report.problems == [] and any("6 blobs stored only at a remote" in note for note in report.notes)
    assert got(partial, "a:v1", Restore(Selection("sub/"))) == {
        k: v for k, v in got(filled, "a:v1").items() if k.startswith("sub")
    }
    assert blobs_here(partial) == 3
    found = partial.find("a:v0")
    assert b"".join(partial.content(partial.entry(found, "a.txt"))) == b"small"
    assert b"".join(partial.content(partial.entry(found, "big.bin"))) == BIG
    assert blobs_here(partial) == 5
    assert got(partial, "a:v1") == got(filled, "a:v1")
    assert got(partial, "a:v0") == got(filled, "a:v0")
    assert not any("remote" in note for note in partial.fsck().notes)


def test_a_clone_of_a_prefix_or_of_chosen_files_has_their_bytes(filled: Repository, nas: Path, tmp_path: Path) -> None:
    chosen = {
        "prefix": (Selection("sub/"), 2),
        "include": (Selection("", PathFilter(["*.txt"], None)), 4),
        "exclude": (Selection("", PathFilter(None, ["*.bin"])), 5),
        "none": (Selection("nowhere"), 0),
    }
    for name, (selection, count) in chosen.items():
        with cloned(tmp_path, nas, name, selection=selection) as clone:
            assert blobs_here(clone) == count + 1, name
            assert clone.fsck().problems == []
            assert got(clone, "a") == got(filled, "a")
            assert clone.fsck().problems == []


def test_a_partial_pull_makes_a_remote_partial_and_a_later_whole_pull_of_new_versions_is_complete(
    filled: Repository, bob: Repository, nas: Path
) -> None:
    bob.pull("nas", ["a:v0"], selection=NOTHING)
    assert bob.remotes.all()["nas"].partial and blobs_here(bob) == 0
    bob.pull()
    assert got(bob, "a:v1") == got(filled, "a:v1")
    bob.get(bob.find("a:v0"), str(nas.parent / "whole"))


def test_the_api_downloads_and_reads_what_a_remote_promised(
    partial: Repository, filled: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(partial.root).parent
    monkeypatch.chdir(folder)
    artifact = artstore.Api(repository=folder).artifact("a:v1")
    with artifact.get_entry("sub/b.txt").open() as file:
        assert file.read() == b"other"
    assert Path(artifact.get_entry("big.bin").download(str(folder / "one"))).read_bytes() == BIG
    assert snapshot(Path(artifact.download(str(folder / "all")))) == got(filled, "a:v1")
    assert artifact.verify(str(folder / "all"))[1:] == ([], [], [])


def test_the_api_gives_a_single_file_of_what_a_remote_promised(
    partial: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(partial.root).parent
    monkeypatch.chdir(folder)
    artifact = artstore.Api(repository=folder).artifact("a:v1")
    target = artifact.download(str(folder / "some"), path_prefix="sub/")
    assert sorted(p for p, is_ in snapshot(Path(target)).items() if is_) == ["sub/b.txt", "sub/deep/c.txt"]


def test_a_draft_of_a_promised_version_is_saved_and_pushed_without_its_bytes(
    partial: Repository, nas: Path, bob: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(partial.root).parent
    monkeypatch.chdir(folder)
    draft = artstore.Api(repository=folder).artifact("a:v1").new_draft()
    make_tree(folder / "more", {"new.txt": "new"})
    draft.add_file(str(folder / "more/new.txt"))
    draft.save()
    assert draft.wait().version == "v2"
    assert partial.fsck().problems == []
    with Repository(partial.root) as again:
        assert only(again.push()).versions == ("a:v2",)
    bob.pull()
    assert sorted(name for name, is_ in got(bob, "a:v2").items() if is_) == [
        "a.txt", "big.bin", "new.txt", "run.sh", "sub/b.txt", "sub/deep/c.txt",
    ]  # fmt: skip


def test_a_blob_that_nobody_promised_is_damage_in_a_partial_clone_too(
    filled: Repository, nas: Path, tmp_path: Path
) -> None:
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        put(partial, "mine", {"big": BIG + b"mine", "f": "mine"})
        assert partial.fsck().problems == []
        for blob in (Path(partial.root) / "objects/blobs").glob("*/*"):
            blob.unlink()
        problems = partial.fsck().problems
        assert len(problems) == 1 and "mine:v0: 'big'" in problems[0] and "is missing" in problems[0]


def test_a_promise_ends_when_the_remote_is_removed(filled: Repository, nas: Path, tmp_path: Path) -> None:
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        partial.remotes.remove("origin")
        assert any("is missing" in problem for problem in partial.fsck().problems)
        with pytest.raises(MissingObject):
            got(partial, "a")


def test_bytes_that_a_remote_promised_and_does_not_have_are_told(filled: Repository, nas: Path, tmp_path: Path) -> None:
    (tmp_path / "unchecked").touch()
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        (blob,) = (nas / "objects/blobs").glob("*/*")
        blob.unlink()
        with pytest.raises(MissingObject):
            got(partial, "a")
        assert b"".join(partial.content(partial.entry(partial.find("a"), "a.txt"))) == b"second"
        shutil.rmtree(nas)
        with pytest.raises(ArtstoreError):
            got(partial, "a")


def test_a_push_from_a_partial_clone_to_another_remote_fetches_through(
    partial: Repository, filled: Repository, tmp_path: Path
) -> None:
    partial.remotes.add("backup", str(tmp_path / "backup"), make=True)
    planned = partial.push("backup", dry_run=True)
    assert blobs_here(partial) == 1
    done = partial.push("backup")
    assert not done.refused and (planned.objects, planned.bytes) == (done.objects, done.bytes)
    check(tmp_path / "backup")
    with cloned(tmp_path, tmp_path / "backup", "whole") as whole:
        assert says(whole) == says(filled) and got(whole, "a:v0") == got(filled, "a:v0")
    check(tmp_path / "whole/.artifacts")


def test_a_push_of_what_nobody_has_any_more_is_refused_and_tells_the_other_remote_nothing(
    filled: Repository, nas: Path, tmp_path: Path
) -> None:
    (tmp_path / "unchecked").touch()
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        partial.remotes.add("backup", str(tmp_path / "backup"), make=True)
        (blob,) = (nas / "objects/blobs").glob("*/*")
        blob.unlink()
        with pytest.raises(MissingObject):
            partial.push("backup").whole()
    assert not list((tmp_path / "backup/refs").rglob("*.json"))
    check(tmp_path / "backup")


def test_a_new_version_saved_in_a_partial_clone_is_pushed(partial: Repository, filled: Repository, nas: Path) -> None:
    put(partial, "a", FILES | {"a.txt": "of here"})
    done = partial.push()
    assert only(done).versions == ("a:v2",) and done.objects == 3
    filled.pull()
    assert got(filled, "a:v2") == got(partial, "a:v2")
    assert says(partial) == says(filled) == says(nas)


def test_copies_and_moves_in_a_partial_clone_need_no_bytes(partial: Repository, nas: Path) -> None:
    before = blobs_here(partial)
    partial.copy("a:v0", "b")
    partial.copy("a", "c")
    partial.move("c:v0", "d")
    assert blobs_here(partial) == before
    assert partial.fsck().problems == []
    assert not partial.push().refused
    with Repository(str(nas)) as there:
        assert {state.path.name for state in there.collections()} == {"a", "b", "c", "d"}


def test_what_was_deleted_in_a_partial_clone_and_the_remote_still_has_comes_back(partial: Repository) -> None:
    partial.delete("a:v0")
    partial.undelete("a:v0")
    partial.delete_collection("a")
    assert len(partial.undelete_collection("a")) == 2
    assert partial.fsck().problems == []


def test_gc_in_a_partial_clone_takes_only_what_is_dead_and_complains_of_nothing(
    partial: Repository, filled: Repository
) -> None:
    got(partial, "a:v0")
    put(partial, "mine", {"big": BIG + b"mine"})
    partial.delete_collection("mine")
    done = partial.gc(now=True)
    assert done.problems == () and done.freed_bytes > LARGE
    assert got(partial, "a:v0") == got(filled, "a:v0") and got(partial, "a:v1") == got(filled, "a:v1")
    assert partial.gc(now=True).freed_bytes == 0


def test_a_partial_clone_that_is_complete_by_now_needs_its_remote_no_more(
    filled: Repository, nas: Path, tmp_path: Path
) -> None:
    (tmp_path / "unchecked").touch()
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        for spec in ("a:v0", "a:v1"):
            got(partial, spec)
        shutil.rmtree(nas)
        assert got(partial, "a:v1") == got(filled, "a:v1")
    check(tmp_path / "partial/.artifacts")
