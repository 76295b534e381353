"""Mutations of inputs: of their bytes, and of the values that they encode."""

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import msgpack


class Shape(NamedTuple):
    """How an input is read as a value and written again; either may raise what `BAD` lists."""

    load: Callable[[bytes], Any]
    dump: Callable[[Any], bytes]


BAD = (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException)


def _dump_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value


JSON = Shape(json.loads, _dump_json)
LINES = Shape(
    lambda data: [json.loads(line) for line in data.splitlines()],
    lambda value: b"".join(map(_dump_json, value)),
)
MSGPACK = Shape(
    lambda data: msgpack.unpackb(data, strict_map_key=False),
    lambda value: msgpack.packb(_ordered(value)),
)

STRANGE: list[Any] = [
    None, True, False, 0, 1, -1, 255, (1 << 31) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 63), 10**30, 0.0, 1.5, -1e300,
    "", "x", "a/b", "..", "\0", "\ud800", "\x1b[31m", "é", "e\u0301", "A" * 200, "0" * 64, "f" * 64, "1970-01-01T00:00:00.000000Z",
    b"", b"x", b"\xff", b"..", b"\\..\\", b"C:", bytes(32), [], {}, [[]], [None], {"": None}, {"a": {"a": 1}}, ["x", "x"],
]  # fmt: skip
"""Values that a decoder may not have been written for."""


def mutated(data: bytes, rng: Random, words: list[bytes], shape: Shape | None, others: list[bytes]) -> bytes:
    """One input like `data`: a value of its shape changed, or else its bytes."""
    if shape is not None and rng.random() < 0.6 and (found := reshaped(data, rng, words, shape)) is not None:
        return found
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change_bytes(out, rng, words, others)
    return bytes(out)


def _change_bytes(out: bytearray, rng: Random, words: list[bytes], others: list[bytes]) -> None:
    start = rng.randrange(len(out) + 1)
    end = min(len(out), start + rng.choice((0, 1, 2, 8, 64)))
    how = rng.randrange(7)
    if how == 0 and start < len(out):
        out[start] ^= 1 << rng.randrange(8)
    elif how == 1:
        del out[start:end]
    elif how == 2:
        del out[start:]
    elif how == 3:
        out[start:end] = rng.choice(words) if words else b"\xff"
    elif how == 4:
        out[start:start] = out[start:end] * rng.choice((1, 1, 2, 1000))
    elif how == 5:
        other = rng.choice(others)
        out[start:end] = other[rng.randrange(len(other) + 1) :]
    else:
        out[start:end] = rng.randbytes(rng.choice((1, 1, 4, 8)))


def reshaped(data: bytes, rng: Random, words: list[bytes], shape: Shape) -> bytes | None:
    """The value in `data` with one or two places changed; None where that can't be read or written."""
    try:
        value = [shape.load(data)]
        for _ in range(rng.choice((1, 1, 2))):
            _change_value(value, rng, words)
        return shape.dump(value[0]) if value else None
    except BAD:
        return None


def _change_value(root: list[Any], rng: Random, words: list[bytes]) -> None:
    places = list(_places(root))
    if not places:
        return
    container, key = rng.choice(places)
    how = rng.randrange(6)
    if how == 0:
        container[key] = copy.deepcopy(rng.choice(STRANGE))
    elif how == 1 and words:
        container[key] = rng.choice(words).decode("utf-8", "replace")
    elif how == 2:
        other, at = rng.choice(places)
        container[key] = copy.deepcopy(other[at])
    elif how == 3:
        del container[key]
    elif how == 4 and isinstance(container, dict):
        container[rng.choice([*container, "x"])] = container.pop(key)
    elif how == 4:
        container.insert(key, copy.deepcopy(container[key]))
    else:
        container[key] = _near(container[key], rng)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything in a value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _near(value: Any, rng: Random) -> Any:
    """Something like it, of another value or type."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return rng.choice((value + 1, value - 1, -value, float(value), str(value), bool(value)))
    if isinstance(value, str | bytes) and value:
        at = rng.randrange(len(value))
        return rng.choice((value[:at], value[:at] + value[at + 1 :], value + value, value[::-1], value[at : at + 1]))
    return [value]
