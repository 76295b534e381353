"""Cells that name rows of a table: the values of key columns, and the numbers of rows."""

from collections.abc import Callable
from typing import Any, Self

PRIMARY, FOREIGN, INDEX = "primaryKey", "foreignKey", "foreignIndex"
"""W&B's types of columns with keys of their own table, keys of another one, and numbers of rows of another one."""
KEYS = (PRIMARY, FOREIGN, INDEX)


class Linked:
    """A table that a column names, as a part of the column's type. One that was stored is read when it is needed."""

    def __init__(self, table: Any = None, read: Callable[[], Any] | None = None) -> None:
        """Name a table that is here, or one that `read` returns."""
        self._table, self._read = table, read

    @property
    def table(self) -> Any:
        """The table."""
        if self._table is None and self._read is not None:
            self._table = self._read()
        return self._table

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Linked):
            return NotImplemented
        return self is other or (self._table is not None and self._table is other._table)

    __hash__ = None  # type: ignore[assignment]  # as the dict that it is in

    def __reduce__(self) -> tuple[Any, ...]:
        return Linked, (self.table,)


class Key(str):
    """A value of a key column, which knows the table and the column that it names."""

    linked: Linked
    column: Any

    @classmethod
    def of(cls, value: str, linked: Linked, column: Any) -> Self:
        """A value that names a row of a table by the value in a column."""
        self = cls(value)
        self.linked, self.column = linked, column
        return self

    @property
    def table(self) -> Any:
        """The table."""
        return self.linked.table

    _table = table  # W&B's name

    @property
    def _col_name(self) -> Any:
        return self.column

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


class Index(int):
    """A row's number, which knows its table, as W&B's does."""

    linked: Linked

    @classmethod
    def of(cls, number: int, table: Any) -> Self:
        """The number of a row in a table, which may be a Linked one."""
        self = cls(number)
        self.linked = table if isinstance(table, Linked) else Linked(table)
        return self

    @property
    def table(self) -> Any:
        """The table."""
        return self.linked.table

    _table = table  # W&B's name

    def get_row(self) -> dict[Any, Any]:
        """The row as a dict, by column."""
        return dict(zip(self.table.columns, self.table.data[self], strict=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (int(self),)


def cell_of(kind: dict[str, Any], value: Any, own: Any, column: Any) -> Any:
    """A value as the cell of a column of this type, in the table `own`: a key or a number, if that is the type."""
    name, params = kind["wb_type"], kind.get("params", {})
    if name == PRIMARY and isinstance(value, str):
        return value if isinstance(value, Key) and value.linked == Linked(own) else Key.of(value, Linked(own), column)
    if name == FOREIGN and isinstance(value, str):
        return value if isinstance(value, Key) else Key.of(value, params["table"], params["col_name"])
    if name == INDEX and isinstance(value, int) and not isinstance(value, bool):
        return value if isinstance(value, Index) else Index.of(value, params["table"])
    return value


def names_other(kind: dict[str, Any]) -> bool:
    """Whether a column of this type names another table."""
    return kind["wb_type"] in (FOREIGN, INDEX) and isinstance(kind.get("params", {}).get("table"), Linked)
