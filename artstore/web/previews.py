"""Previews of files: images, players, pages, tables, Markdown and text, all bounded."""

import codecs
import csv
import heapq
import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from markupsafe import Markup
from starlette.requests import Request

from artstore.api.tables.columns import in_order
from artstore.api.tables.file import read_table
from artstore.api.tables.grouped import read_group
from artstore.api.tables.naming import is_group, is_table
from artstore.domain.names import printable
from artstore.errors import Damage, InvalidValue, Refused
from artstore.web.media import Media, Shown, is_media, items_of
from artstore.web.render import ROWS, Rows, as_json, fragment, number_in, page_of, printed, text_in
from artstore.web.sources import Source, StoredFile, folder_of, rendered_beside

TEXT = 256 << 10
"""Bytes of a text that are shown."""
_JSON = 2 << 20
"""The most bytes of a JSON file that is formatted; longer ones are shown as they are."""
IMAGE = 64 << 20
"""The most bytes of an image that is shown."""
PAGE = 8 << 20
"""The most bytes of a page that is shown."""
_COLUMNS = 200
"""Columns of a table that are shown."""
_CELL = 1000
"""Characters of a cell that are shown."""
_GROUPED = 1_000_000
"""Rows of a joined or partitioned table that are shown: a join may have as many as all pairs."""
_LINKS = 20
"""Tables of a joined or partitioned table that are named, and notes on it."""
_IN_CELL = 8
"""Media of a list in a cell that are shown."""
_SORTED = 100_000
"""The last row up to which a table can be sorted: these rows are in memory."""
_IMAGES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"), (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)  # fmt: skip
_PLAYED: tuple[tuple[bytes, int, str], ...] = (
    (b"WAVE", 8, "audio/wav"), (b"ID3", 0, "audio/mpeg"), (b"\xff\xfb", 0, "audio/mpeg"), (b"fLaC", 0, "audio/flac"),
    (b"OggS", 0, "audio/ogg"), (b"ftyp", 4, "video/mp4"), (b"\x1a\x45\xdf\xa3", 0, "video/webm"),
)  # fmt: skip
HEAD = 4096
"""Bytes at the beginning of a file that tell its type."""


class Grid(NamedTuple):
    """A table on a page: the names of its columns, and the rows of that page."""

    columns: list[str]
    rows: Rows
    sort: int | None
    """the column by which they are sorted, from 0"""
    descending: bool
    widest: int
    """how many characters of a cell are shown"""


class Preview(NamedTuple):
    """The preview of a file."""

    kind: str
    """grid, image, audio, video, page, media, markdown, text, or none"""
    content: Any
    note: str | None = None


def preview(request: Request, source: Source, file: StoredFile) -> Preview:
    """The preview of a file. One that isn't opened for a page has a note that says why."""
    try:
        return _preview(request, source, file)
    except Refused as error:
        return Preview("none", None, f"No preview: {error}.")


def _preview(request: Request, source: Source, file: StoredFile) -> Preview:
    path = file.path
    if is_table(path) or is_group(path):
        try:
            return _group(request, source, file) if is_group(path) else Preview("grid", _table(request, source, file))
        except Damage:
            pass  # only its name is a table's
    with file.open() as opened:
        head = opened.read(TEXT)
        if image_type(head, path) is not None and file.size <= IMAGE:
            return Preview("image", None)
        if played := played_type(head, path):
            return Preview(played.partition("/")[0], None)
        text = _as_text(head, cut=file.size > TEXT)
        if text is None:
            return Preview("none", None, "No preview for this type of file.")
        if path.endswith((".csv", ".tsv")):
            opened.seek(0)
            return Preview("grid", _csv(request, opened, "\t" if path.endswith(".tsv") else ","))
        if path.endswith(".json") and file.size <= _JSON:
            try:
                told = json.loads(head + opened.read())
                if is_media(told) and (shown := _of_media(told, source)):
                    return Preview("media", shown, as_json(told)[:_CELL])
                return Preview("text", as_json(told))
            except (ValueError, RecursionError):
                pass  # only its name is that of a JSON file
        note = f"the first {TEXT >> 10} KiB" if file.size > TEXT else None
        if path.endswith((".md", ".markdown")) and note is None:
            return Preview("markdown", rendered_beside(text, source, folder_of(path)))
        is_page = path.lower().endswith((".html", ".htm")) and file.size <= PAGE
        return Preview("page" if is_page else "text", text, note)


def _of_media(told: Any, source: Source) -> list[Shown]:
    """The first objects of what is recorded of media. Empty if the JSON itself says as much."""
    media, items = Media(source), items_of(told)
    shown = [media.shown(items.at(at)) for at in range(min(items.total, ROWS))]
    return shown if any(one.kind not in ("note", "table") for one in shown) else []


def _as_text(data: bytes, *, cut: bool) -> str | None:
    """Bytes as text; None if they aren't UTF-8. With `cut`, the last character may be incomplete."""
    if b"\0" in data:
        return None
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=not cut)
    except UnicodeDecodeError:
        return None


def image_type(head: bytes, path: str) -> str | None:
    """The media type of an image that browsers show; None for any other file."""
    for magic, kind in _IMAGES:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return "image/svg+xml" if path.lower().endswith(".svg") and b"<svg" in head[:4096] else None


def played_type(head: bytes, path: str) -> str | None:
    """The media type of a sound or video that browsers play; None for any other file."""
    kind = next((kind for magic, at, kind in _PLAYED if head.startswith(magic, at)), None)
    if kind == "audio/wav" and not head.startswith(b"RIFF"):
        return None
    if kind == "audio/ogg" and (path.lower().endswith(".ogv") or b"theora" in head[:HEAD]):
        return "video/ogg"
    return "audio/webm" if kind == "video/webm" and path.lower().endswith(".weba") else kind


# -- tables --


def _table(request: Request, source: Source, file: StoredFile) -> Grid:
    head, rows = read_table(file.open, f"'{printable(file.path)}'")
    grid = _grid(
        request,
        [str(name) for name in head.columns[:_COLUMNS]],
        ([in_order(cell) for cell in row[:_COLUMNS]] for row in rows),
    )
    return _with_media(grid, source)


def _group(request: Request, source: Source, file: StoredFile) -> Preview:
    """A joined or partitioned table, with links to its tables, and what can't be shown of them."""
    notes: list[str] = []
    group = read_group(source, file, notes)
    rows = _up_to(_GROUPED, ([in_order(cell) for cell in row[:_COLUMNS]] for row in group.rows), notes)
    grid = _with_media(_grid(request, group.columns[:_COLUMNS], rows), source)
    links = Markup(", ").join(_link(source, path) for path in group.paths[:_LINKS])
    if len(group.paths) > _LINKS:
        links += f" and {len(group.paths) - _LINKS:,} more"
    how = f"Joined by {group.key}" if group.key is not None else f"The tables in {group.folder}, one after the other"
    told = Markup("{}: {}.").format(printed(how), links) if links else Markup.escape(printed(how) + ".")
    if len(notes) > _LINKS:
        notes[_LINKS:] = [f"{len(notes) - _LINKS:,} more tables can't be shown."]
    return Preview("grid", grid, Markup(" ").join([told, *(printed(note) for note in notes)]))


def _link(source: Source, path: str) -> str:
    address = source.address_if_there("files", path)
    return printable(path) if address is None else Markup('<a href="{}">{}</a>').format(address, printable(path))


def _up_to(most: int, rows: Iterator[list[Any]], notes: list[str]) -> Iterator[list[Any]]:
    yield from islice(rows, most)
    if next(rows, None) is not None:
        notes.append(f"The first {most:,} rows are shown.")


def first_rows(source: Source, file: StoredFile, rows: int, columns: int) -> Grid:
    """The beginning of a table. Raises Damage if it isn't one."""
    head, all_rows = read_table(file.open, f"'{printable(file.path)}'")
    start = [[in_order(cell) for cell in row[:columns]] for row in islice(all_rows, rows)]
    return _with_media(
        Grid([str(name) for name in head.columns[:columns]], Rows(start, 0, False), None, False, 200), source
    )


def _with_media(grid: Grid, source: Source) -> Grid:
    """The rows of a page with pictures, players and bars instead of what is recorded of media."""
    media = Media(source)
    shown = [[_cell(cell, media) for cell in row] for row in grid.rows.shown]
    return grid._replace(rows=grid.rows._replace(shown=shown))


def _cell(cell: Any, media: Media) -> Any:
    if not isinstance(cell, dict | list) or not is_media(cell):
        return cell
    items = items_of(cell)
    shown = [media.shown(items.at(at)) for at in range(min(items.total, _IN_CELL))]
    return fragment("cell.html", objects=shown, more=items.total - len(shown))


def _csv(request: Request, file: BinaryIO, delimiter: str) -> Grid:
    rows = (row[:_COLUMNS] for row in _readable(csv.reader(_lines(file), delimiter=delimiter)))
    return _grid(request, next(rows, []), rows)


def _lines(file: BinaryIO) -> Iterator[str]:
    while line := file.readline(TEXT):
        if len(line) == TEXT and not line.endswith(b"\n"):
            raise csv.Error(f"a line of more than {TEXT >> 10} KiB")
        yield line.decode("utf-8", "replace")


def _readable(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        yield [f"(not readable as CSV from here on: {error})"]


def _grid(request: Request, columns: list[str], rows: Iterator[list[Any]]) -> Grid:
    """The rows of a page, sorted if the request asks for it.

    Sorted rows are selected in one pass over the table, so that a million rows need no memory.
    """
    text = text_in(request, "sort")
    if not text:
        return Grid(columns, page_of(request, rows), None, False, _CELL)
    sort, descending = number_in(request, "sort"), text_in(request, "order") == "down"
    start = number_in(request, "start")
    if sort >= len(columns):
        raise InvalidValue(f"there is no column {sort}")
    if start > _SORTED:
        raise InvalidValue(f"sorted rows are shown up to number {_SORTED:,}", hint="sort the other way round")
    pick: Callable[..., list[Any]] = heapq.nlargest if descending else heapq.nsmallest
    best = pick(start + ROWS + 1, rows, key=lambda row: _order_of(row[sort] if sort < len(row) else None))
    return Grid(columns, Rows(best[start : start + ROWS], start, len(best) > start + ROWS), sort, descending, _CELL)


def _order_of(cell: Any) -> tuple[int, Any]:
    """The sort key of a cell: empty cells first, then numbers, then text.

    Numbers in a CSV, which are text, count as numbers.
    """
    if cell is None or cell == "":
        return 0, 0
    try:
        number = float(cell)
        return (1, number) if number == number else (0, 1)
    except OverflowError:
        return 1, float("inf") if cell > 0 else float("-inf")
    except (TypeError, ValueError):
        return 2, str(cell)
