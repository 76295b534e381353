"""The content of a large blob in packs, open for reading: its segments, one after the other."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from io import DEFAULT_BUFFER_SIZE, BufferedReader, RawIOBase
from itertools import accumulate
from typing import BinaryIO, NamedTuple, Self, cast

from blake3 import blake3

from artstore.backends.files import write_fully
from artstore.domain.deltas import restored
from artstore.domain.digest import BLOB, Digest, plain_digest, short
from artstore.domain.recipes import Part, Segment
from artstore.errors import Damage, DamagedObject, storage_error, translated
from artstore.store.content import HEAL
from artstore.store.packs import PackReader, Row, checked
from artstore.store.verified import VerifiedNotes

_AHEAD = 4
"""Segments that are read and decoded at once, while the ones before them are written."""
_THREADS = 2


Places = dict[Part, tuple[str, Row]]
"""The pack and the row of each part of a blob."""


class Copy(NamedTuple):
    """A copy of a segment or of a delta in a pack, open for reading."""

    pack: str
    row: Row
    reader: PackReader


class Packed(NamedTuple):
    """A large blob of which everything is in packs."""

    digest: Digest
    segments: tuple[Segment, ...]
    recipe: str
    """the pack with the recipe, or with the only segment"""
    places: Places

    @property
    def size(self) -> int:
        return sum(segment.length for segment in self.segments)

    @property
    def deltas(self) -> int:
        """How many of its segments are stored as deltas."""
        return sum(segment.delta is not None for segment in self.segments)

    @property
    def packs(self) -> set[str]:
        """All packs that are needed to read it."""
        return {self.recipe, *(name for name, _ in self.places.values())}

    @property
    def way(self) -> bytes:
        """A digest of the segments: once these were hashed through, the recipe is known to be right."""
        return plain_digest(b"".join(one.length.to_bytes(4, "big") + one.digest for one in self.segments))


class PackedContent:
    """A large blob in packs, open for reading. Each segment is checked when it is read."""

    path = ""

    def __init__(
        self,
        packed: Packed,
        readers: dict[str, PackReader],
        notes: VerifiedNotes,
        note_damage: Callable[[str, Digest], None] = lambda pack, digest: None,
        another: Callable[[Part], Copy | None] = lambda part: None,
    ) -> None:
        """Take over readers of the packs.

        Args:
            packed: The blob.
            readers: By the names of the packs.
            notes: Which blobs were put together before.
            note_damage: Notes that a pack's copy of an object is damaged.
            another: Finds a copy of a part that isn't noted as damaged.
        """
        self._packed = packed
        self._readers = readers
        self._notes = notes
        self._note_damage = note_damage
        self._another = another
        self._places = dict(packed.places)
        self._starts = [0, *accumulate(segment.length for segment in packed.segments)]
        self._last: tuple[Digest, bytes | memoryview] | None = None
        self.size = packed.size

    def read(self, offset: int, length: int) -> bytes:
        """Decodes the segments that it touches. The last one is kept."""
        number = bisect_right(self._starts, offset) - 1
        found = bytearray()
        while number < len(self._packed.segments) and len(found) < length:
            start = offset + len(found) - self._starts[number]
            found += self._segment(self._packed.segments[number])[start : start + length - len(found)]
            number += 1
        return bytes(found)

    def segment(self, number: int) -> bytes | memoryview | None:
        """The bytes of a segment, by its number from 0. None if they are wrong. Any thread may call this."""
        return self._decoded(self._packed.segments[number])

    def _segment(self, segment: Segment) -> bytes | memoryview:
        if self._last is None or self._last[0] != segment.digest:
            self._last = segment.digest, self._right(segment, self._decoded(segment))
        return self._last[1]

    def _decoded(self, segment: Segment) -> bytes | memoryview | None:
        """A segment's bytes, checked; None if they are wrong. Any thread may call this."""
        if segment.delta is None:
            return self._part(segment.parts[0])
        try:
            # base and delta aren't hashed: what they give is
            base, delta = (self._row(part).opened(self._stored(part)) for part in segment.parts)
            data = restored(segment.digest, segment.length, delta, segment.parts[0].digest, base)
        except Damage:
            return None
        return checked(BLOB, segment.digest, data)

    def _part(self, part: Part) -> bytes | memoryview | None:
        """A part's bytes, checked; None if they are wrong."""
        return self._row(part).decoded(self._stored(part))

    def _row(self, part: Part) -> Row:
        return self._places[part][1]

    def _stored(self, part: Part) -> bytes:
        name, row = self._places[part]
        try:
            return self._readers[name][0](row.offset, row.length)
        except OSError as error:
            raise storage_error(error, f"read blob {short(self._packed.digest)}") from error

    def _right(self, segment: Segment, data: bytes | memoryview | None) -> bytes | memoryview:
        """The bytes of a segment, if `data` is what a first read found; else from a second one, or from other copies."""
        while data is None and (data := self._decoded(segment)) is None:
            self._replace(next((part for part in segment.parts if self._part(part) is None), None), segment)
            data = self._decoded(segment)
        return data

    def _replace(self, part: Part | None, segment: Segment) -> None:
        """Read another copy of a part from now on. Raises DamagedObject if there is none, or each part is right."""
        name, row = self._places[part or segment.parts[-1]]
        self._note_damage(name, row.digest)
        copy = self._another(part) if part is not None else None
        if part is None or copy is None:
            what = f"blob {short(self._packed.digest)} is damaged: its segment {short(segment.digest)}"
            raise DamagedObject(f"{what} in pack {name[:12]}", hint=HEAL)
        if copy.pack in self._readers:
            copy.reader[1]()
        else:
            self._readers[copy.pack] = copy.reader
        self._places[part] = copy.pack, copy.row

    def _pieces(self) -> Iterator[bytes | memoryview]:
        """All segments in order. Two threads decode ahead."""
        from concurrent.futures import Future, ThreadPoolExecutor

        waiting: deque[tuple[Segment, Future[bytes | memoryview | None]]] = deque()
        rest = iter(self._packed.segments)
        with ThreadPoolExecutor(_THREADS) as pool:
            try:
                for segment in rest:
                    waiting.append((segment, pool.submit(self._decoded, segment)))
                    if len(waiting) >= _AHEAD:
                        first, decoded = waiting.popleft()
                        yield self._right(first, decoded.result())
                for segment, decoded in waiting:
                    yield self._right(segment, decoded.result())
            finally:
                pool.shutdown(cancel_futures=True)

    def verify(self) -> None:
        """A recipe is hashed through once on each host. Segments are checked whenever they are read."""
        if not self._is_known():
            self.check()

    def _is_known(self) -> bool:
        """Whether the segments are known to make up the blob: then it is enough to check each."""
        packed = self._packed
        is_one = len(packed.segments) == 1 and packed.segments[0].digest == packed.digest
        return is_one or self._notes.holds_way(packed.digest, packed.way)

    def check(self) -> None:
        hasher = blake3()
        for piece in self._pieces():
            hasher.update(piece)
        self._judge(hasher.digest())

    def _judge(self, digest: bytes) -> None:
        """Raise DamagedObject unless this digest of all segments is that of the blob."""
        if digest != self._packed.digest:
            self._note_damage(self._packed.recipe, self._packed.digest)
            raise DamagedObject(f"blob {short(self._packed.digest)} is damaged: its recipe is wrong", hint=HEAL)
        self._notes.note_way(self._packed.digest, self._packed.way)

    def refuse_size(self, size: int) -> None:
        """Raise DamagedObject: a tree records `size`, and the recipe says another."""
        self.check()
        claim = f"a tree says that blob {short(self._packed.digest)} has {size} bytes"
        raise DamagedObject(f"{claim}, and it has {self.size}", hint=HEAL)

    def copy_to(self, target: int, advance: Callable[[int], None]) -> bool:
        """Each segment is checked while they are written, and all together, unless they were before."""
        hasher = None if self._is_known() else blake3()
        for piece in self._pieces():
            with translated("write a file"):
                write_fully(target, piece)
            if hasher is not None:
                hasher.update(piece)
            advance(len(piece))
        if hasher is not None:
            self._judge(hasher.digest())
        return True

    def as_file(self) -> BinaryIO:
        return cast(BinaryIO, BufferedReader(_PackedFile(self), DEFAULT_BUFFER_SIZE))

    def close(self) -> None:
        readers, self._readers = self._readers, {}
        for _, close in readers.values():
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _PackedFile(RawIOBase):
    """A file object with the bytes of a packed blob."""

    def __init__(self, content: PackedContent) -> None:
        self._content = content
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, self._content.size)[whence]
        if base + offset < 0:
            raise ValueError(f"there is no byte {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        data = self._content.read(self._at, len(buffer)) if self._at < self._content.size else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._content.close()
        super().close()
