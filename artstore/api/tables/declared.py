"""Types that a user declares for a column: Python's types, kinds of media, lists and dicts of these, and single values."""

import datetime
from typing import Any

from artstore.api.media.value import Media
from artstore.api.tables import columns as kinds
from artstore.api.tables.columns import Type
from artstore.errors import InvalidType

_CLASSES: tuple[tuple[type, Type], ...] = (
    (bool, kinds.BOOLEAN), (int, kinds.NUMBER), (float, kinds.NUMBER), (str, kinds.STRING),
    (datetime.date, kinds.TIMESTAMP),
)  # fmt: skip
_NUMPY = {
    "ndarray": kinds.UNKNOWN, "bool_": kinds.BOOLEAN, "bool": kinds.BOOLEAN, "str_": kinds.STRING,
    "datetime64": kinds.TIMESTAMP,
}  # fmt: skip


def declared(dtype: Any) -> Type:
    """The type that a user means, as W&B's `cast` takes it.

    That is a Python type such as `int`, a class of media or an object of one, `[T]` for lists of T, `[T, U]` for
    either, `{"a": T}` for dicts, or any other value for that value alone. Raises InvalidType for a class that no
    cell can have.
    """
    if dtype is None:
        return kinds.UNKNOWN
    if isinstance(dtype, Media):
        return dtype.own_type()
    if isinstance(dtype, type):
        return _of_class(dtype)
    if isinstance(dtype, list):
        if len(dtype) > 1:
            return {"wb_type": "union", "params": {"allowed_types": [declared(each) for each in dtype]}}
        return {"wb_type": "list", "params": {"element_type": declared(dtype[0]) if dtype else kinds.UNKNOWN}}
    if isinstance(dtype, dict):
        keys = {str(key): declared(each) for key, each in dtype.items()}
        return {"wb_type": "typedDict", "params": {"type_map": keys}}
    kinds.type_of(dtype)  # raises for what no cell can be
    return {"wb_type": "const", "params": {"val": kinds.encoded(dtype), "is_set": False}}


def _of_class(kind: type) -> Type:
    if issubclass(kind, Media):
        return kind.column_type()
    if issubclass(kind, (list, *kinds.COLLECTIONS.values())):
        return {"wb_type": "list", "params": {"element_type": kinds.UNKNOWN}}
    if issubclass(kind, dict):
        return kinds.ANY
    if kind.__module__.partition(".")[0] == "numpy":
        found = _NUMPY.get(kind.__name__, kinds.NUMBER if kind.__name__.startswith(("int", "uint", "float")) else None)
    else:
        found = next((each for base, each in _CLASSES if issubclass(kind, base)), None)
    if found is None:
        raise InvalidType(f"a column can't be declared to hold {kind.__qualname__} values")
    return found


def assigned(wanted: Type, kind: Type, value: Any) -> Type | None:
    """The type of a declared column once it holds a value of a type; None if the value doesn't fit."""
    name, params = wanted["wb_type"], wanted.get("params", {})
    if name == "const":
        return wanted if kinds.encoded(value) == params.get("val") else None
    if name == "union":
        return wanted if any(assigned(each, kind, value) is not None for each in params["allowed_types"]) else None
    inner = kind.get("params", {})
    if name == "list" and kind["wb_type"] == "list":
        element = _within(params.get("element_type", kinds.UNKNOWN), inner.get("element_type", kinds.UNKNOWN))
        return None if element is None else {"wb_type": "list", "params": {**inner, "element_type": element}}
    if name == "typedDict" and kind["wb_type"] == "typedDict":
        keys = params["type_map"]
        found = {key: _within(keys[key], each) for key, each in inner["type_map"].items() if key in keys}
        if found.keys() != keys.keys() or len(found) != len(inner["type_map"]) or None in found.values():
            return None
        return {"wb_type": "typedDict", "params": {"type_map": found}}
    return kinds.merge(wanted, kind)


def _within(wanted: Type, kind: Type) -> Type | None:
    """The same for what is inside a list or dict, where None always fits."""
    if kind in (kinds.NONE, kinds.UNKNOWN):
        return wanted
    found = assigned(kinds.without_none(wanted), kinds.without_none(kind), None)
    return kinds.as_optional(found) if found is not None and kinds.is_optional(kind) else found
