"""Where files are cut: at the same places of an array, and where the content says so; any bytes are cut into a whole."""

import io
import json
import random
import struct
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pyfastcdc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artstore.domain import cutting
from artstore.domain.containers import SMALL, UNKNOWN, Span, spans
from artstore.domain.cutting import Piece, cuts
from artstore.domain.frames import MOST

KIB, MIB = 1 << 10, 1 << 20
NOISE = random.Random(0).randbytes(24 * MIB)
Tensors = dict[str, tuple[str, int]]


@pytest.fixture
def no_fastcdc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "pyfastcdc", None)
    cutting._fast_cdc.cache_clear()
    yield
    cutting._fast_cdc.cache_clear()


def reader(data: bytes) -> Callable[[int, int], bytes]:
    """A reader that doesn't bear to be asked for what isn't there, or for much at once."""

    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= len(data) and 0 <= length <= MOST
        return data[offset : offset + length]

    return read


def pieces(data: bytes) -> list[Piece]:
    """The pieces of data, which make up all of it."""
    found, at = list(cuts(len(data), reader(data))), 0
    for offset, length, _ in found:
        assert offset == at and 1 <= length <= MOST
        at += length
    assert at == len(data)
    return found


def contents(data: bytes) -> set[bytes]:
    return {data[offset : offset + length] for offset, length, _ in pieces(data)}


def new_bytes(old: bytes, new: bytes) -> int:
    """Bytes of the pieces of `new` that `old` doesn't have."""
    return sum(map(len, contents(new) - contents(old)))


def safetensors(tensors: Tensors, **metadata: str) -> bytes:
    """A file with these tensors, of a type and so many bytes of noise each."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    body = bytearray()
    for name, (dtype, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": [size], "data_offsets": [len(body), len(body) + size]}
        body += random.Random(name).randbytes(size)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


def saved(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


# -- arrays --


def test_a_tensor_is_cut_every_2_mib_from_its_own_beginning() -> None:
    data = safetensors({"a": ("BF16", 5 * MIB), "b": ("F32", 2 * MIB)})
    header = len(data) - 7 * MIB
    assert pieces(data) == [
        (0, header, UNKNOWN),
        (header, 2 * MIB, (2,)),
        (header + 2 * MIB, 2 * MIB, (2,)),
        (header + 4 * MIB, MIB, (2,)),
        (header + 5 * MIB, 2 * MIB, (4,)),
    ]


@pytest.mark.parametrize(
    ("dtype", "widths"),
    [
        ("F64", (8,)),
        ("I64", (8,)),
        ("F32", (4,)),
        ("C64", (4,)),
        ("F16", (2,)),
        ("F8_E4M3", ()),
        ("BOOL", ()),
        ("new", ()),
    ],
)
def test_the_type_of_a_tensor_says_how_wide_its_elements_are(dtype: str, widths: tuple[int, ...]) -> None:
    assert pieces(safetensors({"a": (dtype, MIB)}))[1].widths == widths


def test_less_than_64_kib_joins_its_neighbour() -> None:
    data = safetensors(
        {"a": ("BF16", 2 * MIB + SMALL - 2), "bias": ("F32", 400), "b": ("BF16", 2 * MIB + SMALL), "last": ("F32", 8)}
    )
    header = len(data) - 4 * MIB - 2 * SMALL + 2 - 408
    assert [length for _, length, _ in pieces(data)] == [header, 2 * MIB + SMALL - 2, 400 + 2 * MIB, SMALL, 8]


def test_many_small_tensors_are_cut_by_content() -> None:
    found = pieces(safetensors({f"layer {number}": ("F32", 40 * KIB) for number in range(100)}))
    assert 1 < len(found) <= 8
    assert {piece.widths for piece in found} == {UNKNOWN}


def test_tensors_have_the_same_pieces_behind_another_header_and_in_other_files() -> None:
    tensors: Tensors = dict.fromkeys("abcd", ("BF16", 3 * MIB))
    old = safetensors(tensors)
    assert new_bytes(old, safetensors(tensors, step="1000", note="x" * 777)) < KIB * 2
    halves = [safetensors({name: tensors[name] for name in names}) for names in ("ab", "cd")]
    assert sum(new_bytes(old, half) for half in halves) < KIB * 2


def test_an_array_of_numpy_is_cut_from_its_first_element() -> None:
    for dtype, widths in (("<f4", (4,)), (">f8", (8,)), ("<c8", (4,)), ("|i1", ()), ("<U5", (4,)), ("<M8[us]", (8,))):
        data = saved(np.zeros(5 * MIB // np.dtype(dtype).itemsize, dtype))
        assert pieces(data)[0] == (0, 128, UNKNOWN)
        assert [piece.widths for piece in pieces(data)[1:]] == [widths] * 3
    rows = saved(np.zeros(3 * MIB // 12, [("a", "<f4"), ("b", "<f8")]))
    assert {piece.widths for piece in pieces(rows)} == {UNKNOWN}


def test_a_newer_header_of_numpy_is_read_too() -> None:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.zeros(MIB, "<u2"), version=(2, 0))
    assert [piece[1:] for piece in pieces(out.getvalue())] == [(128, UNKNOWN), (2 * MIB, (2,))]


@pytest.mark.parametrize("large", [False, True], ids=["plain", "zip64"])
def test_a_changed_member_of_a_zip_leaves_the_others_as_they_are(large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if large:  # offsets and sizes that are noted as those of members over 4 GiB are
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    members = {f"data/{number}": NOISE[number * MIB : (number + 3) * MIB] for number in range(0, 9, 3)}
    old = zipped(members)
    assert len(spans(len(old), reader(old))) == 3
    changed = members | {"data/3": NOISE[12 * MIB : 16 * MIB], "data.pkl": b"new"}
    assert new_bytes(old, zipped(changed)) < 4 * MIB + 2 * KIB


def test_arrays_in_a_file_of_numpy_are_members_of_a_zip() -> None:
    out = io.BytesIO()
    np.savez(out, a=np.zeros(MIB, "<f4"), b=np.arange(MIB // 2, dtype="<f8"))
    found = spans(len(out.getvalue()), reader(out.getvalue()))
    assert [(span.end - span.start, span.widths) for span in found] == [(4 * MIB + 128, UNKNOWN)] * 2


def test_a_zip_that_compresses_has_no_arrays() -> None:
    data = zipped({"a": NOISE[: 2 * MIB], "b": bytes(MIB)}, zipfile.ZIP_DEFLATED)
    assert spans(len(data), reader(data)) == []


# -- other content --


def test_pieces_have_about_a_mib_and_no_array_is_looked_for_without_a_header() -> None:
    found = pieces(NOISE)
    assert 18 <= len(found) <= 32
    assert all(piece.length >= 512 * KIB for piece in found[:-1])
    assert {piece.widths for piece in found} == {UNKNOWN}


def test_most_pieces_stay_when_bytes_are_inserted_appended_or_cut_out() -> None:
    assert new_bytes(NOISE, NOISE[: 9 * MIB] + b"new" * 20_001 + NOISE[9 * MIB :]) < 9 * MIB
    assert new_bytes(NOISE, NOISE + b"new") <= 4 * MIB + 3
    assert new_bytes(NOISE, NOISE[: 7 * MIB] + NOISE[7 * MIB + 5 :]) < 9 * MIB


def test_cuts_don_t_depend_on_how_much_is_read_at_once() -> None:
    whole = pyfastcdc.FastCDC(512 * KIB, min_size=512 * KIB, max_size=MOST, normalized_chunking=0).cut_buf(NOISE)
    assert [piece.length for piece in pieces(NOISE)] == [chunk.length for chunk in whole]


def test_without_pyfastcdc_content_is_cut_every_mib_and_arrays_as_ever(no_fastcdc: None) -> None:
    assert [piece.length for piece in pieces(NOISE[: 3 * MIB + 40 * KIB])] == [MIB, MIB, MIB + 40 * KIB]
    data = safetensors({"a": ("F32", 3 * MIB)})
    assert [piece.length for piece in pieces(data)][1:] == [2 * MIB, MIB]


def test_pyfastcdc_without_its_extension_is_too_slow_to_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyfastcdc.py import FastCDC

    monkeypatch.setattr(pyfastcdc, "FastCDC", FastCDC)
    cutting._fast_cdc.cache_clear()
    assert [piece.length for piece in pieces(NOISE[: 3 * MIB])] == [MIB] * 3
    cutting._fast_cdc.cache_clear()


@pytest.mark.parametrize("size", [0, 1, 512 * KIB, 512 * KIB + 1, MOST, MOST + 1, 2 * MOST, 2 * MOST + 1])
def test_files_of_any_size_are_cut_into_a_whole(size: int) -> None:
    pieces(NOISE[:size])
    pieces(bytes(size))


def test_an_enormous_file_is_cut_as_its_pieces_are_asked_for() -> None:
    asked = []

    def read(offset: int, length: int) -> bytes:
        asked.append(length)
        return bytes(length)

    assert [piece.length for piece in islice(cuts(1 << 50, read), 5)] == [MOST] * 5
    assert sum(asked) < 8 * MOST


def test_a_file_that_ends_early_is_cut_as_long_as_it_was() -> None:
    found = list(cuts(10 * MIB, reader(NOISE[: 5 * MIB])))
    assert sum(piece.length for piece in found) == 10 * MIB
    assert max(piece.length for piece in found) <= MOST


# -- what is not as it should be --


def tensor(start: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [1], "data_offsets": [start, end]}


def with_header(header: Any, length: int | None = None) -> bytes:
    text = header if type(header) is bytes else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + NOISE[: 6 * MIB]


STORED = zipped({"a": NOISE[: 3 * MIB], "b": NOISE[3 * MIB : 6 * MIB]})
END = STORED.rindex(b"PK\5\6")
FIRST = STORED.index(b"PK\1\2")
NPY = saved(np.zeros(MIB, "<f4"))


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


HOSTILE = {
    "a header of 2⁶³ bytes": with_header({"a": tensor(0, MIB)}, 1 << 63),
    "a header that is longer than the file": with_header({"a": tensor(0, MIB)}, 7 * MIB),
    "a header of more than 4 MiB": with_header(b"{" + b" " * (4 * MIB + 1) + json.dumps({"a": tensor(0, MIB)}).encode()[1:]),
    "a header that is not JSON": with_header(b"{nothing"),
    "a header that is not text": with_header(b'{"\xff": 1}'),
    "a header that is nested deeply": with_header(b'{"a":' * 100_000),
    "a number of a million digits": with_header(b'{"a":' + b"1" * MIB + b"}"),
    "tensors that overlap": with_header({"a": tensor(0, MIB), "b": tensor(MIB // 2, 2 * MIB)}),
    "a tensor twice": with_header({"a": tensor(0, MIB), "b": tensor(0, MIB)}),
    "a tensor that begins in the file and ends beyond it": with_header({"a": tensor(0, MIB), "b": tensor(MIB, 7 * MIB)}),
    "a tensor of 2⁸⁰ bytes": with_header({"a": tensor(0, 1 << 80)}),
    "offsets in the wrong order": with_header({"a": tensor(MIB, 0)}),
    "negative offsets": with_header({"a": tensor(-MIB, MIB)}),
    "offsets that are no integers": with_header({"a": tensor(0.0, 1e6), "b": tensor("0", "9"), "c": tensor(None, [])}),
    "tensors that are no objects": with_header({"a": 1, "b": [], "c": {}, "d": None, "e": {"dtype": "F32"}}),
    "a type that is no text": with_header({"a": tensor(0, MIB, 4), "b": tensor(0, MIB, {})}),
    "an array that is only begun": NPY[:11] + NOISE[:MIB],
    "an array without a type": NPY.replace(b"descr", b"other"),
    "an array that ends within its header": b"\x93NUMPY\2\0" + struct.pack("<I", 1 << 31) + NPY[10:],
    "a zip without an end": STORED[:END],
    "a zip whose end is cut off": STORED[:-1],
    "a zip of 2³² members elsewhere": patched(STORED, END + 12, b"\xff" * 8),
    "a zip whose directory is elsewhere": patched(STORED, END + 16, struct.pack("<I", 17)),
    "a zip whose directory ends too early": patched(STORED, END + 12, struct.pack("<I", 50)),
    "a zip whose member is elsewhere": patched(STORED, FIRST + 42, struct.pack("<I", 99)),
    "a zip whose member lies beyond its end": patched(STORED, FIRST + 42, struct.pack("<I", 1 << 31)),
    "a zip whose member is larger than it": patched(STORED, FIRST + 20, struct.pack("<II", 1 << 31, 1 << 31)),
    "a zip whose members overlap": patched(STORED, FIRST + 20, struct.pack("<II", 4 * MIB, 4 * MIB)),
    "a zip whose member has a size that it doesn't tell": patched(STORED, FIRST + 20, b"\xff" * 8),
    "a zip whose larger end is elsewhere": STORED[:END] + struct.pack("<4sIQI", b"PK\6\7", 0, 1 << 60, 1) + STORED[END:],
    "a zip whose larger end is none": STORED[:END] + struct.pack("<4sIQI", b"PK\6\7", 0, 9, 1) + STORED[END:],
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_container_that_is_not_right_is_cut_by_its_content(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = HOSTILE[name]
    found = pieces(data)
    assert {piece.widths for piece in found} == {UNKNOWN}
    monkeypatch.setattr(cutting, "spans", lambda size, read: [])
    assert found == pieces(data)


def test_a_directory_of_90000_members_that_overlap_is_looked_through_in_seconds() -> None:
    member = struct.pack("<4s4xHH8xIIHHH8xI", b"PK\1\2", 0, 0, SMALL, SMALL, 0, 0, 0, 0)
    local = struct.pack("<4s22xHH", b"PK\3\4", 0, 0) + bytes(SMALL)
    end = struct.pack("<4s8xIIH", b"PK\5\6", 90_000 * len(member), len(local), 0)
    data = local + member * 90_000 + end
    began = time.process_time()
    assert spans(len(data), reader(data)) == []
    assert time.process_time() - began < 4


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_containers_with_changed_bytes_are_cut_into_a_whole(data: st.DataObject) -> None:
    base = data.draw(st.sampled_from((STORED, NPY, safetensors({"a": ("F32", MIB), "b": ("BF16", MIB)}))))
    changed = bytearray(base)
    places = st.integers(0, 400) | st.integers(len(base) - 400, len(base) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(places)] = data.draw(st.integers(0, 255))
    pieces(bytes(changed))


@given(st.binary(max_size=60), st.integers(0, 3 * MIB))
def test_any_beginning_is_cut_into_a_whole(begin: bytes, size: int) -> None:
    for magic in (b"", b"\x93NUMPY", b"PK\3\4", struct.pack("<Q", 30) + b"{"):
        pieces(magic + begin + NOISE[:size])


def test_arrays_are_in_order_and_apart() -> None:
    data = safetensors({"b": ("F32", MIB), "small": ("F32", 64), "a": ("I8", 2 * MIB)})
    header = len(data) - 3 * MIB - 64
    assert spans(len(data), reader(data)) == [
        Span(header, header + MIB, (4,)),
        Span(header + MIB + 64, len(data), ()),
    ]
