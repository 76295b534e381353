"""How a segment is stored: the smallest form that a sample finds, and nothing but such forms is read."""

import random
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artstore.domain import frames, planes
from artstore.domain.frames import MOST, PLANES, RAW, ZSTD, Encoded, decode, encode
from artstore.errors import Damage

zstd = frames._zstd()
MIB = 1 << 20
FLOATS = np.random.default_rng(0).normal(0, 0.02, MIB // 2)
FP64, FP32 = FLOATS.tobytes(), FLOATS.astype("<f4").tobytes()
BF16 = (np.frombuffer(FP32, "<u4") >> 16).astype("<u2").tobytes()
TEXT = "".join(f"{number},{number * number % 977},label {number % 7}\n" for number in range(30_000)).encode()
NOISE = random.Random(0).randbytes(MIB)
WIDTHS = st.lists(st.sampled_from((2, 4, 8)), unique=True)


@pytest.fixture(params=["with numpy", "without numpy"])
def either_numpy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "without numpy":
        monkeypatch.setitem(sys.modules, "numpy", None)
    planes._numpy.cache_clear()
    yield
    planes._numpy.cache_clear()


def decoded(found: Encoded, length: int) -> bytes:
    return decode(found.codec, found.width, found.stored, length)


@given(st.binary(max_size=300) | st.binary(min_size=1, max_size=9).map(lambda data: data * 700), WIDTHS)
def test_what_is_encoded_is_decoded_to_the_same_and_never_larger(data: bytes, widths: list[int]) -> None:
    found = encode(data, widths)
    assert len(found.stored) <= len(data)
    assert decoded(found, len(data)) == data


@pytest.mark.parametrize(
    ("data", "widths", "codec", "width", "most"),
    [
        (BF16, (2,), PLANES, 2, 0.68),
        (FP32, (4,), PLANES, 4, 0.84),
        (FP64, (8,), PLANES, 8, 0.89),
        (BF16, (2, 4, 8), PLANES, 2, 0.68),
        (FP32, (2, 4, 8), PLANES, 4, 0.84),
        (FP32[3:-2], (2, 4, 8), PLANES, 4, 0.84),
        (BF16, (), ZSTD, 1, 0.79),
        (TEXT, (2, 4, 8), ZSTD, 1, 0.4),
        (bytes(MOST), (4,), ZSTD, 1, 0.001),
        (NOISE, (2, 4, 8), RAW, 1, 1),
        (b"", (2,), RAW, 1, 1),
        (b"short", (2,), RAW, 1, 1),
    ],
    ids=[
        "bf16",
        "fp32",
        "fp64",
        "bf16-unknown",
        "fp32-unknown",
        "fp32-shifted",
        "no-width",
        "text",
        "zeros",
        "noise",
        "empty",
        "short",
    ],
)
def test_the_form_that_makes_a_sample_smallest_is_taken(
    data: bytes, widths: tuple[int, ...], codec: int, width: int, most: float, either_numpy: None
) -> None:
    found = encode(memoryview(data), widths)
    assert found[:2] == (codec, width)
    assert len(found.stored) <= most * len(data)
    assert decoded(found, len(data)) == data
    assert decode(codec, width, memoryview(found.stored), len(data)) == data


def test_a_segment_of_which_only_the_sample_shrinks_is_stored_as_it_is() -> None:
    data = bytearray(random.Random(1).randbytes(MOST))
    step = (MOST - frames._SAMPLE) // 3 & -8
    for at in range(0, 4 * step, step):
        data[at : at + frames._SAMPLE] = NOISE[: frames._SAMPLE]
    assert len(frame(frames._sample(data))) < 20_000
    assert encode(data) == (RAW, 1, data)


def test_exponents_are_compressed_with_a_small_table_and_text_with_a_large_one() -> None:
    exponents = BF16[1::2]
    assert len(encode(exponents).stored) < 0.95 * len(zstd.compress(exponents, 1))
    assert len(encode(TEXT).stored) == len(zstd.compress(TEXT, 1))


@settings(max_examples=40)
@given(st.binary(max_size=60), st.sampled_from((1, 2, 4, 8)))
def test_planes_are_the_same_with_numpy_and_without(data: bytes, width: int) -> None:
    found = planes.split(data, width)
    assert found == [data[k::width] for k in range(width)]
    assert list(map(len, found)) == planes.lengths(len(data), width)
    assert planes.join(found) == data


def test_planes_are_encoded_to_the_same_bytes_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [(data, width) for width in (2, 4, 8) for data in (FP32, FP32[:-3], BF16[5:], FP64)]
    expected = [encode(data, (width,)) for data, width in cases]
    monkeypatch.setitem(sys.modules, "numpy", None)
    planes._numpy.cache_clear()
    assert [encode(data, (width,)) for data, width in cases] == expected
    assert [decoded(found, len(data)) for found, (data, _) in zip(expected, cases, strict=True)] == [
        d for d, _ in cases
    ]
    monkeypatch.undo()
    planes._numpy.cache_clear()


def test_planes_are_stored_behind_their_lengths() -> None:
    """The layout, written down by hand: the high bytes are one frame, the low ones are as they are."""
    low, high = NOISE[:100], zstd.compress(bytes(100), 1)
    stored = struct.pack(">II", 1 << 31 | 100, len(high)) + low + high
    assert decode(PLANES, 2, stored, 200) == bytes(byte for value in low for byte in (value, 0))
    odd = struct.pack(">II", 1 << 31 | 100, len(zstd.compress(bytes(99)))) + low + zstd.compress(bytes(99))
    assert decode(PLANES, 2, odd, 199) == bytes(byte for value in low for byte in (value, 0))[:-1]


def test_threads_encode_and_decode_beside_one_another() -> None:
    parts = [(data, (2, 4)) for data in (BF16, FP32, TEXT, NOISE)] * 3
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda part: encode(*part), parts))
        assert list(pool.map(lambda pair: decoded(pair[0], len(pair[1][0])), zip(found, parts, strict=True))) == [
            data for data, _ in parts
        ]


# -- what is refused --


def frame(data: bytes, **options: int) -> bytes:
    named = {zstd.CompressionParameter[name]: value for name, value in options.items()}
    return zstd.compress(data, options={zstd.CompressionParameter.compression_level: 1, **named})


def streamed(size: int, window_log: int) -> bytes:
    """A frame of zeros that doesn't tell its size."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    block = bytes(MIB)
    return b"".join(compressor.compress(block) for _ in range(size // MIB)) + compressor.flush()


ZEROS = frame(bytes(1000))
SKIPPED = struct.pack("<II", 0x184D2A50, 4) + b"skip"
CHECKED = frame(bytes(1000), checksum_flag=1)
LOW = NOISE[:100]
HIGH = frame(bytes(100))


@pytest.mark.parametrize(
    ("codec", "width", "stored", "length", "message"),
    [
        (3, 1, ZEROS, 1000, "a segment's 1000 bytes can't be stored as .* with codec 3, width 1"),
        (-1, 1, ZEROS, 1000, "codec -1"),
        (RAW, 1, b"four", 5, "can't be stored"),
        (RAW, 1, b"four", 3, "can't be stored"),
        (RAW, 2, b"four", 4, "can't be stored"),
        (RAW, 1, b"", -1, "a segment of -1 bytes can't be right"),
        (RAW, 1, bytes(MOST + 1), MOST + 1, "a segment of 4194305 bytes can't be right: at most 4194304 can"),
        (ZSTD, 0, ZEROS, 1000, "can't be stored"),
        (ZSTD, 1, ZEROS, 999, "a segment's frame is not exactly one of 999 bytes"),
        (ZSTD, 1, ZEROS, 1001, "not exactly one"),
        (ZSTD, 1, ZEROS[:-1], 1000, "not exactly one"),
        (ZSTD, 1, ZEROS + b"x", 1000, "not exactly one"),
        (ZSTD, 1, ZEROS + ZEROS, 2000, "not exactly one"),
        (ZSTD, 1, SKIPPED + ZEROS, 1000, "not exactly one"),
        (ZSTD, 1, b"", 1000, "not exactly one"),
        (ZSTD, 1, b"no frame", 1000, "a segment can't be decompressed: "),
        (ZSTD, 1, CHECKED[:-1] + bytes([CHECKED[-1] ^ 1]), 1000, "can't be decompressed"),
        (ZSTD, 1, frame(LOW), 100, "can't be stored as "),
        (ZSTD, 1, streamed(MIB, 24), MIB, "can't be decompressed"),
        (PLANES, 1, ZEROS, 1000, "can't be stored"),
        (PLANES, 3, ZEROS, 1000, "can't be stored"),
        (PLANES, 2, b"short", 200, "a segment's 2 planes have no lengths"),
        (PLANES, 2, struct.pack(">II", 1 << 31 | 100, len(HIGH)) + LOW + HIGH + b"x", 200, "end at .*, and not at its end"),
        (PLANES, 2, struct.pack(">II", 1 << 31 | 100, len(HIGH)) + LOW + HIGH[:-1], 200, "and not at its end"),
        (PLANES, 2, struct.pack(">II", 1 << 31 | 99, len(HIGH)) + LOW[1:] + HIGH, 200, "a segment's plane has 99 bytes, not 100"),
        (PLANES, 2, struct.pack(">II", len(HIGH), len(HIGH)) + HIGH + HIGH, 202, "not exactly one of 101 bytes"),
        (PLANES, 8, struct.pack(">8I", *[1 << 31 | 2**31 - 1] * 8), 200, "and not at its end"),
    ],
)  # fmt: skip
def test_another_form_is_refused(codec: int, width: int, stored: bytes, length: int, message: str) -> None:
    for given_as in (stored, memoryview(stored)):
        with pytest.raises(Damage, match=message):
            decode(codec, width, given_as, length)


def test_a_frame_with_a_checksum_is_read_although_none_is_written() -> None:
    assert decode(ZSTD, 1, CHECKED, 1000) == bytes(1000)


def test_a_frame_that_needs_a_dictionary_is_refused() -> None:
    known = zstd.ZstdDict(TEXT[:10_000], is_raw=True)
    trained = zstd.train_dict([TEXT[at : at + 500] for at in range(0, 100_000, 500)], 5_000)
    for dictionary in (known, trained):
        with pytest.raises(Damage):
            decode(ZSTD, 1, zstd.compress(TEXT[:5_000], 1, zstd_dict=dictionary), 5_000)


def test_a_frame_that_grows_without_end_takes_little_memory() -> None:
    bomb = streamed(512 * MIB, 20)
    tracemalloc.start()
    try:
        with pytest.raises(Damage):
            decode(ZSTD, 1, bomb, MOST)
        with pytest.raises(Damage):
            decode(PLANES, 2, struct.pack(">II", len(bomb), 0) + bomb, MOST)
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST
    finally:
        tracemalloc.stop()


@given(st.data())
def test_whatever_was_changed_in_a_segment_raises_damage_or_nothing(data: st.DataObject) -> None:
    codec, width, stored = encode(BF16[:600] * 2, (2,))
    changed = bytearray(stored)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    length = data.draw(st.sampled_from((1200, 1199, 0, 7, MOST)))
    try:
        assert len(decode(codec, width, bytes(changed), length)) == length
    except Damage:
        pass


def test_a_python_without_zstd_is_told_what_to_install() -> None:
    script = (
        "import sys; sys.modules['backports.zstd'] = sys.modules['compression.zstd'] = None\n"
        "from artstore.domain.frames import encode, decode\n"
        "from artstore.errors import UnsupportedFormat\n"
        "assert decode(0, 1, b'raw', 3) == b'raw'\n"
        "for call in (lambda: encode(bytes(99)), lambda: decode(1, 1, b'x', 99)):\n"
        "    try: call()\n"
        "    except UnsupportedFormat as error: print(error, '|', error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    said = "this Python has no zstd, which packed files are stored with | "
    assert [line.startswith(said) and len(line) > len(said) for line in done.stdout.splitlines()] == [True, True]
