"""Files of a recorded run: what `Api().run(…).files()` lists."""

import base64
import mimetypes
import os
import re
from datetime import UTC, datetime
from functools import cached_property
from hashlib import md5
from typing import Any, TextIO

from artstore.api.files import PathLike
from artstore.api.handles import opened, url_in
from artstore.api.listing import Listing
from artstore.domain.names import as_project, check_project
from artstore.domain.run import RunPath, RunState
from artstore.domain.wording import human
from artstore.errors import Conflict, InvalidValue, NoEntry
from artstore.store.runs import RunFile


class File:
    """One file of a run."""

    def __init__(self, root: str, state: RunState, found: RunFile) -> None:
        self._root, self._state, self._found = root, state, found

    @property
    def name(self) -> str:
        """The path in the run, such as `media/images/a.png`."""
        return self._found.path

    id = name

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self._found.size

    sizeBytes = size  # W&B's name

    @property
    def mimetype(self) -> str:
        """The type of its content, by its name."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    @property
    def url(self) -> str:
        """A URL of the file. A browser can open it only until the file is sealed."""
        return url_in(self._root, f"{self._state.path.folder}/files/{self.name}")

    direct_url = path_uri = url

    @property
    def updated_at(self) -> str:
        """When it was written; of a sealed file, when the run last recorded anything: ISO 8601, UTC."""
        if (staged := self._found.staged) is not None and os.path.exists(staged):
            return datetime.fromtimestamp(os.path.getmtime(staged), UTC).isoformat()
        return self._state.seen

    @cached_property
    def md5(self) -> str:
        """The MD5 digest of the content in base64, as W&B shows it. Cost: the file is read."""
        with opened(self._root).open_run_file(self._state, self.name) as file:
            digest = md5(usedforsecurity=False)
            for piece in iter(lambda: file.read(1 << 20), b""):
                digest.update(piece)
        return base64.b64encode(digest.digest()).decode()

    def download(self, root: PathLike = ".", replace: bool = False, exist_ok: bool = False, api: Any = None) -> TextIO:
        """Restore the file to its path below a folder, checked.

        Args:
            root: The folder.
            replace: Replace a file that is there.
            exist_ok: Keep and open a file that is there.
            api: Accepted as in W&B; it changes nothing.

        Returns:
            The file, opened as text.

        Raises:
            Conflict: If a file is there, and neither is allowed (also a ValueError).

        Example:
            >>> run = wandb.Api().run("digits/train-1")
            >>> with run.file("notes.txt").download("restored") as file:
            ...     file.read()
            'trained on a laptop'
        """
        path = os.path.join(os.fspath(root), self.name)
        if not os.path.lexists(path) or replace:
            repository = opened(self._root)
            path = repository.get_run_file(self._state, self.name, os.fspath(root))
        elif not exist_ok:
            raise Conflict(f"File already exists: {path}", hint="replace=True replaces it, exist_ok=True keeps it")
        return open(path)

    def delete(self) -> None:
        """Delete the file from the run. `gc` frees its space when no other run or version has its content."""
        opened(self._root).delete_run_file(self._state, self.name)

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.mimetype}) {human(self.size)}>"


class Files(Listing[File]):
    """Files of a run, in the order of their paths."""

    def __init__(self, root: str, state: RunState, names: list[str] | None, pattern: str | None) -> None:
        """List the files with these names, or those whose paths match a pattern of SQL's LIKE; else all."""
        if names and pattern:
            raise InvalidValue("files() takes names or a pattern, not both")
        found = opened(root).run_files(state) if root else {}
        wanted = None if pattern is None else _like(pattern)
        chosen = [
            file
            for path, file in found.items()
            if (not names or path in names) and (not wanted or wanted.fullmatch(path))
        ]
        super().__init__(chosen, lambda file: File(root, state, file))


def _like(pattern: str) -> re.Pattern[str]:
    """A pattern of SQL's LIKE, in which `%` is any text and `_` any character, as a regular expression."""
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(one, re.escape(one)) for one in pattern), re.DOTALL | re.IGNORECASE)


def named_run(text: str, home: tuple[str, ...]) -> RunPath:
    """The run that `[[entity/]project/]id` means, where `home` is the default entity and project."""
    parts = text.strip("/").split("/")
    if parts[-2:-1] == ["runs"]:
        del parts[-2]  # which is part of the addresses of W&B's pages
    if len(parts) > 3:
        raise InvalidValue(f"'{text}' is not a run's [[entity/]project/]id")
    entity, project = [*home[: 3 - len(parts)], *parts[:-1]]
    return RunPath(check_project(entity, "entity"), as_project(project), check_project(parts[-1], "run id"))


def restored(root: str, path: RunPath, name: str, folder: str, *, replace: bool) -> TextIO | None:
    """A run's file in a folder, opened as text. One that is there is kept, unless `replace`. None if there is none."""
    there = os.path.join(folder, name)
    if os.path.exists(there) and not replace:
        return open(there)
    repository = opened(root)
    try:
        return open(repository.get_run_file(repository.runs.find(path), name, folder))
    except NoEntry:
        return None
