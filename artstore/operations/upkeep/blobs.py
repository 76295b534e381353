"""Adding large blobs to a pack: each segment is shared, stored whole, or a delta."""

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from blake3 import blake3

from artstore.domain.deltas import decode_delta, delta_digest
from artstore.domain.digest import BLOB, DELTA, Digest, digest_of, short
from artstore.domain.frames import Encoded
from artstore.domain.recipes import Part, Recipe, Segment, encode_recipe
from artstore.errors import DamagedObject
from artstore.operations.upkeep.beside import Bases, Candidate, Elders
from artstore.store.content import Content
from artstore.store.framed import FramedWriter
from artstore.store.transaction import Transaction

if TYPE_CHECKING:
    from concurrent.futures import Future

_THREADS, _AHEAD = 2, 4
"""Threads that encode, and pieces that wait for them."""


class BlobPack:
    """A pack of large blobs that is being written."""

    def __init__(self, tx: Transaction, writer: FramedWriter, advance: Callable[[int, int], None]) -> None:
        """`advance` counts blobs and their bytes."""
        self._tx = tx
        self._writer = writer
        self._advance = advance
        self._elders = Elders(tx.objects.large)
        self._segments: dict[Digest, Segment] = {}
        """those that are in this pack, as they are stored"""
        self.blobs: list[Digest] = []

    def add(self, one: Candidate) -> None:
        """Add a blob: the segments that aren't stored yet, and its recipe. Raises DamagedObject if it is read wrong."""
        with ExitStack() as opened:
            content = opened.enter_context(self._tx.objects.large.open(one.digest, one.size))
            known, bases = self._elders.beside(one, content, opened)
            segments = self._add_segments(one, content, known, self._relied(bases))
        recipe = Recipe(one.size, tuple(segments))
        if recipe.is_needed:
            self._writer.add_recipe(one.digest, encode_recipe(recipe))
        self._elders.add(one.digest, segments)
        self.blobs.append(one.digest)
        self._advance(1, 0)

    def _relied(self, bases: Bases) -> Bases:
        """Those of some bases that are in this pack, or that a collector leaves in others."""
        elsewhere = {base.part for base in bases.by_piece.values() if base.digest not in self._segments}
        gone = elsewhere - self._tx.rely_on_parts(elsewhere)
        return bases._replace(by_piece={n: base for n, base in bases.by_piece.items() if base.part not in gone})

    def _add_segments(
        self, one: Candidate, content: Content, known: dict[Digest, Segment], bases: Bases
    ) -> list[Segment]:
        """The segments of a blob, as they are stored. Two threads encode."""
        from concurrent.futures import ThreadPoolExecutor

        hasher, segments, begun = blake3(), list[Segment](), set[Digest]()
        waiting: deque[tuple[Segment, Future[Encoded | bytes]]] = deque()
        with ThreadPoolExecutor(_THREADS) as pool:
            for number, piece in enumerate(one.pieces):
                data = content.read(piece.offset, piece.length)
                hasher.update(data)
                segment = Segment(len(data), digest_of(BLOB, data))
                shared = segment if segment.digest in begun else self._shared(segment, known.get(segment.digest))
                segments.append(shared or segment)
                if shared is None:
                    begun.add(segment.digest)
                    waiting.append((segment, pool.submit(bases.encoded, number, segment, data, piece.widths)))
                    if len(waiting) >= _AHEAD:
                        self._add_encoded(*waiting.popleft())
                self._advance(0, len(data))
            while waiting:
                self._add_encoded(*waiting.popleft())
        if hasher.digest() != one.digest:
            content.check()
            raise DamagedObject(f"blob {short(one.digest)} was read wrong: it is not packed")
        return [self._segments.get(segment.digest, segment) for segment in segments]

    def _shared(self, segment: Segment, known: Segment | None) -> Segment | None:
        """A segment that needs not be stored again: it is in this pack, or whole in another, or the known delta is."""
        if segment.digest in self._segments:
            return self._segments[segment.digest]
        if self._tx.rely_on_parts(set(segment.parts)):
            return segment
        parts = set(known.parts) if known is not None else None
        return known if parts is not None and self._tx.rely_on_parts(parts) == parts else None

    def _add_encoded(self, segment: Segment, encoded: "Future[Encoded | bytes]") -> None:
        """Store a segment: whole, or its delta."""
        stored = encoded.result()
        if isinstance(stored, Encoded):
            self._writer.add_frame(stored, segment.length, [(BLOB, segment.digest, 0, segment.length)])
        else:
            digest = delta_digest(stored)
            if not self._tx.rely_on_parts({Part(DELTA, digest, None)}):
                self._writer.add(DELTA, digest, stored)
            segment = segment._replace(delta=digest, base=decode_delta(stored).base)
        self._segments[segment.digest] = segment
