"""Columns of tables: the types of their values, in W&B's form, and how a cell is stored as JSON.

Pure. numpy and pandas values are recognised by their types; numpy is imported only to make an array.
"""

import datetime
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from artstore.api.media.value import Media, identity_of
from artstore.api.tables.keys import FOREIGN, INDEX, PRIMARY, Index, Key
from artstore.errors import InvalidType, InvalidValue

Type = dict[str, Any]
"""A type as a table's file records it: `{"wb_type": name, "params": {…}}`. `params` may be missing."""

NONE: Type = {"wb_type": "none"}
UNKNOWN: Type = {"wb_type": "unknown"}
ANY: Type = {"wb_type": "any"}
NUMBER, STRING, BOOLEAN, TIMESTAMP = ({"wb_type": name} for name in ("number", "string", "boolean", "timestamp"))
_PLAIN: dict[type, Type] = {int: NUMBER, float: NUMBER, str: STRING, bool: BOOLEAN, type(None): NONE}
_KEYS = {PRIMARY: STRING, FOREIGN: STRING, INDEX: NUMBER}
"""The types of columns that name rows of a table, and what their cells are."""
_BEFORE_NONE = frozenset(
    ("any", "artifactVersion", "audio-file", "boolean", FOREIGN, INDEX, "html-file", "image-file", "ndarray")
)
"""W&B sorts the types of a union as text; these come before None."""
LONGEST_INLINE = 150
"""The most elements of a one-dimensional array in a cell.

All other arrays are in a file beside the table, as W&B's are.
"""
COLLECTIONS: dict[str, type] = {"tuple": tuple, "set": set, "frozenset": frozenset}
"""The forms of cells that are stored as a list."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DEEPEST = 100
_LARGEST = 1024
"""The most bits of a whole number, as in metadata."""
_EXACT = 1 << 53
"""Microseconds since 1970 up to which a float of milliseconds is exact: until the year 2255."""
_DTYPE = re.compile(r"[<>|=](b1|[iu][1248]|f[248]|U\d{0,4}|M8\[\w{1,4}\])")
_FORM = re.compile(rf"array ({_DTYPE.pattern}|[<>=]c\d\d?)")
"""The forms of arrays whose cells can be stored as JSON, by numpy's names of their types."""


def is_array(value: Any) -> bool:
    """Whether a value is a numpy array with at least one dimension."""
    return type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "ndim") and value.ndim > 0


def is_null(value: Any) -> bool:
    """Whether a value is None, NaN, or a missing value of pandas or numpy."""
    if isinstance(value, float):
        return value != value
    return type(value).__name__ in ("NoneType", "NAType", "NaTType") or (_is_moment(value) and str(value) == "NaT")


def _is_moment(value: Any) -> bool:
    return type(value).__name__ == "datetime64"


def plain(value: Any) -> Any:
    """A cell's value as Python's own type if one is equal to it.

    Arrays stay. Raises InvalidValue for an inexact time.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Key | Index):
        return str(value) if isinstance(value, Key) else int(value)
    value = _scalar(value)
    if is_null(value):
        return None
    if type(value).__module__.partition(".")[0] == "numpy" and not is_array(value):
        if type(value).__name__ == "timedelta64":
            return value
        if _is_moment(value):
            return _moment_of(value)
        return value if type(value).__name__ == "void" else value.item()
    return value


def _scalar(value: Any) -> Any:
    """The scalar in an array without dimensions; any other value as it is."""
    return value[()] if type(value).__name__ == "ndarray" and not is_array(value) else value


def _moment_of(value: Any) -> datetime.datetime:
    """numpy's time as Python's. Raises InvalidValue if they aren't equal."""
    kept = value.astype("datetime64[us]")
    try:
        if kept.astype(value.dtype) == value:
            return _EPOCH.replace(tzinfo=None) + datetime.timedelta(microseconds=int(kept.astype("int64")))
    except OverflowError:
        pass
    raise InvalidValue(f"the time {value} {_NO_TIME}", hint=_ROUNDED)


_NO_TIME = "can't be stored in a table, only whole microseconds of the years 1 to 9999"
_ROUNDED = "round a pandas column with .dt.floor('us'), or store its text: .astype(str)"


def type_of(value: Any, depth: int = 0) -> Type:
    """The type of a cell. Raises InvalidType if it has no JSON form, InvalidValue if it would change when stored."""
    value = _scalar(value)
    if depth and value is not None and is_null(value):
        raise InvalidValue(f"{value} inside a list or dict can't be stored in a table, only None", hint=_NO_NAN)
    if isinstance(value, Media):
        return value.own_type()
    if isinstance(value, Key | Index) and not depth:
        return _type_of_key(value)
    value = plain(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NONE
    if isinstance(value, int) and value.bit_length() > _LARGEST:
        raise InvalidValue(f"a whole number of more than {_LARGEST} bits can't be stored in a table")
    if (found := _PLAIN.get(type(value))) is not None:
        return found
    if depth > _DEEPEST:
        raise InvalidValue(f"it is nested more than {_DEEPEST} levels deep")
    if isinstance(value, datetime.date):
        _milliseconds(value)  # raises if it is out of range
        if depth:
            raise InvalidType(f"the time {value} inside a list or dict can't be stored in a table", hint=_NO_MOMENT)
        return TIMESTAMP
    if isinstance(value, bool | int | float | str):  # subclasses
        kinds = ((bool, BOOLEAN), (int, NUMBER), (float, NUMBER), (str, STRING))
        return next(kind for base, kind in kinds if isinstance(value, base))
    if is_array(value):
        complex_beside = value.dtype.kind == "c" and depth == 0 and not is_inline(value)
        if not (_DTYPE.fullmatch(value.dtype.str) or complex_beside) or type(value).__name__ != "ndarray":
            raise InvalidType(
                f"an array of {value.dtype} can't be stored in a table, only numbers, booleans, text and times"
            )
        if depth == 0 and not is_inline(value):
            return {"wb_type": "ndarray", "params": {"shape": list(value.shape)}}
        return type_of(_listed(value), depth) if depth else _type_of_elements(value)
    if isinstance(value, list) or (depth == 0 and type(value) in COLLECTIONS.values()):
        element = joined(type_of(item, depth + 1) for item in value)
        return {"wb_type": "list", "params": {"element_type": element, "length": len(value)}}
    if isinstance(value, dict):
        if strange := [key for key in value if not isinstance(key, str)]:
            hint = "make its keys text: {str(key): item for key, item in value.items()}"
            raise InvalidType(f"a dict's key in a table must be text, not {strange[0]!r:.80}", hint=hint)
        keys = {str(key): type_of(item, depth + 1) for key, item in value.items()}
        return {"wb_type": "typedDict", "params": {"type_map": keys}}
    raise _no_form(value, depth)


def _type_of_key(value: Key | Index) -> Type:
    if isinstance(value, Index):
        return {"wb_type": INDEX, "params": {"table": value.linked}}
    return {"wb_type": FOREIGN, "params": {"table": value.linked, "col_name": value.column}}


def _no_form(value: Any, depth: int) -> InvalidType:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    hint = next((_WAYS_OUT[base.__name__] for base in kind.__mro__ if base.__name__ in _WAYS_OUT), None)
    where = " inside a list or dict" if depth and kind in COLLECTIONS.values() else ""
    return InvalidType(f"values of type {name}{where} can't be stored in a table", hint=hint)


def way_out(value: Any) -> str | None:
    """The hint that says what a column of any type can hold instead of a time, an array, a tuple or a set."""
    if is_array(value):
        return "store a list: value.tolist()"
    return _WAYS_OUT.get(type(value).__name__, "store its text: str(value)")


def _type_of_elements(array: Any) -> Type:
    """The type of an array that is stored in the cell. The column's form keeps its times and NaN."""
    element = joined(type_of(item) for item in array.tolist())
    if without_none(element) == TIMESTAMP:
        element = as_optional(STRING) if is_optional(element) else STRING
    return {"wb_type": "list", "params": {"element_type": element, "length": len(array)}}


_NO_NAN = "store None, or numbers with NaN as a numpy array of one dimension, which is a cell of its own"
_NO_MOMENT = "store its text, value.isoformat(), or times as a numpy array, which is a cell of its own"


_WAYS_OUT = {
    "time": "store its text: value.isoformat(); time.fromisoformat() reads it",
    "timedelta": "store seconds: value.total_seconds(), of a pandas column .dt.total_seconds()",
    "timedelta64": "store seconds: value / numpy.timedelta64(1, 's')",
    "Timedelta": "store seconds: .dt.total_seconds() of the column",
    "Decimal": "store its text, str(value), or a float",
    "bytes": "store its text, value.hex(), or add it to the artifact as a file: artifact.new_file()",
    "complex": "store [value.real, value.imag]",
    "Period": "store its text, .astype(str) of the column, or its start: .dt.start_time",
    "Interval": "store its text, .astype(str) of the column, or .left and .right in two columns",
    "longdouble": "store a float: .astype('float64') of the column",
    "UUID": "store its text: str(value)",
    "tuple": "store a list: list(value)",
    "set": "store a list: sorted(value)",
    "frozenset": "store a list: sorted(value)",
    "Figure": "store an image: wandb.Image(value)",
    "Image": "store an image: wandb.Image(value)",
    "void": "store a list or a dict of its fields: value.tolist()",
}
"""What can be stored instead, by the name of the type."""


def _listed(array: Any) -> Any:
    """An array's elements, inside a list or dict. Times stay times, because nothing there records that they were."""
    return list(array) if array.dtype.kind == "M" else array.tolist()


def is_inline(array: Any) -> bool:
    """Whether an array is stored in the cell."""
    return bool(array.ndim == 1 and array.size <= LONGEST_INLINE)


def joined(types: Iterable[Type]) -> Type:
    """One type for all of these: `any` if they differ, optional if None is among them."""
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
    """The type for values of both, neither of which is optional; None if they have nothing in common."""
    if one in (UNKNOWN, other):
        return other
    if other == UNKNOWN or one == ANY:
        return one
    if other == _KEYS.get(one["wb_type"]):
        return one
    if one == _KEYS.get(other["wb_type"]):
        return other
    if one["wb_type"] != other["wb_type"]:
        return None
    params, others = one.get("params", {}), other.get("params", {})
    if one["wb_type"] == "list":
        element = joined([params.get("element_type", UNKNOWN), others.get("element_type", UNKNOWN)])
        return {"wb_type": "list", "params": {**others, "element_type": element}}
    if one["wb_type"] == "image-file":
        from artstore.api.media.image_types import merged

        return merged(one, other)
    if one["wb_type"] == "typedDict":
        before, after = params["type_map"], others["type_map"]
        if before.keys() != after.keys():
            return ANY
        keys = {key: joined([before[key], after[key]]) for key in before}
        return {"wb_type": "typedDict", "params": {"type_map": keys}}
    return None


def as_optional(kind: Type) -> Type:
    """The union of a type and None."""
    if is_optional(kind) or kind == NONE:
        return kind
    others = kind["params"]["allowed_types"] if kind["wb_type"] == "union" else [kind]
    before = [other for other in others if _is_before_none(other)]
    after = [other for other in others if not _is_before_none(other)]
    return {"wb_type": "union", "params": {"allowed_types": [*before, NONE, *after]}}


def _is_before_none(kind: Type) -> bool:
    if kind["wb_type"] == "const":
        return str(kind["params"]["val"]) < "None"
    return kind["wb_type"] in _BEFORE_NONE


def is_optional(kind: Type) -> bool:
    """Whether a type is a union with None."""
    return kind.get("wb_type") == "union" and NONE in kind.get("params", {}).get("allowed_types", ())


def without_none(kind: Type) -> Type:
    """The other type in a union with None; any other type stays."""
    if not is_optional(kind):
        return kind
    others = [other for other in kind["params"]["allowed_types"] if other != NONE]
    return others[0] if len(others) == 1 else ANY


def is_type(kind: Any, depth: int = 0) -> bool:
    """Whether a value from a file is a type."""
    if not isinstance(kind, dict) or not isinstance(kind.get("wb_type"), str) or depth > _DEEPEST:
        return False
    params = kind.get("params", {})
    if not isinstance(params, dict):
        return kind["wb_type"] not in ("union", "list", "typedDict", "ndarray", "timestamp", "number", "string")
    below = [*_types_in(params.get("type_map", {})), *_types_in(params.get("allowed_types", []))]
    below += [params["element_type"]] if "element_type" in params else []
    if kind["wb_type"] == "union" and not (isinstance(params.get("allowed_types"), list) and params["allowed_types"]):
        return False
    return all(is_type(one, depth + 1) for one in below)


def _types_in(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]


def words(kind: Type) -> str:
    """The name of a type in messages."""
    names = {
        "number": "numbers", "string": "text", "boolean": "booleans", "timestamp": "times", "typedDict": "dicts",
        "list": "lists", "image-file": "images", "audio-file": "sounds", "video-file": "videos", "html-file": "pages",
        "object3D-file": "3D objects", PRIMARY: "keys", FOREIGN: "keys of a table", INDEX: "rows of a table",
        "union": "values of other types",
    }  # fmt: skip
    if kind["wb_type"] == "const":
        return f"{kind['params'].get('val')!r:.80} only"
    if kind["wb_type"] == "pythonObject":
        return f"{kind['params']['class_name']} objects"
    if kind["wb_type"] == "ndarray":
        return f"arrays of shape {tuple(kind['params']['shape'])}"
    return names.get(kind["wb_type"], str(kind["wb_type"]))


# -- cells ---------------------------------------------------------------------------------------


def form_of(value: Any) -> str:
    """The form of a cell: what its JSON and W&B's types don't record. All cells of a column have the same.

    It is `date`, `naive` or `aware` for times, `array` and a type for arrays, `tuple`, `set` or `frozenset` for these,
    and empty for all other values.
    """
    value = _scalar(value)
    if isinstance(value, datetime.datetime):
        return "naive" if value.tzinfo is None else "aware"
    if isinstance(value, datetime.date):
        return "date"
    if _is_moment(value):
        return "naive"
    if is_array(value):
        return f"array {re.sub('U.*', 'U', value.dtype.str)}"
    return type(value).__name__ if type(value) in COLLECTIONS.values() else ""


def is_form(form: Any) -> bool:
    """Whether a value from a file is a form."""
    return isinstance(form, str) and (form in ("date", "naive", *COLLECTIONS) or _FORM.fullmatch(form) is not None)


def encoded(value: Any, depth: int = 0, media: Callable[[Media], Any] = identity_of) -> Any:
    """A cell's JSON value. Arrays that are stored in a file beside the table are null.

    Times become milliseconds since 1970 UTC, or text inside a list or dict. NaN becomes null. `media` is called for an
    image or another object; by default it only tells which one it is.
    """
    if isinstance(value, Media):
        return media(value)
    value = plain(value)
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, datetime.date):
        return _milliseconds(value) if depth == 0 else value.isoformat()
    if is_array(value):
        return encoded(_listed(value) if depth else value.tolist(), depth) if depth or is_inline(value) else None
    if isinstance(value, list | tuple):
        return [encoded(item, depth + 1, media) for item in value]
    if isinstance(value, set | frozenset):
        items = (encoded(item, depth + 1, media) for item in value)
        return sorted(items, key=lambda item: (type(item).__name__, str(item)))
    return {str(key): encoded(item, depth + 1, media) for key, item in value.items()}


def in_order(cell: Any) -> Any:
    """A cell to show: a tuple or set as a list, because a set's own order changes from process to process."""
    return encoded(cell) if isinstance(cell, tuple | set | frozenset) else cell


def _milliseconds(value: datetime.date) -> int | float:
    """A time in milliseconds since 1970 UTC. Raises InvalidValue if it would change when stored."""
    if getattr(value, "nanosecond", 0) or not 1 <= value.year <= 9999:  # pandas has nanoseconds and other years
        raise InvalidValue(f"the time {value} {_NO_TIME}", hint=_ROUNDED)
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    try:
        value = value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)
    except OverflowError as error:
        raise InvalidValue(f"the time {value} is out of range in UTC") from error
    microseconds = (value - _EPOCH) // datetime.timedelta(microseconds=1)
    if microseconds % 1000 == 0:
        return microseconds // 1000
    if abs(microseconds) > _EXACT:
        raise InvalidValue(f"the time {value} can't be stored to the microsecond, which works from 1684 to 2255")
    return microseconds / 1000


def decoded(value: Any, kind: Type, form: str | None) -> Any:
    """A cell's value from its JSON value, for the type and form of its column."""
    if value is None:
        return None
    if kind["wb_type"] == "timestamp" and isinstance(value, int | float):
        moment = _EPOCH + datetime.timedelta(microseconds=round(value * 1000))
        if form == "date":
            return moment.date()
        return moment.replace(tzinfo=None) if form == "naive" else moment
    if form in COLLECTIONS and isinstance(value, list):
        whole = form == "tuple" or not any(isinstance(item, list | dict) for item in value)
        return COLLECTIONS[form](value) if whole else value
    dtype = form.removeprefix("array ") if form is not None else ""
    if form is not None and form != dtype and isinstance(value, list) and _DTYPE.fullmatch(dtype):
        try:
            import numpy as np
        except ImportError:
            return value
        return np.array(value, dtype=dtype)
    return value
