"""Errors of tables that are also an AssertionError, which is what W&B raises there."""

from artstore.errors import Conflict, InvalidType, InvalidValue, NotFound


class WrongTable(InvalidType, AssertionError):
    """What is given can't be a table, or a part of one."""


class WrongRows(InvalidValue, AssertionError):
    """What is given doesn't fit the table."""


class NoColumn(NotFound, AssertionError):
    """The table has no such column."""


class NoRow(NotFound, IndexError, AssertionError):
    """The table has no such row."""


class ColumnThere(Conflict, AssertionError):
    """The table has such a column already."""
