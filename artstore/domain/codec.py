"""Canonical encodings, in which each value has one byte string: msgpack for objects, JSON for log entries."""

import json
from io import BytesIO
from itertools import accumulate
from typing import Any

import msgpack

from artstore.errors import Damage

MAX_BYTES = 64 << 20
"""Most bytes of a tree (one of 16,384 names of 255 bytes has 5 MB). Checked before decoding."""
MAX_JSON = 16 << 20
"""Most bytes of a log entry or JSON value: lists of lists may take 40 times as much memory."""
_MANY = 8 << 20
"""If rows have more bytes than this, each row is checked alone before all are decoded together."""
_LEAST, _FIELDS, _ROW = 38, range(4, 8), 1 << 20
"""Of a tree's rows: bytes of the smallest, the possible numbers of fields, bytes of the largest (four long texts)."""


def encode_rows(rows: Any) -> bytes:
    """Encode None, bool, int, str, bytes and sequences of these as canonical msgpack.

    Maps keep their order; only caches hold maps.
    """
    return msgpack.packb(rows, use_bin_type=True)  # type: ignore[no-any-return]


def decode(data: bytes | memoryview, what: str, *, rows: bool = False, most: int = MAX_BYTES, own: bool = False) -> Any:
    """Decode what `encode_rows` wrote. Sequences become lists, or tuples if `rows`.

    Raises Damage, with the name `what`, if `data` is longer than `most` bytes or isn't exactly what `encode_rows`
    writes. With `own`, for caches that have a digest of their own, neither is checked.
    """
    if len(data) > most and not own:
        raise Damage(f"{what} is {len(data)} bytes long; at most {most} can be right")
    try:
        if len(data) > _MANY and not own:
            _check_rows(data)
        # msgpack bounds every declared length by the buffer's own, and nesting by a fixed stack, before it allocates.
        value = msgpack.unpackb(data, raw=False, use_list=not rows, strict_map_key=True)
        canonical = data if own else encode_rows(value)
    except (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException) as error:
        raise Damage(f"{what} can't be decoded: {str(error) or type(error).__name__}") from error
    if canonical != data:
        raise Damage(f"{what} is not in canonical form")
    return value


def _check_rows(data: bytes | memoryview) -> None:
    """Raise ValueError unless data is an array of flat rows: lists of empty lists would take 70 times their bytes."""
    rows = msgpack.Unpacker(BytesIO(data), raw=False, use_list=False, max_buffer_size=_ROW, read_size=_ROW)
    count = rows.read_array_header()
    if count * _LEAST > len(data):
        raise ValueError(f"{count} rows in so few bytes")
    for _ in range(count):
        row = rows.unpack()
        if type(row) is not tuple or len(row) not in _FIELDS or any(type(field) is tuple for field in row):
            raise ValueError("a row is malformed")


# json.dumps makes an encoder each time
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_PARSE = json.JSONDecoder().decode  # json.loads guesses the encoding first


def encode_json(value: Any) -> bytes:
    """Encode as canonical JSON: sorted keys, no spaces, ASCII, a final newline. ValueError for NaN and infinities."""
    return _JSON(value).encode("ascii") + b"\n"


def decode_json(data: bytes, what: str) -> Any:
    """Decode what `encode_json` wrote. Raises Damage for anything else, like `decode`."""
    if len(data) > MAX_JSON:
        raise Damage(f"{what} is {len(data)} bytes long; at most {MAX_JSON} can be right")
    try:
        value = _PARSE(str(data, "utf-8"))
        canonical = encode_json(value)
    except RecursionError as error:
        if _depth(data) < _DEEPEST:
            raise  # the caller's stack is full: that says nothing about the data
        raise Damage(f"{what} is not JSON of ours: it is nested too deeply") from error
    except ValueError as error:
        raise Damage(f"{what} is not JSON: {error}") from error
    if canonical != data:
        raise Damage(f"{what} is not in canonical form")
    return value


_DEEPEST = 200
"""Levels of lists and objects: nothing that is written is nested deeper."""


def _depth(data: bytes) -> int:
    """How deeply JSON is nested at most; brackets in texts count too."""
    return max(accumulate((byte in b"[{") - (byte in b"]}") for byte in data if byte in b"[{]}"), default=0)


def same_json(a: Any, b: Any) -> bool:
    """Whether two values have the same JSON. 1, 1.0 and True have not, though they are equal in Python."""
    return encode_json(a) == encode_json(b)
