"""Packs of frames: their objects are stored compressed, each frame with one of them or several."""

import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from blake3 import blake3

from artstore.domain.digest import RECIPE, Digest, PackedKind
from artstore.domain.frames import MOST, RAW, Encoded, compressed, decode, salvaged
from artstore.errors import Damage
from artstore.store.packs import FOOTER, FRAMES_MAGIC, HEADER, ROW, Pack, PackIndex, PackWriter, Row, Window, checked

FRAME = struct.Struct(">QIIBB6x8s")  # offset, stored bytes, bytes, codec, width, begin of the stored bytes' BLAKE3
MOST_SHARED = 1 << 20
"""Most bytes of a frame with several objects: whoever reads one decodes all."""
COUNT = struct.Struct(">Q")  # rows: the index begins with it


class Frame(NamedTuple):
    """Where some objects are stored together, and how."""

    offset: int
    stored: int
    """bytes that it takes in the pack"""
    raw: int
    """bytes of the objects in it"""
    codec: int
    width: int
    check: bytes

    def opened(self, stored: bytes | memoryview) -> memoryview:
        """The bytes of the objects in it. Raises Damage if its bytes are wrong."""
        self.verify(stored)
        return memoryview(decode(self.codec, self.width, stored, self.raw))

    def verify(self, stored: bytes | memoryview) -> None:
        """Raise Damage if these aren't its bytes as they are stored. They aren't decoded."""
        if len(stored) != self.stored or _check_of(stored) != self.check:
            raise Damage("a frame of a pack is damaged")


class FramedRow(Row):
    """A row whose `offset` and `length` are those of its frame."""

    frame: Frame
    place: int
    """of the object in the frame"""
    _size: int

    @property
    def size(self) -> int:
        return self._size

    @property
    def stored_bytes(self) -> int:
        """Bytes that it takes in its pack: its part of the frame."""
        return self.frame.stored * self._size // max(self.frame.raw, 1)

    @property
    def end(self) -> int:
        """Where the object ends in the frame."""
        return self.place + self._size

    def opened(self, stored: bytes) -> bytes | memoryview:
        return self.frame.opened(stored)[self.place : self.end]


class FramedIndex(PackIndex):
    """The index of a pack of frames: the number of rows, rows, frames."""

    def __init__(self, name: str, header: bytes, whole: bytes, objects_end: int) -> None:
        (count,) = COUNT.unpack_from(whole)
        end = COUNT.size + count * ROW.size
        super().__init__(name, header, whole[COUNT.size : end], objects_end)
        self._whole = whole
        self.table = whole[end:]
        """the frames, of 32 bytes each"""

    has_frames = True

    @property
    def whole(self) -> bytes:
        return self._whole

    def frames(self) -> Iterator[Frame]:
        """All frames, in the order of the file."""
        for fields in FRAME.iter_unpack(self.table):
            yield Frame(*fields)

    @cached_property
    def _frames(self) -> list[Frame]:
        """All frames; an empty one instead of each whose size or place can't be right, which `wrong_in` reports."""
        end = self.objects_end
        return [
            frame if frame.stored <= frame.raw <= MOST and frame.offset + frame.stored <= end else _NOWHERE
            for frame in self.frames()
        ]

    def row(self, number: int) -> FramedRow:
        return self._row(*ROW.unpack_from(self.data, number * ROW.size))

    def rows(self) -> Iterator[Row]:
        for fields in ROW.iter_unpack(self.data):
            yield self._row(*fields)

    def _row(self, digest: bytes, kind: PackedKind, flags: int, zero: int, length: int, at: int) -> FramedRow:
        number = at >> 32
        frame = self._frames[number] if number < len(self._frames) else _NOWHERE
        if length < frame.raw > MOST_SHARED:
            frame = _NOWHERE
        row = FramedRow(Digest(digest), kind, frame.stored, frame.offset)
        row.frame, row.place, row._size = frame, at & 0xFFFFFFFF, length
        return row

    def bytes_of(self, rows: Iterable[Row]) -> int:
        """Of a frame with several objects, each takes its part."""
        return sum(frame.stored * size // frame.raw for frame, size in _sizes_in(rows).items())

    def size_with(self, rows: Collection[Row]) -> int:
        """Frames of which half is needed are kept whole, as `copy_objects` does."""
        sizes = _sizes_in(rows)
        kept = sum(
            frame.stored if 2 * size >= frame.raw else frame.stored * size // frame.raw for frame, size in sizes.items()
        )
        return HEADER + kept + COUNT.size + len(rows) * ROW.size + len(sizes) * FRAME.size + FOOTER.size


_NOWHERE = Frame(HEADER, 0, 0, RAW, 1, b"")
"""A frame that can't be opened: no bytes have this check."""


def _sizes_in(rows: Iterable[Row]) -> Counter[Frame]:
    """Bytes of these objects in each frame that has some of them."""
    sizes = Counter[Frame]()
    for row in rows:
        assert isinstance(row, FramedRow)
        if row.frame.raw:
            sizes[row.frame] += row.size
    return sizes


class FramedWindow(Window):
    """Objects of frames that are next to one another in a pack."""

    def frames(self) -> Iterator[tuple[Frame, list[FramedRow], memoryview]]:
        """Each frame with those of the objects that are in it, in their order, and its bytes as they are stored."""
        for frame, members in groupby(self.rows, attrgetter("frame")):
            rows = [row for row in members if isinstance(row, FramedRow)]
            yield frame, rows, self.stored(rows[0])

    def objects(self) -> Iterator[tuple[Row, memoryview | None]]:
        for frame, rows, stored in self.frames():
            try:
                opened = frame.opened(stored)
            except Damage:
                yield from ((row, None) for row in rows)
                continue
            for row in rows:
                yield row, checked(row.kind, row.digest, opened[row.place : row.end])


class FramedWriter(PackWriter):
    """Writes a pack of frames."""

    _magic = FRAMES_MAGIC

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._frames: list[bytes] = []
        self._recipes: dict[Digest, bytes] = {}

    def add_recipe(self, blob: Digest, recipe: bytes) -> None:
        """Add a blob's recipe when the pack is finished, unless the blob is a segment in this pack by then.

        A pack has one row for each digest, and a segment needs no recipe.
        """
        self._recipes[blob] = recipe

    def add(self, kind: PackedKind, digest: Digest, data: bytes | memoryview) -> None:
        """Add an object as it is, in a frame of its own."""
        self.add_frame(Encoded(RAW, 1, bytes(data)), len(data), [(kind, digest, 0, len(data))])

    def add_frame(self, encoded: Encoded, raw: int, rows: Iterable[tuple[PackedKind, Digest, int, int]]) -> None:
        """Add a frame of `raw` bytes, and the objects in it: (kind, digest, place, length)."""
        codec, width, stored = encoded
        self._frames.append(FRAME.pack(self.size, len(stored), raw, codec, width, _check_of(stored)))
        self._add_rows(rows)
        self._append(stored)

    def _add_rows(self, rows: Iterable[tuple[PackedKind, Digest, int, int]]) -> None:
        number = len(self._frames) - 1
        for kind, digest, place, length in rows:
            self._rows.append(ROW.pack(digest, kind, 0, 0, length, number << 32 | place))

    def copy_frame(self, frame: Frame, rows: Iterable[FramedRow], stored: memoryview) -> None:
        """Add a frame as another pack has it, with all objects in it. The caller must have checked it."""
        self._frames.append(FRAME.pack(self.size, *frame[1:]))
        self._add_rows((row.kind, row.digest, row.place, row.size) for row in rows)
        self._append(stored)

    def copy(self, row: Row, stored: memoryview) -> None:
        """Add an object as another pack of frames stores it; in a new frame, if other objects share its frame."""
        assert isinstance(row, FramedRow)
        if row.size == row.frame.raw:
            self.copy_frame(row.frame, [row], stored)
        else:
            data = row.frame.opened(stored)[row.place : row.end]
            self.add_frame(compressed(data), len(data), [(row.kind, row.digest, 0, len(data))])

    @property
    def finished_size(self) -> int:
        return super().finished_size + COUNT.size + len(self._frames) * FRAME.size

    def finish(self, *, sync: bool = True) -> Digest:
        segments = {Digest(row[:32]) for row in self._rows} if self._recipes else set()
        for blob, recipe in self._recipes.items():
            if blob not in segments:
                self.add(RECIPE, blob, recipe)
        return super().finish(sync=sync)

    def _index(self) -> bytes:
        return COUNT.pack(len(self._rows)) + super()._index() + b"".join(self._frames)


class FramedPack(Pack):
    """A reader of a pack of frames."""

    writer = FramedWriter

    def __init__(self, index: FramedIndex, read: Callable[[int, int], bytes], close: Callable[[], None]) -> None:
        super().__init__(index, read, close)
        self._last: tuple[Frame | None, memoryview] = None, memoryview(b"")
        """the frame that was read last: its neighbours in it are mostly asked for next"""

    def peek(self, number: int) -> memoryview | None:
        return self._found(self.index.row(number), self._read_ahead)

    def object(self, row: Row) -> bytes | None:
        found = self._found(row, self.read_range)
        return None if found is None else bytes(found)

    def _found(self, row: Row, read: Callable[[int, int], bytes | memoryview]) -> memoryview | None:
        assert isinstance(row, FramedRow)
        if self._last[0] != row.frame:
            try:
                self._last = row.frame, row.frame.opened(read(row.offset, row.length))
            except Damage:
                return None
        return checked(row.kind, row.digest, self._last[1][row.place : row.end])

    def salvaged(self, row: Row) -> bytes | None:
        """An object of a damaged frame, checked, if it can be decoded although the frame's bytes are wrong."""
        assert isinstance(row, FramedRow)
        data = salvaged(row.frame.codec, self.read_range(row.offset, row.length), row.frame.raw)
        return checked(row.kind, row.digest, data[row.place : row.end])

    def damaged_with(self, row: Row) -> list[Digest]:
        assert isinstance(row, FramedRow)
        try:
            row.frame.opened(self.read_range(row.offset, row.length))
        except Damage:
            return [other.digest for other in self.index.rows() if other.offset == row.offset]
        return [row.digest]

    def window(self, rows: list[Row]) -> Window:
        ordered = sorted(rows, key=attrgetter("offset", "place"))
        start, end = ordered[0].offset, max(row.offset + row.length for row in rows)
        return FramedWindow(ordered, memoryview(self.read_range(start, end - start)))


def index_of_frames(name: str, header: bytes, whole: bytes, objects_end: int) -> FramedIndex:
    """Read the index of a pack of frames. Raises Damage if its tables don't have the sizes that it says."""
    what = f"pack {name[:12]}"
    if len(whole) < COUNT.size:
        raise Damage(f"{what} has a damaged index")
    left = len(whole) - COUNT.size - COUNT.unpack_from(whole)[0] * ROW.size
    if left < 0 or left % FRAME.size:
        raise Damage(f"{what} has a damaged index")
    return FramedIndex(name, header, whole, objects_end)


def wrong_in(index: FramedIndex) -> str | None:
    """What is wrong with the frames of a pack although their digest is right, in words, or None."""
    # The frames: one after the other, each of a size that one can have.
    end, sizes = HEADER, list[int]()
    for frame in index.frames():
        if frame.offset != end:
            return "its frames don't fill it without gaps"
        if not 0 < frame.raw <= MOST or frame.stored > frame.raw:
            return "it has a frame of a size that none has"
        end += frame.stored
        sizes.append(frame.raw)
    if end != index.objects_end:
        return "its frames don't fill it without gaps"
    if index.table != b"".join(FRAME.pack(*frame) for frame in index.frames()):
        return "its index has fields that should be zero"
    # The objects: one after the other in each frame.
    filled = [0] * len(sizes)
    for at, length in sorted((at, length) for *_, length, at in ROW.iter_unpack(index.data)):
        number, place = at >> 32, at & 0xFFFFFFFF
        if number >= len(sizes):
            return "an object is in a frame that it doesn't have"
        if place != filled[number]:
            return "its objects don't fill its frames without gaps"
        if length < sizes[number] > MOST_SHARED:
            return "several objects share a frame that is too large for that"
        filled[number] += length
    return None if filled == sizes else "its objects don't fill its frames without gaps"


def _check_of(stored: bytes | memoryview) -> bytes:
    return blake3(stored).digest(8)
