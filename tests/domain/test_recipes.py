"""Recipes: one encoding for each, and nothing else is read."""

import tracemalloc
from typing import Any

import msgpack
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from artstore.domain.codec import MAX_BYTES
from artstore.domain.digest import BLOB, DELTA, Digest
from artstore.domain.frames import MOST
from artstore.domain.recipes import (
    LEAST_SIZE,
    MOST_SEGMENTS,
    MOST_WITH_DELTAS,
    Part,
    Recipe,
    Segment,
    decode_recipe,
    encode_recipe,
)
from artstore.errors import Damage
from artstore.store.packs import LARGE

DIGEST = Digest(bytes(range(32)))
HALF = LEAST_SIZE // 2
DIGESTS = st.binary(min_size=32, max_size=32).map(Digest)
LENGTHS = st.integers(1, MOST)
SEGMENTS = st.builds(Segment, LENGTHS, DIGESTS, st.none(), st.none()) | st.builds(
    Segment, LENGTHS, DIGESTS, DIGESTS, DIGESTS
)


def recipe_of(*segments: Segment) -> Recipe:
    return Recipe(sum(segment.length for segment in segments), segments)


def packed(*rows: Any) -> bytes:
    """A recipe of these rows behind a right check, made without our code."""
    check = blake3(msgpack.packb(rows), derive_key_context="artstore 2026-12-01 recipe").digest()
    return msgpack.packb((check, *rows))  # type: ignore[no-any-return]


@given(st.lists(SEGMENTS, min_size=1, max_size=20))
def test_a_recipe_is_decoded_to_what_was_encoded(segments: list[Segment]) -> None:
    recipe = recipe_of(Segment(MOST, DIGEST), *segments)
    for data in (encode_recipe(recipe), memoryview(encode_recipe(recipe))):
        assert decode_recipe(data) == recipe


def test_a_recipe_is_an_array_of_a_check_the_size_and_the_segments() -> None:
    recipe = recipe_of(Segment(HALF, DIGEST), Segment(HALF, DIGEST))
    assert encode_recipe(recipe) == packed(LEAST_SIZE, [HALF, DIGEST], [HALF, DIGEST])


def test_a_segment_that_is_a_delta_is_followed_by_the_delta_and_its_base() -> None:
    delta, base = Digest(b"d" * 32), Digest(b"b" * 32)
    recipe = recipe_of(Segment(HALF, DIGEST), Segment(HALF, DIGEST, delta, base))
    assert encode_recipe(recipe) == packed(LEAST_SIZE, [HALF, DIGEST], [HALF, DIGEST, delta, base])
    assert list(recipe.parts) == [Part(BLOB, DIGEST, HALF), Part(BLOB, base, None), Part(DELTA, delta, None)]


def test_a_blob_of_one_segment_has_a_recipe_if_that_is_a_delta() -> None:
    whole, delta = Segment(MOST, DIGEST), Segment(MOST, DIGEST, DIGEST, DIGEST)
    assert (recipe_of(whole).is_needed, recipe_of(delta).is_needed) == (False, True)
    assert decode_recipe(encode_recipe(recipe_of(delta))) == recipe_of(delta)


def test_a_blob_that_is_a_file_of_its_own_is_large_enough_for_a_recipe() -> None:
    assert LEAST_SIZE == LARGE


def test_as_many_segments_as_a_recipe_may_have_fit_into_it() -> None:
    whole, delta = len(msgpack.packb([MOST, DIGEST])), len(msgpack.packb([MOST, *[DIGEST] * 3]))
    assert (whole, MOST_SEGMENTS * whole + 100 < MOST) == (40, True)
    assert (delta, MOST_WITH_DELTAS * delta + 100 < MOST) == (108, True)


GOOD = packed(LEAST_SIZE, [HALF, DIGEST], [HALF, DIGEST])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "r1 can't be decoded: "),
        (b"\xc0", "r1 can't be decoded: "),
        (GOOD[:-1], "r1 can't be decoded: "),
        (GOOD + b"\0", "r1 is not in canonical form, or not what its check says"),
        (GOOD[:20] + bytes([GOOD[20] ^ 1]) + GOOD[21:], "not what its check says"),
        (GOOD[:-1] + b"x", "not what its check says"),
        (b"\xdc\0\4" + GOOD[1:], "not in canonical form"),
        (packed(), "r1 can't be decoded: it has 1 fields"),
        (packed(MOST), "r1 can't be decoded: it has 2 fields"),
        (packed(MOST, [MOST, DIGEST]), "r1 has one segment, which is stored whole: it needs none"),
        (packed(LEAST_SIZE - 1, [HALF, DIGEST], [HALF - 1, DIGEST]), "r1 is of a blob of 1048576 bytes at least, not 1048575"),
        (packed("1048576", [HALF, DIGEST], [HALF, DIGEST]), "not 1048576"),
        (packed(float(LEAST_SIZE), [HALF, DIGEST], [HALF, DIGEST]), "not 1048576.0"),
        (packed(LEAST_SIZE + 1, [HALF, DIGEST], [HALF, DIGEST]), "r1 has segments that don't add up to its 1048577 bytes"),
        (packed(-1, [HALF, DIGEST], [HALF, DIGEST]), "at least, not -1"),
        (packed(LEAST_SIZE, [0, DIGEST], [LEAST_SIZE, DIGEST]), "r1 has a malformed segment"),
        (packed(LEAST_SIZE, [-1, DIGEST], [LEAST_SIZE + 1, DIGEST]), "malformed segment"),
        (packed(MOST + 2, [MOST + 1, DIGEST], [1, DIGEST]), "malformed segment"),
        (packed(LEAST_SIZE, [True, DIGEST], [LEAST_SIZE - 1, DIGEST]), "malformed segment"),
        (packed(LEAST_SIZE, [HALF, DIGEST[:31]], [HALF, DIGEST]), "malformed segment"),
        (packed(LEAST_SIZE, [HALF, DIGEST.hex()[:32]], [HALF, DIGEST]), "malformed segment"),
        (packed(LEAST_SIZE, [HALF], [HALF, DIGEST]), "malformed segment"),
        (packed(LEAST_SIZE, [HALF, DIGEST, DIGEST], [HALF, DIGEST]), "malformed segment"),
        (packed(LEAST_SIZE, HALF, HALF), "malformed segment"),
        (packed(LEAST_SIZE, {b"x": DIGEST}, [HALF, DIGEST]), "malformed segment"),
        (packed(LEAST_SIZE, [HALF, DIGEST], [HALF, DIGEST, DIGEST[:31], DIGEST]), "r1 has a malformed segment"),
        (packed(LEAST_SIZE, [HALF, DIGEST], [HALF, DIGEST, None, None]), "r1 has a malformed segment"),
        (packed(LEAST_SIZE, [HALF, DIGEST], [HALF, DIGEST, DIGEST, DIGEST, DIGEST]), "r1 has a malformed segment"),
        (packed(LEAST_SIZE, [HALF, DIGEST], bytes(5000)), "r1 can't be decoded: BufferFull"),
        (b"\x94\xa2\xff\xff" + GOOD[35:], "r1 can't be decoded: "),
        (b"\x94" * 3000, "r1 can't be decoded: "),
        (b"\x94\x81\x80\x01", "r1 can't be decoded: "),
    ],
)  # fmt: skip
def test_anything_else_is_refused(data: bytes, message: str) -> None:
    for given_as in (data, memoryview(data)):
        with pytest.raises(Damage, match=message):
            decode_recipe(given_as, "r1")


def test_the_last_recipe_is_not_decoded_again() -> None:
    """A look-up checks a pack's copy of a recipe, and then reads it."""
    assert decode_recipe(GOOD) is decode_recipe(memoryview(bytearray(GOOD)).toreadonly())
    with pytest.raises(Damage):
        decode_recipe(GOOD[:-1] + bytes([GOOD[-1] ^ 1]))


def test_a_recipe_that_is_too_long_is_not_decoded() -> None:
    with pytest.raises(Damage, match="^a recipe is 67108865 bytes long; at most 67108864 can be right$"):
        decode_recipe(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize("element", [b"\x90", b"\x80", b"\x91\x00", b"\xc0"], ids=["lists", "maps", "rows", "nils"])
def test_millions_of_malformed_segments_take_little_memory(element: bytes) -> None:
    count = 4 << 20
    data = b"\xdd" + (count + 2).to_bytes(4, "big") + msgpack.packb(DIGEST) + b"\x01" + element * count
    tracemalloc.start()
    try:
        with pytest.raises(Damage, match="malformed segment"):
            decode_recipe(data)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(data)
    finally:
        tracemalloc.stop()


@given(st.data())
def test_no_other_bytes_mean_the_same_recipe(data: st.DataObject) -> None:
    changed = bytearray(GOOD)
    at, value = data.draw(st.integers(0, len(GOOD) - 1)), data.draw(st.integers(0, 255))
    changed[at] = value
    if changed != GOOD:
        with pytest.raises(Damage):
            decode_recipe(bytes(changed))
