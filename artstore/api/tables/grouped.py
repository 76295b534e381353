"""The rows of joined and partitioned tables, read from the files that they name, for pages and terminals.

Their files may name anything: what can't be read becomes a note, and all that is kept in memory is bounded.
"""

import json
import os
from collections.abc import Callable, Hashable, Iterator
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple, Protocol, TypeGuard

from artstore.api.media.value import read_json
from artstore.api.tables.columns import in_order
from artstore.api.tables.file import read_table
from artstore.api.tables.naming import JOINED, PARTITIONED, SUFFIX, is_table
from artstore.domain.names import printable
from artstore.domain.tree import DIRECTORY
from artstore.domain.wording import count
from artstore.errors import ArtstoreError, Damage, InvalidValue
from artstore.operations.finding.lookup import Version
from artstore.view import View

_LISTED = 100_000
"""The most files of a folder that are looked at for parts."""
_PARTS = 1_000
"""The most parts that are read."""
_JOINED_ROWS = 100_000
_JOINED_BYTES = 32 << 20
"""The most rows and bytes of the second table of a join: its rows are in memory."""

Rows = Iterator[list[Any]]


class TableFile(Protocol):
    """A file whose bytes are here."""

    @property
    def path(self) -> str:
        """Its path in the version or run."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def open(self) -> Callable[[], BinaryIO]:
        """Opens it from its start."""


class Files(Protocol):
    """The files among which the tables are: a version's or a run's."""

    def find(self, path: str) -> TableFile | None:
        """The file at a path; None if there is none, or its bytes are not here, or the path isn't valid."""

    def below(self, folder: str) -> Iterator[str]:
        """The paths of all files in a folder and its folders. None if there is no such folder."""


class Group(NamedTuple):
    """A joined or partitioned table."""

    key: str | None
    """the columns by which two tables are joined; None for a partitioned table"""
    folder: str | None
    """the folder of the parts; None for a joined table"""
    paths: list[str]
    """the files of its tables"""
    columns: list[str]
    rows: Rows


def read_group(files: Files, file: TableFile, notes: list[str]) -> Group:
    """A joined or partitioned table, whose rows are read as they are asked for.

    A partitioned table has the rows of its parts, one part after the other, in the order of their paths. A joined one
    has the key first, and each row of the first table with each row of the second that has the same key. Rows without
    such a partner are kept, those of the second table at the end.

    `notes` gets a sentence for each table that can't be read, also while rows are read. Raises Damage if the file names
    no tables.
    """
    what = f"'{printable(file.path)}'"
    told = read_json(file.open, what)
    told = told if isinstance(told, dict) else {}
    if file.path.endswith(JOINED):
        key, paths = told.get("join_key"), [told.get("table1"), told.get("table2")]
        keys = [key, key] if isinstance(key, str) else key
        if not _are_texts(keys) or not _are_texts(paths) or not all(map(_names_table, paths)):
            raise Damage(f"{what} names no two tables and the columns that join them")
        return _joined(files, paths, keys, notes)
    if not isinstance(folder := told.get("parts_path"), str):
        raise Damage(f"{what} names no folder of tables")
    parts = _parts_below(files, folder, notes)
    return Group(None, folder, [part.path for part in parts], *_concatenated(parts, notes))


def paths_below(repository: View, found: Version, folder: str) -> Iterator[str]:
    """The paths of all files and references in a folder of a version and its folders. None if it isn't there."""
    path = folder.strip("/")
    try:
        entry = repository.find_entry(found, path)
    except (InvalidValue, UnicodeError):
        return
    if entry is not None and entry.kind == DIRECTORY:
        for name, below in repository.walk(entry.digest, os.fsencode(f"{path}/")):
            if below.kind != DIRECTORY:
                yield os.fsdecode(name)


def _are_texts(values: Any) -> TypeGuard[list[str]]:
    return isinstance(values, list) and len(values) == 2 and all(isinstance(value, str) for value in values)


def _names_table(path: str) -> bool:
    return path.endswith((SUFFIX, PARTITIONED))


# -- one table after the other --


def _parts_below(files: Files, folder: str, notes: list[str]) -> list[TableFile]:
    """The tables in a folder whose bytes are here, in the order of their paths."""
    listed = list(islice(files.below(folder), _LISTED + 1))
    paths = sorted(filter(is_table, listed))
    if not paths:
        notes.append(f"There are no tables in '{printable(folder)}'.")
    if len(listed) > _LISTED:
        notes.append(f"'{printable(folder)}' has more than {count(_LISTED, 'file')}: not all were looked at.")
    if len(paths) > _PARTS:
        notes.append(f"Of {count(len(paths), 'part')} the first {_PARTS:,} are read.")
    found = []
    for path in paths[:_PARTS]:
        if (part := files.find(path)) is None:
            notes.append(f"The part '{printable(path)}' is not stored here.")
        else:
            found.append(part)
    return found


class _Opened(NamedTuple):
    path: str
    columns: list[str]
    rows: Rows


def _concatenated(parts: list[TableFile], notes: list[str]) -> tuple[list[str], Rows]:
    """The columns of the first table that can be read, and the rows of all that have these columns."""
    opened = _opened(parts, notes)
    first = next(opened, None)
    if first is None:
        return [], iter(())
    return first.columns, _rows_of(first.columns, chain([first], opened), notes)


def _opened(parts: list[TableFile], notes: list[str]) -> Iterator[_Opened]:
    for part in parts:
        try:
            head, rows = read_table(part.open, f"'{printable(part.path)}'")
        except ArtstoreError as error:
            notes.append(f"'{printable(part.path)}' can't be read: {error}.")
            continue
        yield _Opened(part.path, [str(name) for name in head.columns], rows)


def _rows_of(columns: list[str], tables: Iterator[_Opened], notes: list[str]) -> Rows:
    for table in tables:
        if table.columns != columns:
            notes.append(f"The part '{printable(table.path)}' has other columns: left out.")
            continue
        try:
            yield from table.rows
        except ArtstoreError as error:
            notes.append(f"Not all of '{printable(table.path)}' can be read: {error}.")


# -- two tables joined --


class _Side(NamedTuple):
    """One of two tables to join, without its key."""

    columns: list[str]
    rows: Iterator[tuple[Any, list[Any]]]
    """(key, other cells)"""
    size: int
    """bytes of its files"""


_Index = dict[Hashable, list[tuple[Any, list[Any]]]]


def _joined(files: Files, paths: list[str], keys: list[str], notes: list[str]) -> Group:
    one, two = (_side(files, path, key, notes) for path, key in zip(paths, keys, strict=True))
    index = _index(two)
    if index is None:
        limit = f"{_JOINED_ROWS:,} rows or {_JOINED_BYTES >> 20} MiB"
        notes.append(f"'{printable(paths[1])}' has more than {limit}, so it is not joined.")
        two, index = _Side([], iter(()), 0), {}
    key = keys[0] if keys[0] == keys[1] else " = ".join(keys)
    both = set(one.columns) & set(two.columns)
    columns = [
        f"{name} ({number})" if name in both else name
        for number, side in enumerate((one, two), start=1)
        for name in side.columns
    ]
    return Group(key, None, list(dict.fromkeys(paths)), [key, *columns], _pairs(one, two, index))


def _side(files: Files, path: str, key: str, notes: list[str]) -> _Side:
    """A table to join. It has no rows if it isn't there or has no such column, which is noted."""
    tables = _tables_at(files, path, notes)
    columns, rows = _concatenated(tables, notes)
    if key in columns:
        at = columns.index(key)
        others = ((row[at], row[:at] + row[at + 1 :]) for row in rows)
        return _Side(columns[:at] + columns[at + 1 :], others, sum(table.size for table in tables))
    if columns:
        notes.append(f"'{printable(path)}' has no column '{printable(key)}' to join by.")
    return _Side([], iter(()), 0)


def _tables_at(files: Files, path: str, notes: list[str]) -> list[TableFile]:
    """The table at a path, or the parts of a partitioned one."""
    file = files.find(path)
    if file is None:
        notes.append(f"The table '{printable(path)}' is not stored here.")
        return []
    if not path.endswith(PARTITIONED):
        return [file]
    try:
        told = read_json(file.open, f"'{printable(path)}'")
    except ArtstoreError as error:
        notes.append(f"'{printable(path)}' can't be read: {error}.")
        return []
    folder = told.get("parts_path") if isinstance(told, dict) else None
    return _parts_below(files, folder, notes) if isinstance(folder, str) else []


def _index(side: _Side) -> _Index | None:
    """The rows of the second table by their key. None if they are too many to be in memory."""
    rows = list(islice(side.rows, _JOINED_ROWS + 1)) if side.size <= _JOINED_BYTES else None
    if rows is None or len(rows) > _JOINED_ROWS:
        return None
    index: _Index = {}
    for key, cells in rows:
        index.setdefault(_identity(key), []).append((key, cells))
    return index


def _pairs(one: _Side, two: _Side, index: _Index) -> Rows:
    used, nothing = set[Hashable](), [(None, [None] * len(two.columns))]
    for key, cells in one.rows:
        identity = _identity(key)
        if identity in index:
            used.add(identity)
        for _, others in index.get(identity, nothing):
            yield [key, *cells, *others]
    for identity, rows in index.items():
        if identity not in used:
            for key, others in rows:
                yield [key, *([None] * len(one.columns)), *others]


def _identity(key: Any) -> Hashable:
    """What is the same for equal keys. Media are equal if their files are."""
    if isinstance(key, dict) and isinstance(digest := key.get("sha256"), str):
        return "sha256", digest
    try:
        hash(key)
    except TypeError:
        return "JSON", json.dumps(in_order(key), default=str, sort_keys=True)
    return key  # type: ignore[no-any-return]
