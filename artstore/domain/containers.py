"""Where the arrays are in a safetensors file, an `.npy` file, or a zip that stores its members (`torch.save`, `.npz`).

A file is known by its bytes, never by its name. Nothing in it is trusted: if anything is not as it should be, no array
is found, and the file is cut by its content.
"""

import json
import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

Read = Callable[[int, int], bytes]
"""A function from an offset and a length to the bytes there, fewer where the file ends."""

SMALL = 64 << 10
"""Arrays of fewer bytes are left out: they are cut with what is around them."""
UNKNOWN = 2, 4, 8
"""Widths to try if it isn't known what a file holds."""
_MOST_HEADER = 4 << 20
"""Bytes of a header, or of a zip's directory. Larger ones are not read: as JSON they may take 20 times as much memory."""

_DTYPES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32", "C64"), 4),
    **dict.fromkeys(("BF16", "F16", "I16", "U16"), 2),
}
"""safetensors' names, and bytes of an element. All others have one byte."""
_DESCRIPTION = re.compile(rb"'descr': *'[<>|=]([a-zA-Z])(\d{1,4})['\[]")

_LOCAL = struct.Struct("<4s22xHH")  # magic, lengths of the name and of the extra fields
_MEMBER = struct.Struct("<4s4xHH8xIIHHH8xI")  # magic, flags, method, two sizes, three lengths, offset
_END = struct.Struct("<4s8xIIH")  # magic, size and offset of the directory, length of the comment
_END_64 = struct.Struct("<4s36xQQ")  # magic, size and offset of the directory
_LOCATOR = struct.Struct("<4s4xQ4x")  # magic, offset of _END_64
_UNSET = 0xFFFFFFFF
"""A size or offset that is in the member's extra field for large files."""


class Span(NamedTuple):
    """The place of an array in a file."""

    start: int
    end: int
    widths: tuple[int, ...]
    """bytes of an element: all that may be right, none if it is 1"""


def spans(size: int, read: Read) -> list[Span]:
    """The arrays of SMALL bytes and more in a file of `size` bytes, in order and without overlaps.

    Empty for another kind of file, and for one that is not as its kind should be.
    """
    begin = read(0, 16)
    find = _in_npy if begin[:6] == b"\x93NUMPY" else _in_zip if begin[:4] == b"PK\3\4" else _in_safetensors
    try:
        found = sorted(span for span in find(size, read) if span.end - span.start >= SMALL)
    except (ValueError, RecursionError, struct.error):
        return []
    at = 0
    for span in found:
        if span.start < at or span.end > size:
            return []
        at = span.end
    return found


def _in_safetensors(size: int, read: Read) -> Iterator[Span]:
    (length,) = struct.unpack("<Q", read(0, 8))
    if length > min(_MOST_HEADER, size - 8) or read(8, 1) != b"{":
        return
    header = json.loads(read(8, length))
    for tensor in header.values():
        match tensor:
            case {"dtype": str(dtype), "data_offsets": [int(start), int(end)]} if 0 <= start <= end:
                width = _DTYPES.get(dtype, 1)
                yield Span(8 + length + start, 8 + length + end, (width,) if width > 1 else ())


def _in_npy(size: int, read: Read) -> Iterator[Span]:
    major, number = struct.unpack("<6xBxI", read(0, 12))
    fixed, length = (10, number & 0xFFFF) if major == 1 else (12, number)
    found = _DESCRIPTION.search(read(fixed, min(length, SMALL)))
    if found is not None:
        kind, number = found[1], int(found[2])
        width = 4 if kind == b"U" else number // 2 if kind == b"c" else number  # text has 4 bytes a character
        yield Span(fixed + length, size, (width,) if width in UNKNOWN else ())


def _in_zip(size: int, read: Read) -> Iterator[Span]:
    """Its stored members: what they hold isn't known."""
    tail_at = max(0, size - _END.size - 0xFFFF)
    tail = read(tail_at, size - tail_at)
    end_at = tail.rindex(b"PK\5\6")
    _, length, start, _ = _END.unpack_from(tail, end_at)
    if end_at >= _LOCATOR.size and tail[end_at - _LOCATOR.size :][:4] == b"PK\6\7":
        _, at = _LOCATOR.unpack_from(tail, end_at - _LOCATOR.size)
        magic, length, start = _END_64.unpack(_within(read, size, at, _END_64.size))
        if magic != b"PK\6\6":
            raise ValueError("not the end of a directory")
    if length > _MOST_HEADER:
        return
    directory = _within(read, size, start, length)
    at = 0
    while at < len(directory):
        magic, flags, method, packed, unpacked, name, extra, comment, offset = _MEMBER.unpack_from(directory, at)
        if magic != b"PK\1\2":
            raise ValueError("not a member")
        at += _MEMBER.size + name
        fields = directory[at : at + extra]
        at += extra + comment
        if method or flags & 1:  # compressed or encrypted
            continue
        packed, offset = _in_full(packed, unpacked, offset, fields)
        if packed >= SMALL:
            magic, name, extra = _LOCAL.unpack(_within(read, size, offset, _LOCAL.size))
            if magic != b"PK\3\4":
                raise ValueError("not a member")
            begin = offset + _LOCAL.size + name + extra
            yield Span(begin, begin + packed, UNKNOWN)


def _within(read: Read, size: int, start: int, length: int) -> bytes:
    if start > size - length:
        raise ValueError("outside the file")
    return read(start, length)


def _in_full(packed: int, unpacked: int, offset: int, fields: bytes) -> tuple[int, int]:
    """A member's size and offset, which are in its extra fields if they are 4 GiB or more."""
    at = 0
    while _UNSET in (packed, unpacked, offset):
        kind, length = struct.unpack_from("<HH", fields, at)
        if kind == 1:
            numbers = iter(struct.unpack(f"<{length // 8}Q", fields[at + 4 : at + 4 + length // 8 * 8]))
            unpacked = next(numbers, unpacked) if unpacked == _UNSET else unpacked
            packed = next(numbers, packed) if packed == _UNSET else packed
            return packed, next(numbers, offset) if offset == _UNSET else offset
        at += 4 + length
    return packed, offset
