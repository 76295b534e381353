"""Storing a table: its file, with arrays, media and the tables that it names in files beside it, and reading it."""

import io
from collections.abc import Callable
from functools import partial
from hashlib import md5
from typing import Any, BinaryIO

from artstore.api.media.layout import ArtifactPlace
from artstore.api.media.value import MediaSource
from artstore.api.tables import columns as kinds
from artstore.api.tables.arrays import array_of, put_beside
from artstore.api.tables.columns import Type
from artstore.api.tables.file import Head, write_table
from artstore.api.tables.keys import KEYS, Linked, names_other
from artstore.api.tables.naming import SUFFIX
from artstore.errors import Damage, InvalidValue

AddFile = Callable[[str, bytes], None]
"""Adds a file to the table's artifact: its path there, and its bytes."""
Write = Callable[[BinaryIO, AddFile, ArtifactPlace], None]
"""Writes a table to a file."""
_writing: list[Any] = []
"""The tables that are being written, each named by the one before it."""


def write_rows(
    file: BinaryIO, head: Head, rows: Any, count: int, types: dict[Any, Type], add_file: AddFile, place: ArtifactPlace
) -> None:
    """Write a table's file, and what its columns name. `head` has no types yet: `types` are those of the columns."""
    told: dict[str, Type] = {}
    for at, name in enumerate(head.columns):
        kind, inner = types[name], kinds.without_none(types[name])
        if inner["wb_type"] == "ndarray":
            kind = put_beside(str(name), [row[at] for row in rows], inner, add_file)
        elif names_other(inner):
            named = {
                **inner,
                "params": {**inner["params"], "table": _put_table(inner["params"]["table"], add_file, place)},
            }
            kind = kinds.as_optional(named) if kinds.is_optional(kind) else named
        told[str(name)] = kind
    write_table(file, head._replace(types=told), rows, count, lambda media: media.to_json(place))


def _put_table(linked: Linked, add_file: AddFile, place: ArtifactPlace) -> str:
    """Store a table that a column names, at a path that begins with its digest as in W&B. Returns the path."""
    table, out = linked.table, io.BytesIO()
    if any(table is other for other in _writing):
        raise InvalidValue("the tables name each other in a circle, and can't be stored")
    _writing.append(table)
    try:
        table.write(out, add_file, place)
    finally:
        _writing.pop()
    path = f"media/tables/{md5(out.getvalue(), usedforsecurity=False).hexdigest()[:20]}{SUFFIX}"
    add_file(path, out.getvalue())
    return path


def arrays_in(head: Head, source: MediaSource, what: str) -> dict[int, Any]:
    """The columns of arrays that are in files beside the table, by their places."""
    return {
        at: array_of(kind, source, what)
        for at, (kind, _) in enumerate(head.decoders())
        if kind["wb_type"] == "ndarray" and "serialization_path" in kind.get("params", {})
    }


def type_read(kind: Type, source: MediaSource, read: Callable[..., Any], what: str) -> Type:
    """The type of a column that was read, without None. Tables that it names are read with `read` when needed."""
    kind = kinds.without_none(kind)
    if kind["wb_type"] == "ndarray":  # the file of its arrays was that of this table
        others = {key: value for key, value in kind.get("params", {}).items() if key != "serialization_path"}
        return {"wb_type": "ndarray", "params": others}
    if kind["wb_type"] not in KEYS:
        return kinds.ANY if kind["wb_type"] == "union" else kind
    params = kind.get("params", {})
    path, column = params.get("table"), params.get("col_name")
    if kind["wb_type"] == KEYS[0]:
        return kind
    if not isinstance(path, str) or not isinstance(column, str | int | None):
        raise Damage(f"{what} has a column of keys that names no table")
    linked = Linked(read=lambda: read(partial(source.open, path), source, f"'{path}', which {what} names,"))
    return {"wb_type": kind["wb_type"], "params": {**params, "table": linked}}
