"""Tables on a terminal: printed row by row, and compared by key columns."""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import click

from artstore.api.tables import columns as kinds
from artstore.api.tables.comparing import TableDiff, table_diff
from artstore.api.tables.grouped import paths_below, read_group
from artstore.api.tables.naming import SUFFIX
from artstore.api.tables.table import Table
from artstore.cli.output import fitted, printed_cells
from artstore.cli.streams import Long
from artstore.domain.names import printable
from artstore.domain.recorded_media import in_short
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry
from artstore.domain.wording import count, width_of
from artstore.errors import Damage, InvalidValue
from artstore.operations.finding.lookup import Version
from artstore.view import View

_MEASURED = 200
"""How many rows are measured to choose the columns' widths, so that a million rows take no memory."""
_WIDEST = 60


def print_table(repository: View, found: Version, entry: Entry, what: str, most: int | None) -> None:
    """Print one line for each row. Cells that are too wide are cut."""
    table = _opened(repository, found, entry, what)
    _print_rows(table.columns, iter(table.data), most)
    click.echo(f"{count(len(table), 'row')}, {count(len(table.columns), 'column')}", err=True)


class _File(NamedTuple):
    path: str
    size: int
    open: Callable[[], BinaryIO]


class _VersionFiles:
    """The files of a version, among which the tables of a joined or partitioned one are."""

    def __init__(self, repository: View, found: Version) -> None:
        self._repository, self._found = repository, found

    def find(self, path: str) -> _File | None:
        try:
            entry = self._repository.find_entry(self._found, path)
        except (InvalidValue, UnicodeError):
            return None
        if entry is None or entry.kind in (DIRECTORY, REFERENCE):
            return None
        return _File(path, entry.size, lambda: self._repository.open(entry))

    def below(self, folder: str) -> Iterator[str]:
        return paths_below(self._repository, self._found, folder)


def print_group(repository: View, found: Version, path: str, entry: Entry, most: int | None) -> None:
    """Print a joined or partitioned table. Raises Damage if it, or a table of it, can't be read, after all others."""
    notes: list[str] = []
    file = _File(path, entry.size, lambda: repository.open(entry))
    group = read_group(_VersionFiles(repository, found), file, notes)
    printed = _print_rows(group.columns, group.rows, most) if group.columns else 0
    click.echo(f"{count(printed, 'row')}, {count(len(group.columns), 'column')}", err=True)
    if notes:
        raise Damage(" ".join(notes).rstrip("."))


def _print_rows(columns: list[Any], rows: Iterator[list[Any]], most: int | None) -> int:
    """Print rows, and return how many."""
    rows = itertools.islice(rows, most)
    first = list(itertools.islice(rows, _MEASURED))
    lines = [[_text(cell) for cell in row] for row in first]
    head = [printable(str(name)) for name in columns]
    widths = [min(_WIDEST, max(width_of(line[column]) for line in [head, *lines])) for column in range(len(head))]
    sample = [next((c for c in cells if c is not None), None) for cells in zip(*first, strict=True)]
    right = [_is_number(cell) for cell in sample] or [False] * len(head)
    widths = fitted(widths, right)
    out, printed = Long(), 0
    out.write(printed_cells(head, widths, right) + "\n")
    for line in itertools.chain(lines, ([_text(cell) for cell in row] for row in rows)):
        out.write(printed_cells(line, widths, right) + "\n")
        printed += 1
    return printed


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
        return printable(in_short(cell) or json.dumps(cell, ensure_ascii=False, default=str))
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
