"""Table files: `<name>.table.json` in W&B's layout, written and read row by row to save memory."""

import codecs
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from artstore.api.media.value import Media, MediaSource, identity_of
from artstore.api.tables.columns import ANY, Type, decoded, encoded, is_form, is_type, without_none
from artstore.errors import Damage

LOG_MODES = IMMUTABLE, MUTABLE, INCREMENTAL = ("IMMUTABLE", "MUTABLE", "INCREMENTAL")
"""What a second `run.log` of a table does: nothing, log it again, or log the rows that are new."""
_CHUNK = 1 << 20
_LONGEST = 64 << 20
"""The most characters of one row."""
_BEHIND = (",", "]", "}", ":", " ", "\t", "\r", "\n")
"""Characters that end a value. Without one, a number may continue in the next piece."""
_encode = json.JSONEncoder(separators=(", ", ": ")).encode
_decoder = json.JSONDecoder()


def increment_of(path: str) -> tuple[int, int]:
    """The number and the time in the name of an increment, `<number>-<time>.<key>.table.json`; zeros if it has none.

    The first increment of W&B's has `None` as its number.
    """
    number, _, moment = path.partition(".")[0].partition("-")
    return (int(number) if number.isdecimal() else 0, int(moment) if moment.isdecimal() else 0)


class Head(NamedTuple):
    """Everything in a table's file except its rows."""

    columns: list[Any]
    types: dict[str, Type]
    forms: dict[str, str]
    """the forms of columns, which W&B's types don't record"""
    log_mode: str = IMMUTABLE
    increment: int | None = None
    """the number of the increment whose rows these are, of a table that is logged bit by bit"""

    def decoders(self) -> list[tuple[Type, str | None]]:
        """(type, form) of each column, for decoding its cells."""
        return [(without_none(self.types.get(str(c), ANY)), self.forms.get(str(c))) for c in self.columns]


def write_table(
    file: BinaryIO,
    head: Head,
    rows: Iterable[list[Any]],
    count: int,
    media: Callable[[Media], Any] = identity_of,
) -> None:
    """Write a table's file, with keys in ascending order, as W&B does. W&B ignores `column_forms`, which is ours.

    `media` stores an object in a cell, and returns what is recorded of it; by default only which one it is.
    """
    types = {"wb_type": "typedDict", "params": {"type_map": head.types}}
    forms = f'"column_forms": {_sorted(head.forms)}, ' if head.forms else ""
    columns = f'"column_types": {_sorted(types)}, "columns": {_encode(head.columns)}'
    file.write(f'{{"_type": "table", {forms}{columns}, "data": ['.encode())
    comma = ""
    for row in rows:
        file.write((comma + _encode([encoded(cell, media=media) for cell in row])).encode())
        comma = ", "
    more: dict[str, Any] = {} if head.increment is None else {"increment_num": head.increment}
    more |= {"log_mode": head.log_mode, "ncols": len(head.columns), "nrows": count}
    file.write(f"], {_sorted(more)[1:]}".encode())


def _sorted(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def read_table(open_: Callable[[], BinaryIO], what: str, source: MediaSource | None = None) -> tuple[Head, "FileRows"]:
    """The head of a table's file, and its rows, which are decoded as they are asked for.

    `open_` opens the file from its start each time. Media are read from `source`; without one, cells have what is
    recorded of them. Raises Damage if it isn't a table.
    """
    pieces = _Pieces(open_(), what)
    told = pieces.until_rows()
    if "columns" not in told or "column_types" not in told:  # they may come after the rows: read those parts first
        with open_() as file:
            behind = _Pieces(file, what)
            told |= behind.until_rows()
            for _ in behind.rows():
                pass
            told |= behind.until_rows()
    head = _head_of(told, what)
    rows = FileRows(told, pieces.close)
    rows.read = _decoded(pieces, head, what, [] if source is None else _revivers(head, source), rows)
    return head, rows


class FileRows(Iterator[list[Any]]):
    """The rows of a file. Once all are read, `log_mode` and `increment` are known, because they come after the rows."""

    read: Iterator[list[Any]]

    def __init__(self, told: dict[str, Any], close: Callable[[], None]) -> None:
        """Begin with what the file has before the rows. `close` closes the file."""
        self.close = close
        self.log_mode = IMMUTABLE
        self.increment: int | None = None
        self.learn(told)

    def learn(self, told: dict[str, Any]) -> None:
        """Take what is known of the file."""
        mode, increment = told.get("log_mode"), told.get("increment_num")
        self.log_mode = mode if mode in LOG_MODES else self.log_mode
        if self.log_mode == INCREMENTAL and isinstance(increment, int):
            self.increment = increment

    def __next__(self) -> list[Any]:
        return next(self.read)


def _revivers(head: Head, source: MediaSource) -> list[tuple[int, Callable[[Any], Any]]]:
    """For each column that may hold media, its place and a function that makes them of what is recorded."""
    plain = ("number", "string", "boolean", "timestamp", "none", "ndarray")
    kinds = [(at, kind) for at, (kind, _) in enumerate(head.decoders()) if kind["wb_type"] not in plain]
    if not kinds:
        return []
    from artstore.api.media.kinds import holds_media, revived, revived_if_possible

    return [
        (at, partial(revived if holds_media(kind) else revived_if_possible, source=source))
        for at, kind in kinds
        if holds_media(kind) or kind["wb_type"] in ("any", "unknown")
    ]


def _decoded(
    pieces: "_Pieces", head: Head, what: str, revivers: list[tuple[int, Callable[[Any], Any]]], rows: FileRows
) -> Iterator[list[Any]]:
    decoders, width = head.decoders(), len(head.columns)
    slow = [(i, kind, form) for i, (kind, form) in enumerate(decoders) if form or kind["wb_type"] == "timestamp"]
    try:
        for row in pieces.rows():
            if type(row) is not list or len(row) != width:
                raise Damage(f"{what} has a row that does not fit its {width} columns")
            for i, kind, form in slow:
                row[i] = decoded(row[i], kind, form)
            for i, revive in revivers:
                if isinstance(row[i], list | dict):
                    row[i] = revive(row[i])
            yield row
        rows.learn(pieces.until_rows())
    except (OverflowError, ValueError, TypeError) as error:
        raise Damage(f"{what} has a cell that doesn't have its column's type: {error}") from error
    finally:
        pieces.close()


def _head_of(told: dict[str, Any], what: str) -> Head:
    columns, types = told.get("columns"), told.get("column_types")
    if not isinstance(columns, list) or not all(isinstance(c, str | int) for c in columns):
        raise Damage(f"{what} is not a table: it has no columns")
    params = types.get("params", {}) if isinstance(types, dict) else None if types is not None else {}
    found: Any = params.get("type_map", {}) if isinstance(params, dict) else None
    forms = told.get("column_forms", {})
    good = isinstance(found, dict) and all(map(is_type, found.values()))
    if not good or not isinstance(forms, dict) or not all(map(is_form, forms.values())):
        raise Damage(f"{what} is not a table: its columns' types aren't valid")
    return Head(columns, found, forms)


class _Pieces:
    """A table's JSON, read value by value. Its rows, the value of `data`, are read one by one."""

    def __init__(self, file: BinaryIO, what: str) -> None:
        self._file = file
        self._what = what
        self._text = codecs.getincrementaldecoder("utf-8")("strict")
        self._buffer, self._at, self._ended = "", 0, False
        self._first = True

    def close(self) -> None:
        self._file.close()

    def until_rows(self) -> dict[str, Any]:
        """Keys and values up to `data`, or to the end."""
        told: dict[str, Any] = {}
        if self._first:
            self._expect("{")
        while True:
            if self._peek() == "}":
                return told
            if not self._first:
                self._expect(",")
            self._first = False
            key = self._value()
            if not isinstance(key, str):
                raise Damage(f"{self._what} is not a table: a key is not text")
            self._expect(":")
            if key == "data":
                return told
            told[key] = self._value()

    def rows(self) -> Iterator[Any]:
        self._expect("[")
        if self._peek() == "]":
            self._expect("]")
            return
        while True:
            yield self._value()
            if self._peek() != ",":
                break
            self._expect(",")
        self._expect("]")

    def _value(self) -> Any:
        """The next value. More is read until it is complete, because a number may continue after the buffer's end."""
        wanted = _CHUNK
        self._peek()
        while True:
            try:
                value, end = _decoder.raw_decode(self._buffer, self._at)
                if end - self._at > _LONGEST:
                    raise Damage(f"{self._what} has a row of more than {_LONGEST} characters")
                if self._ended or self._buffer[end : end + 1] in _BEHIND:
                    self._at = end
                    return value
            except (ValueError, RecursionError) as error:
                if isinstance(error, Damage):
                    raise
                if self._ended or len(self._buffer) - self._at > _LONGEST:
                    raise Damage(f"{self._what} is not JSON: {error}") from error
            self._more(wanted)
            wanted *= 2  # so that a long row is decoded again only a few times

    def _peek(self) -> str:
        """The next character that isn't a space; empty at the end."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if self._ended:
                return ""
            self._more(_CHUNK)

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise Damage(f"{self._what} is not a table: '{character}' is missing")
        self._at += 1

    def _more(self, size: int) -> None:
        data = self._file.read(size)
        self._ended = not data
        try:
            self._buffer = self._buffer[self._at :] + self._text.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise Damage(f"{self._what} is not UTF-8: {error}") from error
        self._at = 0
