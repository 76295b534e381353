"""How the bytes of a segment are stored: as they are, compressed with zstd, or as compressed byte planes.

`encode` tries what may fit on a sample and takes the smallest. `decode` gives the bytes back, and refuses everything
else in bounded memory. zstd's next version may write other bytes for the same segment.

Byte planes suit arrays of numbers. Plane k has the bytes k, k + width, k + 2 × width… of the segment, so the exponents
of floats come together in one or two planes, which shrink; the others are hardly worth compressing. First there are
`width` lengths, each a big-endian u32, then the planes in their order. The highest bit of a length means that this
plane is stored as it is; else it is one zstd frame. If `width` doesn't divide the segment's length, the first planes
are one byte longer than the others.
"""

import struct
import sys
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from artstore.domain.planes import join, lengths, split
from artstore.errors import Damage, UnsupportedFormat

RAW, ZSTD, PLANES = range(3)
WIDTHS = 2, 4, 8
"""Bytes that an element of an array can have, if it is stored as planes."""
MOST = 4 << 20
"""Most bytes of a segment."""

LEAST_BASE = 9
"""Bytes that zstd wants of the segment beside which another one is encoded."""

_SAMPLES, _SAMPLE = 4, 16 << 10
"""A segment is judged by this many pieces of it, each of this many bytes."""
_WORTH = 0.95
"""A plane, or a segment without planes, is compressed if its sample shrinks to this part of it or less; a group too."""
_AS_IT_IS = 1 << 31
"""Of a plane's length: the plane is not compressed."""

_BLOCK = 32 << 10
"""Bytes of a group in one block of zstd's: blocks before a damaged one can be decoded. It costs 0 to 1.5 %."""
_BIT = 256
"""Bytes that are decoded at once by `salvaged`: zstd gives back nothing of a piece in which it meets damage."""

_LEVEL, _WINDOW_LOG, _HASH_LOG, _LONG_MATCHES, _WINDOW_LOG_MAX = 100, 101, 102, 160, 100
"""zstd's own numbers for parameters: four of a compressor, one of a decompressor."""
_SETTINGS = {_LEVEL: 1}, {_LEVEL: 1, _HASH_LOG: 6}
"""Level 1, and the same with so small a table that hardly a match is found.

Then the entropy coder does the work: exponents get smaller than with level 1, in a third of the time.
"""
_BESIDE = {_LEVEL: 1, _WINDOW_LOG: 23, _LONG_MATCHES: 1}
"""Level 1 with a window for two segments. Without long matches hardly anything of the other one is found."""
_READING = {_WINDOW_LOG_MAX: 23}
"""At most 8 MiB of memory for the window: no segment needs more."""

Settings = int | None
"""Which of _SETTINGS; None if something is stored as it is."""
_idle: tuple[list[Any], ...] = tuple([] for _ in _SETTINGS)
"""Compressors that wait for work, of each of _SETTINGS: to make one takes longer than to compress a sample with it.

There are as many as threads have ever compressed at once, of about a MiB each.
"""


class Encoded(NamedTuple):
    """A segment as it is stored. `decode` needs the segment's length too."""

    codec: int
    width: int
    """bytes of an element for PLANES, else 1"""
    stored: bytes


@cache
def _zstd() -> Any:
    """The module, which is part of Python from 3.14 on. Raises UnsupportedFormat if it is missing."""
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        own = sys.version_info >= (3, 14)
        hint = "use a Python that was built with libzstd" if own else "`pip install backports.zstd`"
        raise UnsupportedFormat("this Python has no zstd, which packed files are stored with", hint=hint) from error
    return zstd


def encode(data: bytes | memoryview, widths: Sequence[int] = ()) -> Encoded:
    """Encode a segment the way in which a sample of it gets smallest: RAW, ZSTD, or PLANES of one of these widths.

    The result is never larger than the data. Raises UnsupportedFormat if this Python has no zstd.
    """
    best, chosen, _ = _choice(data, widths)
    if best is not None:
        stored = _stored(data, best, chosen)
        if len(stored) < len(data):
            return Encoded(ZSTD if best == 1 else PLANES, best, stored)
    return Encoded(RAW, 1, bytes(data))


def estimate(data: bytes | memoryview, widths: Sequence[int] = ()) -> float:
    """About how many bytes `encode` makes of a segment, judged by its sample."""
    return _choice(data, widths)[2] * len(data)


def _choice(data: bytes | memoryview, widths: Sequence[int]) -> tuple[int | None, list[Settings], float]:
    """How to encode a segment: the width, each plane's settings, and the part of its bytes that its sample then takes.

    The width is None for RAW.
    """
    sample = _sample(data)
    best, least = None, len(sample)
    chosen: list[Settings] = []
    for width in (1, *widths):
        tried = [_tried(plane) for plane in split(sample, width)]
        size = sum(size for size, _ in tried)
        if size < least:
            best, chosen, least = width, [settings for _, settings in tried], size
    return best, chosen, least / len(sample) if sample else 1.0


def compressed(data: bytes | memoryview) -> Encoded:
    """Encode small objects that are stored together: ZSTD, or RAW if they hardly shrink. Nothing is tried on a sample.

    For 128 KiB of text this takes a third of the time of `encode`, and of random bytes zstd lets go early.
    """
    frame = _compressed(bytes(data), 0, block=_BLOCK)
    return Encoded(ZSTD, 1, frame) if len(frame) <= _WORTH * len(data) else Encoded(RAW, 1, bytes(data))


def _sample(data: bytes | memoryview) -> bytes:
    """Pieces from the beginning to the end of a segment, at places that any width divides."""
    if len(data) <= _SAMPLES * _SAMPLE:
        return bytes(data)
    step = (len(data) - _SAMPLE) // (_SAMPLES - 1) & -max(WIDTHS)
    return b"".join(data[at : at + _SAMPLE] for at in range(0, step * _SAMPLES, step))


def _tried(sample: bytes) -> tuple[int, Settings]:
    """The bytes that a plane's sample takes, and with which settings."""
    size, settings = min((len(_compressed(sample, number)), number) for number in range(len(_SETTINGS)))
    return (size, settings) if size <= _WORTH * len(sample) else (len(sample), None)


def _compressed(data: bytes, settings: int, *, block: int = MOST) -> bytes:
    """One frame, which can be decoded block by block."""
    try:
        compressor = _idle[settings].pop()
    except IndexError:
        compressor = _zstd().ZstdCompressor(options=_SETTINGS[settings])
    begun = [
        compressor.compress(data[at : at + block], compressor.FLUSH_BLOCK) for at in range(0, len(data) - block, block)
    ]
    frame: bytes = compressor.compress(data[len(begun) * block :], compressor.FLUSH_FRAME)
    _idle[settings].append(compressor)
    return b"".join([*begun, frame])


def _stored(data: bytes | memoryview, width: int, chosen: Sequence[Settings]) -> bytes:
    """Planes behind their lengths, but one alone (width 1) as it is compressed."""
    heads, planes = [], []
    for plane, settings in zip(split(data, width), chosen, strict=True):
        frame = plane if settings is None else _compressed(plane, settings)
        as_it_is = len(frame) >= len(plane)
        planes.append(plane if as_it_is else frame)
        heads.append(len(planes[-1]) | as_it_is * _AS_IT_IS)
    return b"".join([struct.pack(f">{width}I", *heads), *planes]) if width > 1 else planes[0]


def decode(codec: int, width: int, stored: bytes | memoryview, raw_length: int) -> bytes:
    """Decode a segment of `raw_length` bytes.

    Raises Damage if this isn't a form that `encode` writes, in memory of a few times MOST at most; UnsupportedFormat if
    this Python has no zstd.
    """
    if not 0 <= raw_length <= MOST:
        raise Damage(f"a segment of {raw_length} bytes can't be right: at most {MOST} can")
    if codec == RAW and width == 1 and len(stored) == raw_length:
        return bytes(stored)
    if len(stored) < raw_length:
        if codec == ZSTD and width == 1:
            return _decompressed(stored, raw_length)
        if codec == PLANES and width in WIDTHS:
            return _joined(stored, width, raw_length)
    raise Damage(f"a segment's {raw_length} bytes can't be stored as {len(stored)} with codec {codec}, width {width}")


def encode_beside(data: bytes | memoryview, base: bytes | memoryview) -> bytes:
    """One zstd frame of a segment, for which a similar one, of LEAST_BASE or more, is known when it is decoded."""
    zstd = _zstd()
    compressor = zstd.ZstdCompressor(options=_BESIDE, zstd_dict=zstd.ZstdDict(base, is_raw=True).as_prefix)
    frame: bytes = compressor.compress(data, compressor.FLUSH_FRAME)
    return frame


def decode_beside(stored: bytes | memoryview, base: bytes | memoryview, raw_length: int) -> bytes:
    """The bytes of a segment of which `encode_beside` made a frame. Raises Damage, and UnsupportedFormat, as `decode`."""
    if not 0 <= raw_length <= MOST or not LEAST_BASE <= len(base) <= MOST:
        raise Damage(f"a segment of {raw_length} bytes, beside {len(base)}, can't be right")
    return _decompressed(stored, raw_length, prefix=_zstd().ZstdDict(base, is_raw=True).as_prefix)


def salvaged(codec: int, stored: bytes | memoryview, raw_length: int) -> bytes:
    """What can be decoded of damaged bytes, from the beginning to the damage; empty for byte planes.

    It may be wrong, too: the caller has to check what it takes of it.
    """
    if not 0 <= raw_length <= MOST:
        return b""
    if codec != ZSTD:
        return bytes(stored[:raw_length]) if codec == RAW else b""
    zstd, found = _zstd(), bytearray()
    decompressor = zstd.ZstdDecompressor(options=_READING)
    try:
        for at in range(0, len(stored), _BIT):
            found += decompressor.decompress(stored[at : at + _BIT], raw_length - len(found))
            if decompressor.eof or len(found) >= raw_length:
                break
    except zstd.ZstdError:
        pass
    return bytes(found)


def _joined(stored: bytes | memoryview, width: int, raw_length: int) -> bytes:
    begin = 4 * width
    if len(stored) < begin:
        raise Damage(f"a segment's {width} planes have no lengths")
    heads = struct.unpack(f">{width}I", stored[:begin])
    places = list(accumulate((head & ~_AS_IT_IS for head in heads), initial=begin))
    if places[-1] != len(stored):
        raise Damage(f"a segment's {width} planes end at {places[-1]}, and not at its end {len(stored)}")
    view, planes = memoryview(stored), list[bytes | memoryview]()
    for head, (start, end), length in zip(heads, pairwise(places), lengths(raw_length, width), strict=True):
        if head & _AS_IT_IS:
            if end - start != length:
                raise Damage(f"a segment's plane has {end - start} bytes, not {length}")
            planes.append(view[start:end])
        else:
            planes.append(_decompressed(view[start:end], length))
    return join(planes)


def _decompressed(frame: bytes | memoryview, length: int, *, prefix: Any = None) -> bytes:
    """The bytes of exactly one zstd frame, which has to be shorter than they are."""
    zstd = _zstd()
    decompressor = zstd.ZstdDecompressor(options=_READING, zstd_dict=prefix)
    try:
        data: bytes = decompressor.decompress(frame, length)
    except zstd.ZstdError as error:
        raise Damage(f"a segment can't be decompressed: {error}") from error
    if len(data) != length or not decompressor.eof or decompressor.unused_data or len(frame) >= length:
        raise Damage(f"a segment's frame is not exactly one of {length} bytes")
    return data
