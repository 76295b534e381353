"""Archives: a version's files as one tar or zip, the same bytes whenever and wherever it is made.

Nothing in them depends on the machine or the day: files stand in the order of the trees, folders before what they hold,
with modes 0755 and 0644, no owner, and one date. Written front to back, so that a pipe will do.
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
from artstore.store.objects import ObjectStore
from artstore.store.packs import LARGE
from artstore.store.reading import read_small

ArchiveKind = Literal["tar", "zip"]

DATE = (1980, 1, 1, 0, 0, 0)
"""UTC, of every file: the first that a zip can tell (APPNOTE.TXT 4.4.6)."""
SECONDS = 315_532_800
"""`DATE` in seconds since 1970."""
_AHEAD = 8 << 20
"""Bytes of small files that are read together, in the order in which they are stored."""
_PIECE = 1 << 20
_SPOILT = b"this archive is incomplete: its making failed\n".ljust(1024, b"!")


class Archived(NamedTuple):
    files: int
    bytes: int
    """of the files"""


def write_archive(
    kind: ArchiveKind,
    out: BinaryIO,
    entries: Iterable[tuple[bytes, Entry]],
    objects: ObjectStore,
    open_one: Callable[[Entry], BinaryIO],
    monitor: Monitor,
) -> Archived:
    """Write (path, entry) of files and folders, in their order, to `out`, which need not be seekable. `open_one` gives
    what is large or referenced, checked. Memory: 8 MiB of small files. Raises InvalidValue for a name that a zip can't
    hold.
    """
    files = size = 0
    target = _Forwards(out)
    archive = _Tar(target) if kind == "tar" else _Zip(target)
    try:
        for path, entry, content in _with_content(entries, objects, open_one):
            if content is None:
                archive.folder(path)
                continue
            with content:
                length = content.seek(0, os.SEEK_END)
                content.seek(0)
                archive.file(path, 0o755 if entry[1] == EXECUTABLE else 0o644, length, content)
            files, size = files + 1, size + length
            monitor.advance(1, length)
        archive.close()
    except BaseException:
        target.spoil()
        raise
    return Archived(files, size)


def _with_content(
    entries: Iterable[tuple[bytes, Entry]], objects: ObjectStore, open_one: Callable[[Entry], BinaryIO]
) -> Iterator[tuple[bytes, Entry, BinaryIO | None]]:
    """Each with its bytes; None of a folder."""
    for some in _stretches(entries):
        wanted = {entry[3]: BLOB for _, entry in some if _is_small(entry)}
        data = {digest: bytes(view) for _, digest, view in read_small(objects, wanted)}
        for path, entry in some:
            if entry[1] == DIRECTORY:
                yield path, entry, None
            else:
                yield path, entry, io.BytesIO(data[entry[3]]) if _is_small(entry) else open_one(entry)


def _is_small(entry: Entry) -> bool:
    return bool(entry[1] < DIRECTORY and entry[2] < LARGE)


def _stretches(entries: Iterable[tuple[bytes, Entry]]) -> Iterator[list[tuple[bytes, Entry]]]:
    """Runs of entries whose small files have 8 MiB together, or that are 4,096."""
    some: list[tuple[bytes, Entry]] = []
    size = 0
    for path, entry in entries:
        some.append((path, entry))
        size += entry[2] if _is_small(entry) else 0
        if size >= _AHEAD or len(some) >= 4096:
            yield some
            some, size = [], 0
    if some:
        yield some


class _Tar:
    """GNU tar: names are bytes of any length, and sizes have no limit."""

    def __init__(self, out: io.RawIOBase) -> None:
        import tarfile

        self._tar = tarfile.open(
            fileobj=out, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
        )

    def folder(self, path: bytes) -> None:
        self._add(path, 0o755, 0, None)

    def file(self, path: bytes, mode: int, size: int, content: BinaryIO) -> None:
        self._add(path, mode, size, content)

    def _add(self, path: bytes, mode: int, size: int, content: BinaryIO | None) -> None:
        import tarfile

        info = tarfile.TarInfo(os.fsdecode(path))
        info.mode, info.size, info.mtime = mode, size, SECONDS
        if content is None:
            info.type = tarfile.DIRTYPE
        self._tar.addfile(info, content)

    def close(self) -> None:
        self._tar.close()


class _Zip:
    """A zip whose files are stored as they are; larger than 4 GiB where they must be (zip64)."""

    def __init__(self, out: io.RawIOBase) -> None:
        import zipfile

        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_STORED)

    def folder(self, path: bytes) -> None:
        with self._entry(path + b"/", stat.S_IFDIR | 0o755, 0):
            pass

    def file(self, path: bytes, mode: int, size: int, content: BinaryIO) -> None:
        with self._entry(path, stat.S_IFREG | mode, size) as target:
            while piece := content.read(_PIECE):
                target.write(piece)

    def _entry(self, path: bytes, mode: int, size: int):  # type: ignore[no-untyped-def]
        import zipfile

        try:
            name = path.decode()
        except UnicodeDecodeError:
            raise InvalidValue(
                f"'{printable(path)}' is not UTF-8, which a zip's names must be", hint="a tar can hold it: --format tar"
            ) from None
        info = zipfile.ZipInfo(name, DATE)
        info.create_system = 3  # Unix, so that the mode counts, wherever it is made
        info.external_attr = mode << 16 | (0x10 if stat.S_ISDIR(mode) else 0)
        info.file_size = size
        return self._zip.open(info, "w", force_zip64=size >= 1 << 31)

    def close(self) -> None:
        self._zip.close()


class _Forwards(io.RawIOBase):
    """Lets nobody seek: then a zip is written the same way to a file as to a pipe."""

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
        """Nothing more is written but what no archive holds: who reads a pipe must not take a part for the whole."""
        out, self._out = self._out, None
        try:
            if out is not None:
                out.write(_SPOILT)
        except (OSError, ValueError):
            pass  # who reads has gone
