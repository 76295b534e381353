"""The part of the independent reader for packs and recipes. Made from FORMAT.md alone."""

import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from blake3 import blake3
from msgpack import packb, unpackb

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Open = Callable[[bytes], bytes]  # gets an object from the bytes at its place
Copies = dict[tuple[str, str], list[tuple[Path, int, int, Open]]]


def objects_of(pack: Path) -> list[tuple[bytes, int, int, int, Open]]:  # digest, kind, offset, length
    with pack.open("rb") as file:
        header, end = file.read(24), file.seek(-56, 2)
        count, start, name, magic = struct.unpack(">QQ32s8s", file.read())
        index = file.read(end - file.seek(start))
    named = blake3(header + index, derive_key_context="artstore 2026-11-21 pack").hexdigest()
    assert header[:7] + magic == b"ARTPACKARTPKEND" and named == name.hex() == pack.stem, "no pack, or a wrong name"
    rows, frames = index, list[Any]()
    if header[7] == 2:
        assert index[:8] == struct.pack(">Q", count), "another number of rows"
        rows, frames = index[8 : 8 + 48 * count], list(struct.iter_unpack(">QIIBB6x8s", index[8 + 48 * count :]))
    fields = list(struct.iter_unpack(">32sBxxxIII", rows))
    assert header[7] in (1, 2) and rows == b"".join(struct.pack(">32sBxxxIII", *row) for row in fields), "odd rows"
    assert [row[0] for row in fields] == sorted({row[0] for row in fields}) and len(fields) == count, (
        "rows not in order"
    )
    if header[7] == 1:
        places = sorted((high << 32 | low, length) for _, _, length, high, low in fields)
        assert [place for place, _ in places] == tiled(24, [length for _, length in places], start), "not tiled"
        return [(digest, kind, high << 32 | low, length, bytes) for digest, kind, length, high, low in fields]
    assert [frame[0] for frame in frames] == tiled(24, [frame[1] for frame in frames], start), "frames don't tile"
    for number, frame in enumerate(frames):
        inside = sorted((place, length) for _, _, length, of, place in fields if of == number)
        assert [place for place, _ in inside] == tiled(0, [length for _, length in inside], frame[2]), (
            "a gap in a frame"
        )
    return [(row[0], row[1], *frames[row[3]][:2], partial(cut, frames[row[3]][2:], *row[4:1:-2])) for row in fields]


def tiled(start: int, lengths: list[int], end: int) -> list[int]:
    places = [start + sum(lengths[:number]) for number in range(len(lengths) + 1)]
    return places[:-1] if places[-1] == end else []


def cut(how: list[Any], place: int, length: int, stored: bytes) -> bytes:
    raw, codec, width, check = how
    assert blake3(stored).digest()[:8] == check and 0 < raw <= 1 << 20 + 2 * (length == raw), "a damaged frame"
    return decoded(codec, width, stored, raw)[place : place + length]


def decoded(codec: int, width: int, stored: bytes, raw: int) -> bytes:
    data = stored if codec == 0 else inflated(stored, raw) if codec == 1 else joined(stored, width, raw)
    assert len(data) == raw and (codec, width) in ((0, 1), (1, 1), (2, 2), (2, 4), (2, 8)), "a frame of another length"
    return data


def beside(delta: bytes, base: bytes, names: bytes, raw: int) -> bytes:
    begin, codec, width, zero = struct.unpack(">64sBBH", delta[:68])
    assert begin == names and zero == 0, "a delta of something else"
    if (codec, width) == (3, 1):
        return inflated(delta[68:], raw, base)
    return bytes(one ^ other for one, other in zip(decoded(codec, width, delta[68:], raw), base, strict=True))


def inflated(stored: bytes, raw: int, prefix: bytes | None = None) -> bytes:
    known = zstd.ZstdDict(prefix, is_raw=True).as_prefix if prefix else None
    reader = zstd.ZstdDecompressor(zstd_dict=known, options={zstd.DecompressionParameter.window_log_max: 23})
    data = reader.decompress(stored, raw)
    assert reader.eof and not reader.unused_data, "not one whole zstd frame"
    return data


def joined(stored: bytes, width: int, raw: int) -> bytes:
    data, at = bytearray(raw), 4 * width
    for number, head in enumerate(struct.unpack(f">{width}I", stored[:at])):
        end, length = at + (head & 0x7FFFFFFF), (raw - number + width - 1) // width
        data[number::width] = stored[at:end] if head >> 31 else inflated(stored[at:end], length)
        at = end
    assert at == len(stored), "bytes after the planes"
    return bytes(data)


def segments(recipe: bytes) -> list[list[Any]]:
    rows: list[list[Any]]
    check, size, *rows = unpackb(recipe)
    rest: bytes = packb([size, *rows])
    assert packb([check, size, *rows]) == recipe, "a recipe that is not canonical"
    assert blake3(rest, derive_key_context="artstore 2026-12-01 recipe").digest() == check, "a damaged recipe"
    assert size == sum(row[0] for row in rows) and (len(rows) > 1 or rows[0][2:]), "a recipe that doesn't add up"
    return rows
