"""Deltas: a segment as what differs from its base; whatever isn't one is refused."""

import random
import struct

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from artstore.domain import planes
from artstore.domain.deltas import BESIDE, Delta, decode_delta, delta_digest, encode_delta, restored
from artstore.domain.digest import Digest
from artstore.domain.frames import MOST, PLANES, RAW, ZSTD, Encoded, encode, encode_beside
from artstore.domain.planes import exclusive_or
from artstore.errors import Damage

SEGMENT, BASE = Digest(b"s" * 32), Digest(b"b" * 32)


def step(data: bytes, seed: int) -> bytes:
    """BF16 weights after a step of training: the low bits of some numbers changed."""
    chance = random.Random(seed)
    changed = bytearray(data)
    for at in range(0, len(changed), 2):
        changed[at] ^= chance.choice((0, 0, 0, 0, 0, 0, 0, 1))
    return bytes(changed)


WEIGHTS = bytes(b for low in random.Random(1).randbytes(1 << 19) for b in (low, 0x3F))


def test_weights_after_a_step_are_much_smaller_beside_those_before() -> None:
    after = step(WEIGHTS, 2)
    delta = encode_delta(SEGMENT, after, BASE, WEIGHTS, (2,), text=False)
    assert delta is not None and len(delta) < 0.12 * len(after)
    assert restored(SEGMENT, len(WEIGHTS), delta, BASE, WEIGHTS) == after


def test_there_is_no_delta_of_weights_that_have_nothing_in_common() -> None:
    other = bytes(b for low in random.Random(9).randbytes(1 << 19) for b in (low, 0x3F))
    assert encode_delta(SEGMENT, other, BASE, WEIGHTS, (2,), text=False) is None


@given(st.binary(min_size=1, max_size=3000), st.data())
def test_every_delta_gives_its_segment_back(data: bytes, drawn: st.DataObject) -> None:
    base = drawn.draw(st.binary(min_size=len(data), max_size=len(data)) | st.just(data))
    delta = encode_delta(SEGMENT, data, BASE, base, (2, 4, 8), text=False)
    assert delta is None or (restored(SEGMENT, len(base), delta, BASE, base), len(delta) < len(data)) == (data, True)


@given(st.binary(max_size=300), st.data())
def test_the_difference_is_the_same_without_numpy(data: bytes, drawn: st.DataObject) -> None:
    other = drawn.draw(st.binary(min_size=len(data), max_size=len(data)))
    found = exclusive_or(data, other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planes, "_numpy", lambda: None)
        assert exclusive_or(memoryview(data), other) == found == bytes(a ^ b for a, b in zip(data, other, strict=True))


NOISE = random.Random(3).randbytes(9999)
LIKE_NOISE = exclusive_or(NOISE, b"x" * 9999)


def test_a_delta_is_found_by_a_digest_of_its_own() -> None:
    delta = encode_delta(SEGMENT, NOISE, BASE, LIKE_NOISE, (), text=False)
    assert delta is not None
    assert delta_digest(delta) == blake3(delta, derive_key_context="artstore 2026-12-01 delta").digest()


def test_a_delta_is_the_segment_the_base_and_their_difference() -> None:
    delta = encode_delta(SEGMENT, NOISE, BASE, LIKE_NOISE, (), text=False)
    difference = encode(b"x" * 9999)
    assert delta == SEGMENT + BASE + struct.pack(">BBH", ZSTD, 1, 0) + difference.stored
    assert decode_delta(delta) == Delta(SEGMENT, BASE, Encoded(ZSTD, 1, difference.stored))


def rows(*changed: int) -> bytes:
    """A table of 20,000 rows, of which some have changed."""
    numbers = random.Random(4)
    return b"".join(
        b"%d,%s%s\n" % (n, numbers.randbytes(6).hex().encode(), b" changed" if n in changed else b"")
        for n in range(20_000)
    )


def test_a_text_with_scattered_changes_takes_little_more_than_these() -> None:
    before, after = rows(), rows(*range(0, 20_000, 200))
    delta = encode_delta(SEGMENT, after, BASE, before, (2, 4, 8), text=True)
    assert delta is not None and len(delta) < 0.006 * len(after)
    assert decode_delta(delta).difference[:2] == (BESIDE, 1)
    assert restored(SEGMENT, len(after), delta, BASE, before) == after


def test_what_is_of_another_length_is_found_as_in_a_text() -> None:
    delta = encode_delta(SEGMENT, WEIGHTS, BASE, WEIGHTS[2:], (2,), text=False)
    assert delta is not None and len(delta) < 0.001 * len(WEIGHTS)
    assert decode_delta(delta).difference.codec == BESIDE


def test_texts_that_have_nothing_in_common_have_no_delta() -> None:
    assert encode_delta(SEGMENT, NOISE, BASE, NOISE[::-1], (), text=True) is None


@given(st.binary(min_size=1, max_size=3000), st.binary(min_size=1, max_size=3000))
def test_every_delta_of_a_text_gives_its_segment_back(data: bytes, base: bytes) -> None:
    for before in (base, base + data, data[: len(data) // 2] + base):
        delta = encode_delta(SEGMENT, data, BASE, before, (2, 4, 8), text=True)
        assert delta is None or restored(SEGMENT, len(data), delta, BASE, before) == data


@pytest.mark.parametrize(
    ("delta", "base"),
    [
        (b"", b"x"),
        (SEGMENT + BASE + b"\0\1\0", b"x"),
        (SEGMENT + BASE + bytes([RAW, 1, 0, 1]) + b"x", b"x"),
        (SEGMENT + BASE + bytes([RAW, 1, 0, 0]) + b"xy", b"x"),
        (SEGMENT + BASE + bytes([ZSTD, 1, 0, 0]) + b"xy", b"xyz"),
        (SEGMENT + BASE + bytes([PLANES, 3, 0, 0]) + b"xy", b"xyz"),
        (SEGMENT + BASE + bytes([9, 1, 0, 0]) + b"x", b"x"),
        (SEGMENT + BASE + bytes([RAW, 1, 0, 0]), bytes(MOST + 1)),
        (SEGMENT + BASE + bytes([BESIDE, 1, 0, 0]) + b"xy", b"xyz"),
        (SEGMENT + BASE + bytes([BESIDE, 2, 0, 0]) + encode_beside(b"xyz" * 99, b"xyz" * 99), b"xyz" * 99),
        (SEGMENT + BASE + bytes([BESIDE, 1, 0, 0]) + encode_beside(b"xyz" * 99, b"xyz" * 99)[:-1], b"xyz" * 99),
        (SEGMENT + BASE + bytes([BESIDE, 1, 0, 0]) + encode_beside(b"xyz" * 99, b"abc" * 99), b""),
        (BASE + BASE + bytes([RAW, 1, 0, 0]) + b"x", b"x"),
        (SEGMENT + SEGMENT + bytes([RAW, 1, 0, 0]) + b"x", b"x"),
    ],
)
def test_anything_else_is_refused(delta: bytes, base: bytes) -> None:
    with pytest.raises(Damage):
        restored(SEGMENT, len(base), delta, BASE, base)
