"""Metadata of versions and runs, converted to plain JSON values; a version's is refused if it can't be."""

import dataclasses
import datetime
import enum
import json
import math
import sys
from collections.abc import Mapping, Sequence, Set
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
            raise InvalidValue(f"metadata is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise InvalidType("metadata must be a JSON object, such as '{\"acc\": 0.9}'")
    given, value = value, unpacked(value)
    if not isinstance(value, dict):
        raise InvalidType(f"metadata must be a dict, or the JSON text of one, not {type(given).__name__}")
    if len(value) > MAX_KEYS:
        what = f"metadata has {len(value)} top-level keys; at most {MAX_KEYS} are allowed"
        raise InvalidValue(what, hint="nest them below one key")
    return _plain_dict(value, "", 0)


def unpacked(value: Any) -> Any:
    """A dict, list, set or scalar for a value of a type that holds others; any other value as it is.

    Dataclasses, namespaces and mappings become dicts; ranges, queues and other sequences become lists; arrays and
    tensors of any library become numbers or lists of them. What is inside isn't converted.
    """
    if isinstance(value, str | bytes | bytearray | memoryview | type):
        return value
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if "argparse" in sys.modules and isinstance(value, sys.modules["argparse"].Namespace):
        return dict(vars(value))
    if isinstance(value, Mapping):
        return dict(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        return _unpacked_numpy(value, numpy)
    if hasattr(value, "tolist") and type(inner := value.tolist()) is not type(value):
        return inner
    if hasattr(value, "numpy") and hasattr(value, "shape"):  # TensorFlow's
        return value.numpy().tolist()
    if isinstance(value, Sequence):
        return list(value)
    return set(value) if isinstance(value, Set) else value


def _unpacked_numpy(value: Any, numpy: Any) -> Any:
    """An array's elements, or Python's value for a scalar; the scalar itself if Python has none for it.

    `tolist()` alone turns times in nanoseconds into whole numbers, and long floats into themselves.
    """
    usual = value.dtype.kind in "biufUO" and value.dtype.char != "g"
    if isinstance(value, numpy.ndarray) and not usual:
        return list(value) if value.ndim else value[()]
    if value.dtype.names:
        return list(value)
    inner = value.tolist()
    if value.dtype.kind == "M" and isinstance(inner, int):
        return _time_text(value)
    if isinstance(inner, numpy.floating):
        number = float(inner)
        return number if math.isfinite(number) or not numpy.isfinite(inner) else value
    return value if (value.dtype.kind == "m" and isinstance(inner, int)) or type(inner) is type(value) else inner


def _time_text(value: Any) -> str:
    """The ISO text of numpy's time, as Python writes it if Python's is equal."""
    kept = value.astype("datetime64[us]")
    same = kept.tolist() if kept.astype(value.dtype) == value else None
    return same.isoformat() if isinstance(same, datetime.datetime) else str(value)


def recorded(value: Any, where: str = "value", depth: int = 0) -> Any:
    """A run's config or metrics as plain JSON values.

    As in W&B nearly nothing is refused: keys become text, NaN and infinities become their names, and values without a
    JSON form become their `str()`. Raises InvalidValue for text that is not valid Unicode, and for two keys with the
    same text. `where` names the value in messages.
    """
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str) and _is_torn(value):
        raise InvalidValue(f"'{where}' is not valid Unicode")
    if isinstance(value, int | float | str | enum.Enum) or (inner := unpacked(value)) is value:
        return _plain_or_text(value)
    if isinstance(inner, dict):
        return recorded_dict(inner, f"{where}.", depth + 1)
    if isinstance(inner, list):
        return [recorded(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(inner)]
    if not isinstance(inner, set):
        return recorded(inner, where, depth + 1)
    for item in inner:
        recorded(item, where, depth + 1)  # raises for what is refused
    return recorded(_plain_or_text(inner), where, depth + 1)


def recorded_dict(values: Mapping[Any, Any], where: str = "", depth: int = 0) -> dict[str, Any]:
    """A run's values by their keys, as `recorded` converts them. `where` stands before the keys in messages."""
    plain: dict[str, Any] = {}
    for key, item in values.items():
        if isinstance(key, str) and _is_torn(key):
            raise InvalidValue(f"the key {key!r} is not valid Unicode")
        name = text_of(key)
        if name in plain:
            raise InvalidValue(f"'{where}{name}' is given twice: two keys have the same text")
        plain[name] = recorded(item, f"{where}{name}", depth)
    return plain


def _is_torn(text: str) -> bool:
    """Whether a text has half a character, which UTF-8 can't hold."""
    return any(0xD800 <= ord(c) <= 0xDFFF for c in text)


def _plain_or_text(value: Any) -> Any:
    try:
        return _plain(value, "value", 0)
    except InvalidValue:
        return text_of(value)


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
    given, key = key, unpacked(key) if hasattr(key, "tolist") else key
    if not isinstance(key, str | int | float) or isinstance(key, str) > isinstance(given, str):
        raise InvalidType(f"a metadata key must be text or a number, not {given!r}")
    if _is_torn(str(key)):
        raise InvalidValue(f"metadata key {key!r} is not valid Unicode")
    return str(key)


def _plain_dict(value: dict[Any, Any], where: str, depth: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in value.items():
        name = _key(key)
        if name in plain:
            raise InvalidValue(f"metadata '{where}{name}' is given twice: once as text and once as a number")
        plain[name] = _plain(item, f"{where}{name}", depth)
    return plain


def _plain(value: Any, where: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise InvalidValue(f"metadata '{where}' is nested more than {_DEEPEST} levels deep")
    if isinstance(value, enum.Enum):
        return value.name
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if _is_torn(value):
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
    inner = unpacked(value)
    if isinstance(inner, dict):
        return _plain_dict(inner, f"{where}.", depth + 1)
    if isinstance(inner, list):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(inner)]
    if isinstance(inner, set):
        items = [_plain(item, where, depth + 1) for item in inner]
        return sorted(items, key=lambda item: (type(item).__name__, json.dumps(item, sort_keys=True)))
    if inner is not value:
        return _plain(inner, where, depth + 1)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise InvalidType(f"metadata '{where}' is a {kind}, which has no JSON form")
