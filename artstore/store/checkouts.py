"""Notes of checkouts: which folders of this host were saved as, or restored from, which version."""

import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from artstore.backends.storage import FolderStorage
from artstore.domain.collection import Path
from artstore.domain.digest import is_hex, plain_digest
from artstore.domain.ignore import PathFilter
from artstore.domain.names import check_name, check_project
from artstore.domain.selection import Selection
from artstore.errors import StorageError
from artstore.store.settings import noted_path, path_noted

_FOLDER = "checkouts"
_LONGEST = 1 << 16
"""Most bytes of a note. A longer one isn't ours."""


class Noted(NamedTuple):
    """A folder (or file) on this host, and the version that it was last saved as or restored from."""

    folder: str
    """absolute path, of the file if a single one was put"""
    collection: Path
    id: str
    number: int
    name: str | None
    """the name of the version's only entry, if a single file was put"""
    selection: Selection


class Checkouts:
    """The notes of a repository: one small file for each folder, replaced whole, so the last writer wins."""

    def __init__(self, storage: FolderStorage) -> None:
        self._storage = storage

    def note(self, noted: Noted) -> None:
        """Write a note, unless it is there already. Best effort: a read-only repository keeps no notes."""
        chosen = noted.selection.chosen
        value = {
            "place": noted_path(self._storage.root, noted.folder), "collection": list(noted.collection),
            "id": noted.id, "number": noted.number, "name": noted.name,
            "prefix": noted.selection.prefix, "include": chosen.include, "exclude": chosen.exclude,
        }  # fmt: skip
        data = json.dumps(value, indent=1).encode() + b"\n"
        path = self._path(noted.folder)
        try:
            if self._read(path) != data:
                self._storage.replace(path, data)
                self._remove_absolute(noted.folder)
        except StorageError:
            pass

    def _path(self, folder: str) -> str:
        return _path_of(noted_path(self._storage.root, folder))

    def _remove_absolute(self, folder: str) -> None:
        """Remove the note that an artstore before 2026-11-29 left: it noted absolute paths in the project, too."""
        if _path_of(folder) != self._path(folder):
            self._storage.remove(_path_of(folder))

    def all(self) -> list[Noted]:
        """All notes, by folder, except those that can't be read or that others can have written.

        A note that others wrote could lead us into folders that they may not read themselves.
        """
        return sorted(self._all(), key=lambda noted: noted.folder)

    def _all(self) -> Iterator[Noted]:
        for name in self._storage.names(_FOLDER):
            try:
                yield _noted_of(json.loads(self._read(f"{_FOLDER}/{name}") or b""), self._storage.root)
            except (ValueError, KeyError, TypeError, RecursionError):
                continue

    def _read(self, path: str) -> bytes | None:
        """A note's bytes, or None if it is absent or others can have written it."""
        try:
            return self._storage.read(path, 0, _LONGEST, own=True)
        except (FileNotFoundError, StorageError):
            return None

    def forget(self, folder: str) -> None:
        """Remove the note of a folder. Best effort, like `note`."""
        try:
            self._storage.remove(self._path(folder))
            self._remove_absolute(folder)
        except StorageError:
            pass


def _path_of(noted: str) -> str:
    return f"{_FOLDER}/{plain_digest(os.fsencode(noted)).hex()[:32]}.json"


def _noted_of(value: dict[str, Any], root: str) -> Noted:
    """Decode a note. Raises ValueError, KeyError or TypeError for anything that `note` wouldn't have written."""
    texts = [value["place"], value["prefix"], *value["include"], *value["exclude"], *value["collection"]]
    name, id, number = value["name"], value["id"], value["number"]
    good = all(isinstance(text, str) for text in texts) and isinstance(name, str | None) and type(number) is int
    folder = path_noted(root, value["place"])
    if not (good and value["place"] in (folder, noted_path(root, folder)) and is_hex(id)):
        raise ValueError("not a note of ours")
    os.fsencode(folder)
    entity, project, collection = value["collection"]
    path = Path(check_project(entity, "entity"), check_project(project), check_name(collection))
    selection = Selection(value["prefix"], PathFilter(value["include"], value["exclude"]))
    return Noted(folder, path, id, number, name, selection)
