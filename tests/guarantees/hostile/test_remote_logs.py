"""Remotes whose logs are incomplete, shorter or rewritten, and remotes without space or permission."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artstore.errors import (
    ArtstoreError,
    Conflict,
    Damage,
    DamagedLog,
    MissingObject,
    NoSpace,
    NotFound,
    StorageError,
)
from artstore.repository import Repository
from artstore.store.transaction import Transaction
from artstore.sync.exchange import Exchange
from artstore.sync.transfer import Transfer
from artstore.view import view_of
from tests.support.checks import check
from tests.support.folders import make_tree
from tests.support.hostile_remotes import MIB, Two, _gc, place_of, state_of, whole_at_remote, writable
from tests.support.trouble import UNPRIVILEGED, fill, run, small_disk

# -- logs ----------------------------------------------------------------------------------------


def test_a_remote_with_an_entry_that_has_not_arrived_yet_is_refused(two: Two) -> None:
    """Case 33: a sync brought the second entry before the first."""
    two.put_and_push()
    entries = sorted(two.log.glob("*.json"))
    assert len(entries) >= 2
    for entry in entries[:-1]:
        aside = entry.with_suffix(".aside")
        entry.rename(aside)
        two.refuses_to_pull(Damage, StorageError)
        aside.rename(entry)
    two.pulls()


@pytest.mark.parametrize("place", ["PACK", "BLOB"])
def test_a_remote_whose_objects_have_not_arrived_yet_is_refused(two: Two, place: str) -> None:
    """Case 33: the log is there, what it names is not; later the same pull works."""
    path = place_of(two, place)
    path.rename(two.tmp_path / "aside")
    problem = two.refuses_to_pull(MissingObject)
    assert "incomplete" in str(problem), problem
    (two.tmp_path / "aside").rename(path)
    two.pulls()


@pytest.mark.parametrize("cut", [0, 10, -1])
def test_an_entry_that_has_arrived_in_part_is_refused(two: Two, cut: int) -> None:
    """Case 33: by a sync that does not write whole files."""
    entry = two.log / "00000001.json"
    good = entry.read_bytes()
    writable(entry).write_bytes(good[:cut])
    two.refuses_to_pull(Damage)
    entry.write_bytes(good)
    two.pulls()


def test_a_history_that_became_shorter_is_told(two: Two) -> None:
    """Case 34: an older copy of the remote was restored."""
    two.put_and_push()
    two.pulls()
    sorted(two.log.glob("*.json"))[-1].unlink()
    assert "rolled back" in str(two.refuses_to_pull(DamagedLog))
    assert "rolled back" in str(two.put_and_push(1)[0].problem)
    shutil.rmtree(two.log)
    assert "not there any more" in str(two.refuses_to_pull(Damage))


@pytest.mark.parametrize("number", [1, 2], ids=["an old entry", "the newest entry"])
def test_a_history_that_was_rewritten_is_told(two: Two, number: int) -> None:
    """Case 34: as long as before, but other entries; nothing is appended to it, and nothing taken from it."""
    two.put_and_push()
    two.pulls()
    entry = sorted(two.log.glob("*.json"))[number - 1]
    writable(entry).write_bytes(entry.read_bytes().replace(b'"host":"', b'"host":"x'))
    if number == 2:  # who pushes reads the newest entry again, who pulls for the first time reads all
        with pytest.raises(ArtstoreError):
            refused = two.put_and_push(1)
            raise refused[0].problem if refused else AssertionError("it was pushed")
    clone, done = Repository.clone(str(two.remote), str(two.tmp_path / "clone"))
    clone.close()
    with pytest.raises(Damage):
        done.whole()


def test_a_rewritten_history_that_goes_on_is_told_and_what_follows_which_remote_is_kept(two: Two) -> None:
    """Case 34: a log with another beginning and one entry more."""
    two.pulls()
    other = Two(two.tmp_path / "other")
    other.put_and_push()
    shutil.rmtree(two.log)
    shutil.copytree(other.log, two.log)
    upstream = Path(two.reader, "remotes/origin/refs/local/uncategorized/good/upstream")
    assert upstream.exists()
    two.refuses_to_pull(Damage)
    assert upstream.exists(), "forgotten which remote's numbers are final"


def test_a_remote_that_is_not_mounted_is_no_remote(two: Two) -> None:
    """Case 39: an empty folder is not a repository, and never becomes one by a push, a pull, a fetch or a gc."""
    two.pulls()
    two.remote.rename(two.tmp_path / "elsewhere")
    two.remote.mkdir()
    two.refuses_to_pull(NotFound)
    with Repository(two.reader) as repository:
        for act in (repository.push, repository.fetch, lambda: _gc(two)):
            with pytest.raises(NotFound, match="there is no repository"):
                act()
    assert list(two.remote.iterdir()) == []
    two.remote.rmdir()
    two.refuses_to_pull(NotFound)
    assert not two.remote.exists()
    (two.tmp_path / "elsewhere").rename(two.remote)
    two.pulls()


STEPS = {
    "begun": (Transaction, "__init__"),
    "planned": (Transfer, "plan"),
    "sent": (Transfer, "send"),
    "published": (Transaction, "publish"),
    "told": (Exchange, "_commit"),
}


def after(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], None]) -> None:
    """Act once after a step of a push."""
    owner, name = STEPS[step]
    real = getattr(owner, name)

    def call(*args: Any, **options: Any) -> Any:
        result = real(*args, **options)
        monkeypatch.setattr(owner, name, real)
        act()
        return result

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize("step", STEPS)
def test_a_share_that_vanishes_in_a_push_fails_it_and_nothing_is_lost(
    two: Two, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Case 39: unmounted, what is left is the empty mount point; mounted again, the same push works."""

    def unmount() -> None:
        two.remote.rename(two.tmp_path / "elsewhere")
        two.remote.mkdir()

    after(monkeypatch, step, unmount)
    with pytest.raises(ArtstoreError):
        refused = two.push()
        raise refused[0].problem if refused else AssertionError("it was acknowledged")
    written = [str(p.relative_to(two.remote)) for p in two.remote.rglob("*") if not p.is_dir()]
    shutil.rmtree(two.remote)
    (two.tmp_path / "elsewhere").rename(two.remote)
    assert two.push() == []
    whole_at_remote(two.remote, two.own, "own", two.tmp_path)
    check(Path(two.reader))
    assert written == [], "a repository was begun in the empty mount point"


def test_another_repository_at_the_same_place_is_refused(two: Two) -> None:
    """Case 40: it may be another mount, or have been replaced."""
    two.pulls()
    two.remote.rename(two.tmp_path / "elsewhere")
    with Repository.init(str(two.remote)) as other:
        other.put(str(two.own), "good")
    before = state_of(str(two.remote))
    problem = two.refuses_to_pull(Conflict)
    assert "remote 'origin' is another repository than before" in str(problem)
    for root in (two.author, two.reader):
        with pytest.raises(Conflict, match="is another repository than before"):
            two.push(root)
    assert state_of(str(two.remote)) == before
    with pytest.raises(Conflict, match="is another repository than before"):
        _gc(two)


def test_a_restored_backup_of_a_remote_is_told(two: Two) -> None:
    """Case 40: the same repository as it was yesterday."""
    shutil.copytree(two.remote, two.tmp_path / "backup", symlinks=True)
    two.put_and_push()
    two.pulls()
    shutil.rmtree(two.remote)
    (two.tmp_path / "backup").rename(two.remote)
    two.refuses_to_pull(DamagedLog)


# -- space and permissions -----------------------------------------------------------------------


def test_a_remote_without_space_is_told_and_the_same_push_goes_on_later(two: Two) -> None:
    """Case 35: no entry is made; what arrived is not sent again."""
    with small_disk(two.tmp_path / "disk", "16m") as disk:
        with Repository(two.reader) as repository:
            repository.remotes.add("small", str(disk / "repository"), make=True)
            repository.put(str(make_tree(two.tmp_path / "big", {f"{n}": os.urandom(2 * MIB) for n in range(3)})), "big")
        for left in range(0, 6 * MIB, 700_000):
            hog = fill(disk)
            os.truncate(hog, max(0, hog.stat().st_size - left))
            with Repository(two.reader) as repository, pytest.raises(NoSpace):
                repository.push("small")
            assert not list((disk / "repository/refs").rglob("*.json")) or left > 5 * MIB
            assert os.listdir(disk / "repository/tmp") == []
            hog.unlink()
            check(disk / "repository")
        with Repository(two.reader) as repository:
            assert repository.push("small").refused == []
        whole_at_remote(disk / "repository", two.tmp_path / "big", "big", two.tmp_path)


def test_unreadable_files_of_a_remote_are_named(two: Two) -> None:
    """Case 38: another user's umask made them so."""
    for place in ("BLOB", "PACK", "ENTRY", "format", "objects/packs", "LOG"):
        path = place_of(two, place)
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
        mode = path.stat().st_mode & 0o777
        path.chmod(0)
        shutil.rmtree(Path(two.reader, "remotes/origin/refs"), ignore_errors=True)
        result = run(two.tmp_path, "pull", setup=UNPRIVILEGED, ARTSTORE_DIR=two.reader)
        assert result.code == 9 and "permission denied" in result.err and "permissions" in result.err, (place, result)
        assert str(path) in result.err or place in ("BLOB", "PACK", "LOG"), (place, result)
        path.chmod(mode)
    two.pulls()


def test_a_remote_that_may_not_be_written_to_is_told(two: Two) -> None:
    """Case 38: pull works, push says why not."""
    for folder in (two.remote, *(p for p in two.remote.rglob("*") if p.is_dir())):
        folder.chmod(0o555)
    result = run(two.tmp_path, "push", setup=UNPRIVILEGED, ARTSTORE_DIR=two.reader)
    assert (result.code, "permission denied" in result.err) == (9, True), result
    assert run(two.tmp_path, "pull", setup=UNPRIVILEGED, ARTSTORE_DIR=two.reader).code == 0
    for folder in (two.remote, *(p for p in two.remote.rglob("*") if p.is_dir())):
        folder.chmod(0o755)
    check(two.remote)


def test_what_is_pushed_to_a_shared_remote_is_for_its_group(two: Two) -> None:
    """Case 38: whatever the umask says."""
    before = os.umask(0o077)
    try:
        with Repository(two.reader) as repository:
            repository.remotes.add("shared", str(two.tmp_path / "shared"), make=True, shared=True)
            repository.push("shared")
    finally:
        os.umask(before)
    for path in [path for path in (two.tmp_path / "shared").rglob("*") if path.name != ".gitignore"]:
        mode = path.stat().st_mode
        assert mode & 0o050 == 0o050 if path.is_dir() else mode & 0o040, (path, oct(mode))


# -- one damaged log among others ----------------------------------------------------------------


def damaged(log: Path) -> bytes:
    """Change one byte of a log's newest entry. Returns what it was."""
    entry = sorted(log.glob("*.json"))[-1]
    good = writable(entry).read_bytes()
    entry.write_bytes(good.replace(b'"check":"', b'"check":"0', 1))
    return good


def test_one_damaged_log_is_one_refused_collection_of_a_pull_a_clone_and_a_push(two: Two) -> None:
    with Repository(two.author) as repository:
        for name in ("other", "renamed"):
            repository.put(str(two.own), name)
        repository.push()
        repository.rename("renamed", "now")
        repository.push()
    good = damaged(two.log)
    (refused,) = two.pull()
    assert (refused.path.name, type(refused.problem)) == ("good", DamagedLog)
    with Repository(two.reader) as repository:
        assert sorted(state.path.name for state in repository.collections()) == ["now", "other", "own"]
        repository.put(str(two.own), "more")
        assert [moved.path.name for moved in repository.push().refused] == []
        with pytest.raises(DamagedLog):
            repository.pull(specs=["good"])
        with pytest.raises(DamagedLog):
            repository.fetch()
        repository.fetch(specs=["other"])
    clone, done = Repository.clone(str(two.remote), str(two.tmp_path / "clone"))
    with clone:
        assert [moved.path.name for moved in done.refused] == ["good"]
        assert sorted(state.path.name for state in clone.collections()) == ["more", "now", "other", "own"]
    refused = two.put_and_push()
    assert [moved.path.name for moved in refused] == ["good"], "nothing is sent to a log that can't be read"
    sorted(two.log.glob("*.json"))[-1].write_bytes(good)
    assert two.pull() == [] and two.put_and_push(1) == []
    two.pulls()


@pytest.mark.parametrize("which", ["old", "new"])
def test_a_renamed_collection_is_refused_if_the_log_of_either_name_is_damaged(two: Two, which: str) -> None:
    """Alone, the other log would mean that there is no such collection, or that it was never renamed."""
    with Repository(two.author) as repository:
        repository.put(str(two.own), "other")
        repository.push()
        two.pull()
        repository.rename("good", "new")
        repository.push()
    log = two.log if which == "old" else two.log.with_name("new")
    good = damaged(log)
    before = refs_at(two.remote)
    assert {moved.path.name for moved in two.pull()} == {"good", "new"}
    with Repository(two.reader) as repository:
        repository.put(str(two.own), "good")
        assert {moved.path.name for moved in repository.push().refused} == {"good"}
    assert refs_at(two.remote) == before, "nothing was added to either log"
    sorted(log.glob("*.json"))[-1].write_bytes(good)
    assert two.pull() == []


def refs_at(remote: Path) -> dict[Path, bytes]:
    """The entries of all logs but that of what the reader pushes."""
    return {path: path.read_bytes() for path in (remote / "refs").rglob("*.json") if path.parent.name != "own"}


def test_fsck_of_a_remote_reports_a_damaged_log_and_checks_the_others(two: Two) -> None:
    with Repository(two.author) as repository:
        repository.put(str(two.own), "other")
        repository.push()
    damaged(two.log)
    with view_of(str(two.remote), None) as remote:
        report = remote.fsck()
    assert report.versions == 1 and len(report.problems) == 1 and "good" in str(report.problems[0])
