"""Tables on a terminal: shown row by row, and compared by a key."""

import itertools
import json
import sys
from functools import partial
from typing import Any

import click

from artstore.cli.output import fitted, printed_cells, width_of
from artstore.errors import NotFound
from artstore.lookup import Found
from artstore.names import printable
from artstore.tablefiles import SUFFIX, read_table
from artstore.tables import Table, TableDiff, table_diff
from artstore.tree import Entry
from artstore.view import View

_MEASURED = 200
"""Rows whose cells say how wide the columns are: a million rows take no memory."""
_WIDEST = 60


def print_table(repository: View, found: Found, entry: Entry, what: str, most: int | None) -> None:
    """A line for each row; cells that are too wide are cut."""
    table = _opened(repository, found, entry, what)
    rows = iter(table.data) if most is None else itertools.islice(table.data, most)
    first = [[_text(cell) for cell in row] for row in itertools.islice(rows, _MEASURED)]
    head = [printable(str(name)) for name in table.columns]
    widths = [min(_WIDEST, max(width_of(line[column]) for line in [head, *first])) for column in range(len(head))]
    right = [bool(table.data) and _is_number(table.data[0][column]) for column in range(len(head))]
    widths = fitted(widths, right)
    for line in itertools.chain([head], first, ([_text(cell) for cell in row] for row in rows)):
        sys.stdout.write(printed_cells(line, widths, right) + "\n")
    click.echo(f"{len(table):,} rows, {len(head):,} columns", err=True)


def _opened(repository: View, found: Found, entry: Entry, what: str) -> Table:
    return Table.read(lambda: repository.open(entry), lambda path: repository.open(repository.entry(found, path)), what)


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:g}" if cell != int(cell) or abs(cell) > 1e15 else f"{cell:.1f}"
    if isinstance(cell, list | dict):
        return printable(json.dumps(cell, ensure_ascii=False, default=str))
    return printable(str(cell))


def tables_differ(repository: View, old: Found, new: Found, path: str, key: tuple[str, ...]) -> TableDiff:
    """What differs between a table of two versions; rows are told by the columns of `key`."""
    sides = []
    for found in (old, new):
        name = path if repository.find_entry(found, path) is not None else path + SUFFIX
        entry = repository.entry(found, name)
        head, rows = read_table(partial(repository.open, entry), f"'{printable(name)}' of {found.name}")
        sides.append((head.columns, rows))
    missing = [name for name in key if any(name not in columns for columns, _ in sides)]
    if missing:
        raise NotFound(
            f"the table has no column '{printable(missing[0])}'", hint=f"there are {', '.join(map(str, sides[0][0]))}"
        )
    return table_diff(sides[0], sides[1], list(key))


def print_difference(difference: TableDiff, key: tuple[str, ...], most: int = 1000) -> None:
    for letter, keys in (("A", difference.added), ("D", difference.removed), ("M", difference.changed)):
        for values in keys[:most]:
            shown = ", ".join(f"{name}={_text(value)}" for name, value in zip(key, values, strict=True))
            click.echo(f"{letter}  {shown}")
        if len(keys) > most:
            click.echo(f"{letter}  and {len(keys) - most:,} more")
    for word, columns in (("added", difference.columns_added), ("removed", difference.columns_removed)):
        if columns:
            click.echo(f"columns {word}: {printable(', '.join(map(str, columns)))}")
    words = (("added", difference.added), ("removed", difference.removed), ("changed", difference.changed))
    summary = ", ".join(f"{len(keys):,} {word}" for word, keys in words if keys)
    click.echo(f"rows: {summary}" if summary else "no rows differ")
