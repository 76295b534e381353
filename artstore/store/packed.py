"""Large blobs that are stored in packs: a blob is one segment, or a recipe names its segments."""

from collections import deque
from collections.abc import Callable, Iterator
from io import DEFAULT_BUFFER_SIZE, BufferedReader, RawIOBase
from itertools import accumulate
from threading import Lock
from typing import BinaryIO, NamedTuple, Self, cast

from blake3 import blake3

from artstore.backends.files import write_fully
from artstore.domain.digest import BLOB, RECIPE, Digest, plain_digest, short
from artstore.domain.recipes import Segment, decode_recipe
from artstore.errors import Damage, DamagedObject, storage_error, translated
from artstore.store.content import HEAL
from artstore.store.packs import LARGE, Pack, Row
from artstore.store.packset import PackSet
from artstore.store.verified import VerifiedNotes

_AHEAD = 4
"""Segments that are read and decoded at once, while the ones before them are written."""
_THREADS = 2


class Packed(NamedTuple):
    """A large blob of which everything is in packs."""

    digest: Digest
    segments: tuple[Segment, ...]
    recipe: str
    """the pack with the recipe, or with the only segment"""
    places: dict[Digest, tuple[str, Row]]
    """the pack and the row of each segment"""

    @property
    def size(self) -> int:
        return sum(length for length, _ in self.segments)

    @property
    def packs(self) -> set[str]:
        """All packs that are needed to read it."""
        return {self.recipe, *(name for name, _ in self.places.values())}

    @property
    def way(self) -> bytes:
        """A digest of the segments: once these were hashed through, the recipe is known to be right."""
        return plain_digest(b"".join(length.to_bytes(4, "big") + digest for length, digest in self.segments))


class PackedBlobs:
    """The large blobs in the packs of a storage. Threads may call `find` and `open`, if no other code uses the packs."""

    def __init__(self, packs: PackSet, notes: VerifiedNotes) -> None:
        self._packs = packs
        self._notes = notes
        self._lock = Lock()

    def find(self, digest: Digest) -> Packed | None:
        """A blob of which all segments are in packs, as of the last listing. None if one of them is missing."""
        with self._lock:
            return self._found(self._packs.places(digest))

    def find_anywhere(self, digest: Digest) -> Packed | None:
        """The same, for readers: with packs of a new listing, and those in the trash."""
        if (found := self.find(digest)) is not None:
            return found
        with self._lock:
            return self._found(self._packs.all_places(digest))

    def _found(self, places: Iterator[tuple[Pack, Row]]) -> Packed | None:
        for pack, row in places:
            if row.kind == BLOB and row.size >= LARGE:
                return Packed(row.digest, (Segment(row.size, row.digest),), pack.name, {row.digest: (pack.name, row)})
            if (
                row.kind == RECIPE
                and (segments := self._segments(pack, row))
                and (places_of := self._located(segments))
            ):
                return Packed(row.digest, segments, pack.name, places_of)
        return None

    def taken(self, digest: Digest) -> set[str]:
        """The packs in the trash that hold a recipe of a blob, or a segment that no other pack has."""
        found, missing = set[str](), set[Digest]()
        for places in (self._packs.places(digest), self._packs.copies_in_trash({digest})):
            for pack, row in places:
                found.add(pack.name)
                segments = self._segments(pack, row) if row.kind == RECIPE else None
                wanted = {segment.digest for segment in segments or ()}
                missing.update(self._packs.locate_many(wanted, segments=True)[1])
        found |= {pack.name for pack, _ in self._packs.copies_in_trash(missing)}
        return found - self._packs.names()

    def recipes_in(self, name: str) -> Iterator[tuple[Digest, tuple[Segment, ...] | None]]:
        """The recipes in a pack: (blob, segments), without segments if it can't be read.

        Raises FileNotFoundError if the pack is gone.
        """
        pack = self._packs.open(name)
        for row in pack.index.rows() if pack.index.has_frames else ():
            if row.kind == RECIPE:
                yield row.digest, self._segments(pack, row)

    def _segments(self, pack: Pack, row: Row) -> tuple[Segment, ...] | None:
        """What a recipe says. None if it can't be read."""
        try:
            data = pack.object(row)
            return None if data is None else decode_recipe(data).segments
        except (Damage, OSError):
            return None

    def _located(self, segments: tuple[Segment, ...]) -> dict[Digest, tuple[str, Row]] | None:
        """The pack and row of each segment. None if one is missing, or has another length."""
        found, missing = self._packs.locate_many({segment.digest for segment in segments}, segments=True)
        if missing:
            return None
        places = {row.digest: (name, row) for name, rows in found for row in rows}
        good = all(places[digest][1].kind == BLOB and places[digest][1].size == length for length, digest in segments)
        return places if good else None

    def all(self) -> Iterator[tuple[Digest, int]]:
        """(digest, size) of each blob that has a recipe, and of each segment of 1 MiB or more."""
        for name in sorted(self._packs.names()):
            for pack, row in self.rows_in(name):
                if row.kind == BLOB and row.size >= LARGE:
                    yield row.digest, row.size
                elif row.kind == RECIPE and (segments := self._segments(pack, row)):
                    yield row.digest, sum(segment.length for segment in segments)

    def rows_in(self, name: str) -> Iterator[tuple[Pack, Row]]:
        """The rows of a pack, if it is one of frames: others hold no part of a large blob."""
        try:
            pack = self._packs.open(name)
        except (Damage, OSError):
            return
        if pack.index.has_frames:
            for row in pack.index.rows():
                yield pack, row

    def open(self, packed: Packed) -> "PackedContent":
        """Open a blob for reading. Raises FileNotFoundError if one of its packs is gone."""
        readers: dict[str, tuple[Callable[[int, int], bytes], Callable[[], None]]] = {}
        with self._lock:
            try:
                for name in sorted(packed.packs):
                    readers[name] = self._packs.reader(name)
            except BaseException:
                for _, close in readers.values():
                    close()
                raise
        return PackedContent(packed, readers, self._notes, self._packs.note_damage)


class PackedContent:
    """A large blob in packs, open for reading. Each segment is checked when it is read."""

    path = ""

    def __init__(
        self,
        packed: Packed,
        readers: dict[str, tuple[Callable[[int, int], bytes], Callable[[], None]]],
        notes: VerifiedNotes,
        note_damage: Callable[[str, Digest], None],
    ) -> None:
        self._packed = packed
        self._readers = readers
        self._notes = notes
        self._note_damage = note_damage
        self._starts = [0, *accumulate(length for length, _ in packed.segments)]
        self._last: tuple[Digest, bytes] | None = None
        self.size = packed.size

    def read(self, offset: int, length: int) -> bytes:
        """Decodes the segments that it touches. The last one is kept."""
        from bisect import bisect_right

        number = bisect_right(self._starts, offset) - 1
        found = bytearray()
        while number < len(self._packed.segments) and len(found) < length:
            start = offset + len(found) - self._starts[number]
            found += self._segment(self._packed.segments[number])[start : start + length - len(found)]
            number += 1
        return bytes(found)

    def _segment(self, segment: Segment) -> bytes:
        if self._last is None or self._last[0] != segment.digest:
            self._last = segment.digest, self._decoded(segment)
        return self._last[1]

    def _decoded(self, segment: Segment) -> bytes:
        """A segment's bytes, checked. Any thread may call this."""
        name, row = self._packed.places[segment.digest]
        what = f"blob {short(self._packed.digest)}"
        for _ in range(2):
            try:
                data = row.decoded(self._readers[name][0](row.offset, row.length))
            except OSError as error:
                raise storage_error(error, f"read {what}") from error
            if data is not None:
                return bytes(data)
        self._note_damage(name, segment.digest)
        raise DamagedObject(f"{what} is damaged: its segment {short(segment.digest)} in pack {name[:12]}", hint=HEAL)

    def _pieces(self) -> Iterator[bytes]:
        """All segments in order. Two threads decode ahead."""
        from concurrent.futures import Future, ThreadPoolExecutor

        waiting: deque[Future[bytes]] = deque()
        rest = iter(self._packed.segments)
        with ThreadPoolExecutor(_THREADS) as pool:
            try:
                for segment in rest:
                    waiting.append(pool.submit(self._decoded, segment))
                    if len(waiting) >= _AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def verify(self) -> None:
        """A recipe is hashed through once on each host. Segments are checked whenever they are read."""
        if len(self._packed.segments) > 1 and not self._notes.holds_way(self._packed.digest, self._packed.way):
            self.check()

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
        """Each segment is checked, and all together are, while they are written."""
        hasher = blake3()
        for piece in self._pieces():
            with translated("write a file"):
                write_fully(target, piece)
            hasher.update(piece)
            advance(len(piece))
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
