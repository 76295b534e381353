"""Remotes that are not what they were: rolled back, replaced, empty, incomplete, newer."""

import os
import shutil
from pathlib import Path

import pytest

import artstore
from artstore.domain.changes import new_change
from artstore.errors import (
    ArtstoreError,
    Conflict,
    Damage,
    DamagedLog,
    DamagedObject,
    InvalidValue,
    MissingObject,
    NotFound,
    Refused,
)
from artstore.repository import Repository
from artstore.store.logs import Log
from artstore.sync.notes import Tracking
from tests.support.checks import check
from tests.support.exchange import FILES, cloned, files_below, got, only, outcomes, put, refs_of, says
from tests.support.folders import make_tree


def test_a_remote_that_was_rolled_back_is_noticed(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    shutil.copytree(nas, tmp_path / "older")
    put(anna, "a", {"f": "1"})
    anna.push()
    shutil.rmtree(nas)
    shutil.copytree(tmp_path / "older", nas)
    before = refs_of(anna)
    for act in (lambda: anna.push().whole(), lambda: anna.pull().whole(), anna.fetch):
        with pytest.raises(
            DamagedLog, match="at remote 'nas' was rolled back: it ended with entry 2, now with 1"
        ) as caught:
            act()
        assert "remote rm" in str(caught.value.hint)
    assert refs_of(anna) == before
    anna.remotes.remove("nas")
    anna.remotes.add("nas", str(nas))
    assert only(anna.push()).versions == ("a:v1",)
    assert says(nas) == says(anna)


def test_a_remote_whose_history_became_another_is_not_added_to(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    shutil.copytree(nas, tmp_path / "older")
    put(anna, "a", {"f": "1"})
    anna.push()
    shutil.rmtree(nas)
    shutil.copytree(tmp_path / "older", nas)
    with Repository(str(nas)) as there:
        there.set_tags("a:v0", ("other",))
    put(anna, "a", {"f": "2"})
    before = files_below(nas / "refs")
    (moved,) = anna.push().refused
    assert isinstance(moved.problem, Damage) and "was rewritten" in str(moved.problem)
    assert files_below(nas / "refs") == before


def test_a_collection_that_vanished_from_the_remote_is_noticed(anna: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"})
    put(anna, "b", {"f": "0"})
    anna.push()
    shutil.move(nas / "refs/local/uncategorized/a", nas.parent / "aside")
    for act in (anna.push, anna.pull):
        with pytest.raises(Damage, match="refs/local/uncategorized/a was at remote 'nas', and is not there any more"):
            act()
    assert outcomes(anna.push("nas", ["b"])) == {"b": "up to date"}


def test_another_repository_at_the_same_path_is_refused(anna: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    shutil.rmtree(nas)
    Repository.init(str(nas)).close()
    for act in (anna.push, anna.pull, anna.fetch):
        with pytest.raises(Conflict, match="remote 'nas' is another repository than before") as caught:
            act()
        assert "mounted" in str(caught.value.hint)
    anna.remotes.remove("nas")
    anna.remotes.add("nas", str(nas))
    assert only(anna.push()).versions == ("a:v0",)


@pytest.mark.parametrize("what", ["empty", "absent", "a file", "other files"])
def test_an_empty_mount_point_is_no_remote_and_nothing_is_written_there(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path, what: str
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    shutil.rmtree(nas)
    if what == "empty":
        nas.mkdir()
    elif what == "a file":
        nas.write_text("")
    elif what == "other files":
        make_tree(nas, {"x": ""})
    for act in (anna.push, anna.pull, anna.fetch, bob.pull):
        with pytest.raises(ArtstoreError) as caught:
            act()
        if what != "a file":
            assert isinstance(caught.value, NotFound) and "unmounted share" in str(caught.value.hint)
    assert not nas.is_dir() or [p.name for p in nas.iterdir()] == (["x"] if what == "other files" else [])
    with pytest.raises(ArtstoreError):
        cloned(tmp_path, nas)
    assert not (tmp_path / "clone/.artifacts").exists()


def test_a_place_that_can_be_no_remote_is_refused_before_it_is_noted(
    anna: Repository, nas: Path, tmp_path: Path
) -> None:
    make_tree(tmp_path / "full", {"x": ""})
    (tmp_path / "file").write_text("")
    with pytest.raises(NotFound) as caught:
        anna.remotes.add("x", str(tmp_path / "nowhere"))
    assert "--init" in str(caught.value.hint)
    with pytest.raises(Refused, match="is not empty, and is not a repository"):
        anna.remotes.add("x", str(tmp_path / "full"), make=True)
    with pytest.raises(ArtstoreError):
        anna.remotes.add("x", str(tmp_path / "file"), make=True)
    with pytest.raises(ArtstoreError):
        anna.remotes.add("x", str(tmp_path / "file/below"), make=True)
    with pytest.raises(InvalidValue, match="is this repository itself"):
        anna.remotes.add("x", anna.root)
    with pytest.raises(Conflict, match="there is a remote 'nas' already"):
        anna.remotes.add("nas", str(nas))
    with pytest.raises(InvalidValue):
        anna.remotes.add("a/b", str(nas))
    assert list(anna.remotes.all()) == ["nas"]


def test_remotes_whose_names_differ_in_case_do_not_share_their_notes(
    anna: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    try:
        anna.remotes.add("NAS", str(tmp_path / "other"), make=True)
    except ArtstoreError:
        pass  # refused is as good
    assert outcomes(anna.push("nas")) == {"a": "up to date"}


def test_objects_that_are_not_there_yet_fail_a_pull_and_nothing_is_changed_here(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    put(anna, "a", FILES)
    anna.push()
    for where in ("packs", "blobs"):
        aside = tmp_path / "aside"
        shutil.copytree(nas / "objects" / where, aside)
        newest = max(
            (p for p in (nas / "objects" / where).rglob("*") if p.is_file()), key=lambda p: p.stat().st_mtime_ns
        )
        newest.unlink()
        before = refs_of(bob)
        with pytest.raises(MissingObject, match="^remote 'nas' is incomplete: ") as caught:
            only(bob.pull())
        assert "pull again later" in str(caught.value.hint)
        assert refs_of(bob) == before and bob.fsck().problems == []
        shutil.rmtree(nas / "objects" / where)
        shutil.move(aside, nas / "objects" / where)
    assert only(bob.pull()).versions == ("a:v1",)
    assert got(bob, "a") == got(anna, "a")


@pytest.mark.parametrize("what", ["gap", "cut", "empty", "garbage"])
def test_entries_that_are_not_whole_yet_fail_a_pull_and_it_can_be_repeated(
    anna: Repository, bob: Repository, nas: Path, what: str
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    for n in (1, 2):
        put(anna, "a", {"f": str(n)})
        anna.push()
    entry = nas / "refs/local/uncategorized/a/00000002.json"
    data = entry.read_bytes()
    entry.unlink()
    if what != "gap":
        entry.write_bytes({"cut": data[:100], "empty": b"", "garbage": b"\0" * len(data)}[what])
    before = refs_of(bob)
    for act in (lambda: bob.pull().whole(), bob.fetch, lambda: bob.push().whole()):
        with pytest.raises(DamagedLog):
            act()
    assert refs_of(bob) == before
    tracking = Tracking(bob._folder, "nas")
    assert tracking.follows("refs/local/uncategorized/a"), "which remote is followed is no copy of anything"
    entry.unlink(missing_ok=True)
    entry.write_bytes(data)
    assert only(bob.pull()).versions == ("a:v1", "a:v2")
    assert says(bob) == says(nas)


def test_an_object_with_other_bytes_than_its_name_is_not_taken_over(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", FILES)
    anna.push()
    (blob,) = (nas / "objects/blobs").glob("*/*")
    good = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(b"X" + good[1:])
    with pytest.raises(Damage):
        only(bob.pull())
    assert refs_of(bob) == {}
    blob.write_bytes(good)
    assert only(bob.pull()).versions == ("a:v0",)


@pytest.mark.parametrize("others", [0, 1, 3])
def test_a_pull_refuses_what_is_damaged_and_brings_the_others_and_the_runs(
    anna: Repository, bob: Repository, nas: Path, in_anna: Path, others: int
) -> None:
    """Also if it is the only collection. Nothing is counted twice; small blobs may have come with the first attempt."""
    for number in range(others):
        put(anna, f"b{number}", {"f": f"{number}"})
    put(anna, "a", FILES)
    with artstore.init(id="alone") as run:
        run.log({"loss": 1})
    anna.push()
    (blob,) = (nas / "objects/blobs").glob("*/*")
    good = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(b"X" + good[1:])
    planned, done = bob.pull(dry_run=True), bob.pull()
    assert outcomes(done) == {"a": "refused", **{f"b{number}": "moved" for number in range(others)}}
    assert [type(moved.problem) for moved in done.refused] == [DamagedObject]
    assert 2 * others <= done.objects <= 3 * others < planned.objects and done.runs == 1
    with pytest.raises(DamagedObject):
        done.whole()
    blob.write_bytes(good)
    (moved,) = [moved for moved in bob.pull().whole().collections if moved.outcome == "moved"]
    assert moved.versions == ("a:v0",)


@pytest.mark.damaged
@pytest.mark.parametrize("others", [0, 2])
def test_a_push_refuses_what_is_damaged_here_and_sends_the_others(
    anna: Repository, nas: Path, tmp_path: Path, others: int
) -> None:
    (tmp_path / "unchecked").touch()
    for number in range(others):
        put(anna, f"b{number}", {"f": f"{number}"})
    put(anna, "a", FILES)
    (blob,) = Path(anna.root, "objects/blobs").glob("*/*")
    good = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(b"X" + good[1:])
    done = anna.push()
    assert outcomes(done) == {"a": "refused", **{f"b{number}": "moved" for number in range(others)}}
    assert [type(moved.problem) for moved in done.refused] == [DamagedObject]
    assert 2 * others <= done.objects <= 3 * others
    check(nas)
    blob.write_bytes(good)
    assert not anna.push().refused


def test_an_artifact_that_a_find_should_fetch_reports_its_damage(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", FILES)
    anna.push()
    bob.settings.set("core.auto_fetch", "true")
    (blob,) = (nas / "objects/blobs").glob("*/*")
    good = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(b"X" + good[1:])
    with pytest.raises(DamagedObject):
        bob.find("a")
    blob.write_bytes(good)
    assert bob.find("a").name == "a:v0"


def test_an_entry_of_a_newer_artstore_keeps_only_its_own_collection_back(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", {"f": "0"})
    put(anna, "b", {"f": "1"})
    anna.push()
    with Repository(str(nas)) as there:
        log = Log(there.storage, "refs/local/uncategorized/a")
        log.append(1, log.read(1).digest, [new_change("teleport", id=None)], host=None, user=None)
    (tmp_path / "unchecked").touch()
    done = bob.pull()
    assert outcomes(done) == {"a": "refused", "b": "moved"}


def test_a_repository_of_somebody_else_does_not_contact_its_remotes(
    anna: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if os.geteuid():
        pytest.skip("only root may give files away")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    put(anna, "a", {"f": "0"})
    os.chown(f"{anna.root}/config", 12345, -1)
    with Repository(anna.root) as other:  # it wasn't given the remote, as the handle that added it was
        for act in (other.push, other.pull, other.fetch):
            with pytest.raises(Refused, match="belongs to somebody else") as caught:
                act()
            assert "remote allow" in str(caught.value.hint)
        anna.push()
        other.settings.allow_contact()
        other.pull()
    os.chown(f"{anna.root}/config", 0, -1)
