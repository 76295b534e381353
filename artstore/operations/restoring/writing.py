"""Writing single files of a version: small ones from packs, large ones copied or linked. Every byte is checked."""

import errno
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from artstore.backends.confined import CREATE, create_file
from artstore.backends.files import closing_fd, write_fully
from artstore.domain.digest import BLOB, Digest
from artstore.domain.names import is_protected, printable
from artstore.domain.tree import DIRECTORY, EXECUTABLE, REFERENCE, Entry, Read, read_folder
from artstore.errors import DamagedObject, InvalidValue, MissingObject
from artstore.operations.restoring.options import Restore
from artstore.progress import Monitor
from artstore.store.content import Content, FileContent
from artstore.store.packs import LARGE
from artstore.store.paths import BLOBS
from artstore.store.sides import Objects
from artstore.store.statcache import Stat

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from artstore.operations.restoring.fetching import Fetcher

_PENDING = 4
"""Large files that may be unfinished at once. Each holds two descriptors."""

_WITHOUT = "get the other files with `--exclude`, or save the same content again to repair it"


class FileWriter:
    """Writes files into open folders: small ones at once, large ones in two threads, references in eight."""

    def __init__(self, objects: Objects, how: Restore) -> None:
        self.root = ""
        """the folder to which the version is restored"""
        self._objects = objects
        self._allow_missing = how.allow_missing_references
        self._link = how.link
        self._monitor = how.monitor or Monitor()
        self.files = self._written = self._written_bytes = 0
        self._pool: ThreadPoolExecutor | None = None
        self._fetcher: Fetcher | None = None
        self._pending: list[Future[None]] = []

    def reset(self) -> None:
        """Set the counts to zero."""
        self.files = self._written = self._written_bytes = 0

    def close(self) -> None:
        """Stop all threads. Call `finish` before, unless an error ends the checkout."""
        if self._fetcher is not None:
            self._fetcher.stop()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    @property
    def missing(self) -> list[bytes]:
        """Paths of references that were left out, because their bytes are gone."""
        return self._fetcher.missing if self._fetcher is not None else []

    @property
    def written(self) -> int:
        """Number of files that were written."""
        return self._written + (self._fetcher.written if self._fetcher is not None else 0)

    @property
    def written_bytes(self) -> int:
        """Bytes of these files."""
        return self._written_bytes + (self._fetcher.written_bytes if self._fetcher is not None else 0)

    def write_quickly(self, fd: int, entry: Entry) -> Stat | None:
        """Write a small file whose bytes are the next ones in the pack that was read last. The hot loop of a download.

        Returns the file's stat; None, with nothing written, for any other file. Cost: one hash and four system calls.
        The name was checked when its tree was decoded.
        """
        name, kind, size = entry[:3]
        if kind > EXECUTABLE or size >= LARGE or name[0] == 0x2E:
            return None
        try:
            data = self._objects.peek_small(entry[3])
        except OSError:
            return None
        if data is None or len(data) != size:
            return None
        target = os.open(name, CREATE, 0o777 if kind else 0o666, dir_fd=fd)
        try:
            if size and os.write(target, data) != size:
                os.ftruncate(target, 0)
                os.lseek(target, 0, os.SEEK_SET)
                write_fully(target, data)
            st = os.fstat(target)
        finally:
            os.close(target)
        self.files += 1
        self._written += 1
        self._written_bytes += size
        return (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)

    def write_named(self, fd: int, path: bytes, entry: Entry) -> Stat | None:
        """Write a file under its own name. Raises InvalidValue if the name is protected. Otherwise like `write`."""
        if is_protected(entry[0]):
            refuse_protected(path + entry[0])
        return self.write(fd, path, entry, entry[0])

    def write(self, fd: int, path: bytes, entry: Entry, name: bytes) -> Stat | None:
        """Create a file under `name` in an open folder.

        Returns its stat, or None if a thread writes it. Then it is only whole after `finish`.
        """
        if entry[1] == REFERENCE:
            self.fetch(fd, path + entry[0], entry, name)
            return None
        self.files += 1
        self._written += 1
        self._written_bytes += entry[2]
        if entry[2] >= LARGE:
            self._write_large(fd, path, entry, name)
            return None
        digest: Digest = entry[3]
        data = self._objects.read_small(digest)
        if data is None:
            data = self._read_slowly(path + entry[0], digest)
        if len(data) != entry[2]:
            message = f"'{printable(path + entry[0])}' is {len(data)} bytes long, but its tree records {entry[2]}"
            raise DamagedObject(message)
        target = create_file(fd, name, entry[1] == EXECUTABLE)
        try:
            write_fully(target, data)
            st = os.fstat(target)
        finally:
            os.close(target)
        return (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)

    def fetch(self, fd: int, path: bytes, entry: Entry, temporary: bytes) -> None:
        """Begin to fetch a reference, under a temporary name. The file gets its own name when it is whole."""
        self.files += 1
        if self._fetcher is None:
            from artstore.operations.restoring.fetching import Fetcher  # needed for references only: it loads threads

            self._fetcher = Fetcher(self._monitor, allow_missing=self._allow_missing)
        self._fetcher.begin(fd, path, entry, temporary, entry[0])

    def _read_slowly(self, path: bytes, digest: Digest) -> bytes:
        try:
            return self._objects.read(BLOB, digest)
        except (MissingObject, DamagedObject) as error:
            raise type(error)(f"'{printable(path)}' can't be restored: {error}", hint=_WITHOUT) from error

    def _write_large(self, fd: int, path: bytes, entry: Entry, name: bytes) -> None:
        """Link a large file, or begin to copy it in a thread. Raises if its blob is missing or damaged."""
        try:
            content = self._objects.large.open(entry[3], entry[2])
        except (MissingObject, DamagedObject) as error:
            raise type(error)(f"'{printable(path + entry[0])}' can't be restored: {error}", hint=_WITHOUT) from error
        try:
            # An executable file is copied: the store's file isn't executable.
            if (
                self._link != "copy"
                and entry[1] != EXECUTABLE
                and isinstance(content, FileContent)
                and self._link_to(content, fd, path, name)
            ):
                self._monitor.advance(0, entry[2])
                content.close()
                return
            target = create_file(fd, name, entry[1] == EXECUTABLE)
        except BaseException:
            content.close()
            raise
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # takes 6 ms to load, needed for large files only

            self._pool = ThreadPoolExecutor(2)
        self._pending.append(self._pool.submit(self._copy_large, content, target, path + entry[0]))
        if len(self._pending) > _PENDING:
            self._pending.pop(0).result()

    def _link_to(self, content: FileContent, fd: int, path: bytes, name: bytes) -> bool:
        """Link to the store's own file. Returns False, and does nothing, if a copy is needed."""
        here = self._objects.here
        if here is None or not content.path.startswith(f"{BLOBS}/"):
            return False
        content.verify()
        full = here.path(content.path)
        if self._link == "symlink":
            os.symlink(self._target(path, full), name, dir_fd=fd)
            return True
        try:
            with content.linking():
                os.link(full, name, dst_dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP):
                return False  # another file system, or too many links: copy it
            raise
        return True

    def _target(self, path: bytes, full: str) -> str:
        """The target of a symlink in the folder at `path`: a relative one in the project, which can then be moved."""
        store = os.path.realpath(self._objects.storage.root)
        folder = os.path.join(os.path.realpath(self.root), os.fsdecode(path))
        if not folder.startswith(f"{os.path.dirname(store)}/"):
            return full
        return os.path.relpath(os.path.join(store, os.path.relpath(full, self._objects.storage.root)), folder)

    def _copy_large(self, content: Content, target: int, path: bytes) -> None:
        """Write a large file, and close both."""
        with content, closing_fd(target):
            if not content.copy_to(target, lambda n: self._monitor.advance(0, n)):
                hint = "run the same command again"
                raise DamagedObject(f"'{printable(path)}' was not copied correctly", hint=hint)

    def finish(self) -> None:
        """Wait until all files are written. Raises the error of one that failed."""
        for future in self._pending:
            future.result()
        self._pending = []
        if self._fetcher is not None:
            self._fetcher.finish()


def small_among(entries: Iterable[Entry]) -> Iterator[tuple[Digest, int]]:
    """The small files among some entries: (digest, size)."""
    return ((entry.digest, entry.size) for entry in entries if entry.kind <= EXECUTABLE and entry.size < LARGE)


def small_below(tree: Digest, read: Read) -> Iterator[tuple[Digest, int]]:
    """The small files below a tree (digest, size), each folder before those in it: as a checkout writes them."""
    entries = read_folder(tree, read)
    yield from small_among(entries)
    for entry in entries:
        if entry.kind == DIRECTORY:
            yield from small_below(entry.digest, read)


def refuse_protected(path: bytes) -> None:
    """Raise InvalidValue for a path with a protected name."""
    raise InvalidValue(f"Invalid artifact path: '{printable(path)}' is a protected name; nothing was written to it")
