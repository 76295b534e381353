"""Canonical encodings: one value, one byte string; any other bytes are refused."""

import math
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artstore.domain import codec
from artstore.domain.codec import MAX_BYTES, MAX_JSON, decode, decode_json, encode_json, encode_rows, same_json
from artstore.errors import Damage

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text()
PLAIN = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
ROWS = st.recursive(LEAVES | st.binary(), lambda inner: st.lists(inner).map(tuple), max_leaves=20)


@given(ROWS)
def test_what_is_encoded_is_decoded_to_the_same(value: Any) -> None:
    assert decode(encode_rows(value), "it", rows=True) == value


@given(PLAIN)
def test_what_is_encoded_as_json_is_decoded_to_the_same(value: Any) -> None:
    assert decode_json(encode_json(value), "it") == value


def test_the_order_in_which_a_map_was_made_does_not_show_in_json() -> None:
    assert encode_json({"b": [{"y": 1, "x": 2}], "a": 0}) == encode_json({"a": 0, "b": [{"x": 2, "y": 1}]})


def test_sequences_come_out_as_lists_or_as_tuples_and_text_is_no_bytes() -> None:
    data = encode_rows(((b"name", 0, "text"), (b"other", None, True)))
    assert decode(data, "it", rows=True) == ((b"name", 0, "text"), (b"other", None, True))
    assert decode(data, "it") == [[b"name", 0, "text"], [b"other", None, True]]
    assert encode_rows(decode(data, "it")) == data


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\xcd\x00\x01", "a long form of a small number"),
        (b"\xd9\x01a", "a long form of a short text"),
        (b"\xdc\x00\x01\x01", "a long form of a short list"),
        (b"\x82\xa1a\x01\xa1a\x02", "a key twice"),
    ],
)
def test_bytes_that_say_the_same_in_another_form_are_refused(data: bytes, what: str) -> None:
    with pytest.raises(Damage, match="^tree 0123 is not in canonical form$"):
        decode(data, "tree 0123")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "nothing"),
        (b"\x92\x01", "a list that ends too early"),
        (b"\x01\x01", "more behind the value"),
        (b"\xc1", "a byte that means nothing"),
        (b"\xa1\xff", "text that is not UTF-8"),
        (b"\x81\x01\x01", "a key that is no text"),
        (b"\x81\xc0\x01", "a key that can't be ordered"),
        (b"\xdd\xff\xff\xff\xff", "a list of four billion things"),
        (b"\x91" * 5000 + b"\xc0", "lists within lists within lists"),
    ],
)
def test_bytes_that_mean_nothing_are_refused(data: bytes, what: str) -> None:
    for rows in (False, True):
        with pytest.raises(Damage, match="^tree 0123 can't be decoded: .+"):
            decode(data, "tree 0123", rows=rows)


def test_a_reason_is_given_also_where_the_decoder_has_none() -> None:
    with pytest.raises(Damage, match="^it can't be decoded: StackError$"):
        decode(b"\x91" * 5000, "it")
    with pytest.raises(Damage, match="^it can't be decoded: Unpack failed: incomplete input$"):
        decode(b"\x92\x01", "it")


def test_what_is_too_long_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (MAX_BYTES, MAX_JSON) == (64 << 20, 16 << 20)
    assert decode(encode_rows("a" * 5), "it", most=6) == "aaaaa"
    with pytest.raises(Damage, match="^it is 7 bytes long; at most 6 can be right$"):
        decode(encode_rows("a" * 6), "it", most=6)
    assert decode(encode_rows("a" * 6), "it", most=6, own=True) == "aaaaaa"
    monkeypatch.setattr(codec, "MAX_JSON", 6)
    assert decode_json(b'"aaa"\n', "it") == "aaa"
    with pytest.raises(Damage, match="^it is 7 bytes long; at most 6 can be right$"):
        decode_json(b'"aaaa"\n', "it")


def test_many_rows_are_looked_at_one_by_one_before_all_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a byte could become an object of 56, limits on the bytes alone would not bound the memory."""
    rows = tuple((b"%04d" % n, 0, n, bytes(32)) for n in range(100))
    monkeypatch.setattr(codec, "_MANY", 1000)
    assert decode(encode_rows(rows), "it", rows=True) == rows
    assert decode(encode_rows([[]] * 5000), "it", own=True) == [[]] * 5000
    for wrong, reason in (
        ([[]] * 5000, "5000 rows in so few bytes"),
        ([*rows, [b"", 0, 0, [[]] * 32]], "a row is malformed"),
        ([*rows, [b"x" * 40, 0, 0]], "a row is malformed"),
        ([*rows, [b"x" * 40, *range(7)]], "a row is malformed"),
        ([*rows, "x" * 40], "a row is malformed"),
        ([*rows, "four"], "a row is malformed"),
        ([b"x" * (1 << 20)], ".*"),
        ("x" * 2000, ".*"),
    ):
        with pytest.raises(Damage, match=f"^it can't be decoded: {reason}$"):
            decode(encode_rows(wrong), "it", rows=True)


def test_as_many_rows_are_believed_as_the_smallest_of_a_tree_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_MANY", 1000)
    row, shorter = (b"", 0, 0, bytes(31)), (b"", 0, 0, bytes(30))
    assert (len(encode_rows(row)), len(encode_rows(shorter))) == (38, 37)
    exactly = (shorter,) * 3 + (row,) * 97
    assert len(encode_rows(exactly)) == 38 * len(exactly), "the list's own head takes three bytes"
    for good in ((row,) * 100, exactly):
        assert decode(encode_rows(good), "it", rows=True) == good
    with pytest.raises(Damage, match="^it can't be decoded: 100 rows in so few bytes$"):
        decode(encode_rows((shorter,) * 4 + (row,) * 96), "it", rows=True)


def test_a_row_has_four_to_seven_fields_each_of_a_mebibyte_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_MANY", 1000)
    for good in ((b"x" * 1100, *range(3)), (b"x" * 1100, *range(6)), (b"x" * (1 << 20), 0, 0, b"")):
        assert decode(encode_rows((good,)), "it", rows=True) == (good,)
    with pytest.raises(Damage, match="^it can't be decoded: "):
        decode(encode_rows(((b"x" * ((1 << 20) + 1), 0, 0, b""),)), "it", rows=True)


def test_up_to_eight_mebibytes_are_decoded_at_once() -> None:
    head = len(encode_rows(bytes(8 << 20))) - (8 << 20)
    most = bytes((8 << 20) - head)
    assert decode(encode_rows(most), "it") == most
    with pytest.raises(Damage, match="^it can't be decoded: "):
        decode(encode_rows(most + b"x"), "it")


def test_a_cache_that_a_digest_protects_is_not_compared() -> None:
    assert decode(b"\xcd\x00\x01", "it", own=True) == 1
    assert decode(encode_rows({"b": 1, "a": [2]}), "it", own=True) == {"b": 1, "a": [2]}
    with pytest.raises(Damage, match="^it can't be decoded"):
        decode(b"\xc1", "it", own=True)


def test_json_is_one_line_that_a_person_can_read() -> None:
    assert encode_json({"b": [1, 2.5, None, True], "a": "é\n"}) == b'{"a":"\\u00e9\\n","b":[1,2.5,null,true]}\n'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_json_has_no_numbers_that_are_none(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_json({"a": number})
    with pytest.raises(Damage, match="^entry 1 is not JSON: Out of range"):
        decode_json(b"[NaN]\n", "entry 1")


@pytest.mark.parametrize(
    "data", [b'{"a":1}', b'{"a": 1}\n', b'{"a":1,"a":1}\n', b'{"b":1,"a":1}\n', b'"\xc3\xa9"\n', b"1.0e0\n", b" 1\n"]
)
def test_json_in_any_other_form_is_refused(data: bytes) -> None:
    with pytest.raises(Damage, match="^entry 1 is not in canonical form$"):
        decode_json(data, "entry 1")


@pytest.mark.parametrize("data", [b"", b"{", b'{"a":1}{}\n', b"\xff\n", b"[" * 100_000, b"hello\n"])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(Damage, match="^entry 1 is not JSON(: | of ours: it is nested too deeply)"):
        decode_json(data, "entry 1")


def test_values_are_the_same_when_they_are_written_alike() -> None:
    assert same_json({"a": 1, "b": [2]}, {"b": [2], "a": 1})
    assert not same_json(1, 1.0)
    assert not same_json(1, True)
    assert not same_json("1", 1)


def test_msgpack_itself_would_take_what_is_refused() -> None:
    """Why all is encoded again: the library reads long forms, and keeps the last of two equal keys."""
    assert msgpack.unpackb(b"\xcd\x00\x01") == 1
    assert msgpack.unpackb(b"\x82\xa1a\x01\xa1a\x02") == {"a": 2}


def test_a_caller_s_full_stack_says_nothing_of_the_data() -> None:
    """Whoever reads a repository from deep inside a program gets a RecursionError, and not a word about damage."""
    data, outcomes = b'[[{"a":[1]}],[[]]]\n', set[str]()

    def down() -> None:
        with suppress(RecursionError):
            down()
        try:
            outcomes.add(str(decode_json(data, "it")))
        except RecursionError:
            outcomes.add("RecursionError")

    down()
    assert outcomes == {"[[{'a': [1]}], [[]]]", "RecursionError"}
