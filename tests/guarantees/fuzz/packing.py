"""What packs large blobs: stored segments, files to be cut and recipes, each with its seeds and the function of an input."""

import io
import json
import random
import struct
import zipfile
from contextlib import suppress

import msgpack

from artstore.domain import recipes as recipe
from artstore.domain.codec import encode_rows
from artstore.domain.containers import SMALL, spans
from artstore.domain.cutting import cuts
from artstore.domain.digest import Digest
from artstore.domain.frames import MOST, Encoded, decode, encode
from tests.guarantees.fuzz.mutation import BAD

# -- stored segments --

_HEAD = struct.Struct(">bBi")  # codec, width, the segment's length; the stored bytes are behind it


def _input(found: Encoded, length: int) -> bytes:
    return _HEAD.pack(found.codec, found.width, length) + found.stored


def segments() -> list[bytes]:
    noise = random.Random(0).randbytes(100)
    exponents = bytes(byte for value in noise for byte in (value, 60 + value % 3))
    made = [
        (b"", ()),
        (noise, ()),
        (b"text" * 99, ()),
        (exponents, (2,)),
        (exponents * 2, (4,)),
        (exponents[3:] * 3, (8,)),
    ]
    return [_input(encode(data, widths), len(data)) for data, widths in made]


def fuzz_segment(data: bytes) -> None:
    if len(data) < _HEAD.size:
        return
    codec, width, length = _HEAD.unpack_from(data)
    stored = memoryview(data)[_HEAD.size :]
    found = decode(codec, width, stored, length)
    assert len(found) == length and len(stored) <= length
    again = encode(found[: 1 << 16], (2, 4, 8))
    assert decode(*again, len(found[: 1 << 16])) == found[: 1 << 16]


# -- files to be cut --

_SPARSE = struct.Struct(
    ">IH"
)  # zeros in the middle of a file, and bytes before them; the file's other bytes are behind


def _sparse(data: bytes) -> bytes:
    """An input for a file with 100,000 zeros in its middle."""
    at = data.index(bytes(100_000))
    return _SPARSE.pack(100_000, at) + data[:at] + data[at + 100_000 :]


def files() -> list[bytes]:
    import numpy as np

    tensors = {"a": {"dtype": "BF16", "shape": [50_000], "data_offsets": [0, 100_000]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [100_000, 100_008]}}  # fmt: skip
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    array, plain, large = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(array, np.zeros(25_000, "<f4"))
    for out, limit in ((plain, zipfile.ZIP64_LIMIT), (large, 1000)):
        usual, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, limit  # type: ignore[misc]
        with zipfile.ZipFile(out, "w") as file:
            for name, content in (("data.pkl", b"x"), ("data/0", bytes(100_000)), ("data/1", b"y" * 8)):
                file.writestr(zipfile.ZipInfo(name), content)
        zipfile.ZIP64_LIMIT = usual  # type: ignore[misc]
    made = [
        struct.pack("<Q", len(header)) + header + bytes(100_000) + b"z" * 8,
        array.getvalue(),
        plain.getvalue(),
        large.getvalue(),
    ]
    return [*map(_sparse, made), _SPARSE.pack(3 << 20, 0), b""]


def fuzz_cuts(data: bytes) -> None:
    zeros, at = _SPARSE.unpack_from(data.ljust(_SPARSE.size, b"\0"))
    zeros %= 3 << 20 if zeros % 64 == 0 else 1 << 18  # a few are cut by their content, which takes longer
    body = data[_SPARSE.size :]
    file = body[:at] + bytes(zeros) + body[at:]

    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= len(file) and 0 <= length <= MOST
        return file[offset : offset + length]

    end = 0
    for start, after, widths in spans(len(file), read):
        assert end <= start <= after - SMALL and after <= len(file) and set(widths) <= {2, 4, 8}
        end = after
    end = 0
    for offset, length, _ in cuts(len(file), read):
        assert offset == end and 1 <= length <= MOST
        end += length
    assert end == len(file)


FILE_WORDS = (
    "PK\1\2", "PK\3\4", "PK\5\6", "PK\6\6", "PK\6\7", "NUMPY", "'descr': '<f8'", "'<U", "dtype", "data_offsets", "shape", "F64", "BF16",
    "[0,100000]", "{", "}", "\x7f" * 8, "\0" * 8,
)  # fmt: skip


# -- recipes --


def recipes() -> list[bytes]:
    digest = Digest(bytes(32))
    made = [[1 << 20, 1], [1 << 19] * 2, [4 << 20, 127, 128, 65_535, 65_536]]
    return [
        recipe.encode_recipe(recipe.Recipe(sum(lengths), tuple(recipe.Segment(length, digest) for length in lengths)))
        for lengths in made
    ]


def fuzz_recipe(data: bytes) -> None:
    with suppress(*BAD):
        _, *rows = msgpack.unpackb(data, use_list=False, strict_map_key=False)
        data = encode_rows((recipe._check(tuple(rows)), *rows))
    assert recipe.encode_recipe(recipe.decode_recipe(data)) == data
