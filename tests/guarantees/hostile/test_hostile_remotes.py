"""Remotes that were damaged, that somebody else may write to, or that fail half-way (cases 24 to 40)."""

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from artstore.backends.storage import FolderStorage
from artstore.domain.codec import encode_rows
from artstore.domain.digest import BLOB, TREE, VERSION, Digest, digest_of
from artstore.domain.version import VersionRecord
from artstore.errors import (
    ArtstoreError,
    Conflict,
    Damage,
    DamagedLog,
    InvalidValue,
    MissingObject,
    NoSpace,
    NotFound,
    StorageError,
    UnknownOutcome,
)
from artstore.repository import Repository
from artstore.store.large import blob_path
from artstore.store.transaction import Transaction
from artstore.sync.exchange import Exchange
from artstore.sync.transfer import Transfer
from tests.conftest import check, make_tree, snapshot
from tests.support.forge import EMPTY, Forger, directory, file, version_changes
from tests.support.marks import long
from tests.support.servers import (
    CUT,
    DROP_REPLY,
    FLIP,
    HANG,
    IGNORE_CONDITION,
    LONGER,
    PASS,
    REFUSE,
    TRUNCATE,
    Action,
    Request,
    S3Proxy,
    SeaweedFS,
    changed,
)
from tests.support.trouble import UNPRIVILEGED, fill, limited, run, small_disk

MIB = 1 << 20
LARGE = b"L" * (MIB + 7)
FILES: dict[str, str | bytes | None] = {"a": "a" * 99, "b/c": "c" * 999, "large": LARGE}
ENTRY = r"/refs/[^?]*\.json$"


class Two:
    """A repository with a remote in a folder: `author` has pushed `good`; `reader` knows the remote, and has `own`."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.remote = tmp_path / "remote"
        self.author = str(tmp_path / "author")
        self.reader = str(tmp_path / "reader")
        self.source = make_tree(tmp_path / "source", FILES)
        self.own = make_tree(tmp_path / "own", {"mine": "mine", "my large": b"M" * MIB})
        with Repository.init(self.author) as repository:
            repository.remotes.add("origin", str(self.remote), make=True)
            repository.put(str(self.source), "good")
            repository.push()
        with Repository.init(self.reader) as repository:
            repository.remotes.add("origin", str(self.remote))
            repository.put(str(self.own), "own")

    @property
    def log(self) -> Path:
        return self.remote / "refs/local/uncategorized/good"

    @property
    def blob(self) -> Path:
        return self.remote / blob_path(digest_of(BLOB, LARGE))

    @property
    def pack(self) -> Path:
        (pack,) = (self.remote / "objects/packs").iterdir()
        return pack

    def pull(self) -> list[Any]:
        """What a pull refuses, else it raises."""
        with Repository(self.reader) as repository:
            return repository.pull().refused

    def push(self, root: str | None = None) -> list[Any]:
        with Repository(root or self.reader) as repository:
            return repository.push().refused

    def put_and_push(self, number: int = 0) -> list[Any]:
        more = make_tree(self.tmp_path / f"more{number}", {"more": f"more {number}", "large more": os.urandom(MIB)})
        with Repository(self.author) as repository:
            repository.put(str(more), "good")
            return repository.push().refused

    def refuses_to_pull(self, *kinds: type[BaseException]) -> ArtstoreError:
        """It raises (or reports) one of these, and nothing changes but what we know of the remote."""
        before = state_of(self.reader)
        try:
            refused = self.pull()
        except ArtstoreError as error:
            problem = error
        else:
            assert refused, "it was pulled"
            problem = refused[0].problem
        assert isinstance(problem, kinds or ArtstoreError), repr(problem)
        assert state_of(self.reader) == before
        check(Path(self.reader))
        return problem

    def pulls(self) -> None:
        assert self.pull() == []
        out = self.tmp_path / f"out-{os.urandom(4).hex()}"
        with Repository(self.reader) as repository:
            repository.get(repository.find("good:v0"), str(out))
        assert snapshot(out) == snapshot(self.source)
        check(Path(self.reader))


def state_of(root: str) -> dict[str, Any]:
    """All that matters below a repository: what is stored and what moved; and that nothing is left in tmp/."""
    found: dict[str, Any] = {}
    for place in ("objects", "refs", "runs", "trash", "bad", "tmp", "format", "config"):
        path = Path(root, place)
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if not p.is_dir())
        found |= {
            str(p.relative_to(root)): (os.lstat(p).st_ino, p.read_bytes() if p.is_file() else None) for p in files
        }
    return found


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def writable(path: Path) -> Path:
    path.chmod(0o644)
    return path


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    writable(path).write_bytes(data)


# -- bytes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [30, 500, -1, -30, -100, 3], ids=str)
def test_a_pack_with_other_bytes_is_refused(two: Two, offset: int) -> None:
    """Case 24: in an object, in the index, in the footer, in the header."""
    good = two.pack.read_bytes()
    flip(two.pack, offset)
    two.refuses_to_pull(Damage)
    writable(two.pack).write_bytes(good)
    two.pulls()


def test_a_large_blob_with_other_bytes_is_refused(two: Two) -> None:
    """Case 24: of the right size."""
    flip(two.blob, MIB // 2)
    assert "damaged" in str(two.refuses_to_pull(Damage))
    writable(two.blob).write_bytes(LARGE)
    two.pulls()


@pytest.mark.parametrize("size", [0, 1, MIB, len(LARGE) - 1, len(LARGE) + 1, 5 * MIB])
def test_a_truncated_or_longer_large_blob_is_refused(two: Two, size: int) -> None:
    """Case 25: the length that the tree tells is authoritative."""
    writable(two.blob).write_bytes((LARGE * 5)[:size])
    two.refuses_to_pull(Damage)
    writable(two.blob).write_bytes(LARGE)
    two.pulls()


@pytest.mark.parametrize("size", [0, 10, 24, 60, 300, -1])
def test_a_truncated_or_longer_pack_is_refused(two: Two, size: int) -> None:
    """Case 25: also one that a sync has not finished."""
    good = two.pack.read_bytes()
    writable(two.pack).write_bytes(good[:size] if size >= 0 else good + b"more")
    two.refuses_to_pull(Damage)
    writable(two.pack).write_bytes(good)
    two.pulls()


PLACES = [
    "objects",
    "objects/packs",
    "objects/blobs",
    "SHARD",
    "BLOB",
    "PACK",
    "refs",
    "refs/local",
    "LOG",
    "ENTRY",
    "format",
]
"""What somebody may have made a symlink."""


def place_of(two: Two, place: str) -> Path:
    named = {
        "SHARD": two.blob.parent,
        "BLOB": two.blob,
        "PACK": None,
        "LOG": two.log,
        "ENTRY": two.log / "00000001.json",
    }
    if place == "PACK":
        return two.pack
    return named.get(place) or two.remote / place


@pytest.mark.parametrize("place", PLACES)
def test_a_symlink_at_a_remote_is_not_followed(two: Two, place: str) -> None:
    """Case 26: even to what would be right."""
    path, outside = place_of(two, place), two.tmp_path / "outside"
    path.rename(outside)
    path.symlink_to(outside)
    before = _listing(outside)
    two.refuses_to_pull(ArtstoreError)
    for push in (two.put_and_push, two.push):
        try:
            push()
        except ArtstoreError:
            pass  # a push that does not come by that way works
    assert _listing(outside) == before, "something was written through the symlink"


@pytest.mark.parametrize("place", ["objects/packs", "objects/blobs", "refs", "tmp", "trash", "bad", "objects", "SHARD"])
def test_nothing_is_written_through_a_symlink_at_a_remote(two: Two, place: str) -> None:
    """Case 26: by a push, a gc or a fsck there."""
    path, outside = place_of(two, place), two.tmp_path / "outside"
    path.rename(outside)
    path.symlink_to(outside)
    (outside / "x").mkdir(exist_ok=True)
    (outside / "x/precious").write_bytes(b"precious")
    before = _listing(outside)
    watched = _Watch(outside)
    for act in (two.put_and_push, lambda: _gc(two), lambda: _gc(two, now=False)):
        try:
            act()
        except ArtstoreError:
            pass
    assert _listing(outside) == before and watched.changed() == []


class _Watch:
    """Whether folders were written to, even if all was removed again: by their times."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._times = self._look()

    def _look(self) -> dict[str, int]:
        return {str(p): p.stat().st_mtime_ns for p in (self._root, *self._root.rglob("*")) if p.is_dir()}

    def changed(self) -> list[str]:
        return [path for path, time in self._look().items() if self._times.get(path) != time]


def _gc(two: Two, now: bool = True) -> Any:
    from artstore.view import view_of

    with view_of("origin", FolderStorage(two.author), writing=True) as view:
        return view.gc(now=now)


def _listing(folder: Path) -> Any:
    return sorted(str(p) for p in folder.rglob("*")) if folder.is_dir() else folder.read_bytes()


def test_a_log_folder_that_links_to_all_of_the_disk_is_not_walked(two: Two) -> None:
    """Case 26: `refs` a symlink to a tree without end."""
    deep = two.tmp_path / "deep"
    for number in range(30):
        make_tree(deep / "x/y" / f"{number}", {"00000001.json": "{}"})
    (two.remote / "refs").rename(two.tmp_path / "refs")
    (two.remote / "refs").symlink_to(deep)
    problem = two.refuses_to_pull(StorageError)
    assert "symlink" in str(problem), problem


@pytest.mark.parametrize("place", ["BLOB", "PACK", "ENTRY", "format"])
@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "socket"])
def test_what_is_no_regular_file_at_a_remote_is_refused_and_never_hangs(two: Two, place: str, kind: str) -> None:
    """Case 26: nobody writes to the FIFO, and the device would never end."""
    path = place_of(two, place)
    path.unlink()
    make_special(path, kind)
    result = run(two.tmp_path, "pull", ARTSTORE_DIR=two.reader, timeout=20)
    assert result.code in (4, 7, 9, 10) and result.err.startswith("error: "), result
    result = run(two.tmp_path, "push", ARTSTORE_DIR=two.reader, timeout=20)
    if place in ("format", "ENTRY"):
        assert result.code in (4, 7, 9, 10), result
    check(Path(two.reader))


def make_special(path: Path, kind: str) -> None:
    import socket

    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(path.parent)
        try:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name[:90])
        finally:
            os.chdir(here)
        if len(path.name) > 90:
            (path.parent / path.name[:90]).rename(path)
    else:
        try:
            os.mknod(path, 0o020666, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            pytest.skip("only root may make devices")


def test_an_object_swapped_between_the_look_and_the_copy_is_refused(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 27: what was copied is hashed, not what was looked at."""
    real = FolderStorage.open
    swapped = list[str]()

    def swap(self: FolderStorage, path: str) -> int:
        if self.root == str(two.remote) and path.startswith("objects/blobs/"):
            swapped.append(path)
            two.blob.unlink()
            two.blob.write_bytes(b"X" * len(LARGE))
        return real(self, path)

    monkeypatch.setattr(FolderStorage, "open", swap)
    two.refuses_to_pull(Damage)
    assert swapped


def test_a_file_swapped_for_a_symlink_while_it_is_opened_is_not_read(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 27: the file itself, after all looks at the path."""
    secret = two.tmp_path / "secret"
    secret.write_bytes(LARGE)
    real = FolderStorage._refuse_links

    def swap(self: FolderStorage, path: str) -> None:
        real(self, path)
        if path.startswith("objects/blobs/") and not two.blob.is_symlink():
            two.blob.unlink()
            two.blob.symlink_to(secret)

    monkeypatch.setattr(FolderStorage, "_refuse_links", swap)
    two.refuses_to_pull(ArtstoreError)


def test_a_parent_swapped_for_a_symlink_while_a_file_is_opened_is_not_followed(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 27: a pusher to the same share replaces `objects/packs` after it was looked at: nothing is written outside."""
    outside, packs = two.tmp_path / "outside", two.remote / "objects/packs"
    real = FolderStorage._refuse_links
    done = list[str]()

    def swap(self: FolderStorage, path: str) -> None:
        real(self, path)
        if path.startswith("objects/packs/") and not done:
            done.append(path)
            packs.rename(outside)
            packs.symlink_to(outside)

    before = _listing(two.remote / "objects/packs")
    monkeypatch.setattr(FolderStorage, "_refuse_links", swap)
    try:
        two.put_and_push()
    except ArtstoreError:
        pass
    assert done and [os.path.basename(path) for path in _listing(outside)] == [
        os.path.basename(path) for path in before
    ]


def test_objects_of_another_user_are_copied_and_never_linked(two: Two) -> None:
    """Case 28: who may still write to theirs does not write to ours."""
    for path in [p for p in two.remote.rglob("*") if p.is_file()]:
        path.chmod(0o666)
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
    two.pulls()
    ours = Path(two.reader, blob_path(digest_of(BLOB, LARGE)))
    assert (ours.stat().st_ino, ours.stat().st_nlink) != (two.blob.stat().st_ino, 2)
    assert ours.stat().st_uid == os.geteuid() and ours.stat().st_mode & 0o222 == 0
    two.blob.write_bytes(b"changed")
    two.pack.write_bytes(b"changed")
    check(Path(two.reader))


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
    with pytest.raises(DamagedLog, match="rolled back"):
        two.put_and_push(1)
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
    with pytest.raises(Damage):
        Repository.clone(str(two.remote), str(two.tmp_path / "clone"))


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


def whole_at_remote(remote: Path | str, source: Path, name: str, tmp_path: Path) -> None:
    root = tmp_path / f"clone-{os.urandom(4).hex()}"
    clone, _ = Repository.clone(str(remote), str(root))
    with clone:
        clone.get(clone.find(f"{name}:v0"), str(tmp_path / f"{root.name}-out"))
    assert snapshot(tmp_path / f"{root.name}-out") == snapshot(source)
    check(root)


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


# -- what we would not have written --------------------------------------------------------------


def hostile_trees(forger: Forger) -> dict[str, tuple[Digest, int, int]]:
    """Root tree, bytes, files by name."""
    names = [
        b"..",
        b"../x",
        b"/etc/x",
        b"a/b",
        b"",
        b".",
        b"nul\0byte",
        b"a\\..\\..\\x",
        b"C:\\x",
        b".artifacts/x",
        b"n" * 256,
    ]
    trees = {f"name-{n}": (forger.tree(file(name)), 0, 1) for n, name in enumerate(names)}
    trees["below"] = (forger.tree(directory(b"d", forger.tree(file(b"..")), 0, 1)), 0, 1)
    trees["twice"] = (forger.tree(file(b"a"), file(b"a")), 0, 2)
    trees["unsorted"] = (forger.tree(file(b"b"), file(b"a")), 0, 2)
    trees["kind"] = (forger.tree((b"link", 7, 4, b"/etc")), 0, 1)
    trees["totals"] = (forger.tree(directory(b"d", forger.tree(file(b"f")), 9, 9)), 9, 9)
    trees["size"] = (forger.tree(file(b"f", digest_of(BLOB, b"six by"), 7)), 7, 1)
    trees["larger"] = (forger.tree(file(b"f", digest_of(BLOB, LARGE), 1 << 62)), 1 << 62, 1)
    trees["smaller"] = (forger.tree(file(b"f", digest_of(BLOB, LARGE), MIB)), MIB, 1)
    trees["itself"] = (forger.raw_tree(b"\x91" * 10), 0, 1)
    trees["bomb"] = (forger.raw_tree(b"\xdd\xff\xff\xff\xff"), 0, 1)
    trees["nested"] = (forger.raw_tree(b"\x91" * 100_000 + b"\xc0"), 0, 1)
    trees["blob"] = (digest_of(BLOB, b"six by"), 6, 1)
    deep = forger.tree(file(b"f"))
    for _ in range(300):
        deep = forger.tree(directory(b"d", deep, 0, 1))
    trees["deep"] = (deep, 0, 1)
    return trees


def test_trees_that_we_would_not_have_written_are_not_pulled(two: Two) -> None:
    """Case 24, 29: each alone, named or with all; ours stays as it was, and nothing is written outside."""
    forger = Forger(two.remote)
    forger.blob(b"")
    forger.blob(b"six by")
    trees = hostile_trees(forger)
    for name, (tree, size, files) in trees.items():
        forger.version(name, tree, size, files)
    before, outside = state_of(two.reader), sorted(p for p in two.tmp_path.iterdir())
    for name in trees:
        with Repository(two.reader) as repository, pytest.raises(Damage):
            refused = repository.pull(specs=[name]).refused
            raise refused[0].problem if refused and refused[0].problem else AssertionError(f"{name} was pulled")
        assert state_of(two.reader) == before, name
    with Repository(two.reader) as repository:
        refused = repository.pull().refused
        assert {moved.path.name for moved in refused} == set(trees), "the good one comes all the same"
        assert all(isinstance(moved.problem, Damage) for moved in refused)
        assert repository.find("good").version
    assert sorted(two.tmp_path.iterdir()) == outside
    check(Path(two.reader))


def test_a_tree_that_unfolds_without_end_is_pulled_in_no_time(two: Two) -> None:
    """Case 24: equal folders are looked at once."""
    forger = Forger(two.remote)
    forger.blob(b"")
    tree, count = forger.tree(file(b"f")), 1
    for _ in range(60):
        tree, count = forger.tree(directory(b"a", tree, 0, count), directory(b"b", tree, 0, count)), count * 2
    forger.version("folds", tree, 0, count)
    result = run(two.tmp_path, "pull", ARTSTORE_DIR=two.reader, timeout=20)
    assert result.code == 0, result


ENTRIES: dict[str, Callable[[Forger, str], object]] = {
    "climbs": lambda f, n: f.entry(n, version_changes("../../x", "0" * 64, EMPTY)[0]),
    "elsewhere": lambda f, n: f.entry(n, *version_changes("other", f.version("one", f.tree(), 0, 0), f.tree(), 0, 0)),
    "torn": lambda f, n: f.raw_entry(n, b'{"changes":['),
    "text": lambda f, n: f.raw_entry(n, b"not json"),
    "kind": lambda f, n: f.entry(n, {"kind": "execute", "change": "1" * 32, "command": "rm"}),
    "number": lambda f, n: f.entry(n, *version_changes(n, "0" * 64, f.tree(), number=-1)),
    "huge": lambda f, n: f.entry(n, *version_changes(n, f.version("two", f.tree(), 0, 0), f.tree(), 0, 0, 1 << 70)),
    "digest": lambda f, n: f.entry(n, *version_changes(n, "../../../../etc/passwd", f.tree())),
    "lies": lambda f, n: f.entry(n, *version_changes(n, f.version("two", f.tree(), 0, 0), f.tree(), 5, 5)),
    "prev": lambda f, n: f.entry(n, *version_changes(n, "0" * 64, f.tree()), prev="0" * 64),
    "from": lambda f, n: f.entry(n, {
        "kind": "moved from", "change": "2" * 32, "entity": "..", "project": "../..", "name": "/etc", "number": 1,
        "digest": "0" * 64,
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_that_we_would_not_have_written_are_not_pulled(two: Two, name: str) -> None:
    """Case 24, 29: names that climb, numbers that are none, versions that are not what the log says, unknown changes."""
    forger = Forger(two.remote)
    outside = sorted(two.tmp_path.iterdir())
    ENTRIES[name](forger, name)
    for other in ("one", "two"):
        shutil.rmtree(forger.folder(other), ignore_errors=True)
    with Repository(two.reader) as repository:
        try:
            refused = repository.pull().refused
        except ArtstoreError:
            is_refused = True
        else:
            is_refused = bool(refused)
        assert is_refused or not [state for state in repository.collections() if state.path.name not in ("own", "good")]
    assert sorted(two.tmp_path.iterdir()) == outside
    shutil.rmtree(forger.folder(name))
    shutil.rmtree(Path(two.reader, "remotes/origin/refs"), ignore_errors=True)
    two.pulls()


def test_strangers_names_in_a_remotes_folders_are_passed_over(two: Two) -> None:
    """Case 29: what is no log, pack or blob of ours."""
    strangers = ["refs/local/x", "refs/x", "refs/local/uncategorized/good/note.txt", "refs/.DS_Store", "objects/packs/x.pack",
                 "objects/packs/.tmp", "objects/blobs/zz/zz", "objects/blobs/00/" + "0" * 63, "refs/a/b/c/d/00000001.json",
                 "refs/local/uncategorized/good/00000001 (conflicted copy).json", "tmp/x/y", "trash/x/y", "bad/x",
                 "refs/local/uncategorized/good/1.json", "refs/local/uncategorized/good/\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661.json"]  # fmt: skip
    for name in strangers:
        path = two.remote / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"stranger")
    two.pulls()
    assert two.push() == []


@pytest.mark.parametrize("what", ["entry", "format", "number", "pack", "checkpoint"])
def test_a_remote_that_tells_of_enormous_things_costs_no_memory(two: Two, what: str) -> None:
    """Case 25, 29: 64 GiB of holes as an entry, as `format`, as a pack; a log that seems to have 99,999,999 entries."""
    if what == "number":
        (two.log / "99999999.json").write_bytes(b"{}")
    else:
        path = {
            "entry": two.log / "00000001.json", "format": two.remote / "format", "pack": two.pack,
            "checkpoint": two.log / "00000001.checkpoint",
        }[what]  # fmt: skip
        path.touch()
        os.truncate(path, 64 << 30)
    limit = limited("RLIMIT_AS", 2 << 30)
    result = run(two.tmp_path, "pull", setup=limit, ARTSTORE_DIR=two.reader, timeout=60)
    assert result.code == 0 if what == "checkpoint" else result.code in (7, 9, 10), result
    assert result.err.startswith("error: ") or what == "checkpoint", result
    check(Path(two.reader))


# -- a pull and a push that fail at the end ------------------------------------------------------


def test_a_push_that_had_to_be_withdrawn_can_be_repeated_and_takes_nothing_away_here(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 31, 65: what the withdrawal said at the remote is no deletion that others (or a pull) would take over."""
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "ensure", _collected)
        with pytest.raises(MissingObject):
            two.push()
    with Repository(two.reader) as repository:
        repository.pull()
        repository.get(repository.find("own:v0"), str(two.tmp_path / "out"))
    assert snapshot(two.tmp_path / "out") == snapshot(two.own)
    assert two.push() == []
    whole_at_remote(two.remote, two.own, "own", two.tmp_path)


def test_a_withdrawn_push_is_repeated_by_the_next_push(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 31, 65: as the hint says, the same command again."""
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "ensure", _collected)
        with pytest.raises(MissingObject):
            two.push()
    assert two.push() == []
    whole_at_remote(two.remote, two.own, "own", two.tmp_path)


def test_a_next_version_that_tells_another_size_of_a_blob_of_the_one_before_is_refused(two: Two) -> None:
    """Case 5: what lies here is not asked for again, so its size is compared with what lies here."""
    forge = Forger(two.remote)
    blob = forge.blob(b"one")
    forge.version("lies", forge.tree((b"f", 0, 3, blob)), size=3)
    assert two.pull() == []
    tree = forge.tree((b"f", 0, 4, blob))
    record = VersionRecord(tree, 4, 1, "artifact", 1_700_000_000_000_000_001, None, ()).encode()
    forge.pack((VERSION, record))
    _, added = version_changes("lies", digest_of(VERSION, record).hex(), tree, 4, 1, number=1)
    forge.entry("lies", added)
    assert "another size" in str(two.refuses_to_pull(Damage))


def test_a_folder_of_the_version_before_under_another_name_is_looked_at_when_its_totals_differ(two: Two) -> None:
    """Case 5, 17: what has the same digest and size needn't have the count of files that is told."""
    forge = Forger(two.remote)
    inner = forge.tree(file(b"f", forge.blob(b"one"), 3))
    forge.version("lies", forge.tree(directory(b"d", inner, 3, 1)), size=3)
    assert two.pull() == []
    for name, number in ((b"e", 1), (b"d", 1)):
        tree = forge.tree(directory(name, inner, 3, 999))
        record = VersionRecord(tree, 3, 999, "artifact", 1_700_000_000_000_000_001, None, ()).encode()
        forge.pack((VERSION, record))
        _, added = version_changes("lies", digest_of(VERSION, record).hex(), tree, 3, 999, number=number)
        path = forge.entry("lies", added)
        assert "has other totals" in str(two.refuses_to_pull(Damage))
        path.unlink()
        shutil.rmtree(Path(two.reader, "remotes"))
        with Repository(two.reader) as repository:
            repository.fetch()


def test_a_pull_that_had_to_be_withdrawn_can_be_repeated_and_takes_nothing_away_there(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 65: the other way round, a push after it must not delete the version at the remote."""
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "ensure", _collected)
        with pytest.raises(MissingObject):
            two.pull()
    two.push()
    whole_at_remote(two.remote, two.source, "good", two.tmp_path)
    two.pulls()


def _collected(self: Transaction) -> None:
    raise MissingObject("collected meanwhile")


# -- buckets -------------------------------------------------------------------------------------


@pytest.fixture
def proxy(server: SeaweedFS) -> Iterator[S3Proxy]:
    with S3Proxy(server.endpoint) as proxy:
        yield proxy


class Bucket:
    """A repository and its remote in a bucket behind a proxy; a push of one small pack and one large blob is due."""

    def __init__(self, tmp_path: Path, proxy: S3Proxy) -> None:
        self.tmp_path, self.proxy = tmp_path, proxy
        self.url = f"s3://{SeaweedFS.bucket}/{os.urandom(8).hex()}?endpoint={proxy.endpoint}&region=us-east-1"
        self.root = str(tmp_path / "here")
        self.source = make_tree(tmp_path / "source", FILES)
        with Repository.init(self.root) as repository:
            repository.remotes.add("origin", self.url, make=True)
            repository.put(str(self.source), "good")
        proxy.reset()

    def push(self) -> None:
        with Repository(self.root) as repository:
            assert repository.push().refused == []

    def clone(self) -> Path:
        root = self.tmp_path / f"clone-{os.urandom(4).hex()}"
        clone, done = Repository.clone(self.url, str(root))
        with clone:
            assert done.refused == []
            clone.get(clone.find("good:v0"), f"{root}-out")
        assert snapshot(Path(f"{root}-out")) == snapshot(self.source)
        check(root)
        return root

    def is_whole(self) -> None:
        self.proxy.rule = lambda request, number: PASS
        self.push()
        root = self.clone()
        entries = list(root.glob("remotes/origin/refs/local/uncategorized/good/*.json"))
        assert len(entries) == 1, "told twice"


@pytest.fixture
def bucket(tmp_path: Path, proxy: S3Proxy, server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """With less patience than it has in life."""
    pytest.importorskip("obstore")
    from datetime import timedelta

    from artstore.backends.bucket import calls, opening

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    real: Any = vars(opening)["S3Store"]

    def impatient(name: str, **options: Any) -> Any:
        options["retry_config"] = {
            "max_retries": 2,
            "retry_timeout": timedelta(seconds=6),
            "backoff": {
                "init_backoff": timedelta(milliseconds=5),
                "max_backoff": timedelta(milliseconds=20),
                "base": 2,
            },
        }
        options["client_options"] |= {"timeout": timedelta(seconds=2), "read_timeout": timedelta(seconds=1)}
        return real(name, **options)

    monkeypatch.setattr(opening, "S3Store", impatient)
    monkeypatch.setattr(calls, "WAITS", (0.01, 0.02))
    return Bucket(tmp_path, proxy)


def only(pattern: str, action: Action, times: int = 10**9, method: str = "PUT") -> Callable[[Request, int], Action]:
    """The action for the first so many requests whose path matches."""
    left, lock = [times], threading.Lock()

    def rule(request: Request, number: int) -> Action:
        if re.search(pattern, request.path) and request.method == method:
            with lock:
                left[0] -= 1
                if left[0] >= 0:
                    return action
        return PASS

    return rule


def nth(wanted: int, action: Action) -> Callable[[Request, int], Action]:
    return lambda request, number: action if number == wanted else PASS


@pytest.mark.parametrize("times", [1, 3])
def test_an_entry_that_was_written_and_whose_reply_was_lost_is_ours(bucket: Bucket, times: int) -> None:
    """Case 30: the second try is refused, and read back."""
    bucket.proxy.rule = only(ENTRY, DROP_REPLY, times)
    bucket.push()
    bucket.is_whole()


@pytest.mark.parametrize("pattern", [r"/tmp/[^/]*/\.claim", "/objects/packs/", "/objects/blobs/"])
def test_any_other_write_whose_reply_was_lost_is_made_again(bucket: Bucket, pattern: str) -> None:
    """Case 30: also that of the transaction's own mark."""
    bucket.proxy.rule = only(pattern, DROP_REPLY, 1)
    bucket.push()
    bucket.is_whole()


@pytest.mark.parametrize(
    "action",
    [DROP_REPLY, REFUSE(503), REFUSE(500), pytest.param(HANG(9), marks=long)],
    ids=["dropped", "503", "500", "hang"],
)
def test_an_entry_of_which_nobody_knows_is_told_as_such_and_nothing_is_removed(bucket: Bucket, action: Action) -> None:
    """Case 31: neither the write nor the reading back is answered; the next push finds what was done."""

    def rule(request: Request, number: int) -> Action:
        return action if re.search(ENTRY, request.path) and request.method in ("PUT", "GET") else PASS

    bucket.proxy.rule = rule
    with pytest.raises(UnknownOutcome) as caught, Repository(bucket.root) as repository:
        repository.push()
    assert "run the same command again" in (caught.value.hint or "")
    bucket.proxy.rule = lambda request, number: PASS
    assert not [request for request in bucket.proxy.requests if request[0] == "DELETE" and "/objects/" in request[1]]
    bucket.is_whole()


def test_a_gateway_without_conditional_writes_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    """Case 32: tried when the remote is added; nothing is noted of it."""
    bucket.proxy.rule = lambda request, number: IGNORE_CONDITION
    with Repository.init(str(tmp_path / "second")) as repository:
        with pytest.raises(InvalidValue, match="lets a second writer replace"):
            repository.remotes.add("origin", bucket.url)
        assert repository.remotes.all() == {}
        with pytest.raises(InvalidValue):
            repository.remotes.add(
                "origin", f"s3://{SeaweedFS.bucket}/{os.urandom(4).hex()}?{bucket.url.partition('?')[2]}", make=True
            )
        assert repository.remotes.all() == {}


@pytest.mark.diagonal("place", "action", "times")
@pytest.mark.parametrize("action", [TRUNCATE, LONGER, FLIP, CUT], ids=["truncated", "longer", "flipped", "cut"])
@pytest.mark.parametrize("times", [1, 10**9], ids=["once", "always"])
@pytest.mark.parametrize("place", ["/objects/packs/", "/objects/blobs/", ENTRY, "/format"])
def test_bytes_that_change_on_their_way_are_never_taken_for_right(
    bucket: Bucket, tmp_path: Path, action: Action, times: int, place: str
) -> None:
    """Case 24, 25: one damaged reply is mended by asking again, or refused; what always comes so is refused."""
    bucket.push()
    bucket.proxy.rule = only(place, action, times, "GET")
    root = tmp_path / "clone"
    try:
        bucket.clone()
    except ArtstoreError as error:
        assert isinstance(error, (Damage, StorageError)) or place == "/format", repr(error)
        if root.exists():
            check(root)
    else:
        assert times == 1, "damaged bytes were taken"
    bucket.proxy.rule = lambda request, number: PASS
    bucket.clone()


def test_a_proxy_that_compresses_is_refused_or_seen_through(bucket: Bucket) -> None:
    """Case 25: bodies in gzip, without and with a header that says so."""
    import gzip

    bucket.push()
    bucket.proxy.rule = only("/objects/", changed(gzip.compress), method="GET")
    with pytest.raises((Damage, StorageError)):
        bucket.clone()
    bucket.is_whole()


HOSTILE_KEYS = ["refs/../../x/00000001.json", "objects/packs/../../../x", "../x", "refs//a/b/00000001.json", "refs/a/b/../c/00000001.json",
                "/etc/x", "refs/a\\..\\..\\x/b/c/00000001.json", "objects/blobs/../../x", "tmp/../../../x/y"]  # fmt: skip


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_a_listing_with_keys_that_climb_is_refused_or_passed_over(bucket: Bucket, tmp_path: Path, key: str) -> None:
    """Case 29: keys are parsed, never joined to a path."""
    bucket.push()
    prefix = bucket.url.partition("?")[0].removeprefix(f"s3://{SeaweedFS.bucket}/")
    item = (
        f"<Contents><Key>{prefix}/{key}</Key><Size>3</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        "<ETag>&quot;x&quot;</ETag><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"
    )
    bucket.proxy.rule = only(
        "list-type=2", changed(lambda body: body.replace(b"</ListBucketResult>", item.encode())), method="GET"
    )
    before = set(tmp_path.rglob("*"))
    root = tmp_path / "clone/deep/down/.artifacts"
    try:
        clone, _ = Repository.clone(bucket.url, str(root))
        clone.close()
    except ArtstoreError:
        pass
    outside = {p for p in tmp_path.rglob("*") if root not in p.parents and p not in before}
    assert outside <= {root, *root.parents}, outside
    if root.exists():
        check(root)
        mirrored = {str(p.relative_to(root / "remotes/origin")) for p in (root / "remotes/origin").rglob("*.json")}
        assert not [path for path in mirrored if "x" in path.split("/")], mirrored
    bucket.is_whole()


@pytest.mark.parametrize("action", [REFUSE(503), REFUSE(500), REFUSE(429), CUT, DROP_REPLY, pytest.param(HANG(1.5), marks=long)],
                         ids=["503", "500", "429", "cut", "dropped", "hang"])  # fmt: skip
def test_a_server_that_fails_now_and_then_is_asked_again(bucket: Bucket, action: Action) -> None:
    """Case 36: every fourth request; the push may fail, but then the next goes on, and nothing is lost."""
    bucket.proxy.rule = lambda request, number: action if number % 4 == 0 else PASS
    for _ in range(4):
        try:
            bucket.push()
            break
        except StorageError:
            continue
    else:
        pytest.fail("four pushes failed")
    bucket.is_whole()


@pytest.mark.parametrize("action", [REFUSE(503), pytest.param(HANG(9), marks=long), CUT], ids=["503", "hang", "cut"])
def test_a_server_that_is_gone_ends_every_command(bucket: Bucket, action: Action) -> None:
    """Case 36: bounded tries, one sentence."""
    bucket.push()
    bucket.proxy.rule = lambda request, number: action
    with Repository(bucket.root) as repository:
        for act in (repository.push, repository.pull, repository.fetch):
            with pytest.raises(StorageError):
                act()
    bucket.is_whole()


@pytest.mark.diagonal("number", "action")
@pytest.mark.parametrize("number", range(1, 31))
@pytest.mark.parametrize("action", [REFUSE(403), DROP_REPLY, REFUSE(507)], ids=["403", "dropped", "507"])
def test_a_push_that_fails_at_any_request_is_done_by_the_next(bucket: Bucket, number: int, action: Action) -> None:
    """Case 35, 37: credentials that expire, replies that are lost, no space, at this request and (but for one) all later ones."""
    stays = action is not DROP_REPLY
    bucket.proxy.rule = lambda request, n: action if (n >= number if stays else n == number) else PASS
    try:
        bucket.push()
    except ArtstoreError as error:
        assert isinstance(error, StorageError), repr(error)
        assert stays, f"one lost reply is no reason to fail: {error!r}"
    bucket.is_whole()


def test_expired_credentials_are_told(bucket: Bucket) -> None:
    """Case 37: in the middle of a push."""
    bucket.proxy.rule = only("/objects/blobs/", REFUSE(403))
    with pytest.raises(StorageError) as caught, Repository(bucket.root) as repository:
        repository.push()
    assert "credentials" in (caught.value.hint or ""), caught.value.hint
    bucket.is_whole()


def test_a_bucket_without_space_is_told(bucket: Bucket) -> None:
    """Case 35: no entry is made, and the next push goes on."""
    bucket.proxy.rule = only("/objects/packs/", REFUSE(507))
    with pytest.raises(NoSpace), Repository(bucket.root) as repository:
        repository.push()
    assert not [path for method, path, _ in bucket.proxy.requests if method == "PUT" and re.search(ENTRY, path)]
    bucket.is_whole()


def test_a_hostile_pack_in_a_bucket_is_refused(tmp_path: Path) -> None:
    """Case 24: its index names ranges behind its end."""
    pytest.importorskip("obstore")
    from artstore.backends.storage import open_storage
    from artstore.domain.digest import pack_digest
    from artstore.store.packs import END, FOOTER, MAGIC, ROW

    url = f"memory://{os.urandom(8).hex()}/x"
    tree = encode_rows([file(b"f", EMPTY, 0)])
    with Repository.init(str(tmp_path / "author")) as author:
        author.remotes.add("origin", url, make=True)
        author.put(str(make_tree(tmp_path / "source", FILES)), "good")
        author.push()
    with Repository.init(str(tmp_path / "forged")) as forged:
        forger = Forger(Path(forged.root))
        forger.blob(b"")
        forger.version("evil", digest_of(TREE, tree), 0, 1)
    storage = open_storage(url, scratch=str(tmp_path))
    for path in (tmp_path / "forged/objects/packs").iterdir():
        storage.publish(str(path), f"objects/packs/{path.name}")
    storage.create("refs/local/uncategorized/evil/00000001.json", next(forger.folder("evil").iterdir()).read_bytes())
    header = MAGIC + os.urandom(16)
    for offset, length in ((1 << 40, 100), (24, 1 << 30), ((1 << 63) - 1, 1 << 31)):
        row = ROW.pack(digest_of(TREE, tree), TREE, 0, 0, length, offset)
        name = pack_digest(header, row)
        data = header + tree + row + FOOTER.pack(1, len(header + tree), name, END)
        (tmp_path / "evil").write_bytes(data)
        storage.publish(str(tmp_path / "evil"), f"objects/packs/{name.hex()}.pack")
        with Repository.init(str(tmp_path / "reader")) as reader:
            if not reader.remotes.all():
                reader.remotes.add("origin", url)
            before = state_of(reader.root)
            with pytest.raises((Damage, StorageError)):
                reader.pull(specs=["evil"])
            assert state_of(reader.root) == before
        header = MAGIC + os.urandom(16)
    check(tmp_path / "reader")
