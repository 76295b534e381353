"""Remotes with other bytes than they should have, links, special files and files that are swapped."""

import os
from pathlib import Path
from typing import Any

import pytest

from artstore.backends.storage import FolderStorage
from artstore.domain.digest import BLOB, digest_of
from artstore.errors import (
    ArtstoreError,
    Damage,
    StorageError,
)
from artstore.store.paths import blob_path
from tests.support.checks import check
from tests.support.folders import make_tree
from tests.support.hostile_remotes import LARGE, MIB, Two, _gc, place_of, writable
from tests.support.trouble import run


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    writable(path).write_bytes(data)


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
    result = run(two.tmp_path, "pull", ARTSTORE_DIR=two.reader, timeout=60)
    assert result.code in (4, 7, 9, 10) and result.err.startswith("error: "), result
    result = run(two.tmp_path, "push", ARTSTORE_DIR=two.reader, timeout=60)
    if place == "format":  # an entry is of a log that this push doesn't need
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
