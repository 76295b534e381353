"""Metadata of versions and values of runs as plain JSON values: one conversion, and what only metadata refuses."""

import dataclasses
import datetime
import enum
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

from artstore.domain.names import printable
from artstore.errors import InvalidType, InvalidValue

MAX_KEYS = 100
_DEEPEST = 100
_LARGEST = 1024
"""Most bits of a whole number that stays one: about as large as the largest float."""
_HALF = re.compile("[\ud800-\udfff]")
"""Half a character, which UTF-8 can't hold."""
LONG = 4096
"""A value of more bytes of JSON (or text) is stored as a blob, and the log holds only the blob's digest."""


class _Place(NamedTuple):
    """What a version's metadata and a run's values don't have in common."""

    label: str
    """What stands before a value's name in messages."""
    nan: str | None
    """What NaN becomes. In metadata it is null, as in W&B; the curve of a metric has to tell NaN from no value."""
    strict: bool
    """Refuse what has no text that would tell its value, and what is nested too deeply."""


_METADATA = _Place("metadata ", None, strict=True)
_RUN = _Place("", "NaN", strict=False)


def normalise(value: Any) -> dict[str, Any]:
    """A deep copy of a version's metadata, a dict or the JSON text of one, with plain JSON values only.

    Values become what they become in a run (see `recorded`), except that NaN becomes null. Refused is what has no text
    that would tell its value: artifacts, data frames, figures, and objects whose text is only an address.

    Raises:
        InvalidType: If it isn't a dict, or a value is refused (also a TypeError). The message names the value.
        InvalidValue: For text that isn't valid Unicode, two keys with the same text, more than 100 top-level keys,
            or more than 100 levels (also a ValueError).
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
    return _converted_dict(value, "", 0, _METADATA)


def plain_extra(keys: dict[str, Any], path: str) -> dict[str, Any]:
    """A deep copy of the keys that a user gave to an entry, converted and bounded as metadata is. Raises alike."""
    label = f"extra of '{printable(path)}': "
    if len(keys) > MAX_KEYS:
        raise InvalidValue(f"{label}{len(keys)} keys; at most {MAX_KEYS} are allowed")
    return _converted_dict(keys, "", 0, _METADATA._replace(label=label))


def recorded(value: Any) -> Any:
    """A value of a run, such as its config or a metric, as a plain JSON value.

    Tuples, sets, arrays and other sequences become lists; mappings, dataclasses and pydantic models become dicts; an
    enum becomes its name, a date its ISO text, a function or class its name, bytes the text that they encode; NaT and
    NA of pandas become null; NaN and infinities become "NaN", "Infinity" and "-Infinity". Any other value without
    a JSON form, such as a path, a duration or a Decimal, becomes its `str()`, as all keys do.

    Raises InvalidValue for text that isn't valid Unicode, and for two keys with the same text.
    """
    return _converted(value, "value", 0, _RUN)


def recorded_dict(values: Mapping[Any, Any]) -> dict[str, Any]:
    """A run's values by their keys, as `recorded` converts them."""
    return _converted_dict(values, "", 0, _RUN)


def _converted_dict(values: Mapping[Any, Any], where: str, depth: int, place: _Place) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in values.items():
        if isinstance(key, str) and _is_torn(key):
            raise InvalidValue(f"the {place.label}key {key!r} is not valid Unicode")
        name = text_of(key)
        if name in plain:
            raise InvalidValue(f"{place.label}'{where}{name}' is given twice: two keys have the same text")
        plain[name] = _converted(item, f"{where}{name}", depth, place)
    return plain


def _converted(value: Any, where: str, depth: int, place: _Place) -> Any:
    """A value as a plain JSON value. `where` names it in messages."""
    if depth > _DEEPEST:
        if place.strict:
            raise InvalidValue(f"{place.label}'{where}' is nested more than {_DEEPEST} levels deep")
        return "…"
    if value is None or isinstance(value, bool | str | int | float | enum.Enum):
        return _scalar(value, where, place)
    if _is_missing(value):
        return None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, slice):
        value = {"slice_start": value.start, "slice_step": value.step, "slice_stop": value.stop}
    inner = unpacked(value)
    if isinstance(inner, dict):
        return _converted_dict(inner, f"{where}.", depth + 1, place)
    if isinstance(inner, list):
        return [_converted(item, f"{where}[{i}]", depth + 1, place) for i, item in enumerate(inner)]
    if isinstance(inner, set):
        items = [_converted(item, where, depth + 1, place) for item in inner]
        return sorted(items, key=lambda item: (type(item).__name__, json.dumps(item, sort_keys=True)))
    if inner is not value:
        return _converted(inner, where, depth + 1, place)
    if place.strict and not _is_told_by_text(value):
        hint = "give the values that matter, or str(…) of it"
        raise InvalidType(f"{place.label}'{where}' is of type {class_of(value)}, which has no JSON form", hint=hint)
    return text_of(value)


def _scalar(value: Any, where: str, place: _Place) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, str):
        if _is_torn(value):
            raise InvalidValue(f"{place.label}'{where}' is not valid Unicode")
        return str(value)
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _LARGEST else text_of(value)
    if math.isnan(value):
        return place.nan
    return float(value) if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _is_missing(value: Any) -> bool:
    """Whether it is pandas' NaT or NA."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and any(value is getattr(pandas, name, pandas) for name in ("NaT", "NA"))


def _is_told_by_text(value: Any) -> bool:
    """Whether the text of a value tells it.

    The text of an object is often only its address. What a notebook shows as more than text is more than text.
    """
    kind: Any = type(value)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        return False
    return not any(hasattr(value, f"_repr_{form}_") for form in ("html", "mimebundle", "png", "svg"))


def class_of(value: Any) -> str:
    """The full name of a value's class, for messages."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def has_form(value: Any) -> bool:
    """Whether `recorded` keeps what a value is, and not only a text such as an object's address."""
    return _is_told_by_text(value) or _is_missing(value) or unpacked(value) is not value


def unpacked(value: Any) -> Any:
    """A dict, list, set or scalar for a value of a type that holds others; any other value as it is.

    Dataclasses, namespaces, pydantic models and mappings become dicts; ranges, queues and other sequences become lists;
    arrays and tensors of any library become numbers or lists of them. What is inside isn't converted.
    """
    if isinstance(value, str | bytes | bytearray | memoryview | type):
        return value
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if "argparse" in sys.modules and isinstance(value, sys.modules["argparse"].Namespace):
        return dict(vars(value))
    if callable(dumped := getattr(type(value), "model_dump", None)):  # pydantic's
        return dumped(value)
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


def _is_torn(text: str) -> bool:
    """Whether a text has half a character."""
    return not text.isascii() and _HALF.search(text) is not None


def as_number(value: Any) -> Any:
    """The float that was recorded as "NaN", "Infinity" or "-Infinity"; any other value as it is."""
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def text_of(value: Any) -> str:
    """The text of a value as valid Unicode: its `str()`, the name of a function or class, or the text in bytes."""
    try:
        if isinstance(value, bytes | bytearray):
            return value.decode()
        if isinstance(name := getattr(value, "__qualname__", None), str):
            value = f"{value.__module__}.{name}"
        return str(value).encode("utf-8", "replace").decode()
    except UnicodeDecodeError:
        return repr(value)
    except ValueError:  # a whole number of thousands of digits
        return hex(value)


def as_numbers(value: Any) -> Any:
    """The same for all values in nested dicts and lists."""
    if isinstance(value, dict):
        return {key: as_numbers(item) for key, item in value.items()}
    return [as_numbers(item) for item in value] if isinstance(value, list) else as_number(value)
