"""Archives: a version's files as one tar or zip. The bytes are the same whenever and wherever it is made.

Nothing in an archive depends on the machine or the day. Files are in the order of the trees, and a folder comes before
its files. Modes are 0755 and 0644, there is no owner, and all dates are the same. An archive is written from front to
back, so it can go to a pipe.
"""

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Literal, NamedTuple

from artstore.domain.digest import BLOB
from artstore.domain.names import printable
from artstore.domain.tree import DIRECTORY, EXECUTABLE, Entry
from artstore.errors import InvalidValue
from artstore.progress import Monitor
from artstore.store.packs import LARGE
from artstore.store.sides import Objects

ArchiveKind = Literal["tar", "zip"]
Entries = Iterable[tuple[bytes, Entry]]
Opener = Callable[[Entry], BinaryIO]

DATE = (1980, 1, 1, 0, 0, 0)
"""The date of every file, in UTC: the earliest that a zip can store (APPNOTE.TXT 4.4.6)."""
SECONDS = 315_532_800
"""`DATE` in seconds since 1970."""
_AHEAD = 8 << 20
"""Bytes of small files that are read together, in the order in which they are stored."""
_PIECE = 1 << 20
_SPOILT = b"this archive is incomplete: writing it failed\n".ljust(1024, b"!")


class Archived(NamedTuple):
    """The result of writing an archive."""

    files: int
    bytes: int
    """of the files"""


def write_archive(
    kind: ArchiveKind, out: BinaryIO, entries: Entries, objects: Objects, open_one: Opener, monitor: Monitor
) -> Archived:
    """Write an archive of files and folders.

    Memory: 8 MiB of small files. If it fails, the archive is made unreadable, so that nobody takes a part for
        the whole.

    Args:
        out: Need not be seekable.
        entries: Path and entry of each file and folder, in the order of the archive.
        open_one: Opens a large or referenced file, and checks what is read from it.

    Raises:
        InvalidValue: A zip can't hold the name of a file.
    """
    files = size = 0
    target = _Forwards(out)
    archive = _Tar(target) if kind == "tar" else _Zip(target)
    try:
        for path, entry, content in _with_content(entries, objects, open_one):
            if content is None:
                archive.add(path, 0o755, 0, None)
                continue
            with content:
                length = content.seek(0, os.SEEK_END)
                content.seek(0)
                archive.add(path, 0o755 if entry.kind == EXECUTABLE else 0o644, length, content)
            files, size = files + 1, size + length
            monitor.advance(1, length)
        archive.close()
    except BaseException:
        target.spoil()
        raise
    return Archived(files, size)


def _with_content(
    entries: Entries, objects: Objects, open_one: Opener
) -> Iterator[tuple[bytes, Entry, BinaryIO | None]]:
    """Each entry with its content; None for a folder. Small files of a stretch are read together."""
    for some in _stretches(entries):
        wanted = {entry.digest: BLOB for _, entry in some if _is_small(entry)}
        data = {digest: bytes(view) for _, digest, view in objects.read_many(wanted)}
        for path, entry in some:
            if entry.kind == DIRECTORY:
                yield path, entry, None
            else:
                yield path, entry, io.BytesIO(data[entry.digest]) if _is_small(entry) else open_one(entry)


def _is_small(entry: Entry) -> bool:
    return bool(entry.kind < DIRECTORY and entry.size < LARGE)


def _stretches(entries: Entries) -> Iterator[list[tuple[bytes, Entry]]]:
    """The entries in groups: a group ends when its small files have 8 MiB, or when it has 4,096 entries."""
    some: list[tuple[bytes, Entry]] = []
    size = 0
    for path, entry in entries:
        some.append((path, entry))
        size += entry.size if _is_small(entry) else 0
        if size >= _AHEAD or len(some) >= 4096:
            yield some
            some, size = [], 0
    if some:
        yield some


class _Tar:
    """A GNU tar: its names are bytes of any length, and its sizes have no limit."""

    def __init__(self, out: io.RawIOBase) -> None:
        import tarfile

        self._tar = tarfile.open(
            fileobj=out, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
        )

    def add(self, path: bytes, mode: int, size: int, content: BinaryIO | None) -> None:
        """Add a file, or a folder if there is no content."""
        import tarfile

        info = tarfile.TarInfo(os.fsdecode(path))
        info.mode, info.size, info.mtime = mode, size, SECONDS
        if content is None:
            info.type = tarfile.DIRTYPE
        self._tar.addfile(info, content)

    def close(self) -> None:
        self._tar.close()


class _Zip:
    """A zip without compression. Only files of 2 GiB and more use the zip64 extension."""

    def __init__(self, out: io.RawIOBase) -> None:
        import zipfile

        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_STORED)

    def add(self, path: bytes, mode: int, size: int, content: BinaryIO | None) -> None:
        """Add a file, or a folder if there is no content."""
        import zipfile

        path, kind = (path + b"/", stat.S_IFDIR) if content is None else (path, stat.S_IFREG)
        try:
            name = path.decode()
        except UnicodeDecodeError:
            message = f"'{printable(path)}' can't be stored in a zip: its name is not UTF-8"
            raise InvalidValue(message, hint="use --format tar") from None
        info = zipfile.ZipInfo(name, DATE)
        info.create_system = 3  # Unix: then unzip applies the mode
        info.external_attr = (kind | mode) << 16 | (0x10 if content is None else 0)
        info.file_size = size
        with self._zip.open(info, "w", force_zip64=size >= 1 << 31) as target:
            while content is not None and (piece := content.read(_PIECE)):
                target.write(piece)

    def close(self) -> None:
        self._zip.close()


class _Forwards(io.RawIOBase):
    """A stream that can't seek, so that a zip has the same bytes in a file as in a pipe."""

    def __init__(self, out: BinaryIO) -> None:
        self._out: BinaryIO | None = out

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        return len(data) if self._out is None else self._out.write(data)

    def flush(self) -> None:
        if self._out is not None:
            self._out.flush()

    def spoil(self) -> None:
        """Write bytes that no archive contains, and nothing after them. So the reader of a pipe notices the failure."""
        out, self._out = self._out, None
        try:
            if out is not None:
                out.write(_SPOILT)
        except (OSError, ValueError):
            pass  # the reader closed the pipe
