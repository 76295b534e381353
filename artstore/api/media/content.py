"""The bytes of a media object: kept in a temporary file, in a local file, in a stored artifact, or behind a URI."""

import hashlib
import io
import os
import re
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, BinaryIO, ClassVar, Protocol

from artstore.domain.names import printable
from artstore.errors import InvalidType, SourceError, translated

_COPIED = 16 << 20
"""The most bytes of a local file that are copied when an object is made of it. A script may then write the file again.

Larger files are hashed, and have to be the same when they are stored.
"""
_SPOOL = 64 << 20
"""The bytes after which another temporary file is started, so that the bytes of objects that are gone are freed."""
_CHUNK = 1 << 20
_MADE = re.compile(r"[0-9a-f]{20}\.")
"""How the name of a file begins that was made here or by W&B."""
_URI = re.compile(r"(gs|s3|https?)://")


class Content(Protocol):
    """The bytes of a media object. They never change."""

    name: str | None
    """The name of the user's file that they are from; None if they were made here."""
    stored: bool
    """Whether they come from a stored artifact, and so perhaps from somebody else."""

    @property
    def sha256(self) -> str:
        """Their SHA-256 in hex."""

    @property
    def size(self) -> int:
        """How many there are."""

    def open(self) -> BinaryIO:
        """Open them for reading."""


class Kept:
    """Bytes in a temporary file of this process."""

    _spools: ClassVar[threading.local] = threading.local()

    def __init__(self, data: bytes, name: str | None = None, *, stored: bool = False) -> None:
        """Keep these bytes, which a file of this name held; perhaps one of a stored artifact."""
        self.name, self.stored = name, stored
        self.size = len(data)
        self.sha256 = hashlib.sha256(data).hexdigest()
        spool = vars(self._spools).pop("current", None)  # a signal handler that comes in between begins another
        if spool is None or not spool.has_room():
            spool = _Spool()
        self._spool: _Spool = spool
        self._start = spool.add(data)
        self._spools.current = spool

    def open(self) -> BinaryIO:
        """Open them for reading."""
        return io.BytesIO(self._spool.read(self._start, self.size))

    def __copy__(self) -> "Kept":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Kept":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _kept, (self.open().read(), self.name, self.stored)


def _kept(data: bytes, name: str | None, stored: bool) -> Kept:
    return Kept(data, name, stored=stored)


class _Spool:
    """An unnamed temporary file, to which one thread of one process appends."""

    def __init__(self) -> None:
        with translated("keep media in a temporary file"):
            self._fd, path = tempfile.mkstemp()
            os.unlink(path)
        weakref.finalize(self, os.close, self._fd)
        self._end, self._pid = 0, os.getpid()

    def has_room(self) -> bool:
        """Whether more may be added: not to a full file, nor to one that the parent of this process began."""
        return self._end < _SPOOL and self._pid == os.getpid()

    def add(self, data: bytes) -> int:
        """Append bytes, and return where they begin."""
        start, rest = self._end, memoryview(data)
        with translated("keep media in a temporary file"):
            while rest:
                done = os.pwrite(self._fd, rest, self._end)
                self._end, rest = self._end + done, rest[done:]
        return start

    def read(self, start: int, size: int) -> bytes:
        parts = []
        with translated("read media from a temporary file"):
            while size and (part := os.pread(self._fd, size, start)):
                parts.append(part)
                start, size = start + len(part), size - len(part)
        return b"".join(parts)


class LocalFile:
    """A large local file, which has to stay as it is until it is stored."""

    stored = False

    def __init__(self, path: str) -> None:
        """Hash the file. Raises SourceError if it can't be read."""
        self.name: str | None = os.path.basename(path)
        self.path = os.path.abspath(path)
        self.size = os.path.getsize(path)
        self.sha256 = _hash_of(path)

    def open(self) -> BinaryIO:
        """Open the file for reading."""
        with _readable(self.path):
            return open(self.path, "rb")

    def check(self) -> None:
        """Raises SourceError if the file has other bytes now."""
        if not os.path.isfile(self.path) or _hash_of(self.path) != self.sha256:
            problem = "changed after a media object was made of it"
            message = f"{printable(self.path)} {problem}"
            raise SourceError(message, problems=[(self.path, problem)], hint="give each object a file of its own")


class StoredFile:
    """A file of a stored artifact."""

    stored = True

    def __init__(self, open_: Callable[[], BinaryIO], path: str, sha256: str | None, entry: Callable[[], Any]) -> None:
        """`open_` opens it, `sha256` is what the artifact records of it, `entry` returns its entry, or None."""
        self.open = open_
        self.path = path
        base = os.path.basename(path)
        self.name: str | None = None if _MADE.match(base) else base
        self.entry = entry
        self._sha256 = sha256

    @cached_property
    def sha256(self) -> str:
        """Its SHA-256 in hex, as the artifact records it."""
        if self._sha256:
            return self._sha256
        found = hashlib.sha256()
        with self.open() as file:
            while data := file.read(_CHUNK):
                found.update(data)
        return found.hexdigest()

    @cached_property
    def size(self) -> int:
        """Its size in bytes."""
        entry = self.entry()
        return len(read(self)) if entry is None or entry.size is None else int(entry.size)

    def __copy__(self) -> "StoredFile":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "StoredFile":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _kept, (read(self), self.name, True)


class Reference:
    """An object in a bucket or on the web, which stays there."""

    stored = False

    def __init__(self, uri: str) -> None:
        """Take a URI. It isn't looked at before it is added to an artifact."""
        self.uri = uri
        self.name: str | None = uri.partition("?")[0].rstrip("/").rpartition("/")[2]
        self.sha256 = hashlib.sha256(uri.encode()).hexdigest()
        self.size = 0

    def open(self) -> BinaryIO:
        """Raises InvalidType: the object is elsewhere."""
        raise InvalidType(
            f"'{printable(self.uri)}' can't be read or added to a run: the object is a reference to external storage",
            hint="download it, and make the object of the file",
        )


def read(content: Content) -> bytes:
    """All bytes."""
    with content.open() as file:
        return file.read()


def is_reference(value: Any) -> bool:
    """Whether a value is a URI of an object elsewhere."""
    return isinstance(value, str) and _URI.match(value) is not None


def content_of_file(path: str | os.PathLike[str]) -> Content:
    """The content of a local file. Raises SourceError if it can't be read."""
    path = os.fspath(path)
    with _readable(path):
        if os.path.isfile(path) and os.path.getsize(path) > _COPIED:
            return LocalFile(path)
        with open(path, "rb") as file:
            return Kept(file.read(), os.path.basename(path))


class NoSuchFile(SourceError, FileNotFoundError):
    """There is no such file, for which W&B raises a FileNotFoundError."""


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Raises SourceError instead of an OSError while a file is read."""
    try:
        yield
    except OSError as error:
        if isinstance(error, SourceError):
            raise
        kind = NoSuchFile if isinstance(error, FileNotFoundError) else SourceError
        problem = error.strerror or str(error)
        raise kind(f"{printable(path)} can't be read: {problem}", problems=[(path, problem)]) from error


def _hash_of(path: str) -> str:
    with _readable(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
