"""Recipes: of which segments a large blob is made, one after the other.

A recipe is an array: a check, the blob's size, and for each segment `[length, digest]`, or `[length, digest, delta,
base]` if it is stored as a delta. The digest is the plain BLAKE3 of the segment's bytes; that of the base, too. The
delta's is as `deltas` says. The check is the BLAKE3 of all that follows it, encoded as an array of its own, in the
context below.
"""

from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from itertools import chain
from typing import Any, NamedTuple

import msgpack
from blake3 import blake3

from artstore.domain.codec import MAX_BYTES, encode_rows
from artstore.domain.digest import BLOB, DELTA, Digest, PackedKind
from artstore.domain.frames import MOST
from artstore.errors import Damage

LEAST_SIZE = 1 << 20
"""A blob of fewer bytes has no recipe: it is stored whole."""
MOST_SEGMENTS = 100_000
"""A recipe has 40 bytes a segment, and is in one frame, so it has MOST bytes at most.

So a blob that is cut every 2 MiB may have 200 GB, and one that is cut by content 100 GB. A larger one is not packed.
"""
MOST_WITH_DELTAS = 38_000
"""A segment that is stored as a delta takes 68 more bytes of the recipe: with more segments than this none is."""
_CONTEXT = "artstore 2026-12-01 recipe"
_BUFFER = 4096
"""Bytes that are looked at together: more than a row has."""


class Part(NamedTuple):
    """An object that is needed to read a segment."""

    kind: PackedKind
    """BLOB or DELTA"""
    digest: Digest
    length: int | None
    """None for a delta and for a base, which may have any"""

    def fits(self, kind: int, size: int) -> bool:
        """Whether an object with the digest of this part may be it: a pack can say another kind or length."""
        return kind == self.kind and self.length in (None, size)


class Segment(NamedTuple):
    length: int
    digest: Digest
    delta: Digest | None = None
    """None if it is stored whole"""
    base: Digest | None = None

    @property
    def whole(self) -> "Segment":
        """The same segment, stored whole."""
        return Segment(self.length, self.digest)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What has to be read: the segment itself, or its base and its delta."""
        if self.delta is None or self.base is None:
            return (Part(BLOB, self.digest, self.length),)
        return Part(BLOB, self.base, None), Part(DELTA, self.delta, None)


class Recipe(NamedTuple):
    size: int
    segments: tuple[Segment, ...]

    @property
    def is_needed(self) -> bool:
        """Whether the blob can't be found without a recipe: it isn't one segment that is stored whole."""
        return len(self.segments) > 1 or any(segment.delta for segment in self.segments)

    @property
    def parts(self) -> Iterator[Part]:
        """What has to be read for the blob; a part may come several times."""
        return chain.from_iterable(segment.parts for segment in self.segments)


def encode_recipe(recipe: Recipe) -> bytes:
    """The bytes of a recipe: always the same for the same segments."""
    rows = recipe.size, *(segment if segment.delta else segment[:2] for segment in recipe.segments)
    return encode_rows((_check(rows), *rows))


def _check(rows: tuple[Any, ...]) -> bytes:
    return blake3(encode_rows(rows), derive_key_context=_CONTEXT).digest()


def decode_recipe(data: bytes | memoryview, what: str = "a recipe") -> Recipe:
    """Decode what `encode_recipe` wrote. Raises Damage for anything else, in memory of five times the bytes at most.

    A recipe has two segments or more, or one that is a delta, each of 1 byte to 4 MiB, which add up to a size of at
    least LEAST_SIZE.
    """
    if len(data) > MAX_BYTES:
        raise Damage(f"{what} is {len(data)} bytes long; at most {MAX_BYTES} can be right")
    return _decoded(bytes(data), what)


@lru_cache(maxsize=1)
def _decoded(data: bytes, what: str) -> Recipe:
    """The last one is kept: a recipe is decoded when a pack's copy of it is checked, and then by what reads it."""
    try:
        fields = _fields(data)
        _, size = next(fields), next(fields)
        recipe = Recipe(size, tuple(_segment(row, what) for row in fields))
        canonical = encode_recipe(recipe)
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise Damage(f"{what} can't be decoded: {str(error) or type(error).__name__}") from error
    if canonical != data:
        raise Damage(f"{what} is not in canonical form, or not what its check says")
    if not recipe.is_needed:
        raise Damage(f"{what} has one segment, which is stored whole: it needs none")
    if type(size) is not int or size < LEAST_SIZE:
        raise Damage(f"{what} is of a blob of {LEAST_SIZE} bytes at least, not {str(size)[:80]}")
    if sum(segment.length for segment in recipe.segments) != size:
        raise Damage(f"{what} has segments that don't add up to its {size} bytes")
    return recipe


def _fields(data: bytes | memoryview) -> Iterator[Any]:
    """The fields of an array, one by one: to decode all of a malformed array could take 50 times its bytes."""
    unpacker = msgpack.Unpacker(BytesIO(data), raw=False, use_list=False, read_size=_BUFFER, max_buffer_size=_BUFFER)
    count = unpacker.read_array_header()
    if count < 3:
        raise ValueError(f"it has {count} fields")
    for _ in range(count):
        yield unpacker.unpack()


def _segment(row: Any, what: str) -> Segment:
    if type(row) is not tuple or len(row) not in (2, 4):
        raise Damage(f"{what} has a malformed segment")
    length, *digests = row
    good = all(type(digest) is bytes and len(digest) == 32 for digest in digests)
    if type(length) is not int or not 1 <= length <= MOST or not good:
        raise Damage(f"{what} has a malformed segment")
    return Segment(length, *map(Digest, digests))
