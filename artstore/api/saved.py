"""Saving files of a script to its run: now, and again when the run ends if they have changed."""

import glob as globs
import os
import stat
from collections.abc import Callable, Iterator

from artstore.api.files import PathLike
from artstore.backends.callers import warn_caller
from artstore.backends.storage import is_url
from artstore.domain.names import printable
from artstore.errors import ArtstoreError, InvalidValue
from artstore.store.runfiles import checked_parts

_POLICIES = ("live", "end", "now")
Stat = tuple[int, int, int]


class SavedFiles:
    """The files that a script saves to its run, and the folder whose files are saved when the run ends."""

    def __init__(self, add: Callable[[str, str], None]) -> None:
        """`add` stores a local file at a path of the run."""
        self._add = add
        self.folder: str | None = None
        """the run's own folder, once it was asked for"""
        self._later: dict[str, str] = {}
        """by their paths in the run, local files to save at the end"""
        self._stored: dict[str, tuple[str, Stat | None]] = {}
        """by their paths in the run, local files as they were when they were stored"""

    def save(self, given: PathLike, base_path: PathLike | None, policy: str, *, glob: bool) -> list[str]:
        """Save the files that a pattern names: see `Run.save`."""
        pattern = os.fsdecode(given)
        if policy not in _POLICIES:
            raise InvalidValue('Only "live", "end" and "now" policies are currently supported.')
        if is_url(pattern):
            warn_caller(f"{pattern} is a cloud storage url, can't save file to W&B.")
            return []
        whole = os.path.abspath(pattern)
        base = self._base(pattern, whole, base_path)
        found = sorted(globs.glob(whole)) if glob else [whole] if os.path.lexists(whole) else []
        files = [file for path in found for file in _files_at(path)]
        if not files:
            other = "; save(…, glob=False) takes the name as it is" if os.path.lexists(whole) else ""
            warn_caller(f"save() found no file '{printable(pattern)}'{other}")
        for file in files:
            name = os.path.relpath(file, base)
            checked_parts(name)
            if policy != "end":
                self._store(name, file)
            if policy != "now":
                self._later[name] = file
        return files

    def _base(self, pattern: str, whole: str, given: PathLike | None) -> str:
        """The folder to which the names of saved files are relative."""
        if given is not None:
            base = os.path.abspath(os.fspath(given))
        elif self.folder is not None and _is_below(whole, self.folder):
            base = self.folder
        elif os.path.isabs(pattern):
            base = os.path.dirname(os.path.dirname(whole))
        else:
            base = os.getcwd()
        if not _is_below(whole, base):
            raise InvalidValue(f"'{printable(pattern)}' is not below '{printable(base)}', the base path of save()")
        return base

    def _store(self, name: str, file: str) -> None:
        before = _stat_of(file)
        self._add(name, file)
        self._stored[name] = file, before

    def save_rest(self) -> None:
        """Save what waits for the end, and the files in the run's folder, except those that are stored as they are.

        A file that can't be saved is a warning: the others are saved, and the run ends.
        """
        waiting = dict(self._later)
        if self.folder is not None:
            waiting |= {os.path.relpath(file, self.folder): file for file in _files_at(self.folder)}
        for name, file in waiting.items():
            if self._stored.get(name) == (file, _stat_of(file)):
                continue
            try:
                self._store(name, file)
            except (OSError, ArtstoreError) as error:
                warn_caller(f"'{printable(file)}' wasn't saved with the run: {error}")


def _is_below(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def _files_at(path: str) -> Iterator[str]:
    """The file itself, or all files below a folder."""
    if not os.path.isdir(path):
        if _stat_of(path) is not None:
            yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        yield from (file for name in sorted(names) if _stat_of(file := os.path.join(folder, name)) is not None)


def _stat_of(path: str) -> Stat | None:
    """What shows whether a file has changed; None if there is no regular file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None
