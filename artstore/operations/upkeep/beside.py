"""Encoding the pieces of a blob beside those of another one, its elder: as deltas, where that is smaller."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import takewhile
from operator import itemgetter
from typing import NamedTuple

from artstore.domain.cutting import Piece
from artstore.domain.deltas import LEAST, WORTH, encode_delta
from artstore.domain.digest import Digest
from artstore.domain.frames import Encoded, encode, estimate
from artstore.domain.planes import exclusive_or
from artstore.domain.recipes import MOST_WITH_DELTAS, Part, Segment
from artstore.errors import Damage, StorageError
from artstore.store.content import Content
from artstore.store.large import LargeBlobs

_TRIALS = 4
"""Pieces by which it is judged whether two blobs are alike."""
_MOST_ELDERS = 3
"""Elders of a blob that are tried."""


class Candidate(NamedTuple):
    """A blob to be packed."""

    digest: Digest
    size: int
    pieces: list[Piece]
    elders: list[Digest]
    """blobs that may be like it, and came before it: the likeliest first"""
    part: float
    """of its size that it probably takes when it is packed without deltas, if none of its segments is stored yet"""


class Base(NamedTuple):
    """A segment that is stored whole, beside which others are encoded."""

    part: Part
    read: Callable[[], bytes | memoryview | None]
    """its bytes; None if they can't be read right. Any thread may call this"""

    def encoded(self, segment: Segment, data: bytes, widths: tuple[int, ...]) -> Encoded | bytes:
        """A segment's delta; the segment whole if that isn't worth it. Any thread may call this."""
        base = self.read() if len(data) >= LEAST else None
        if base is not None and len(base) == len(data):
            delta = encode_delta(segment.digest, data, self.part.digest, base, widths)
            if delta is not None:
                return delta
        return encode(data, widths)


class Elders:
    """The blobs that are in packs, or in the pack that is being written, beside which others can be encoded."""

    def __init__(self, large: LargeBlobs) -> None:
        self._large = large
        self._segments: dict[Digest, Sequence[Segment]] = {}
        """by blob, those in the pack that is being written"""
        self._files: dict[Part, tuple[Digest, int, int]] = {}
        """blobs in that pack have files still: which of them has this segment (digest and size), and at which offset"""

    def add(self, blob: Digest, segments: Sequence[Segment]) -> None:
        """Note a blob that is in the pack that is being written."""
        self._segments[blob] = segments
        at, size = 0, sum(segment.length for segment in segments)
        for segment in segments:
            if segment.delta is None:
                self._files.setdefault(segment.parts[0], (blob, size, at))
            at += segment.length

    def beside(
        self, one: Candidate, content: Content, opened: ExitStack
    ) -> tuple[dict[Digest, Segment], dict[int, Base]]:
        """The deltas that elders of a blob have, by their segments; and a base for each piece, by its number.

        There are no bases if no elder is like the blob. `opened` closes what they are read from.
        """
        known, best = dict[Digest, Segment](), (WORTH, dict[int, Base]())
        for elder in one.elders[:_MOST_ELDERS] if len(one.pieces) <= MOST_WITH_DELTAS else ():
            segments = self._segments_of(elder)
            known |= {segment.digest: segment for segment in segments if segment.delta}
            with suppress(LookupError, FileNotFoundError, Damage, StorageError):
                pairs = _paired(one.pieces, self._bases(elder, segments, opened))
                best = min(best, (_gain(content, one.pieces, pairs), pairs), key=itemgetter(0))
        return known, best[1]

    def _segments_of(self, blob: Digest) -> Sequence[Segment]:
        """The segments of a blob in packs, or in the one that is being written. Empty if it is in none."""
        if blob in self._segments:
            return self._segments[blob]
        packed = self._large.packed.find(blob)
        return packed.segments if packed is not None else ()

    def _bases(self, elder: Digest, segments: Sequence[Segment], opened: ExitStack) -> list[Base]:
        """An elder's segments that are stored whole, and the bases of the others. So no base is a delta.

        Raises LookupError if one isn't in packs.
        """
        whole = [Segment(segment.length, segment.base or segment.digest) for segment in segments]
        parts = [segment.parts[0] for segment in whole]
        # Those in the pack that is being written are read from files, the others from packs.
        blobs = {self._files[part][:2] for part in parts if part in self._files}
        files = {blob: opened.enter_context(self._large.open(blob, size)) for blob, size in sorted(blobs)}
        rest = tuple(dict.fromkeys(segment for segment in whole if segment.parts[0] not in self._files))
        reads: dict[Part, Callable[[], bytes | memoryview | None]] = {}
        if rest:
            if (there := self._large.packed.open_segments(elder, rest)) is None:
                raise LookupError(f"not all segments of {elder.hex()} are in packs")
            opened.enter_context(there)
            reads = {segment.parts[0]: partial(there.segment, number) for number, segment in enumerate(rest)}
        for part, segment in zip(parts, whole, strict=True):
            if part in self._files:
                blob, _, at = self._files[part]
                reads[part] = partial(files[blob].read, at, segment.length)
        return [Base(part, reads[part]) for part in parts]


def _paired(pieces: list[Piece], bases: list[Base]) -> dict[int, Base]:
    """The base of each piece that has one, by the number of the piece.

    They are paired from the beginning, and from the end, as far as their lengths are the same.
    """
    lengths, others = [piece.length for piece in pieces], [base.part.length for base in bases]
    found = {number: bases[number] for number in range(_same(lengths, others))}
    for back in range(1, _same(lengths[::-1], others[::-1]) + 1):
        found.setdefault(len(pieces) - back, bases[-back])
    return found


def _same(one: list[int], other: list[int | None]) -> int:
    """How many numbers are the same at the beginning of two lists."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _gain(content: Content, pieces: list[Piece], pairs: dict[int, Base]) -> float:
    """The part of its bytes that a blob takes beside these bases, judged by a few pieces; 1 if there are none."""
    alone = beside = 0.0
    for number in list(pairs)[:: max(1, len(pairs) // _TRIALS)]:
        piece, base = pieces[number], pairs[number].read()
        data = content.read(piece.offset, piece.length)
        if base is not None and len(data) == len(base):
            alone += (by_itself := estimate(data, piece.widths))
            beside += min(by_itself, estimate(exclusive_or(data, base), piece.widths))
    return beside / alone if alone else 1.0
