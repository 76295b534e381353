"""What packs large blobs: stored segments, files to be cut, recipes, deltas and packs, each with its seeds and the function of an input."""

import io
import json
import random
import struct
import tempfile
import zipfile
from contextlib import suppress

import msgpack
from blake3 import blake3

from artstore.domain import recipes as recipe
from artstore.domain.codec import encode_rows
from artstore.domain.containers import SMALL, spans
from artstore.domain.cutting import cuts
from artstore.domain.deltas import decode_delta, delta_digest, encode_delta, restored
from artstore.domain.digest import BLOB, DELTA, RECIPE, TREE, Digest, digest_of, pack_digest
from artstore.domain.frames import MOST, Encoded, compressed, decode, encode, salvaged
from artstore.domain.planes import exclusive_or
from artstore.errors import DamagedObject
from artstore.store.framed import COUNT, FRAME, FramedPack, FramedWriter
from artstore.store.packfile import check_rows, known_index, open_pack, salvage
from artstore.store.packs import FOOTER, FRAMES_MAGIC, HEADER, ROW, Pack, Row
from artstore.store.segments import Packed, PackedContent
from artstore.store.verified import VerifiedNotes
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
    assert len(salvaged(codec, stored, length)) <= max(0, min(length, MOST))
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
        recipe.encode_recipe(
            recipe.Recipe(sum(lengths), tuple(recipe.Segment(length, digest, *beside) for length in lengths))
        )
        for lengths in made
        for beside in ((), (digest, digest))
    ]


def fuzz_recipe(data: bytes) -> None:
    with suppress(*BAD):
        _, *rows = msgpack.unpackb(data, use_list=False, strict_map_key=False)
        data = encode_rows((recipe._check(tuple(rows)), *rows))
    assert recipe.encode_recipe(recipe.decode_recipe(data)) == data


# -- deltas --

_LENGTH = struct.Struct(">i")  # of the base, which has this many bytes; the delta is behind it


def deltas() -> list[bytes]:
    noise = random.Random(0).randbytes(1000)
    found = list[bytes]()
    for data, widths in (
        (exclusive_or(noise, b"x" * 1000), ()),
        (exclusive_or(noise, bytes(500) + noise[:500]), (2, 4)),
    ):
        for text in (False, True):
            made = encode_delta(digest_of(BLOB, data), data, digest_of(BLOB, noise), noise, widths, text=text)
            found += [_LENGTH.pack(len(data)) + made] if made is not None else []
    return found


def fuzz_delta(data: bytes) -> None:
    (length,) = _LENGTH.unpack(data[:4].ljust(4, b"\0"))
    delta = memoryview(data)[4:]
    base = bytes(max(0, min(length, MOST + 1)))
    assert len(delta_digest(delta)) == 32
    names = Digest(bytes(delta[:32])), Digest(bytes(delta[32:64]))
    assert decode_delta(delta)[:2] == names
    found = restored(names[0], len(base), delta, names[1], base)
    assert len(found) == len(base) and len(found) <= MOST


# -- packs of frames --

_HALF = bytes(1 << 19)


def packs() -> list[bytes]:
    exponents = bytes(byte for value in random.Random(0).randbytes(100) for byte in (value, 60 + value % 3))
    halves = (recipe.Segment(len(_HALF), digest_of(BLOB, _HALF)),) * 2
    found = []
    other = b"x" * len(_HALF)  # beside zeros, it is what differs
    codec, width, stored = encode(other)
    beside = recipe.Segment(len(other), digest_of(BLOB, other), base=digest_of(BLOB, _HALF))
    delta = beside.digest + digest_of(BLOB, _HALF) + bytes([codec, width, 0, 0]) + stored
    step = recipe.Recipe(2 * len(_HALF), (halves[0], beside._replace(delta=delta_digest(delta))))
    for objects in ((), (exponents,), (exponents, b"text" * 99, _HALF)):
        with tempfile.TemporaryDirectory() as folder:
            writer = FramedWriter(f"{folder}/pack")
            for data in objects:
                writer.add_frame(encode(data, (2,)), len(data), [(BLOB, digest_of(BLOB, data), 0, len(data))])
            if _HALF in objects:
                group = [b"one", b"", b"a line of text\n" * 40, random.Random(1).randbytes(99)]
                places = [sum(map(len, group[:number])) for number in range(len(group))]
                rows = [(BLOB, digest_of(BLOB, data), at, len(data)) for at, data in zip(places, group, strict=True)]
                writer.add_frame(compressed(b"".join(group)), sum(map(len, group)), rows)
                writer.add(TREE, digest_of(TREE, b"\x90"), b"\x90")
                whole = recipe.Recipe(2 * len(_HALF), halves)
                writer.add_recipe(digest_of(BLOB, _HALF * 2), recipe.encode_recipe(whole))
                writer.add(DELTA, delta_digest(delta), delta)
                writer.add_recipe(digest_of(BLOB, _HALF + other), recipe.encode_recipe(step))
            writer.finish()
            with open(writer.path, "rb") as file:
                found.append(_sealed(file.read()))
    return found


def _sealed(data: bytes) -> bytes:
    """A pack with the right magic, name and checks of frames, whatever else is wrong, and no random bytes."""
    end = len(data) - FOOTER.size
    if end < HEADER:
        return data
    count, offset, _, magic = FOOTER.unpack(data[end:])
    index = bytearray(data[offset:end])
    table = COUNT.size + count * ROW.size
    for at in range(table, len(index) - FRAME.size + 1, FRAME.size) if table <= len(index) else ():
        start, stored = FRAME.unpack_from(index, at)[:2]
        index[at + FRAME.size - 8 : at + FRAME.size] = blake3(data[start : start + stored]).digest(8)
    header = FRAMES_MAGIC + bytes(HEADER - len(FRAMES_MAGIC))
    footer = FOOTER.pack(count, offset, pack_digest(header, bytes(index)), magic)
    return header + data[HEADER:offset] + index + footer


def fuzz_frames(data: bytes) -> None:
    data = _sealed(data)

    def read(at: int, length: int) -> bytes:
        assert 0 <= at <= len(data) and 0 <= length <= max(len(data), HEADER)
        return data[at : at + length]

    for _, digest, found in salvage(len(data), read):
        assert len(digest) == 32 and len(found) <= MOST
    pack = open_pack(data[-40:-8].hex(), len(data), read)
    known_index(pack.name, pack.index.header + pack.index.whole)
    rows = list(pack.index.rows())
    assert isinstance(pack, FramedPack)
    for number, row in enumerate(rows):
        assert pack.object(row) == pack.peek(number)
        found = pack.salvaged(row)
        assert found is None or row.kind != BLOB or digest_of(BLOB, found) == row.digest
        assert row.digest in pack.damaged_with(row)
        for _, told in pack.window([row]).objects():
            assert told == pack.object(row)
    if check_rows(pack) is None:
        assert [pack.index.find(row.digest) for row in rows] == list(range(len(rows)))
        assert pack.index.bytes_of(rows) == pack.index.stored_bytes
        for row in rows:
            if row.kind == RECIPE:
                _put_together(pack, row)


def _put_together(pack: Pack, row: Row) -> None:
    """A blob of which all segments are in a pack is right, or damaged."""
    if (data := pack.object(row)) is None:
        return
    rows = {other.digest: other for other in pack.index.rows()}
    found = recipe.decode_recipe(data)
    parts = set(found.parts)
    if all(part.digest in rows and part.fits(rows[part.digest].kind, rows[part.digest].size) for part in parts):
        places = {part: (pack.name, rows[part.digest]) for part in parts}
        blob = Packed(row.digest, found.segments, pack.name, places)
        content = PackedContent(blob, {pack.name: (pack.read_range, lambda: None)}, VerifiedNotes(None))
        with content, suppress(DamagedObject):
            content.check()
            assert digest_of(BLOB, content.read(0, content.size)) == row.digest
