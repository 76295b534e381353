"""The pack file: many small objects in one immutable file, with an index that is checked by the file's name."""

import itertools
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol, TypeVar

from blake3 import blake3

from artstore.backends.files import sync_file, write_fully
from artstore.domain.digest import BLOB, KIND_NAMES, TREE, VERSION, Digest, Kind, digest_of, pack_digest
from artstore.errors import Damage

MAGIC = b"ARTPACK\x01"
END = b"ARTPKEND"
HEADER = 24
ROW = struct.Struct(">32sBBHIQ")  # digest, kind, flags, zero, length, offset
FOOTER = struct.Struct(">QQ32s8s")  # rows, index offset, name, magic
LARGE = 1 << 20
"""Blobs of so many bytes are files of their own: below it one pack beats many files, above it clones, links and plain
tools win (figures in FORMAT.md).
"""

MERGE_BELOW = 32 << 20
"""Eight packs of one size class become one; from 32 MiB on packs stay. So an object is rewritten at most four times,
and at most 7 packs of each of 4 classes are small.
"""

_AHEAD = 1 << 20
_SALVAGE = 20_000
"""Rows (of 48 bytes) that `salvage` reads at once."""
_STRANGE = 4096
"""It gives up after so many bytes' rows, one after another, that can't be rows."""
_FLUSH = 512  # objects gathered for one writev: below IOV_MAX (1,024), and 2 MiB of 4 KiB files
_FLUSH_BYTES = 4 << 20

_Bytes = TypeVar("_Bytes", bytes, memoryview)


class Rows(Protocol):
    """Bytes or an mmap: slices of both are bytes, which compare (a memoryview's don't)."""

    def __getitem__(self, key: slice, /) -> bytes: ...


class Row(NamedTuple):
    digest: Digest
    kind: Kind
    length: int
    """bytes that it takes in the pack"""
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the object itself."""
        return self.length


def _object(kind: int, digest: bytes, stored: _Bytes) -> _Bytes | None:
    """The object that is stored as these bytes, or None when they are not right."""
    if kind == BLOB:  # without digest_of: a check asks for each of 50,000 files
        return stored if blake3(stored).digest() == digest else None
    known: Kind | None = TREE if kind == TREE else VERSION if kind == VERSION else None
    return stored if known is not None and digest_of(known, stored) == digest else None


class Window(NamedTuple):
    """Objects that lie side by side in a pack, read at once."""

    rows: list[Row]
    data: memoryview
    """from the first row's offset on; short, or empty, where the pack ends early or is gone"""

    def objects(self) -> Iterator[tuple[Row, memoryview | None]]:
        """Each row with its object, decoded and checked; None where this copy is wrong."""
        data, start, found = self.data, self.rows[0].offset, _object
        for row in self.rows:
            digest, kind, length, offset = row
            offset -= start
            yield row, found(kind, digest, data[offset : offset + length])

    def stored(self, row: Row) -> memoryview:
        """One of these objects as it lies in the pack, unchecked: what `PackWriter.copy` takes."""
        start = row.offset - self.rows[0].offset
        return self.data[start : start + row.length]


class PackWriter:
    """Writes one pack to a path of its own. `add` in any order; `finish` syncs and returns the name. Not thread-safe."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        self._header = MAGIC + os.urandom(16)
        self.known = b""
        """header and index, once it is finished: what `known_pack` takes"""
        self._rows: list[bytes] = []
        self._pending: list[bytes | memoryview] = [self._header]
        self._pending_bytes = HEADER
        self.size = HEADER

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, kind: Kind, digest: Digest, data: bytes | memoryview) -> None:
        """The bytes are written later: they must not change until `finish`."""
        self._rows.append(ROW.pack(digest, kind, 0, 0, len(data), self.size))
        self._pending.append(data)
        self.size += len(data)
        self._pending_bytes += len(data)
        if len(self._pending) >= _FLUSH or self._pending_bytes >= _FLUSH_BYTES:
            self._flush()

    def copy(self, row: Row, stored: memoryview) -> None:
        """Add an object as another pack stores it; the caller has checked it."""
        self.add(row.kind, row.digest, stored)

    def add_many(self, kind: Kind, objects: Iterable[tuple[Digest, memoryview]]) -> None:
        """As `add` of each."""
        rows, pending, size, pack = self._rows, self._pending, self.size, ROW.pack
        for digest, data in objects:
            length = len(data)
            rows.append(pack(digest, kind, 0, 0, length, size))
            pending.append(data)
            size += length
            if len(pending) >= _FLUSH:
                self._pending_bytes += size - self.size
                self.size = size
                self._flush()
                pending = self._pending
        self._pending_bytes += size - self.size
        self.size = size
        if self._pending_bytes >= _FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if os.writev(self._fd, self._pending) < self._pending_bytes:
            # A short write comes before a full disk: take up where it stopped and let the system say why.
            written = os.lseek(self._fd, 0, os.SEEK_CUR) - (self.size - self._pending_bytes)
            write_fully(self._fd, memoryview(b"".join(self._pending))[written:])
        self._pending, self._pending_bytes = [], 0

    def object(self, number: int) -> bytes:
        """The object that was added as the `number`th, checked (a draft reads its own trees back). Not after `finish`."""
        digest, kind, _, _, length, offset = ROW.unpack(self._rows[number])
        self._flush()
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = _object(kind, digest, os.pread(fd, length, offset))
        finally:
            os.close(fd)
        if found is None:
            raise Damage(f"{KIND_NAMES[kind]} {digest.hex()[:12]} was written wrong to {self.path}")
        return found

    def finish(self, *, sync: bool = True) -> Digest:
        """Write index and footer, sync, close; the name under which to publish."""
        self._rows.sort()
        index = b"".join(self._rows)
        self.known = self._header + index
        name = pack_digest(self._header, index)
        self._pending += [index, FOOTER.pack(len(self._rows), self.size, name, END)]
        self._pending_bytes += len(index) + FOOTER.size
        self.size += len(index) + FOOTER.size
        self._flush()
        if sync:
            sync_file(self._fd)
        self.close()
        return name

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def search(rows: Rows, base: int, stride: int, count: int, digest: bytes) -> int:
    """Number of the first row whose leading 32 bytes are not below `digest`, among sorted rows of `stride` bytes from
    offset `base`.

    Digests are uniform, so a guess in proportion lands within a few times sqrt(count) rows; bisection does the rest (and
    all of it where somebody made digests that are not uniform). 2 µs among 50,000 rows.
    """
    guess = int.from_bytes(digest[:8], "big") * count >> 64
    margin = 4 * int(count**0.5) + 1
    low, high = max(0, guess - margin), min(count, guess + margin)
    if low and rows[base + (low - 1) * stride : base + (low - 1) * stride + 32] >= digest:
        low = 0
    if high < count and rows[base + high * stride : base + high * stride + 32] < digest:
        high = count
    while low < high:
        middle = (low + high) >> 1
        if rows[base + middle * stride : base + middle * stride + 32] < digest:
            low = middle + 1
        else:
            high = middle
    return low


class Pack:
    """A reader of one pack. Its index is in memory (48 bytes an object) and was checked by the pack's name."""

    def __init__(
        self,
        name: str,
        header: bytes,
        index: bytes,
        index_offset: int,
        read: Callable[[int, int], bytes],
        close: Callable[[], None],
    ) -> None:
        self.name = name
        self.header = header
        self.index = index
        self.count = len(index) // ROW.size
        self.objects_end = index_offset
        self.read_range = read
        self.close = close
        self.ahead = _AHEAD
        """bytes that `peek` reads at once, where it reads on"""
        self._finds = 0
        self._ahead, self._ahead_at = memoryview(b""), 0
        self._numbers: dict[bytes, int] | None = None

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.objects_end + len(self.index) + FOOTER.size

    def find(self, digest: bytes) -> int | None:
        """Row number of an object, or None. By bisection (2 µs), until so many were asked for that a dict pays (0.1
        µs).
        """
        if self._numbers is not None:
            return self._numbers.get(digest)
        self._finds += 1
        if self._finds * 8 > self.count > 1000:
            index, stride = self.index, ROW.size
            self._numbers = {index[i * stride : i * stride + 32]: i for i in range(self.count)}
            return self._numbers.get(digest)
        number = search(self.index, 0, ROW.size, self.count, digest)
        start = number * ROW.size
        return number if self.index[start : start + 32] == digest else None

    def row(self, number: int) -> Row:
        digest, kind, _, _, length, offset = ROW.unpack_from(self.index, number * ROW.size)
        return Row(Digest(digest), kind, length, offset)

    def rows(self) -> Iterator[Row]:
        """All rows, by digest."""
        for digest, kind, _, _, length, offset in ROW.iter_unpack(self.index):
            yield Row(Digest(digest), kind, length, offset)

    def peek(self, number: int) -> memoryview | None:
        """Like `object`, for those who read many in the order written: what lies ahead is read along, a MiB at a time."""
        digest, kind, _, _, length, offset = ROW.unpack_from(self.index, number * ROW.size)
        start = offset - self._ahead_at
        if start < 0 or start + length > len(self._ahead):
            # Only who just read what lies before this is likely to read what follows.
            size = max(length, self.ahead) if 0 <= start <= len(self._ahead) else length
            self._ahead = memoryview(self.read_range(offset, min(size, self.objects_end - offset)))
            self._ahead_at, start = offset, 0
        return _object(kind, digest, self._ahead[start : start + length])

    def object(self, row: Row) -> bytes | None:
        """An object, decoded and checked, by one read; None when this copy is wrong. Raises OSError.

        This, `peek` and `window` are the only ways for an object out of a pack.
        """
        return _object(row.kind, row.digest, self.read_range(row.offset, row.length))

    def holds(self, digest: Digest) -> bool:
        """Whether this object is in the pack, and right: it is read."""
        number = self.find(digest)
        return number is not None and self.object(self.row(number)) is not None

    def window(self, rows: list[Row]) -> Window:
        """Objects that lie side by side, by one read; the last of the rows ends last."""
        start, end = rows[0].offset, rows[-1].offset + rows[-1].length
        return Window(rows, memoryview(self.read_range(start, end - start)))


def open_pack(
    name: str, size: int, read: Callable[[int, int], bytes], close: Callable[[], None] = lambda: None
) -> Pack:
    """Read and check header, footer and index of a pack of `size` bytes. Raises Damage when they are not what the name
    promises.
    """
    what = f"pack {name[:12]}"
    if size < HEADER + FOOTER.size:
        raise Damage(f"{what} is only {size} bytes long")
    count, offset, footer_name, end = FOOTER.unpack(_exactly(read, size - FOOTER.size, FOOTER.size, what))
    if end != END or footer_name.hex() != name or offset < HEADER or offset + count * ROW.size + FOOTER.size != size:
        raise Damage(f"{what} has a damaged footer")
    header = _exactly(read, 0, HEADER, what)
    index = _exactly(read, offset, count * ROW.size, what)
    if header[:8] != MAGIC or pack_digest(header, index).hex() != name:
        raise Damage(f"{what} has a damaged index")
    return Pack(name, header, index, offset, read, close)


def salvage(size: int, read: Callable[[int, int], bytes]) -> Iterator[tuple[Kind, Digest, bytes]]:
    """What may be objects of a pack whose index is damaged, in file order, as each kind: guesses, which somebody who looks
    for their digests proves.
    """
    for offset, length in _spans(size, read):
        data = read(offset, length)
        for kind in KIND_NAMES:
            yield kind, digest_of(kind, data), data


def _spans(size: int, read: Callable[[int, int], bytes]) -> list[tuple[int, int]]:
    """(offset, length) of what may be objects, in file order. Rows are looked for backwards from where the index should
    end; objects lie side by side, so two whose rows are right also tell of one between them.
    """
    if size < HEADER + FOOTER.size:
        return []
    spans = {(row.offset, row.length) for row in _plausible_rows(size, read)}
    starts = {offset for offset, _ in spans} | {HEADER}
    index = FOOTER.unpack(_exactly(read, size - FOOTER.size, FOOTER.size, "a pack"))[1]
    following_of = dict(itertools.pairwise(sorted(starts | {index})))
    for offset, length in list(spans):
        if (following := following_of.get(offset)) is not None:
            spans.add((offset, following - offset))
            if offset + length < following:
                spans.add((offset + length, following - offset - length))
    spans.add((HEADER, following_of.get(HEADER, HEADER) - HEADER))
    return sorted(span for span in spans if 0 <= span[1] <= size - span[0])


def _plausible_rows(size: int, read: Callable[[int, int], bytes]) -> Iterator[Row]:
    end, strange = size - FOOTER.size, 0
    while end - ROW.size >= HEADER and strange < _STRANGE:
        start = end - min((end - HEADER) // ROW.size, _SALVAGE) * ROW.size
        window = read(start, end - start)
        for at in range(len(window) - ROW.size, -1, -ROW.size):
            digest, kind, flags, zero, length, offset = ROW.unpack_from(window, at)
            if kind in (BLOB, TREE, VERSION) and not (flags or zero) and HEADER <= offset <= start + at - length:
                strange = 0
                yield Row(Digest(digest), kind, length, offset)
            else:
                strange += 1
        end = start


def known_pack(name: str, data: bytes) -> Pack | None:
    """A pack from its header and index, as they were kept; None when they aren't what the name promises. Who needs its
    objects sets `read_range`.
    """
    header, index = data[:HEADER], data[HEADER:]
    if header[:8] != MAGIC or len(index) % ROW.size or pack_digest(header, index).hex() != name:
        return None
    end = max((offset + length for *_, length, offset in ROW.iter_unpack(index)), default=HEADER)
    return Pack(name, header, index, end, lambda offset, length: b"", lambda: None)


def check_rows(pack: Pack) -> str | None:
    """What is wrong with a pack's rows beyond their digest, in words: order, kinds, and objects that don't tile the
    file. For fsck and foreign packs.
    """
    previous = b""
    for row in pack.rows():
        if row.digest <= previous:
            return "its index is out of order"
        if row.kind not in (BLOB, TREE, VERSION):
            return f"it holds an object of unknown kind {row.kind}"
        previous = row.digest
    end = HEADER
    for row in sorted(pack.rows(), key=lambda row: (row.offset, row.length)):
        if row.offset != end:
            return "its objects don't fill it without gaps"
        end += row.length
    if any(flags or zero for _, _, flags, zero, _, _ in ROW.iter_unpack(pack.index)):
        return "its index has fields that should be zero"
    return None if end == pack.objects_end else "its objects don't fill it without gaps"


def _exactly(read: Callable[[int, int], bytes], offset: int, length: int, what: str) -> bytes:
    data = read(offset, length)
    if len(data) != length:
        raise Damage(f"{what} ends early")
    return data
