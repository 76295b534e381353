"""Tables on a terminal: printed row by row, and compared by key columns."""

import itertools
import json
from typing import Any

import click

from artstore.api.tables import columns as kinds
from artstore.api.tables.comparing import TableDiff, table_diff
from artstore.api.tables.naming import SUFFIX
from artstore.api.tables.table import Table
from artstore.cli.output import fitted, printed_cells
from artstore.cli.streams import Long
from artstore.domain.names import printable
from artstore.domain.tree import Entry
from artstore.domain.wording import count, width_of
from artstore.operations.finding.lookup import Version
from artstore.view import View

_MEASURED = 200
"""How many rows are measured to choose the columns' widths, so that a million rows take no memory."""
_WIDEST = 60


def print_table(repository: View, found: Version, entry: Entry, what: str, most: int | None) -> None:
    """Print one line for each row. Cells that are too wide are cut."""
    table = _opened(repository, found, entry, what)
    rows = iter(table.data) if most is None else itertools.islice(table.data, most)
    first = [[_text(cell) for cell in row] for row in itertools.islice(rows, _MEASURED)]
    head = [printable(str(name)) for name in table.columns]
    widths = [min(_WIDEST, max(width_of(line[column]) for line in [head, *first])) for column in range(len(head))]
    sample = [next((c for c in cells if c is not None), None) for cells in zip(*table.data[:_MEASURED], strict=True)]
    right = [_is_number(cell) for cell in sample] or [False] * len(head)
    widths = fitted(widths, right)
    out = Long()
    for line in itertools.chain([head], first, ([_text(cell) for cell in row] for row in rows)):
        out.write(printed_cells(line, widths, right) + "\n")
    click.echo(f"{count(len(table), 'row')}, {count(len(head), 'column')}", err=True)


def _opened(repository: View, found: Version, entry: Entry, what: str) -> Table:
    return Table.read(lambda: repository.open(entry), lambda path: repository.open(repository.entry(found, path)), what)


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return repr(cell)
    cell = kinds.in_order(cell)
    if isinstance(cell, list | dict):
        return printable(json.dumps(cell, ensure_ascii=False, default=str))
    return printable(str(cell))


def tables_differ(repository: View, old: Version, new: Version, path: str, key: tuple[str, ...]) -> TableDiff:
    """The differences between a table in two versions. The columns in `key` identify a row."""
    sides = []
    for found in (old, new):
        name = path if repository.find_entry(found, path) is not None else path + SUFFIX
        table = _opened(repository, found, repository.entry(found, name), f"'{printable(name)}' of {found.name}")
        sides.append(([str(column) for column in table.columns], table.data))
    return table_diff(sides[0], sides[1], list(key))


def print_difference(difference: TableDiff, key: tuple[str, ...], most: int = 1000) -> None:
    """Print the keys of added, removed and changed rows, at most `most` of each, and the totals."""
    for letter, keys in (("A", difference.added), ("D", difference.removed), ("M", difference.changed)):
        for values in keys[:most]:
            shown = ", ".join(f"{printable(name)}={_text(value)}" for name, value in zip(key, values, strict=True))
            click.echo(f"{letter}  {shown}")
        if len(keys) > most:
            click.echo(f"{letter}  and {len(keys) - most:,} more")
    for word, columns in (("added", difference.columns_added), ("removed", difference.columns_removed)):
        if columns:
            click.echo(f"columns {word}: {printable(', '.join(map(str, columns)))}")
    words = (("added", difference.added), ("removed", difference.removed), ("changed", difference.changed))
    summary = ", ".join(f"{len(keys):,} {word}" for word, keys in words if keys)
    click.echo(f"rows: {summary}" if summary else "no rows differ")
