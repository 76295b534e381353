"""Pages of a version's files: folders, previews, and downloads."""

import codecs
import csv
import heapq
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from artstore.api.tables.columns import in_order
from artstore.api.tables.file import ENDING, read_table
from artstore.domain.names import printable
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry, folder_page
from artstore.errors import Damage, InvalidValue, NotFound
from artstore.operations.finding.lookup import Version
from artstore.repository import Repository
from artstore.web.guard import FILES
from artstore.web.render import (
    ROWS,
    Rows,
    as_json,
    number_in,
    page,
    page_of,
    rendered_beside,
    repository_of,
    text_in,
    version_in,
)

_ENTRIES = 500
"""Files of a folder on one page."""
_TEXT = 256 << 10
"""Bytes of a text that are shown."""
_JSON = 2 << 20
"""The most bytes of a JSON file that is formatted; longer ones are shown as they are."""
_IMAGE = 64 << 20
"""The most bytes of an image that is shown."""
_COLUMNS = 200
"""Columns of a table that are shown."""
_CELL = 1000
"""Characters of a cell that are shown."""
_SORTED = 100_000
"""The last row up to which a table can be sorted: these rows are in memory."""
_PIECE = 1 << 20
_IMAGES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"), (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)  # fmt: skip


class Grid(NamedTuple):
    """A table on a page: the names of its columns, and the rows of that page."""

    columns: list[str]
    rows: Rows
    sort: int | None
    """the column by which they are sorted, from 0"""
    descending: bool
    widest: int
    """how many characters of a cell are shown"""


def browse(request: Request) -> Response:
    """The page of a folder of a version, or of a file with its preview."""
    repository, found, path = repository_of(request), version_in(request), text_in(request, "path").strip("/")
    parts = path.split("/") if path else []
    crumbs = [("/".join(parts[: i + 1]), part) for i, part in enumerate(parts)]
    entry = repository.entry(found, path) if path else found.root
    if entry.kind == DIRECTORY:
        start = os.fsencode(text_in(request, "from"))
        entries = folder_page(entry.digest, repository.objects.read_tree, start, _ENTRIES + 1)
        following = entries[_ENTRIES][0] if len(entries) > _ENTRIES else None
        return page(
            request, "folder.html", f"{found.name} {path}", found=found, path=path, crumbs=crumbs, folder=entry,
            entries=entries[:_ENTRIES], start=start, following=following, DIRECTORY=DIRECTORY, REFERENCE=REFERENCE,
        )  # fmt: skip
    return page(
        request, "file.html", f"{found.name} {path}", found=found, path=path, crumbs=crumbs, entry=entry,
        preview=_preview(request, repository, found, entry, path), is_reference=entry.kind == REFERENCE,
    )  # fmt: skip


class Preview(NamedTuple):
    """The preview of a file."""

    kind: str
    """grid, image, markdown, text, or none"""
    content: Any
    note: str | None = None


def _preview(request: Request, repository: Repository, found: Version, entry: Entry, path: str) -> Preview:
    if entry.kind == REFERENCE:
        return Preview("none", None, "No preview for a reference: its content isn't stored here.")
    if path.endswith(ENDING):
        try:
            return Preview("grid", _table(request, repository, entry, path))
        except Damage:
            pass  # only its name is a table's
    with repository.open(entry) as file:
        head = file.read(_TEXT)
        if _image_type(head, path) is not None and entry.size <= _IMAGE:
            return Preview("image", None)
        text = _as_text(head, cut=entry.size > _TEXT)
        if text is None:
            return Preview("none", None, "No preview for this type of file.")
        if path.endswith((".csv", ".tsv")):
            file.seek(0)
            return Preview("grid", _csv(request, file, "\t" if path.endswith(".tsv") else ","))
        if path.endswith(".json") and entry.size <= _JSON:
            try:
                return Preview("text", as_json(json.loads(head + file.read())))
            except (ValueError, RecursionError):
                pass  # only its name is that of a JSON file
        note = f"the first {_TEXT >> 10} KiB" if entry.size > _TEXT else None
        if path.endswith((".md", ".markdown")) and note is None:
            return Preview("markdown", rendered_beside(request, text, found, path.rpartition("/")[0]))
        return Preview("text", text, note)


def _as_text(data: bytes, *, cut: bool) -> str | None:
    """Bytes as text; None if they aren't UTF-8. With `cut`, the last character may be incomplete."""
    if b"\0" in data:
        return None
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=not cut)
    except UnicodeDecodeError:
        return None


def _image_type(head: bytes, path: str) -> str | None:
    """The media type of an image that browsers show; None for any other file."""
    for magic, kind in _IMAGES:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return "image/svg+xml" if path.lower().endswith(".svg") and b"<svg" in head[:4096] else None


# -- tables --


def _table(request: Request, repository: Repository, entry: Entry, path: str) -> Grid:
    head, rows = read_table(lambda: repository.open(entry), f"'{printable(path)}'")
    return _grid(
        request,
        [str(name) for name in head.columns[:_COLUMNS]],
        ([in_order(cell) for cell in row[:_COLUMNS]] for row in rows),
    )


def _csv(request: Request, file: BinaryIO, delimiter: str) -> Grid:
    rows = (row[:_COLUMNS] for row in _readable(csv.reader(_lines(file), delimiter=delimiter)))
    return _grid(request, next(rows, []), rows)


def _lines(file: BinaryIO) -> Iterator[str]:
    while line := file.readline(_TEXT):
        if len(line) == _TEXT and not line.endswith(b"\n"):
            raise csv.Error(f"a line of more than {_TEXT >> 10} KiB")
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


# -- bytes --


def download(request: Request) -> Response:
    """A file's bytes, as a download that no browser shows."""
    repository, entry, name = _file(request)
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(printable(name).replace('/', '_'), safe='')}",
        "content-security-policy": FILES,
        "content-length": str(entry.size),
    }
    return StreamingResponse(_pieces(repository.open(entry)), media_type="application/octet-stream", headers=headers)


def image(request: Request) -> Response:
    """An image, of a type in which browsers run no code."""
    repository, entry, name = _file(request)
    if entry.size > _IMAGE:
        raise NotFound(f"'{printable(name)}' is not an image that pages show")
    with repository.open(entry) as file:
        data = file.read()
    kind = _image_type(data, name)
    if kind is None:
        raise NotFound(f"'{printable(name)}' is not an image that pages show")
    return Response(data, media_type=kind, headers={"content-security-policy": FILES})


def _file(request: Request) -> tuple[Repository, Entry, str]:
    repository, path = repository_of(request), text_in(request, "path").strip("/")
    entry = repository.entry(version_in(request), path)
    if entry.kind == DIRECTORY:
        raise InvalidValue(f"'{printable(path)}' is a folder", hint="`artstore export` writes one as an archive")
    if entry.kind == REFERENCE:
        raise NotFound(
            f"'{printable(path)}' is a reference: its bytes stay where they are, and are not fetched for a page"
        )
    return repository, entry, path.rpartition("/")[2]


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
