"""Deltas: a segment as what differs from a similar one, its base.

A delta is the digest of the segment, the digest of the base, a codec and a width, and then what differs:

- The exclusive or of both, stored with that codec as a segment is, if both are of one length. Weights after some more
  steps of training have most high bits in common with the weights before, so these become zeros.
- Or, with codec BESIDE, the segment as a zstd frame that was made with the base as its prefix: what a changed text has
  in common with the old one is found, wherever it is.

A delta is found by the BLAKE3 of all its bytes in a context of its own: so it can be checked without its base.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from blake3 import blake3

from artstore.domain.digest import Digest
from artstore.domain.frames import LEAST_BASE, Encoded, decode, decode_beside, encode, encode_beside, estimate
from artstore.domain.planes import exclusive_or
from artstore.errors import Damage

WORTH = 0.85
"""A delta has this part of the bytes that its segment takes without one, or less."""
LEAST = 64 << 10
"""Bytes of the smallest segment that may be a delta: a delta takes 68 bytes in the recipe, too."""
BESIDE = 3
_HEAD = struct.Struct(">32s32sBB2x")
_CONTEXT = "artstore 2026-12-01 delta"


class Delta(NamedTuple):
    """A delta's fields."""

    segment: Digest
    base: Digest
    difference: Encoded


def delta_digest(delta: bytes | memoryview) -> Digest:
    """The digest by which a delta is found."""
    return Digest(blake3(delta, derive_key_context=_CONTEXT).digest())


def encode_delta(
    segment: Digest, data: bytes, base: Digest, base_data: bytes | memoryview, widths: Sequence[int], *, text: bool
) -> bytes | None:
    """A segment's delta. None if it isn't worth it, judged by samples: see WORTH.

    With `text`, and where the lengths differ, it is one with the codec BESIDE, else the exclusive or.
    """
    alone, text = estimate(data, widths), text or len(data) != len(base_data)
    if text and len(base_data) < LEAST_BASE:
        return None
    if text:
        codec, width, stored = BESIDE, 1, encode_beside(data, base_data)
    else:
        difference = exclusive_or(data, base_data)
        if estimate(difference, widths) > WORTH * alone:
            return None
        codec, width, stored = encode(difference, widths)
    delta = _HEAD.pack(segment, base, codec, width) + stored
    return delta if len(delta) <= WORTH * (alone if text else len(data)) else None


def decode_delta(delta: bytes | memoryview) -> Delta:
    """The fields of a delta. Raises Damage if it has none."""
    if len(delta) < _HEAD.size or any(delta[_HEAD.size - 2 : _HEAD.size]):
        raise Damage("a delta doesn't begin as one")
    segment, base, codec, width = _HEAD.unpack_from(delta)
    return Delta(Digest(segment), Digest(base), Encoded(codec, width, bytes(delta[_HEAD.size :])))


def restored(
    segment: Digest, length: int, delta: bytes | memoryview, base: Digest, base_data: bytes | memoryview
) -> bytes:
    """The bytes of the segment of a delta, which the caller has to check.

    Raises Damage if they can't be right, or the delta is one of another segment or base.
    """
    names_segment, names_base, (codec, width, stored) = decode_delta(delta)
    if (names_segment, names_base) != (segment, base):
        raise Damage("a delta is not of the segment and the base for which it stands")
    if codec == BESIDE and width == 1:
        return decode_beside(stored, base_data, length)
    if len(base_data) != length:
        raise Damage(f"a segment of {length} bytes can't be what differs from one of {len(base_data)}")
    return exclusive_or(decode(codec, width, stored, length), base_data)
