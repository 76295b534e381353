"""Reading files for a save: their bytes go into a transaction, and a file that changes meanwhile is read again."""

import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3

from artstore.backends.files import check_below, closing_fd, kind_of, open_regular, remove_if_there, unreadable_at
from artstore.domain.digest import BLOB, Digest
from artstore.domain.names import printable
from artstore.domain.tree import EXECUTABLE, FILE, Row
from artstore.errors import storage_error
from artstore.operations.saving.listing import stat_of
from artstore.operations.saving.problems import VANISHED, Problems, reason_of
from artstore.progress import Monitor
from artstore.store.packs import LARGE
from artstore.store.statcache import Stat
from artstore.store.transaction import Transaction

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

TRIES = 4
"""A file that changes while it is read is read this often, 50, 100 and 200 ms apart, before it is a problem."""

_TOGETHER = 256
"""Small files that are read between two reports of progress."""

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Copied(NamedTuple):
    """A large file that was copied into the transaction."""

    digest: Digest
    staged: str | None
    """where the copy is; None if the store has this blob already"""
    after: Stat
    """the file's stat when it was copied"""


class FileReader:
    """Reads the files of one walk."""

    def __init__(
        self, transaction: Transaction, problems: Problems, monitor: Monitor, *, inside: str | None = None
    ) -> None:
        """With `inside`, a link to a file that isn't below that folder is a problem."""
        self._inside = inside
        self._tx = transaction
        self._problems = problems
        self._monitor = monitor
        self._pool: ThreadPoolExecutor | None = None
        self.files = self.bytes = 0
        """what was read, and counted by the monitor"""

    def close(self) -> None:
        """Stop the threads that copy large files."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def read(self, fd: int, path: bytes, todo: dict[str, Stat], linked: set[str]) -> dict[bytes, Row | None]:
        """Read files of an open folder, and add their blobs to the transaction. Returns the entries of the files.

        A file that can't be read is added to the problems, and has no entry.

        Args:
            path: Of the folder below the root, with a slash at its end.
            todo: The files' stats, as they were listed.
            linked: Names of the files that are read through a symlink.
        """
        out: dict[bytes, Row | None] = {}
        large: list[tuple[bytes, Stat, Future[_Copied | None]]] = []
        # In the order of the tree, so that a restore reads the pack from front to back.
        files = [(name, st) for name, st in sorted(todo.items()) if len(st) > 2]
        for start in range(0, len(files), _TOGETHER):
            some = files[start : start + _TOGETHER]
            for name, st in [file for file in some if file[1][2] >= LARGE]:
                raw = os.fsencode(name)
                large.append((raw, st, self._submit(fd, raw, st, name in linked)))
                self.bytes += st[2]  # the monitor counts them as they are copied
            small = [file for file in some if file[1][2] < LARGE]
            self._read_small(fd, path, small, linked, out)
            self._count(len(small), sum([st[2] for _, st in small]))
        for raw, st, future in large:
            out[raw] = self._take_large(fd, path, raw, st, future)
            self._count(1, 0)
        return {name: entry for name, entry in out.items() if entry is not None}

    def _count(self, files: int, size: int) -> None:
        self.files += files
        self.bytes += size
        self._monitor.advance(files, size)

    def _read_small(
        self, fd: int, path: bytes, files: list[tuple[str, Stat]], linked: set[str], out: dict[bytes, Row | None]
    ) -> None:
        """Read small files of an open folder, and add their entries to `out`."""
        tx = self._tx
        # The hot loop of a first save: four system calls and one hash per file. The stat before the read is the
        # listing's; the one after the read shows whether the file changed meanwhile.
        for name, st in files:
            raw, size = os.fsencode(name), st[2]
            if name in linked:
                out[raw] = self.read_again(fd, path, raw, st, True)
                continue
            source = -1
            try:
                source = os.open(name, _OPEN_FILE, dir_fd=fd)
                data = os.read(source, size + 1)
                after = os.fstat(source)
                opened, source = source, -1
                os.close(opened)
            except OSError:
                if source >= 0:
                    os.close(source)
                out[raw] = self.read_again(fd, path, raw, st, False)
                continue
            if (
                len(data) != size
                or (after.st_mode, after.st_ino, after.st_size, after.st_mtime_ns, after.st_ctime_ns) != st
            ):
                out[raw] = self.read_again(fd, path, raw, st, False)
                continue
            digest = Digest(blake3(data).digest())
            try:
                tx.add(BLOB, data, digest)
            except OSError as error:
                raise storage_error(error, f"write to {printable(tx.storage.root)}") from error
            out[raw] = (raw, EXECUTABLE if st[0] & 0o100 else FILE, size, digest)

    def read_again(self, fd: int, path: bytes, name: bytes, st: Stat, follow: bool) -> Row | None:
        """Read a file that changed, vanished or couldn't be read: up to TRIES times, then it is a problem.

        Returns None if it is. Sleeps between the tries.
        """
        for attempt in range(TRIES):
            if attempt:
                time.sleep(0.025 * 2**attempt)
            try:
                now = os.stat(name, dir_fd=fd, follow_symlinks=follow)
                if not stat.S_ISREG(now.st_mode):
                    self._problems.add(path + name, f"became a {kind_of(now.st_mode)} while it was read")
                    return None
                entry = self._read_once(fd, name, stat_of(now, follow), follow)
            except OSError as error:
                self._problems.add(path + name, VANISHED if isinstance(error, FileNotFoundError) else reason_of(error))
                return None
            if entry is not None:
                return entry
        self._problems.add(path + name, "keeps changing while it is read, or its size is not what the system says")
        return None

    def _read_once(self, fd: int, name: bytes, st: Stat, follow: bool) -> Row | None:
        """Read a file once. Returns None if it changed while it was read."""
        if st[2] >= LARGE:
            return self._take_copy(name, st, self._copy_large(fd, name, st[2], follow))
        with closing_fd(check_below(open_regular(name, dir_fd=fd, follow=follow), self._inside)) as source:
            try:
                data = os.read(source, st[2] + 1)
                after = stat_of(os.fstat(source), follow)
            except OSError as error:
                raise OSError(error.errno, f"{reason_of(error)} at byte {unreadable_at(source) or 0}") from error
        if len(data) != st[2] or after != st:
            return None
        with self._tx.storage.writing():
            return (name, _kind(st), st[2], self._tx.add(BLOB, data))

    # -- large files --

    def _submit(self, fd: int, name: bytes, st: Stat, follow: bool) -> "Future[_Copied | None]":
        if self._pool is None:
            # Two threads: one copies while the other hashes or syncs. Small files are read in the calling thread, since
            # more threads would only compete for the interpreter.
            from concurrent.futures import ThreadPoolExecutor  # takes 6 ms to load, needed for large files only

            self._pool = ThreadPoolExecutor(2)
        return self._pool.submit(self._copy_large, fd, name, st[2], follow)

    def _copy_large(self, fd: int, name: bytes, size: int, follow: bool) -> _Copied | None:
        """Copy a large file into the transaction. Returns None if the file ended early.

        Raises OSError for errors of the source, StorageError for errors of the store.
        """
        with closing_fd(check_below(open_regular(name, dir_fd=fd, follow=follow), self._inside)) as source:
            try:
                copied = self._tx.copy_large(source, size, lambda n: self._monitor.advance(0, n))
            except OSError as error:
                if (at := unreadable_at(source)) is not None:
                    raise OSError(error.errno, f"{reason_of(error)} at byte {at}") from error
                raise storage_error(error, f"write to {printable(self._tx.storage.root)}") from error
            return _Copied(*copied, stat_of(os.fstat(source), follow)) if copied else None

    def _take_large(self, fd: int, path: bytes, name: bytes, st: Stat, future: "Future[_Copied | None]") -> Row | None:
        """The entry of a file that a thread copied. If the file changed meanwhile, it is read again."""
        try:
            copied = future.result()
        except OSError:
            copied = None
        return self._take_copy(name, st, copied) or self.read_again(fd, path, name, st, len(st) > 5)

    def _take_copy(self, name: bytes, st: Stat, copied: _Copied | None) -> Row | None:
        """The entry of a copied file. If the file changed while it was copied, remove the copy and return None."""
        if copied is None or copied.after != st:
            if copied is not None and copied.staged is not None:
                remove_if_there(copied.staged)
            return None
        self._tx.add_large(copied.digest, st[2], copied.staged)
        return (name, _kind(st), st[2], copied.digest)


def _kind(st: Stat) -> int:
    return EXECUTABLE if st[0] & 0o100 else FILE
