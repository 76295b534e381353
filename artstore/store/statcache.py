"""The stat cache: what each folder below a root held when it was last read, so that unchanged files are not opened
again.

One file in cache/stat/ per root. A record per folder: the signature (names and stats of its files, in the order the
system lists them), the tree it became, and that tree's entries. A record is used only when its own hash holds.
"""

import os
import stat
import time
from collections.abc import Callable, Iterable
from functools import partial
from mmap import ACCESS_READ, mmap
from typing import Any, NamedTuple

import msgpack
from blake3 import blake3

from artstore.backends.files import remove_if_there
from artstore.backends.mapped import look
from artstore.backends.mounts import is_local
from artstore.backends.storage import FolderStorage
from artstore.domain.digest import Digest
from artstore.domain.tree import DIRECTORY, EXECUTABLE, REFERENCE, Entry
from artstore.errors import StorageError
from artstore.store.packs import LARGE

_MAGIC = b"ARTSTAT\x01"
_HASH = 16

_FEW = 64  # changed entries for which records of more than _WORTH bytes are not written anew
_WORTH = 1 << 20
_MANY = 300_000  # entries whose records are held in memory until it is known whether they are worth it

Stat = tuple[int, ...]
"""(mode, inode, size, mtime, ctime) of a file, with the device as sixth where it was reached through a symlink; (mode
type, inode) of a folder.
"""

UNKNOWN: Stat = (0,)
"""What no file has: a record that holds it makes that file be read again."""


class Part(NamedTuple):
    """A run of a folder's entries, as `tree.split` cuts them; a folder that isn't split has one."""

    entry: Entry | None
    """the PART entry; None for the only one"""
    packed: bytes
    """msgpack of the entries"""

    def entries(self) -> list[Entry]:
        return msgpack.unpackb(self.packed, use_list=False, raw=False)  # type: ignore[no-any-return]


class Record(NamedTuple):
    """What is known of one folder."""

    signature: bytes
    tree: Digest
    size: int
    files: int
    folders: tuple[tuple[bytes, Digest], ...]
    """names and trees of its subfolders"""
    parts: tuple[Part, ...]
    large: tuple[tuple[Digest, int], ...]
    """(digest, size) of large files: looked at one by one even where the rest is taken on trust"""

    def stats(self) -> dict[str, Stat]:
        return msgpack.unpackb(self.signature, use_list=False, unicode_errors="surrogateescape")  # type: ignore[no-any-return]

    def known(self) -> dict[str, tuple[Stat, int, Any]]:
        """name → (stat, kind, what `content_of` says) of its files."""
        stats, known = self.stats(), {}
        for part in self.parts:
            for entry in part.entries():
                name = os.fsdecode(entry[0])
                if entry[1] != DIRECTORY and name in stats:
                    known[name] = stats[name], entry[1], content_of(entry)
        return known


def content_of(entry: Any) -> Any:
    """What tells the content of a tree's entry: a file's digest; of a reference all that is said of it."""
    return entry[2:] if entry[1] == REFERENCE else entry[3]


def large_in(parts: Iterable[Part]) -> tuple[tuple[Digest, int], ...]:
    """(digest, size) of the large files among these entries."""
    entries = (entry for part in parts for entry in part.entries())
    return tuple((entry[3], entry[2]) for entry in entries if entry[1] <= EXECUTABLE and entry[2] >= LARGE)


def signature(seen: dict[str, Stat]) -> bytes:
    return msgpack.packb(seen, unicode_errors="surrogateescape")  # type: ignore[no-any-return]


class StatCache:
    """The records of the last time, and those of this time. `save` writes only when something differs."""

    def __init__(self, storage: FolderStorage, root: str, salt: str = "") -> None:
        self._storage = storage
        self._path = f"cache/stat/{blake3(os.fsencode(root) + salt.encode()).hexdigest()[:32]}"
        self._old: mmap | None = None
        self._where: dict[bytes, tuple[int, int]] = {}
        self._new: dict[bytes, tuple[int, int]] = {}
        self._changed = False
        self._failed = False
        self._later: list[tuple[bytes, Callable[[], Record]]] = []
        self._later_entries = self._later_changes = 0
        self._out: Any = None
        self._written = len(_MAGIC)
        self._temporary = ""
        self.note: Any = None
        """whatever the last save said of the whole: the version as which this root was stored"""
        self._load()

    def _load(self) -> None:
        try:
            fd = self._storage.open_own(self._path)
            try:
                data = mmap(fd, 0, access=ACCESS_READ)
            finally:
                os.close(fd)
            end = len(data) - 8
            start = int.from_bytes(data[end:], "big")
            if data[: len(_MAGIC)] != _MAGIC or start > end:
                return
            contents = _unsealed(data[start:end])
            if contents is not None:
                self.note, self._where = contents
                self._old = data
        except (OSError, ValueError, StorageError, TypeError, msgpack.UnpackException):
            return  # lost or damaged: everything is read again

    def get(self, path: bytes) -> Record | None:
        """The record of a folder, by its path below the root; None when there is none or it is damaged."""
        if self._old is None or (place := self._where.get(path)) is None:
            return None
        start, length = place
        try:
            sig, tree, size, files, folders, parts, large = _unsealed(self._old[start : start + length])
            return Record(sig, Digest(tree), size, files, folders, tuple(Part(*part) for part in parts), large)
        except (TypeError, ValueError, msgpack.UnpackException):
            return None

    def keep(self, path: bytes) -> None:
        """The record of the last time still holds."""
        self._new[path] = self._where[path]

    def put(self, path: bytes, record: Record) -> None:
        data = _sealed(tuple(record))
        self._changed = True
        if self._append(data):
            self._new[path] = len(data) - self._written, len(data)  # negative: in the file being written

    def put_later(self, path: bytes, make: Callable[[], Record], entries: int, changes: int) -> None:
        """As `put`, made and written only when the changes of the whole root are worth it.

        While a few files of a large root differ, the old records stay: the next save reads those files again, which costs
        less than writing megabytes of records for them now.
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
                self._out = open(self._temporary, "xb", opener=partial(os.open, mode=0o644))
                self._out.write(_MAGIC)
            self._out.write(data)
        except OSError:
            self._failed = True  # read-only or full: without a cache the next save reads more
            return False
        self._written += len(data)
        return True

    def save(self, note: Any) -> None:
        """Write the records of this time, if anything differs and it is worth it. Best effort."""
        if self._later and self._can_wait():
            self.close()
            return
        self._write_later()
        if self._changed or note != self.note or self._new.keys() != self._where.keys():
            where = {}
            for path, (start, length) in self._new.items():
                if start < 0:
                    where[path] = -start, length
                elif self._old is not None:
                    where[path] = self._written, length
                    self._append(self._old[start : start + length])
            start = self._written
            if self._append(_sealed((note, where))) and self._append(start.to_bytes(8, "big")):
                self._publish()
        self.close()

    def _publish(self) -> None:
        try:
            self._out.close()
            os.replace(self._temporary, self._storage.path(self._path))
            self._out = None
        except OSError:
            pass

    def close(self) -> None:
        """Drop what was not saved."""
        if self._out is not None:
            try:
                self._out.close()
            except OSError:
                pass  # a full disk: what was to be written is thrown away
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
    """Nanoseconds within which two changes of a file may leave the same times.

    A file written twice within one tick of the file system's clock looks the same after the second write (git's "racy"
    entries). Measured: the kernel's coarse clock, by which local file systems stamp; network file systems have clocks
    of
    their own, so a minute.
    """
    if not is_local(folder):
        return 60_000_000_000
    coarse = getattr(time, "CLOCK_REALTIME_COARSE", None)
    return 2 * int(time.clock_getres(coarse) * 1e9) if coarse is not None else 20_000_000


class Trust(NamedTuple):
    """Which files of one device can be known by their stats the next time, if they are read from now on."""

    before: int
    """Files whose times are below this (nanoseconds since 1970) can't change again without these showing it"""
    mapped: frozenset[int] = frozenset()
    """inodes that may change without it: see `mapped`"""
    in_memory: frozenset[int] = frozenset()
    """devices whose files may"""

    def holds(self, st: Stat, device: int) -> bool:
        """`device` is the folder's: of a file that was reached through a symlink, its own counts."""
        return (
            is_settled(st, self.before)
            and st[1] not in self.mapped
            and (st[5] if len(st) > 5 else device) not in self.in_memory
        )


def trust(folder: str, stats: Iterable[Stat], *, of_many: bool = False) -> Trust:
    """What can be trusted of these files, which are about to be read. Called before, so that what happens while they are
    read shows. Of files that are added one by one (`of_many`), those just written may be left untrusted.
    """
    tick = clock_tick(folder)
    newest = max((max(st[3], st[4]) for st in stats if len(st) > 2), default=0)
    seen = look(newest + tick, of_many=of_many)
    return Trust(seen.at - tick, seen.inodes, seen.devices)


def is_settled(stat: Stat, before: int) -> bool:
    """Whether a file's times are old enough to be trusted. Times in whole seconds come from file systems that keep no
    more (FAT: two).
    """
    newest = max(stat[3], stat[4])
    if stat[3] % 1_000_000_000 == 0 and stat[4] % 1_000_000_000 == 0:
        newest += 2_000_000_000
    return newest < before


def list_stats(fd: int) -> dict[str, Stat]:
    """What an open folder holds, by name; symlinks are not followed."""
    seen: dict[str, Stat] = {}
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                seen[entry.name] = (stat.S_IFDIR, entry.inode())
            else:
                try:
                    st = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # another checkout's, renamed meanwhile
                seen[entry.name] = (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    return seen
