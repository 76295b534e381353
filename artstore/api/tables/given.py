"""What users give to make a table: rows, and the names of columns."""

from collections.abc import Iterable
from typing import Any

from artstore.api.tables import columns as kinds
from artstore.api.tables import frames
from artstore.api.tables.refusals import WrongTable


def rows_of(data: Any) -> Any:
    """Rows as users give them: a list, or an array, of whose rows the cells may be arrays. Raises WrongTable."""
    if data is None:
        return ()
    if kinds.is_array(data):
        if data.ndim < 2:
            raise WrongTable(f"a table's data must have two dimensions, not {data.ndim}")
        return data.tolist() if data.ndim == 2 and data.dtype.kind != "M" else [list(row) for row in data]
    if isinstance(data, str | dict) or not isinstance(data, Iterable):
        raise WrongTable(f"a table's data must be a list of rows, not {type(data).__name__}")
    return data


def names_of(columns: Any) -> list[Any]:
    """Names of columns as users give them. Raises WrongTable, also for a data frame, whose names these aren't."""
    if frames.is_frame(columns):
        given = type(columns).__name__
        raise WrongTable(f"columns must be a list of names, not a {given}", hint="Table(dataframe=…) makes one of it")
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise WrongTable(f"columns must be a list of names, not {columns!r:.80}")
    return list(columns)
