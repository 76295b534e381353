"""Encoding the pieces of a blob beside those of another one, its elder: as deltas, where that is smaller."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import accumulate, takewhile
from operator import itemgetter
from typing import NamedTuple

from artstore.domain.cutting import Piece
from artstore.domain.deltas import LEAST, WORTH, encode_delta
from artstore.domain.digest import BLOB, Digest
from artstore.domain.frames import LEAST_BASE, Encoded, encode, encode_beside, estimate
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

    digest: Digest
    read: Callable[[], bytes | memoryview | None]
    """its bytes; None if they can't be read right. Any thread may call this"""

    @property
    def part(self) -> Part:
        return Part(BLOB, self.digest, None)


class Bases(NamedTuple):
    """The base of each piece of a blob that has one, by the number of the piece."""

    by_piece: dict[int, Base]
    text: bool
    """how deltas are made: see `encode_delta`"""

    def encoded(self, number: int, segment: Segment, data: bytes, widths: tuple[int, ...]) -> Encoded | bytes:
        """A piece: its delta, or whole if that isn't worth it. Any thread may call this."""
        base = self.by_piece.get(number) if len(data) >= LEAST else None
        base_data = base.read() if base is not None else None
        if base is not None and base_data:
            delta = encode_delta(segment.digest, data, base.digest, base_data, widths, text=self.text)
            if delta is not None:
                return delta
        return encode(data, widths)


NO_BASES = Bases({}, text=False)


class Elders:
    """The blobs that are in packs, or in the pack that is being written, beside which others can be encoded."""

    def __init__(self, large: LargeBlobs) -> None:
        self._large = large
        self._segments: dict[Digest, Sequence[Segment]] = {}
        """by blob, those in the pack that is being written"""
        self._files: dict[Digest, tuple[Digest, int, int]] = {}
        """blobs in that pack have files still: which of them has this segment, at which offset, and its length"""

    def add(self, blob: Digest, segments: Sequence[Segment]) -> None:
        """Note a blob that is in the pack that is being written."""
        self._segments[blob] = segments
        at = 0
        for segment in segments:
            if segment.delta is None:
                self._files.setdefault(segment.digest, (blob, at, segment.length))
            at += segment.length

    def beside(self, one: Candidate, content: Content, opened: ExitStack) -> tuple[dict[Digest, Segment], Bases]:
        """The deltas that elders of a blob have, by their segments; and a base for each piece.

        There are no bases if no elder is like the blob. `opened` closes what they are read from.
        """
        known, best = dict[Digest, Segment](), (WORTH, NO_BASES)
        for elder in one.elders[:_MOST_ELDERS] if len(one.pieces) <= MOST_WITH_DELTAS else ():
            segments = self._segments_of(elder)
            known |= {segment.digest: segment for segment in segments if segment.delta}
            with suppress(LookupError, FileNotFoundError, Damage, StorageError):
                pairs = _paired(one.pieces, segments, self._bases(elder, segments, opened))
                best = min(best, _tried(content, one.pieces, pairs), key=itemgetter(0))
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
        digests = [segment.base or segment.digest for segment in segments]
        # Those in the pack that is being written are read from files, the others from packs.
        blobs = {self._files[digest][0] for digest in digests if digest in self._files}
        sizes = {blob: sum(segment.length for segment in self._segments[blob]) for blob in sorted(blobs)}
        files = {blob: opened.enter_context(self._large.open(blob, size)) for blob, size in sizes.items()}
        rest = list(dict.fromkeys(digest for digest in digests if digest not in self._files))
        reads: dict[Digest, Callable[[], bytes | memoryview | None]] = {}
        if rest:
            if (there := self._large.packed.open_segments(elder, rest)) is None:
                raise LookupError(f"not all segments of {elder.hex()} are in packs")
            opened.enter_context(there)
            reads = {digest: partial(there.segment, number) for number, digest in enumerate(rest)}
        for digest in digests:
            if digest in self._files:
                blob, at, length = self._files[digest]
                reads[digest] = partial(files[blob].read, at, length)
        return [Base(digest, reads[digest]) for digest in digests]


def _paired(pieces: list[Piece], segments: Sequence[Segment], bases: list[Base]) -> dict[int, Base]:
    """The base of each piece, by its number: that of the elder's segment which is at the same place.

    They are paired from the beginning, and from the end, as far as their lengths are the same. What is between is
    stretched to the length of what is between there; then the same place is where most bytes of a piece are.
    """
    own, others = [piece.length for piece in pieces], [segment.length for segment in segments]
    first = _same(own, others)
    last = min(_same(own[::-1], others[::-1]), min(len(own), len(others)) - first)
    found = {number: bases[number] for number in range(first)}
    found |= {len(own) - back: bases[-back] for back in range(1, last + 1)}
    between, there = own[first : len(own) - last], others[first : len(others) - last]
    if between and there:
        ends = list(accumulate(there))
        stretched, at = ends[-1] / sum(between), 0
        for number, length in enumerate(between, first):
            middle = (at + length / 2) * stretched
            found[number] = bases[first + bisect_right(ends, min(middle, ends[-1] - 1))]
            at += length
    return found


def _same(one: list[int], other: list[int]) -> int:
    """How many numbers are the same at the beginning of two lists."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _tried(content: Content, pieces: list[Piece], pairs: dict[int, Base]) -> tuple[float, Bases]:
    """The part of its bytes that a blob takes beside these bases, judged by a few pieces, and how deltas are made then."""
    alone = of_arrays = of_text = 0.0
    for number in sorted(pairs)[:: max(1, len(pairs) // _TRIALS)]:
        piece, base = pieces[number], pairs[number].read()
        data = content.read(piece.offset, piece.length)
        if base and data and len(base) >= LEAST_BASE:
            alone += (by_itself := estimate(data, piece.widths))
            like = len(base) == len(data)
            of_arrays += min(by_itself, estimate(exclusive_or(data, base), piece.widths)) if like else by_itself
            of_text += min(by_itself, len(encode_beside(data, base)))
    text = of_text < WORTH * of_arrays
    return (of_text if text else of_arrays) / alone if alone else 1.0, Bases(pairs, text)
