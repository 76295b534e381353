"""The stat cache: what was in each folder when it was last read, so that unchanged files aren't read again.

There is one file in cache/stat/ for each root. It has a record for each folder: the signature (names and stats of the
folder's files, in the order in which the system lists them), the tree that was made of it, and that tree's entries. A
record is used only if its own hash is right.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterable
from mmap import mmap
from typing import Any, NamedTuple

import msgpack
from blake3 import blake3

from artstore.backends.descriptors import Appending, mapped
from artstore.backends.files import closing_fd, remove_if_there
from artstore.backends.mapped import look
from artstore.backends.mounts import is_local
from artstore.backends.storage import FolderStorage
from artstore.domain.digest import Digest
from artstore.domain.tree import DIRECTORY, EXECUTABLE, REFERENCE, Row
from artstore.errors import StorageError
from artstore.store.packs import LARGE

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_MAGIC = b"ARTSTAT\x01"
_HASH = 16

_FEW = 64  # with this many changed entries or fewer, a cache of more than _WORTH bytes isn't written anew
_WORTH = 1 << 20
_MANY = 300_000  # most entries whose records are held in memory until it is decided whether to write them

Stat = tuple[int, ...]
"""The stat of a file or folder.

(mode, inode, size, mtime, ctime) of a file, and the device as sixth if it was reached through a symlink; (mode type,
inode) of a folder.
"""

UNKNOWN: Stat = (0,)
"""A stat that no file has. In a record it makes that file be read again."""


class RecordPart(NamedTuple):
    """A part of a folder's entries, as `tree.split` cuts them. A folder that isn't split has one part."""

    entry: Row | None
    """the PART entry; None for the only part"""
    packed: bytes
    """msgpack of the entries"""

    def entries(self) -> list[Row]:
        return msgpack.unpackb(self.packed, use_list=False, raw=False)  # type: ignore[no-any-return]


class Record(NamedTuple):
    """The record of one folder."""

    signature: bytes
    tree: Digest
    size: int
    files: int
    folders: tuple[tuple[bytes, Digest], ...]
    """(name, tree) of each of its subfolders"""
    parts: tuple[RecordPart, ...]
    large: tuple[tuple[Digest, int], ...]
    """(digest, size) of its large files: these are checked one by one even if the rest is trusted"""

    def stats(self) -> dict[str, Stat]:
        return msgpack.unpackb(self.signature, use_list=False, unicode_errors="surrogateescape")  # type: ignore[no-any-return]

    def known(self) -> dict[str, tuple[Stat, int, Any]]:
        """(stat, kind, `content_of` the entry) of each of its files, by name."""
        stats, known = self.stats(), {}
        for part in self.parts:
            for entry in part.entries():
                name = os.fsdecode(entry[0])
                if entry[1] != DIRECTORY and name in stats:
                    known[name] = stats[name], entry[1], content_of(entry)
        return known


def content_of(entry: Any) -> Any:
    """What identifies the content of a tree's entry: the digest of a file, or all fields of a reference."""
    return entry[2:] if entry[1] == REFERENCE else entry[3]


def large_in(parts: Iterable[RecordPart]) -> tuple[tuple[Digest, int], ...]:
    """(digest, size) of the large files in these parts."""
    entries = (entry for part in parts for entry in part.entries())
    return tuple((entry[3], entry[2]) for entry in entries if entry[1] <= EXECUTABLE and entry[2] >= LARGE)


def signature(seen: dict[str, Stat]) -> bytes:
    return msgpack.packb(seen, unicode_errors="surrogateescape")  # type: ignore[no-any-return]


_SPELLING = "" if sys.getfilesystemencoding() == "utf-8" else sys.getfilesystemencoding()
"""The records hold names as text, as the locale spells them: another locale couldn't find its files by these."""


class StatCache:
    """The records of one root: the old ones and those of this save. `save` writes only if something has changed."""

    def __init__(self, storage: FolderStorage, root: str, salt: str = "") -> None:
        self._storage = storage
        named = os.fsencode(root) + salt.encode() + _SPELLING.encode()
        self._path = f"cache/stat/{blake3(named).hexdigest()[:32]}"
        self._begin()

    def _begin(self) -> None:
        """Read the old records. There are no new ones yet."""
        self._old: mmap | None = None
        self._where: dict[bytes, tuple[int, int]] = {}
        self._new: dict[bytes, tuple[int, int] | None] = {}
        """(offset, bytes) of each folder's record in the file that is being written; None if its old record is kept"""
        self._changed = False
        self._failed = False
        self._later: list[tuple[bytes, Callable[[], Record]]] = []
        self._later_entries = self._later_changes = 0
        self._out: Appending | None = None
        self._written = len(_MAGIC)
        self._temporary = ""
        self.note: Any = None
        """what the last `save` was given for the whole root: the version as which it was stored"""
        self._load()

    def _load(self) -> None:
        try:
            with closing_fd(self._storage.open_own(self._path)) as fd:
                data = mapped(fd)
            end = len(data) - 8
            start = int.from_bytes(data[end:], "big")
            if data[: len(_MAGIC)] != _MAGIC or start > end:
                return
            contents = _unsealed(data[start:end])
            if contents is not None:
                self.note, self._where = contents
                self._old = data
        except (OSError, ValueError, StorageError, TypeError, msgpack.UnpackException):
            return  # missing or damaged: everything is read again

    def get(self, path: bytes) -> Record | None:
        """The record of a folder, by its path below the root; None if there is none or it is damaged."""
        if self._old is None or (place := self._where.get(path)) is None:
            return None
        start, length = place
        try:
            sig, tree, size, files, folders, parts, large = _unsealed(self._old[start : start + length])
            return Record(sig, Digest(tree), size, files, folders, tuple(RecordPart(*part) for part in parts), large)
        except (TypeError, ValueError, msgpack.UnpackException):
            return None

    def keep(self, path: bytes) -> None:
        """Keep a folder's old record, which is still right."""
        self._new[path] = None

    def put(self, path: bytes, record: Record) -> None:
        """Write a folder's new record."""
        data = _sealed(tuple(record))
        self._changed = True
        if self._append(data):
            self._new[path] = self._written - len(data), len(data)

    def put_later(self, path: bytes, make: Callable[[], Record], entries: int, changes: int) -> None:
        """Write a folder's new record if the changes of the whole root are worth it; only then is it made.

        While only a few files of a large root differ, the old records stay: reading those files again at the next save
        costs less than writing megabytes of records now.
        """
        self._later.append((path, make))
        self._later_entries += entries
        self._later_changes += changes
        if self._later_changes > _FEW or self._later_entries > _MANY:
            self._write_later()

    def _write_later(self) -> None:
        for path, make in self._later:
            self.put(path, make())
        self._later = []

    def _can_wait(self) -> bool:
        paths = self._new.keys() | {path for path, _ in self._later}
        return not self._changed and self._old is not None and len(self._old) > _WORTH and paths == self._where.keys()

    def _append(self, data: bytes) -> bool:
        if self._failed:
            return False
        try:
            if self._out is None:
                self._temporary = self._storage.temporary()
                self._storage.make_folder("cache/stat")
                self._out = Appending(os.open(self._temporary, _NEW, 0o644))
                self._out.write(_MAGIC)
            self._out.write(data)
        except OSError:
            self._failed = True  # read-only or full: the next save has no cache and reads more
            return False
        self._written += len(data)
        return True

    def save(self, note: Any) -> None:
        """Write the new records, if something has changed and it is worth it. Best effort."""
        # Leave the old file if only a few files of a large root differ.
        if self._later and self._can_wait():
            self.close()
            return
        self._write_later()
        # Copy the old records that are kept behind the new ones, then write the table of contents and its offset.
        if self._changed or note != self.note or self._new.keys() != self._where.keys():
            where = dict(self._new)
            for path in [path for path, place in where.items() if place is None]:
                start, length = self._where[path]
                where[path] = self._written, length
                self._append(self._old[start : start + length])  # type: ignore[index]  # only its records are kept
            start = self._written
            if self._append(_sealed((note, where))) and self._append(start.to_bytes(8, "big")):
                self._publish()
        self.close()

    def begin_again(self) -> None:
        """Make the records so far the old ones, for another walk of the root: it reads what this one could not read."""
        self.save(self.note)
        self._begin()

    def _publish(self) -> None:
        try:
            assert self._out is not None, "something was appended"
            self._out.close()
            os.replace(self._temporary, self._storage.path(self._path))
            self._out = None
        except OSError:
            pass

    def close(self) -> None:
        """Discard what wasn't saved."""
        if self._out is not None:
            try:
                self._out.close()
            except OSError:
                pass  # the disk is full; the file is discarded anyway
            self._out = None
            remove_if_there(self._temporary)


def _sealed(value: Any) -> bytes:
    data: bytes = msgpack.packb(value, unicode_errors="surrogateescape")
    return data + blake3(data).digest(_HASH)


def _unsealed(data: bytes) -> Any:
    body = data[:-_HASH]
    if blake3(body).digest(_HASH) != data[-_HASH:]:
        return None
    return msgpack.unpackb(body, use_list=False, raw=False, strict_map_key=False, unicode_errors="surrogateescape")


def clock_tick(folder: str) -> int:
    """Nanoseconds within which two changes of a file may give it the same times.

    A file that is written twice within one tick of the file system's clock looks the same after the second write (git's
    "racy" entries). By measurement, local file systems use the kernel's coarse clock, whose ticks are 10 ms at most;
    this is two of them. Network file systems have their own clocks, so it is a minute there.
    """
    return 20_000_000 if is_local(folder) else 60_000_000_000


class Trust(NamedTuple):
    """Which files can be recognised by their stats next time, if they are read from now on."""

    before: int
    """nanoseconds since 1970: a file whose times are less than this can't change without a change of its times"""
    mapped: frozenset[int] = frozenset()
    """inodes of files that can change while their times stay: see `mapped`"""
    in_memory: frozenset[int] = frozenset()
    """devices in memory, where all files can"""

    def holds(self, st: Stat, device: int) -> bool:
        """Whether a file's stat can be trusted.

        `device` is its folder's, unless the stat has one (behind a symlink).
        """
        return (
            is_old(st, self.before)
            and st[1] not in self.mapped
            and (st[5] if len(st) > 5 else device) not in self.in_memory
        )


def trust(folder: str, stats: Iterable[Stat], *, of_many: bool = False) -> Trust:
    """Find out which of these files can be trusted by their stats. Call it before they are read.

    Only then a change while they are read is noticed. With `of_many`, for files that are added one by one, files that
    were just written may not be trusted although they could be.
    """
    tick = clock_tick(folder)
    newest = max((max(st[3], st[4]) for st in stats if len(st) > 2), default=0)
    seen = look(newest + tick, of_many=of_many)
    return Trust(seen.at - tick, seen.inodes, seen.devices)


def is_old(stat: Stat, before: int) -> bool:
    """Whether a file's times are old enough to be trusted.

    Times in whole seconds come from file systems that store no fractions (FAT even two seconds), so 2 s are added.
    """
    newest = max(stat[3], stat[4])
    if stat[3] % 1_000_000_000 == 0 and stat[4] % 1_000_000_000 == 0:
        newest += 2_000_000_000
    return newest < before


def list_stats(fd: int) -> dict[str, Stat]:
    """The stats of all entries of an open folder, by name. Symlinks aren't followed."""
    seen: dict[str, Stat] = {}
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                seen[entry.name] = (stat.S_IFDIR, entry.inode())
            else:
                try:
                    st = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # a temporary file of another checkout, renamed meanwhile
                seen[entry.name] = (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    return seen
