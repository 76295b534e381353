"""Pages of the files of versions and runs: folders, previews, and downloads."""

import os
import re
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from artstore.domain.names import printable
from artstore.domain.tree import DIRECTORY, REFERENCE
from artstore.errors import InvalidValue, NoEntry, NotFound
from artstore.operations.finding.lookup import Version
from artstore.store.runs import RunFile
from artstore.web.drawing import coloured_mask
from artstore.web.given import FileAnswer
from artstore.web.guard import FILES, FRAMED
from artstore.web.previews import HEAD, IMAGE, PAGE, Preview, image_type, played_type, preview
from artstore.web.ranges import part_asked
from artstore.web.render import flat, page, repository_of, text_in, version_in
from artstore.web.sources import RunFiles, Source, StoredFile, VersionFiles, run_in, source_in

_ENTRIES = 500
"""Files of a folder on one page."""
_PIECE = 1 << 20
_CLOSED = Preview("none", None)
"""Of a file that who asks may not open: the page says so."""


class Listed(NamedTuple):
    """A file or folder in a list."""

    name: str
    path: str
    size: int | None
    files: int | None
    """of a folder: the number of files below it"""
    reference: bool = False


def _path_in(request: Request) -> str:
    return text_in(request, "path").strip("/")


def _crumbs(path: str) -> list[tuple[str, str]]:
    """The folders above a path, and itself: path, name."""
    parts = path.split("/") if path else []
    return [("/".join(parts[: i + 1]), part) for i, part in enumerate(parts)]


def browse(request: Request) -> Response:
    """The page of a folder of a version, or of a file with its preview."""
    repository, found, path = repository_of(request), version_in(request), _path_in(request)
    source = VersionFiles(repository, found)
    entry = repository.entry(found, path) if path else found.root
    if entry.kind == DIRECTORY:
        start = os.fsencode(text_in(request, "from"))
        entries = repository.folder_page(found, path, entry.digest, start, _ENTRIES + 1)
        listed = [
            Listed(
                name := os.fsdecode(one[0]), f"{path}/{name}" if path else name, one[2],
                one[4] if one[1] == DIRECTORY else None, one[1] == REFERENCE,
            )
            for one in entries
        ]  # fmt: skip
        return _folder(request, source, path, listed, entry.files, entry.size)
    if not source.opens:
        return _shown(request, source, path, _CLOSED, entry.size, None, {}, reference=entry.kind == REFERENCE)
    keys = repository.lookup.extras(found).get(path, {})
    if entry.kind == REFERENCE:
        shown = Preview("none", None, "No preview for a reference: its content isn't stored here.")
        return _shown(request, source, path, shown, entry.size, entry.uri, keys, reference=True)
    shown = preview(request, source, StoredFile(path, entry.size, lambda: repository.open(entry)))
    return _shown(request, source, path, shown, entry.size, entry.digest.hex(), keys)


def browse_run(request: Request) -> Response:
    """The page of a folder of a run's files, or of a file with its preview."""
    repository, run, path = repository_of(request), run_in(request), _path_in(request)
    source = RunFiles(repository, run)
    if path and (file := source.find(path)) is not None:
        shown = preview(request, source, file) if source.opens else _CLOSED
        return _shown(request, source, path, shown, file.size, None, {})
    below = f"{path}/" if path else ""
    files = [file for file in repository.run_files(run).values() if file.path.startswith(below)]
    if path and not files:
        raise NoEntry(f"run {run.path} has no file '{printable(path)}'")
    start = text_in(request, "from")
    listed = list(islice((one for one in _folders(files, below) if one.name >= start), _ENTRIES + 1))
    return _folder(request, source, path, listed, len(files), sum(file.size for file in files))


def _folders(files: list[RunFile], below: str) -> list[Listed]:
    """The files and folders directly in a folder, of all files below it, by name."""
    found: dict[str, Listed] = {}
    for file in files:
        name, slash, _ = file.path[len(below) :].partition("/")
        if not slash:
            found[name] = Listed(name, file.path, file.size, None)
            continue
        size, number = (known.size or 0, known.files or 0) if (known := found.get(name)) else (0, 0)
        found[name] = Listed(name, below + name, size + file.size, number + 1)
    return sorted(found.values())


def _folder(request: Request, source: Source, path: str, listed: list[Listed], files: int, size: int) -> Response:
    following = listed[_ENTRIES].name if len(listed) > _ENTRIES else None
    return page(
        request, "folder.html", f"{_title(source)} {path}", source=source, path=path, crumbs=_crumbs(path), files=files,
        size=size, entries=listed[:_ENTRIES], start=text_in(request, "from"), following=following,
    )  # fmt: skip


def _shown(
    request: Request, source: Source, path: str, shown: Preview, size: int | None, digest: str | None,
    keys: dict[str, Any], *, reference: bool = False,
) -> Response:  # fmt: skip
    return page(
        request, "file.html", f"{_title(source)} {path}", source=source, path=path, crumbs=_crumbs(path), size=size,
        digest=digest, preview=shown, is_reference=reference, extra=list(flat(keys)),
    )  # fmt: skip


def _title(source: Source) -> str:
    return source.found.name if source.found is not None else f"Run {source.run.path if source.run else ''}"


# -- bytes --


def download(request: Request) -> Response:
    """A file's bytes, as a download that no browser shows."""
    file = _file(request)
    name = quote(printable(file.path.rpartition("/")[2]).replace("/", "_"), safe="")
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{name}",
        "content-security-policy": FILES,
        "content-length": str(file.size),
    }
    return FileAnswer(file.open(), file.size, _PIECE, media_type="application/octet-stream", headers=headers)


def image(request: Request) -> Response:
    """An image, of a type in which browsers run no code."""
    file = _file(request)
    opened = file.open()
    kind = image_type(opened.read(HEAD), file.path) if file.size <= IMAGE else None
    if kind is None:
        opened.close()
        raise NotFound(f"'{printable(file.path)}' is not an image that pages show")
    opened.seek(0)
    headers = {"content-security-policy": FILES, "content-length": str(file.size)}
    return FileAnswer(opened, file.size, _PIECE, media_type=kind, headers=headers)


def mask(request: Request) -> Response:
    """A mask of an image, with a colour for each class."""
    file = _file(request)
    data = _all_of(file, IMAGE)
    coloured = None if data is None else coloured_mask(data)
    if coloured is None:
        raise NotFound(f"'{printable(file.path)}' is not a mask that pages show")
    return Response(coloured, media_type="image/png", headers={"content-security-policy": FILES})


def play(request: Request) -> Response:
    """A sound or a video, or the part of it that a player asks for."""
    file = _file(request)
    with file.open() as opened:
        kind = played_type(opened.read(HEAD), file.path)
    if kind is None:
        raise NotFound(f"'{printable(file.path)}' is not a sound or video that pages play")
    part = part_asked(request, file.size)
    headers = part.headers | {"content-security-policy": FILES}
    if part.status == 416:
        return Response(status_code=416, headers=headers)
    opened = file.open()
    opened.seek(part.start)
    return FileAnswer(opened, part.length, _PIECE, status=part.status, media_type=kind, headers=headers)


def html(request: Request) -> Response:
    """A page that somebody stored, for a frame in which no script runs and that loads nothing."""
    file = _file(request)
    data = _all_of(file, PAGE)
    if data is None:
        raise NotFound(f"'{printable(file.path)}' is too large to be shown as a page")
    text = re.sub("<link", "<x-link", data.decode("utf-8", "replace"), flags=re.IGNORECASE)  # it may connect to hosts
    return Response(text, media_type="text/html", headers={"content-security-policy": FRAMED})


def _file(request: Request) -> StoredFile:
    """The file that a request names. Raises NotFound, and InvalidValue for a folder."""
    path = _path_in(request)
    source = source_in(request)
    file = source.find(path)
    if file is not None:
        return file
    if source.found is None:
        raise NoEntry(f"run {source.run.path if source.run else ''} has no file '{printable(path)}'")
    _refuse(source.found, source, path)
    raise NoEntry(f"{source.found.name} has no '{printable(path)}'")


def _refuse(found: Version, source: Source, path: str) -> None:
    """Say why a file of a version has no bytes here."""
    entry = source.repository.entry(found, path)
    if entry.kind == DIRECTORY:
        raise InvalidValue(f"'{printable(path)}' is a folder", hint="`artstore export` writes one as an archive")
    raise NotFound(f"'{printable(path)}' is a reference: its bytes stay where they are, and are not fetched for a page")


def _all_of(file: StoredFile, most: int) -> bytes | None:
    """The bytes of a file; None if it has more than `most`."""
    if file.size > most:
        return None
    with file.open() as opened:
        return opened.read(most)
