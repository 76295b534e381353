"""Metadata: what a user may attach to a version, turned into plain JSON values or refused; never a silent `str()`."""

import datetime
import enum
import json
import math
from typing import Any

from artstore.errors import InvalidType, InvalidValue

MAX_KEYS = 100
_DEEPEST = 100
_LARGEST = 1024
"""Bits of a whole number: as many as the exponent of a float reaches."""
LONG = 4096
"""Bytes of JSON (or text) from which a value is stored as a blob that the log only names."""


def normalise(value: Any) -> dict[str, Any]:
    """A deep copy of a dict (or of the JSON text of one) in plain JSON values. Raises InvalidValue (a ValueError), for
    foreign types also a TypeError.
    """
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InvalidValue(f"metadata is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise InvalidType("metadata is JSON, but not of an object: '{\"key\": value, …}' is one")
    if not isinstance(value, dict):
        raise InvalidType(f"metadata is a {type(value).__name__}, not a dict (nor the JSON text of one)")
    if len(value) > MAX_KEYS:
        raise InvalidValue(
            f"metadata has {len(value)} top-level keys; at most {MAX_KEYS} are allowed", hint="nest them below one key"
        )
    return {_key(key): _plain(item, str(key), 0) for key, item in value.items()}


def recorded(value: Any, depth: int = 0) -> Any:
    """A run's config or metrics in plain JSON values. As in W&B nothing is refused: keys become text, NaN and infinities
    their names, and what has no JSON form its `str()`.
    """
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {text_of(key): recorded(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [recorded(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if hasattr(value, "tolist"):  # numpy's, and a framework's tensors
        return recorded(value.tolist(), depth + 1)
    try:
        plain = _plain(value, "value", 0)
    except InvalidValue:
        return text_of(value)
    return plain if plain is value else recorded(plain, depth + 1)


def as_number(value: Any) -> Any:
    """The other way round: NaN and infinities that were recorded by their names."""
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def text_of(value: Any) -> str:
    """Its `str()`, as valid Unicode."""
    try:
        return str(value).encode("utf-8", "replace").decode()
    except ValueError:  # a whole number of thousands of digits
        return hex(value)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise InvalidType(f"metadata key {key!r} is a {type(key).__name__}, not text")
    if any(0xD800 <= ord(c) <= 0xDFFF for c in key):
        raise InvalidValue(f"metadata key {key!r} is not valid Unicode")
    return key


def _plain(value: Any, where: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise InvalidValue(f"metadata '{where}' is nested more than {_DEEPEST} levels deep")
    if isinstance(value, enum.Enum):
        return value.name
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if any(0xD800 <= ord(c) <= 0xDFFF for c in value):
            raise InvalidValue(f"metadata '{where}' is not valid Unicode")
        return str(value)
    if isinstance(value, int):
        if value.bit_length() > _LARGEST:
            raise InvalidValue(f"metadata '{where}' is a whole number of more than {_LARGEST} bits")
        return int(value)
    if isinstance(value, float):
        if math.isinf(value):
            raise InvalidValue(f"metadata '{where}' is infinite, which JSON can't hold")
        return None if math.isnan(value) else float(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, dict):
        return {_key(key): _plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        items = [_plain(item, where, depth + 1) for item in value]
        return sorted(items, key=lambda item: (type(item).__name__, json.dumps(item, sort_keys=True)))
    if hasattr(value, "tolist") and type(value).__module__.partition(".")[0] == "numpy":
        return _plain(value.tolist(), where, depth + 1)
    raise InvalidType(
        f"metadata '{where}' is a {type(value).__module__}.{type(value).__qualname__}, which has no JSON form"
    )
