"""Pack files: many small objects in one immutable file, with an index that the file's name verifies."""

import os
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple, Protocol, TypeVar

from blake3 import blake3

from artstore.backends.descriptors import CLOSED, OpenFile
from artstore.backends.durability import begin_writeback, sync_file
from artstore.backends.files import closing_fd, write_fully
from artstore.domain.digest import (
    BLOB,
    DELTA,
    PACKED_NAMES,
    RECIPE,
    TREE,
    VERSION,
    Digest,
    ObjectKind,
    PackedKind,
    digest_of,
    pack_digest,
)
from artstore.errors import Damage

MAGIC = b"ARTPACK\x01"
FRAMES_MAGIC = b"ARTPACK\x02"
END = b"ARTPKEND"
HEADER = 24
ROW = struct.Struct(">32sBBHIQ")  # digest, kind, flags, zero, length, offset
FOOTER = struct.Struct(">QQ32s8s")  # rows, index offset, name, magic
LARGE = 1 << 20
"""Blobs of this many bytes or more are stored as separate files.

For smaller ones a pack is faster than many files; for larger ones clones, links and ordinary tools are better. Figures
are in FORMAT.md.
"""

MERGE_BELOW = 32 << 20
"""Packs of this many bytes or more aren't merged. Of smaller ones, eight of one size class are merged into one.

So an object is rewritten at most four times, and there are at most 7 packs in each of the 4 classes.
"""

_AHEAD = 1 << 20
_FLUSH = 512  # objects gathered for one writev: below IOV_MAX (1,024), and 2 MiB of 4 KiB files
_FLUSH_BYTES = 4 << 20

PackReader = tuple[Callable[[int, int], bytes], Callable[[], None]]
"""Reads some bytes of a pack at an offset; closes it."""

_Bytes = TypeVar("_Bytes", bound=bytes | memoryview)


class Rows(Protocol):
    """Bytes or an mmap. Slices of both are bytes, which can be ordered; slices of a memoryview can't."""

    def __getitem__(self, key: slice, /) -> bytes: ...


class Row(NamedTuple):
    digest: Digest
    kind: PackedKind
    length: int
    """bytes at `offset` that have to be read for the object"""
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the object itself."""
        return self.length

    @property
    def stored_bytes(self) -> int:
        """Bytes that the object takes in its pack."""
        return self.length

    @property
    def is_small(self) -> bool:
        """Whether it is an object of its own, and no part of how a large blob is stored."""
        return self.kind in (TREE, VERSION) or (self.kind == BLOB and self.size < LARGE)

    def opened(self, stored: bytes) -> bytes | memoryview:
        """The object, not checked, from the bytes that have to be read for it. Raises Damage."""
        return stored

    def decoded(self, stored: bytes) -> bytes | memoryview | None:
        """The object, checked, from the bytes that have to be read for it; None if they are wrong."""
        try:
            return checked(self.kind, self.digest, self.opened(stored))
        except Damage:
            return None


def checked(kind: int, digest: bytes, stored: _Bytes) -> _Bytes | None:
    """These bytes if they are the object with this digest, else None."""
    if kind == BLOB:  # without digest_of: a check asks for each of 50,000 files
        return stored if blake3(stored).digest() == digest else None
    if kind == RECIPE:
        return stored if _is_recipe(stored) else None
    if kind == DELTA:
        return stored if _delta_digest(stored) == digest else None
    known: ObjectKind | None = TREE if kind == TREE else VERSION if kind == VERSION else None
    return stored if known is not None and digest_of(known, stored) == digest else None


def _is_recipe(data: bytes | memoryview) -> bool:
    from artstore.domain.recipes import decode_recipe  # only what has packed blobs needs it

    try:
        decode_recipe(data)
    except Damage:
        return False
    return True


def _delta_digest(data: bytes | memoryview) -> Digest:
    from artstore.domain.deltas import delta_digest

    return delta_digest(data)


class Window(NamedTuple):
    """Objects that are next to one another in a pack, from one read."""

    rows: list[Row]
    data: memoryview
    """the pack's bytes from the first row's offset on; too short, or empty, if the pack ends early or is gone"""

    def objects(self) -> Iterator[tuple[Row, memoryview | None]]:
        """Each row with its object, checked; None if this copy is wrong."""
        data, start, found = self.data, self.rows[0].offset, checked
        for row in self.rows:
            digest, kind, length, offset = row
            offset -= start
            yield row, found(kind, digest, data[offset : offset + length])

    def stored(self, row: Row) -> memoryview:
        """The bytes of one of these objects as they are in the pack, unchecked, for `PackWriter.copy`."""
        start = row.offset - self.rows[0].offset
        return self.data[start : start + row.length]


class PackWriter:
    """Writes one pack to a path. Objects can be added in any order; `finish` returns the name. Not thread-safe."""

    _magic = MAGIC

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = OpenFile.of(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
        self._header = self._magic + os.urandom(16)
        self.known = b""
        """header and index, for `known_index`, after `finish`"""
        self.name = ""
        """the pack's name, after `finish`"""
        self._rows: list[bytes] = []
        self._pending: list[bytes | memoryview] = [self._header]
        self._pending_bytes = HEADER
        self.size = HEADER
        self._on_the_way = 0
        """bytes that the disk began to write"""

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, kind: PackedKind, digest: Digest, data: bytes | memoryview) -> None:
        """Add an object. Its bytes are written later, so they must not change until `finish`."""
        self._rows.append(ROW.pack(digest, kind, 0, 0, len(data), self.size))
        self._append(data)

    def _append(self, data: bytes | memoryview) -> None:
        self._pending.append(data)
        self.size += len(data)
        self._pending_bytes += len(data)
        if len(self._pending) >= _FLUSH or self._pending_bytes >= _FLUSH_BYTES:
            self.flush()

    def copy(self, row: Row, stored: memoryview) -> None:
        """Add an object as another pack stores it. The caller must have checked it."""
        self.add(row.kind, row.digest, stored)

    def add_many(self, kind: PackedKind, objects: Iterable[tuple[Digest, memoryview]]) -> None:
        """Add objects of one kind. Same as `add` for each, but faster."""
        rows, pending, size, pack = self._rows, self._pending, self.size, ROW.pack
        for digest, data in objects:
            length = len(data)
            rows.append(pack(digest, kind, 0, 0, length, size))
            pending.append(data)
            size += length
            if len(pending) >= _FLUSH:
                self._pending_bytes += size - self.size
                self.size = size
                self.flush()
                pending = self._pending
        self._pending_bytes += size - self.size
        self.size = size
        if self._pending_bytes >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was added. The bytes of the objects may change from now on."""
        if not self._pending:
            return
        fd = self._file.checked()
        if os.writev(fd, self._pending) < self._pending_bytes:
            # A write is short before the disk is full: go on where it stopped, and let the system report the error.
            written = os.lseek(fd, 0, os.SEEK_CUR) - (self.size - self._pending_bytes)
            write_fully(fd, memoryview(b"".join(self._pending))[written:])
        self._pending, self._pending_bytes = [], 0

    def write_through(self) -> None:
        """Write what was added, and let the disk begin with it, while more is waited for."""
        self.flush()
        begin_writeback(self._file.checked(), self._on_the_way, self.size - self._on_the_way)
        self._on_the_way = self.size

    def object(self, number: int) -> bytes:
        """The object with this number in the order of adding, from 0, checked. Not possible after `finish`.

        A draft reads the trees that it has added.
        """
        digest, kind, _, _, length, offset = ROW.unpack(self._rows[number])
        self.flush()
        with closing_fd(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
            found = checked(kind, digest, os.pread(fd, length, offset))
        if found is None:
            raise Damage(f"{PACKED_NAMES[kind]} {digest.hex()[:12]} was written wrong to {self.path}")
        return found

    @property
    def finished_size(self) -> int:
        """Bytes of the pack when it is finished, with what was added so far."""
        return self.size + len(self._rows) * ROW.size + FOOTER.size

    def finish(self, *, sync: bool = True) -> Digest:
        """Write index and footer, sync and close. Returns the pack's digest, under which it is published."""
        index = self._index()
        self.known = self._header + index
        name = pack_digest(self._header, index)
        self.name = name.hex()
        self._pending += [index, FOOTER.pack(len(self._rows), self.size, name, END)]
        self._pending_bytes += len(index) + FOOTER.size
        self.size += len(index) + FOOTER.size
        self.flush()
        if sync:
            sync_file(self._file.checked())
        self.close()
        return name

    def _index(self) -> bytes:
        self._rows.sort()
        return b"".join(self._rows)

    def close(self) -> None:
        file, self._file = self._file, CLOSED
        file.close()


def search(rows: Rows, base: int, stride: int, count: int, digest: bytes) -> int:
    """The number of the first row whose first 32 bytes are not less than `digest`.

    The `count` rows are sorted, have `stride` bytes each and begin at offset `base`. Digests are distributed uniformly,
    so a proportional guess is wrong by a few times sqrt(count) rows at most, and bisection does the rest. If somebody
    made digests that aren't uniform, bisection does all. Cost: 2 µs among 50,000 rows.
    """
    # Guess a range in proportion to the digest.
    guess = int.from_bytes(digest[:8], "big") * count >> 64
    margin = 4 * int(count**0.5) + 1
    low, high = max(0, guess - margin), min(count, guess + margin)
    # Extend it on a side where the digest isn't in it.
    if low and rows[base + (low - 1) * stride : base + (low - 1) * stride + 32] >= digest:
        low = 0
    if high < count and rows[base + high * stride : base + high * stride + 32] < digest:
        high = count
    # Bisect it.
    while low < high:
        middle = (low + high) >> 1
        if rows[base + middle * stride : base + middle * stride + 32] < digest:
            low = middle + 1
        else:
            high = middle
    return low


class PackIndex:
    """The index of one pack, which the pack's name has verified, in memory: 48 bytes an object. Threads may share it."""

    def __init__(self, name: str, header: bytes, data: bytes, objects_end: int) -> None:
        self.name = name
        self.header = header
        self.data = data
        self.count = len(data) // ROW.size
        self.objects_end = objects_end
        self._finds = 0
        self._numbers: dict[bytes, int] | None = None

    has_frames = False
    """whether objects are stored in frames: only then can there be recipes and segments"""

    @property
    def whole(self) -> bytes:
        """The index as it is in the pack."""
        return self.data

    @property
    def pack_size(self) -> int:
        """Bytes of the whole file."""
        return self.objects_end + len(self.whole) + FOOTER.size

    @property
    def stored_bytes(self) -> int:
        """Bytes of all objects as they are stored."""
        return self.objects_end - HEADER

    def bytes_of(self, rows: Iterable[Row]) -> int:
        """Bytes that some of the objects take as they are stored."""
        return sum(row.length for row in rows)

    def size_with(self, rows: Collection[Row]) -> int:
        """Bytes of a pack with only some of the objects, as they are stored."""
        return HEADER + self.bytes_of(rows) + len(rows) * ROW.size + FOOTER.size

    def find(self, digest: bytes) -> int | None:
        """The row number of an object, or None.

        The first calls use bisection, which takes 2 µs. Once there are enough calls, a dict is made, with which a call
        takes 0.1 µs.
        """
        if self._numbers is not None:
            return self._numbers.get(digest)
        self._finds += 1
        data, stride = self.data, ROW.size
        if self._finds * 8 > self.count > 1000:
            self._numbers = numbers = {data[i * stride : i * stride + 32]: i for i in range(self.count)}
            return numbers.get(digest)
        number = search(data, 0, stride, self.count, digest)
        start = number * stride
        return number if data[start : start + 32] == digest else None

    def row(self, number: int) -> Row:
        digest, kind, _, _, length, offset = ROW.unpack_from(self.data, number * ROW.size)
        return Row(Digest(digest), kind, length, offset)

    def rows(self) -> Iterator[Row]:
        """All rows, in the order of their digests."""
        for digest, kind, _, _, length, offset in ROW.iter_unpack(self.data):
            yield Row(Digest(digest), kind, length, offset)


class Pack:
    """A reader of one pack."""

    writer: type[PackWriter] = PackWriter
    """writes packs to which objects of this one can be copied"""

    def __init__(self, index: PackIndex, read: Callable[[int, int], bytes], close: Callable[[], None]) -> None:
        self.name = index.name
        self.index = index
        self.read_range = read
        self.close = close
        self.ahead = _AHEAD
        """bytes that `peek` reads at once if it continues where it was"""
        self._ahead, self._ahead_at = memoryview(b""), 0

    def peek(self, number: int) -> memoryview | None:
        """Read an object like `object`, for callers that read many in the order in which they were written.

        Reads ahead, a MiB at a time (more from a distant place).
        """
        digest, kind, _, _, length, offset = ROW.unpack_from(self.index.data, number * ROW.size)
        return checked(kind, digest, self._read_ahead(offset, length))

    def _read_ahead(self, offset: int, length: int) -> memoryview:
        """Read some bytes, and those behind them if the last ones read were just before them: more is likely to follow."""
        start = offset - self._ahead_at
        if start < 0 or start + length > len(self._ahead):
            size = max(length, self.ahead) if 0 <= start <= len(self._ahead) else length
            self._ahead = memoryview(self.read_range(offset, min(size, self.index.objects_end - offset)))
            self._ahead_at, start = offset, 0
        return self._ahead[start : start + length]

    def object(self, row: Row) -> bytes | None:
        """Read an object with one read and check it. Returns None if this copy is wrong. Raises OSError.

        Objects are read from a pack only by this, `peek` and `window`.
        """
        found = row.decoded(self.read_range(row.offset, row.length))
        return None if found is None else bytes(found)

    def holds(self, digest: Digest) -> bool:
        """Whether this object is in the pack and right. It is read and checked."""
        number = self.index.find(digest)
        return number is not None and self.object(self.index.row(number)) is not None

    def damaged_with(self, row: Row) -> list[Digest]:
        """The objects that can't be read if this one is damaged. An object of a plain pack is alone."""
        return [row.digest]

    def window(self, rows: list[Row]) -> Window:
        """Read objects that are next to one another with one read. The last row must be the one that ends last."""
        start, end = rows[0].offset, rows[-1].offset + rows[-1].length
        return Window(rows, memoryview(self.read_range(start, end - start)))
