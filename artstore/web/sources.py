"""The files that pages show: those of a version, or those of a run."""

import posixpath
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, BinaryIO, NamedTuple, Protocol
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request

from artstore.api.tables.grouped import paths_below
from artstore.domain.collection import Path
from artstore.domain.names import check_project
from artstore.domain.run import RunPath, RunState
from artstore.domain.tree import DIRECTORY, REFERENCE
from artstore.errors import InvalidValue, NoEntry
from artstore.operations.finding.lookup import Version
from artstore.repository import Repository
from artstore.web import markdown
from artstore.web.render import file_url, printed, repository_of, run_url, version_in


class StoredFile(NamedTuple):
    """A file whose bytes are stored here."""

    path: str
    size: int
    open: Callable[[], BinaryIO]


class Source(Protocol):
    """Where the files are that a page shows."""

    repository: Repository
    found: Version | None
    """the version, if they are a version's"""
    run: RunState | None
    """the run, if they are a run's"""
    opens: bool
    """whether who asks may open them, not only know that they are there"""
    gives: bool
    """whether who asks may download them"""

    def find(self, path: str) -> StoredFile | None:
        """The file at a path; None if there is none, or its bytes are not here, or the path isn't valid."""

    def below(self, folder: str) -> Iterator[str]:
        """The paths of all files in a folder and its folders. None if there is no such folder."""

    def address(self, page: str, path: str, **more: Any) -> str:
        """The address of a page of a file: `files`, `raw`, `image`, `play`, `html` or `mask`."""

    def address_if_there(self, page: str, path: str) -> str | None:
        """The address of a page of a file or folder; None if there is none."""


def _allowed(repository: Repository, path: Path | RunPath) -> tuple[bool, bool]:
    return repository.opens(path.entity, path.project), repository.gives(path.entity, path.project)


class VersionFiles:
    """The files of a version."""

    run: RunState | None = None

    def __init__(self, repository: Repository, found: Version) -> None:
        self.repository = repository
        self.found: Version | None = found
        self.opens, self.gives = _allowed(repository, found.state.path)
        self._found = found

    def find(self, path: str) -> StoredFile | None:
        """The file at a path. See `Source`."""
        try:
            entry = self.repository.find_entry(self._found, path)
        except (InvalidValue, UnicodeError):
            return None
        if entry is None or entry.kind in (DIRECTORY, REFERENCE):
            return None
        return StoredFile(path, entry.size, lambda: self.repository.open(entry))

    def below(self, folder: str) -> Iterator[str]:
        """The paths of all files in a folder. See `Source`."""
        return paths_below(self.repository, self._found, folder)

    def address(self, page: str, path: str, **more: Any) -> str:
        """The address of a page of a file."""
        return file_url(self._found, path, page, **more)

    def address_if_there(self, page: str, path: str) -> str | None:
        """The address of a page of a file or folder; None if there is none."""
        try:
            entry = self.repository.find_entry(self._found, path)
        except (InvalidValue, UnicodeError):
            return None
        closed = page != "files" and not self.opens
        if entry is None or closed or (page != "files" and entry.kind in (DIRECTORY, REFERENCE)):
            return None
        return self.address(page, path)


class RunFiles:
    """The files of a run, sealed or not."""

    found: Version | None = None

    def __init__(self, repository: Repository, run: RunState) -> None:
        self.repository = repository
        self.run: RunState | None = run
        self.opens, self.gives = _allowed(repository, run.path)
        self._run = run
        self.find = cache(self._find)

    def _find(self, path: str) -> StoredFile | None:
        repository, run = self.repository, self._run
        try:
            file = repository.run_file(run, path)
        except (InvalidValue, NoEntry, UnicodeError):
            return None
        return StoredFile(path, file.size, lambda: repository.open_run_file(run, path))

    def below(self, folder: str) -> Iterator[str]:
        """The paths of all files in a folder. See `Source`."""
        start = f"{folder.strip('/')}/"
        return (path for path in self.repository.run_files(self._run) if path.startswith(start))

    def address(self, page: str, path: str, **more: Any) -> str:
        """The address of a page of a file."""
        query = urlencode({"path": path.encode("utf-8", "surrogateescape"), **more})
        return f"{run_url(self._run.path, f'run-{page}')}?{query}"

    def address_if_there(self, page: str, path: str) -> str | None:
        """The address of a page of a file; None if there is none."""
        closed = page != "files" and not self.opens
        return None if closed or self.find(path) is None else self.address(page, path)


def run_in(request: Request) -> RunState:
    """The run in the address. Raises NotFound."""
    path = RunPath(*(check_project(request.path_params[part]) for part in RunPath._fields))
    return repository_of(request).runs.find(path)


def source_in(request: Request) -> Source:
    """The version or run in the address. Raises NotFound."""
    repository = repository_of(request)
    if "number" in request.path_params:
        return VersionFiles(repository, version_in(request))
    return RunFiles(repository, run_in(request))


def rendered_beside(text: str, source: Source, folder: str = "") -> Markup:
    """Markdown as HTML. Its relative images and links are those of the source, seen from one of its folders."""
    return Markup(markdown.rendered(printed(text), source.address_if_there, folder))


def folder_of(path: str) -> str:
    """The folder of a file."""
    return posixpath.dirname(path)
