"""Verifying a folder: its missing, changed and extra files, compared with a version by content."""

import os
from contextlib import closing
from typing import NamedTuple

from artstore.backends.files import closing_fd, kind_of
from artstore.backends.owner import left_by
from artstore.domain.digest import Digest
from artstore.domain.names import is_protected, printable
from artstore.domain.selection import EVERYTHING, Selection
from artstore.domain.tree import DIRECTORY, Entry, read_folder
from artstore.errors import NotFound, storage_error, translated
from artstore.operations.restoring.compare import AbsentFolder, ComparedFolder, Comparison
from artstore.progress import Monitor
from artstore.store.sides import Objects
from artstore.store.statcache import StatCache

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Verified(NamedTuple):
    """The differences between a folder and a version. Paths are sorted."""

    files: int
    """files of the version that were compared"""
    missing: list[str]
    changed: list[str]
    extra: list[str]

    @property
    def ok(self) -> bool:
        """Whether the folder has exactly the files of the version."""
        return not (self.missing or self.changed or self.extra)


class Verifier:
    """Compares one folder with a version.

    With a cache, a file is only read if its stat changed since it was last read. Without one, every file is hashed.
    Files that the folder's own ignore rules or the selection leave out of a save are not extra files.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        selection: Selection = EVERYTHING,
        cache: StatCache | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self._objects = objects
        self._selection = selection
        self._cache = cache
        self._comparison = Comparison(objects, selection=selection, cache=cache, monitor=monitor)
        self._files = 0
        self._missing: list[bytes] = []
        self._changed: list[bytes] = []
        self._extra: list[bytes] = []

    def run(self, tree: Digest, root: str) -> Verified:
        """Compare a folder with a tree. Raises NotFound if there is no such folder."""
        try:
            fd = os.open(root, _OPEN_FOLDER)
        except FileNotFoundError:
            hint = "`artstore get` puts the files of a version there"
            raise NotFound(f"there is no folder {printable(root)}", hint=hint) from None
        except NotADirectoryError:
            raise NotFound(f"{printable(root)} is a {kind_of(os.stat(root).st_mode)}, not a folder") from None
        except OSError as error:
            raise storage_error(error, f"open {printable(root)}") from error
        with closing_fd(fd), translated(f"read {printable(root)}"):
            self._compare(fd, tree)
        return self._result()

    def run_file(self, tree: Digest, path: str) -> Verified:
        """Compare one file with a version that holds one file, whatever the name of the file in the version."""
        entries = read_folder(tree, self._objects.read_tree)
        folder, name = os.path.split(path)
        with translated(f"open {printable(folder)}"):
            fd = os.open(folder, _OPEN_FOLDER)
        with closing_fd(fd), translated(f"read {printable(path)}"):
            record = self._cache.get(b"") if self._cache is not None else None
            for entry in entries:
                st = os.stat(name, dir_fd=fd)
                seen = (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_dev)
                known = record.known().get(name) if record is not None else None
                self._files += 1
                own = Entry((os.fsencode(name), *entry[1:]))
                if known != (seen, entry.kind, entry.digest) and not self._comparison.has_content(fd, own):
                    self._changed.append(entry.name)
        return self._result()

    def _result(self) -> Verified:
        paths = (self._missing, self._changed, self._extra)
        return Verified(self._files, *([os.fsdecode(path) for path in sorted(found)] for found in paths))

    def _compare(self, fd: int, tree: Digest) -> None:
        """Compare every folder of a tree with the open folder on disk, and note the differences."""
        with closing(self._comparison.folders(fd, tree)) as folders:
            for folder in folders:
                if isinstance(folder, AbsentFolder):
                    self._note_absent(folder)
                    continue
                self._note_extra(folder)
                for path, entry in folder.differing():
                    there = folder.has(entry.name)
                    (self._changed if there else self._missing).append(path)
                    self._files += there
                self._files += folder.files

    def _note_absent(self, folder: AbsentFolder) -> None:
        if folder.parent.has(folder.entry.name):
            self._changed.append(folder.path)
        elif self._selection.everything:
            self._missing.append(folder.path)
        else:
            self._missing += [path for path, entry in folder.selected() if entry.kind != DIRECTORY]

    def _note_extra(self, folder: ComparedFolder) -> None:
        names = (name for name in folder.extra() if not is_protected(name) and not left_by(os.fsdecode(name)))
        excludes = self._selection.chosen.excludes
        self._extra += [
            folder.path + name
            for name in names
            if not excludes(os.fsdecode(folder.path + name), folder.has_folder(name))
        ]
