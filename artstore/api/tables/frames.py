"""Tables as pandas, numpy and pyarrow objects. Every value is exact, and the types are chosen for that."""

import datetime
import importlib
from collections.abc import Iterable
from typing import Any

from artstore.api.media.image import Image
from artstore.api.tables import columns as kinds
from artstore.errors import NotFound

_EXACT = 1 << 53
"""Up to this size, a float is exact for each whole number."""


def is_frame(data: Any) -> bool:
    """Whether a value is a pandas DataFrame or a pyarrow Table."""
    return type(data).__module__.partition(".")[0] in ("pandas", "pyarrow") and hasattr(data, "columns")


def rows_of(frame: Any, together: int) -> tuple[list[Any], Iterable[Any]]:
    """The names of a frame's columns, and its rows. From a pyarrow Table, `together` rows are read at once."""
    if type(frame).__module__.partition(".")[0] == "pyarrow":
        batches = frame.to_batches(max_chunksize=together)
        rows = (row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True))
        return list(frame.column_names), rows
    return list(frame.columns), frame.itertuples(index=False, name=None)


def frame_of(columns: list[Any], rows: Iterable[list[Any]]) -> Any:
    """A pandas DataFrame of these columns and rows."""
    rows = list(rows)
    cells = list(zip(*rows, strict=True)) or [()] * len(columns)
    series = [series_of(list(values), name) for name, values in zip(columns, cells, strict=True)]
    return pandas().DataFrame(dict(zip(columns, series, strict=True)), columns=columns, index=range(len(rows)))


def series_of(values: list[Any], name: Any) -> Any:
    """A pandas Series of a column's values."""
    values = [kinds.plain(value) for value in values]
    try:
        return pandas().Series(values, name=name, dtype=_pandas_type(values))
    except (ValueError, TypeError, OverflowError):  # invalid Unicode, or times out of pandas' range
        return pandas().Series(values, name=name, dtype=object)


def array_of(values: list[Any]) -> Any:
    """A numpy array of a column's values. Images become their pixels."""
    if values and all(isinstance(value, Image) for value in values):
        return numpy().array([numpy().asarray(value.image) for value in values])
    values = [kinds.plain(value) for value in values]
    if any(isinstance(value, list | tuple) or kinds.is_array(value) for value in values):
        return numpy().array(values)
    return numpy().array(values, dtype=_numpy_type(values))


def _pandas_type(values: list[Any]) -> Any:
    """The pandas type for these values; None if pandas' own choice doesn't change any of them."""
    found, missing = {type(value) for value in values} - {type(None)}, any(value is None for value in values)
    if found == {int} and missing:
        whole = _whole_type([value for value in values if value is not None])
        return {"int64": "Int64", "uint64": "UInt64"}.get(whole, object)
    if found == {bool} and missing:
        return "boolean"
    if not found or (len(found) == 1 and found <= {str, float, bool, datetime.datetime}):
        return None
    return _numpy_type([value for value in values if value is not None])


def _numpy_type(values: list[Any]) -> Any:
    """The numpy type for these values; None if numpy's own choice doesn't change any of them."""
    found = {type(value) for value in values}
    if found == {int}:
        return _whole_type(values)
    if found == {int, float} and all(abs(value) <= _EXACT for value in values if type(value) is int):
        return "float64"
    return None if len(found) == 1 and found <= {str, float, bool} else object


def _whole_type(values: list[int]) -> Any:
    least, most = min(values), max(values)
    if least >= -(1 << 63) and most < 1 << 63:
        return "int64"
    return "uint64" if least >= 0 and most < 1 << 64 else object


def numpy() -> Any:
    """The module numpy. Raises NotFound if it isn't installed."""
    return _needed("numpy", "an array")


def pandas() -> Any:
    """The module pandas. Raises NotFound if it isn't installed."""
    return _needed("pandas", "a DataFrame or Series")


def arrow() -> Any:
    """The module pyarrow. Raises NotFound if it isn't installed."""
    return _needed("pyarrow", "an Arrow array")


def _needed(package: str, what: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        message = f"{what} needs {package}, which is not installed here"
        raise NotFound(message, hint=f"`pip install {package}`") from error
