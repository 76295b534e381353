"""Columns of tables: what kind of values a column holds, told as W&B tells it, and how a cell stands in JSON.

Pure; numpy and pandas are recognised by their values, and imported only where an array has to be made.
"""

import datetime
import math
from collections.abc import Iterable
from typing import Any

from artstore.errors import InvalidType, InvalidValue

Type = dict[str, Any]
"""As it stands in a table's file: `{"wb_type": name, "params": {…}}`, without params where there are none."""

NONE: Type = {"wb_type": "none"}
UNKNOWN: Type = {"wb_type": "unknown"}
ANY: Type = {"wb_type": "any"}
NUMBER, STRING, BOOLEAN, TIMESTAMP = ({"wb_type": name} for name in ("number", "string", "boolean", "timestamp"))
_PLAIN: dict[type, Type] = {int: NUMBER, float: NUMBER, str: STRING, bool: BOOLEAN, type(None): NONE}
_BEFORE_NONE = frozenset(("any", "artifactVersion", "boolean", "ndarray"))
"""W&B sorts the types of a union by how they are printed: these stand before None."""
LONGEST_INLINE = 150
"""Elements up to which a one-dimensional array stands in the cell; others are in a file beside the table, as W&B's are."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DEEPEST = 100


def is_array(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "ndim") and value.ndim > 0


def is_null(value: Any) -> bool:
    """None, NaN, and what pandas has instead."""
    return (
        value is None or value != value
        if isinstance(value, float)
        else type(value).__name__ in ("NAType", "NaTType", "NoneType")
    )


def plain(value: Any) -> Any:
    """A cell's value in Python's own types, where numpy's or pandas' are their equals; arrays stay."""
    if type(value) in _PLAIN:
        return value
    if is_null(value):
        return None
    if type(value).__module__.partition(".")[0] == "numpy" and not is_array(value):
        if type(value).__name__ == "datetime64":
            return _EPOCH.replace(tzinfo=None) + datetime.timedelta(
                microseconds=int(value.astype("datetime64[us]").astype(int))
            )
        return value.item()
    return value


def type_of(value: Any, depth: int = 0) -> Type:
    """The type of a cell. Raises InvalidType for what has no JSON form."""
    value = plain(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NONE
    if (found := _PLAIN.get(type(value))) is not None:
        return found
    if depth > _DEEPEST:
        raise InvalidValue(f"a cell is nested more than {_DEEPEST} levels deep")
    if isinstance(value, datetime.date):
        return TIMESTAMP if depth == 0 else STRING
    if isinstance(value, bool | int | float | str):  # subclasses
        return next(
            kind
            for base, kind in ((bool, BOOLEAN), (int, NUMBER), (float, NUMBER), (str, STRING))
            if isinstance(value, base)
        )
    if is_array(value):
        if depth == 0 and not is_inline(value):
            return {"wb_type": "ndarray", "params": {"shape": list(value.shape)}}
        return type_of(value.tolist(), depth)
    if isinstance(value, list | tuple | set | frozenset):
        element = joined(type_of(item, depth + 1) for item in value)
        return {"wb_type": "list", "params": {"element_type": element, "length": len(value)}}
    if isinstance(value, dict):
        keys = {str(key): type_of(item, depth + 1) for key, item in value.items()}
        return {"wb_type": "typedDict", "params": {"type_map": keys}}
    raise InvalidType(
        f"a {type(value).__module__}.{type(value).__qualname__} can't stand in a table: it has no JSON form"
    )


def is_inline(array: Any) -> bool:
    return bool(array.ndim == 1 and array.size <= LONGEST_INLINE)


def joined(types: Iterable[Type]) -> Type:
    """One type for all of these: `any` where they differ; with None among them optional."""
    found, optional = UNKNOWN, False
    for kind in types:
        if kind == NONE:
            optional = True
            continue
        if is_optional(kind):
            optional, kind = True, without_none(kind)
        merged = merge(found, kind)
        found = ANY if merged is None else merged
    return as_optional(found) if optional else found


def merge(one: Type, other: Type) -> Type | None:
    """The type of values of both, neither of them optional; None where they have nothing in common."""
    if one in (UNKNOWN, other):
        return other
    if other == UNKNOWN or one == ANY:
        return one
    if one["wb_type"] != other["wb_type"]:
        return None
    params, others = one.get("params", {}), other.get("params", {})
    if one["wb_type"] == "list":
        return {
            "wb_type": "list",
            "params": {**others, "element_type": joined([params["element_type"], others["element_type"]])},
        }
    if one["wb_type"] == "typedDict":
        before, after = params["type_map"], others["type_map"]
        if before.keys() != after.keys():
            return ANY
        return {
            "wb_type": "typedDict",
            "params": {"type_map": {key: joined([before[key], after[key]]) for key in before}},
        }
    return None


def as_optional(kind: Type) -> Type:
    """The union with None."""
    if is_optional(kind) or kind == NONE:
        return kind
    pair = [kind, NONE] if kind["wb_type"] in _BEFORE_NONE else [NONE, kind]
    return {"wb_type": "union", "params": {"allowed_types": pair}}


def is_optional(kind: Type) -> bool:
    return kind.get("wb_type") == "union" and NONE in kind.get("params", {}).get("allowed_types", ())


def without_none(kind: Type) -> Type:
    """The other member of a union with None; a type as it is when it is none such."""
    if not is_optional(kind):
        return kind
    others = [other for other in kind["params"]["allowed_types"] if other != NONE]
    return others[0] if len(others) == 1 else ANY


def words(kind: Type) -> str:
    """What a type is called in messages."""
    names = {
        "number": "numbers",
        "string": "text",
        "boolean": "booleans",
        "timestamp": "times",
        "typedDict": "dicts",
        "list": "lists",
    }
    if kind["wb_type"] == "ndarray":
        return f"arrays of shape {tuple(kind['params']['shape'])}"
    return names.get(kind["wb_type"], str(kind["wb_type"]))


# -- cells ---------------------------------------------------------------------------------------


def form_of(value: Any) -> str | None:
    """What a cell's JSON does not tell, and W&B forgets: a date, a time without a zone, an array of some type."""
    if isinstance(value, datetime.datetime):
        return "naive" if value.tzinfo is None else None
    if isinstance(value, datetime.date):
        return "date"
    if type(value).__name__ == "datetime64":
        return "naive"
    return f"array {value.dtype.str}" if is_array(value) and is_inline(value) else None


def encoded(value: Any, depth: int = 0) -> Any:
    """A cell as JSON holds it: times as milliseconds since 1970 UTC (in nested values as text), NaN as null. Arrays that
    are in a file beside are null.
    """
    value = plain(value)
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, datetime.date):
        return _milliseconds(value) if depth == 0 else value.isoformat()
    if is_array(value):
        return encoded(value.tolist(), depth) if depth or is_inline(value) else None
    if isinstance(value, list | tuple):
        return [encoded(item, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((encoded(item, depth + 1) for item in value), key=lambda item: (type(item).__name__, str(item)))
    return {str(key): encoded(item, depth + 1) for key, item in value.items()}


def _milliseconds(value: datetime.date) -> int | float:
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    microseconds = (value - _EPOCH) // datetime.timedelta(microseconds=1)
    return microseconds // 1000 if microseconds % 1000 == 0 else microseconds / 1000


def decoded(value: Any, kind: Type, form: str | None) -> Any:
    """The other way round, for a column's type and form."""
    if value is None:
        return None
    if kind["wb_type"] == "timestamp" and isinstance(value, int | float):
        moment = _EPOCH + datetime.timedelta(microseconds=round(value * 1000))
        if form == "date":
            return moment.date()
        return moment.replace(tzinfo=None) if form == "naive" else moment
    if form is not None and form.startswith("array ") and isinstance(value, list):
        try:
            import numpy as np
        except ImportError:
            return value
        return np.array(value, dtype=form.removeprefix("array "))
    return value
