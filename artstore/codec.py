"""Canonical encodings: one value, one byte string. msgpack for objects, JSON for log entries."""

import json
from typing import Any

import msgpack

from artstore.errors import Damage

MAX_BYTES = 256 << 20
"""No object that is decoded is larger (a tree of 16,384 names of 255 bytes has 5 MB); checked before decoding."""


def encode_rows(rows: Any) -> bytes:
    """Canonical msgpack of None, bool, int, str, bytes and sequences of such. Maps, which only caches hold, keep their
    order.
    """
    return msgpack.packb(rows, use_bin_type=True)  # type: ignore[no-any-return]


def decode(data: bytes | memoryview, what: str, *, rows: bool = False, own: bool = False) -> Any:
    """Inverse of `encode_rows`; sequences come out as lists (`rows`: as tuples). Raises Damage, naming `what`, unless
    `data` is what that would have written. `own` is for caches that a digest of theirs protects: not compared.
    """
    if len(data) > MAX_BYTES:
        raise Damage(f"{what} is {len(data)} bytes long; at most {MAX_BYTES} can be right")
    try:
        # msgpack bounds every declared length by the buffer's own, and nesting by a fixed stack, before it allocates.
        value = msgpack.unpackb(data, raw=False, use_list=not rows, strict_map_key=True)
        canonical = data if own else encode_rows(value)
    except (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException) as error:
        raise Damage(f"{what} can't be decoded: {str(error) or type(error).__name__}") from error
    if canonical != data:
        raise Damage(f"{what} is not in canonical form")
    return value


_JSON = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False
).encode  # json.dumps makes one each time


def encode_json(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII, a newline at the end. Raises ValueError for NaN and infinities."""
    return _JSON(value).encode("ascii") + b"\n"


def decode_json(data: bytes, what: str) -> Any:
    """Inverse of `encode_json`, as strict as `decode`."""
    try:
        value = json.loads(data)
        canonical = encode_json(value)
    except (ValueError, RecursionError) as error:
        raise Damage(f"{what} is not JSON: {error}") from error
    if canonical != data:
        raise Damage(f"{what} is not in canonical form")
    return value


def same_json(a: Any, b: Any) -> bool:
    """Whether two values are written alike: 1, 1.0 and True are not, though Python calls them equal."""
    return encode_json(a) == encode_json(b)
