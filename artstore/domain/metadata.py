"""Metadata of versions and runs, converted to plain JSON values; a version's is refused if it can't be."""

import datetime
import enum
import json
import math
from typing import Any

from artstore.errors import InvalidType, InvalidValue

MAX_KEYS = 100
_DEEPEST = 100
_LARGEST = 1024
"""Most bits of a whole number: about as large as the largest float."""
LONG = 4096
"""A value of more bytes of JSON (or text) is stored as a blob, and the log holds only the blob's digest."""


def normalise(value: Any) -> dict[str, Any]:
    """A deep copy of a version's metadata, a dict or the JSON text of one, with plain JSON values only.

    Nothing is turned into text by a silent `str()`. Raises InvalidValue (a ValueError) for a wrong value, and
    InvalidType (also a TypeError) for a value of an unknown type.
    """
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InvalidValue(f"metadata is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise InvalidType("metadata must be a JSON object, such as '{\"acc\": 0.9}'")
    if not isinstance(value, dict):
        raise InvalidType(f"metadata must be a dict, or the JSON text of one, not {type(value).__name__}")
    if len(value) > MAX_KEYS:
        what = f"metadata has {len(value)} top-level keys; at most {MAX_KEYS} are allowed"
        raise InvalidValue(what, hint="nest them below one key")
    return {_key(key): _plain(item, str(key), 0) for key, item in value.items()}


def recorded(value: Any, depth: int = 0) -> Any:
    """A run's config or metrics as plain JSON values.

    As in W&B nothing is refused: keys become text, NaN and infinities become their names, and values without a JSON
    form become their `str()`.
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
    """The float that was recorded as "NaN", "Infinity" or "-Infinity"; any other value as it is."""
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def text_of(value: Any) -> str:
    """The `str()` of a value, as valid Unicode."""
    try:
        return str(value).encode("utf-8", "replace").decode()
    except ValueError:  # a whole number of thousands of digits
        return hex(value)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise InvalidType(f"a metadata key must be text, not {key!r}")
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
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise InvalidType(f"metadata '{where}' is a {kind}, which has no JSON form")
