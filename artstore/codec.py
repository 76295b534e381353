"""Canonical encodings: one value, one byte string. msgpack for objects, JSON for log entries."""

import json
from typing import Any

import msgpack

from artstore.errors import Damage

MAX_BYTES = 256 << 20
"""No object that is decoded is larger (a tree of 16,384 names of 255 bytes has 5 MB); checked before decoding."""


def _ordered(value: Any) -> Any:
    if type(value) is dict:
        return {key: _ordered(value[key]) for key in sorted(value)}
    if type(value) in (list, tuple):
        return [_ordered(item) for item in value]
    return value


def encode(value: Any) -> bytes:
    """Canonical msgpack of None, bool, int, str, bytes, lists and dicts with str keys."""
    return msgpack.packb(_ordered(value), use_bin_type=True)  # type: ignore[no-any-return]


def encode_rows(rows: Any) -> bytes:
    """As `encode`, for nested sequences without dicts: no copy is made (a tree of 16,384 entries in 2 ms)."""
    return msgpack.packb(rows, use_bin_type=True)  # type: ignore[no-any-return]


def decode(data: bytes | memoryview, what: str, *, rows: bool = False, own: bool = False) -> Any:
    """Inverse of `encode` (`rows`: of `encode_rows`; sequences come out as tuples). Raises Damage, naming `what`,
    unless `data` is what we would have written. `own` is for caches that a digest of theirs protects: not compared.
    """
    if len(data) > MAX_BYTES:
        raise Damage(f"{what} is {len(data)} bytes long; at most {MAX_BYTES} can be right")
    try:
        # msgpack bounds every declared length by the buffer's own, and nesting by a fixed stack, before it allocates.
        value = msgpack.unpackb(data, raw=False, use_list=not rows, strict_map_key=True)
        canonical = data if own else encode_rows(value) if rows else encode(value)
    except (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException) as error:
        raise Damage(f"{what} can't be decoded: {error or type(error).__name__}") from error
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
