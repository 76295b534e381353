"""A folder on disk compared with a version: missing, changed and extra files, by content."""

import os
import stat
from collections.abc import Set
from typing import NamedTuple

from artstore.backends.files import hash_file, kind_of, open_regular, read_rules
from artstore.backends.owner import left_by
from artstore.domain.digest import Digest
from artstore.domain.ignore import IGNORE_FILE, Rules, ignored
from artstore.domain.names import is_protected, printable
from artstore.domain.selection import EVERYTHING, Selection
from artstore.domain.tree import BLAKE3, DIRECTORY, EXECUTABLE, REFERENCE, Entry, check_depth, read_folder, walk
from artstore.errors import NotFound, storage_error
from artstore.progress import Monitor
from artstore.store.objects import ObjectStore
from artstore.store.statcache import Stat, StatCache, content_of, list_stats

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Verified(NamedTuple):
    """A folder against a version; paths in order."""

    files: int
    missing: list[str]
    changed: list[str]
    extra: list[str]

    @property
    def ok(self) -> bool:
        return not (self.missing or self.changed or self.extra)


class Verifier:
    """One comparison. Without a cache every file is hashed; with one, files are taken for what they were when they were
    last read, while their stats are as they were then.

    Files that the folder's own ignore rules leave out of a save are not extra.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        selection: Selection = EVERYTHING,
        cache: StatCache | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self._objects = objects
        self._selection = selection
        self._cache = cache
        self._monitor = monitor or Monitor()
        self._files = 0
        self._missing: list[bytes] = []
        self._changed: list[bytes] = []
        self._extra: list[bytes] = []

    def run(self, tree: Digest, root: str) -> Verified:
        try:
            fd = os.open(root, _OPEN_FOLDER)
        except FileNotFoundError:
            raise NotFound(
                f"there is no folder {printable(root)}", hint="`artstore get` puts the files of a version there"
            ) from None
        except NotADirectoryError:
            raise NotFound(f"{printable(root)} is a {kind_of(os.stat(root).st_mode)}, not a folder") from None
        except OSError as error:
            raise storage_error(error, f"open {printable(root)}") from error
        try:
            self._folder(fd, b"", tree, [])
        except OSError as error:
            raise storage_error(error, f"read {printable(root)}") from error
        finally:
            os.close(fd)
        return self._result()

    def run_file(self, tree: Digest, path: str) -> Verified:
        """As `run`, for a version of one file that was put from (or stands at) `path`."""
        entries = read_folder(tree, self._objects.read_tree)
        folder, name = os.path.split(path)
        try:
            fd = os.open(folder, _OPEN_FOLDER)
        except OSError as error:
            raise storage_error(error, f"open {printable(folder)}") from error
        try:
            record = self._cache.get(b"") if self._cache is not None else None
            for entry in entries:
                st = os.stat(name, dir_fd=fd)
                seen = (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_dev)
                known = record.known().get(name) if record is not None else None
                self._files += 1
                if known != (seen, entry[1], entry[3]) and not self._has_content(fd, (os.fsencode(name), *entry[1:])):
                    self._changed.append(entry[0])
        except OSError as error:
            raise storage_error(error, f"read {printable(path)}") from error
        finally:
            os.close(fd)
        return self._result()

    def _result(self) -> Verified:
        paths = (self._missing, self._changed, self._extra)
        return Verified(self._files, *([os.fsdecode(path) for path in sorted(found)] for found in paths))

    def _folder(self, fd: int, path: bytes, tree: Digest, rules: list[Rules]) -> None:
        check_depth(path)
        with os.scandir(fd) as listed:
            names = {os.fsencode(item.name) for item in listed}
        if IGNORE_FILE.encode() in names:
            rules = [*rules, read_rules(fd, path)]
        record = self._cache.get(path) if self._cache is not None else None
        seen = list_stats(fd) if record is not None else {}
        if record is not None and record.tree == tree and record.stats().items() <= seen.items():
            self._find_extra(fd, path, names, {os.fsencode(name) for name in record.stats()}, rules)
            self._files += len(record.stats()) - len(record.folders)
            for name, digest in record.folders:
                self._subfolder(fd, path, name, digest, rules)
            return
        entries = {entry[0]: entry for entry in read_folder(tree, self._objects.read_tree)}
        self._find_extra(fd, path, names, entries.keys(), rules)
        known = record.known() if record is not None else {}
        for name, entry in entries.items():
            self._entry(fd, path, entry, name in names, known.get(os.fsdecode(name)), seen, rules)

    def _entry(
        self,
        fd: int,
        path: bytes,
        entry: Entry,
        there: bool,
        known: tuple[Stat, int, Digest] | None,
        seen: dict[str, Stat],
        rules: list[Rules],
    ) -> None:
        name = entry[0]
        full = path + name
        if entry[1] == DIRECTORY:
            if not self._selection.reaches(full + b"/"):
                return
            if there:
                self._subfolder(fd, path, name, entry[3], rules)
            elif self._selection.everything:
                self._missing.append(full)
            else:
                below = walk(entry[3], self._objects.read_tree, full + b"/", self._selection.reaches)
                self._missing += [p for p, e in below if e[1] != DIRECTORY and self._selection.takes(p)]
        elif not self._selection.takes(full):
            return
        elif not there:
            self._missing.append(full)
        else:
            self._files += 1
            as_read = known is not None and known == (seen.get(os.fsdecode(name)), entry[1], content_of(entry))
            if not as_read and not self._has_content(fd, entry):
                self._changed.append(full)

    def _subfolder(self, fd: int, path: bytes, name: bytes, tree: Digest, rules: list[Rules]) -> None:
        try:
            child = os.open(name, _OPEN_FOLDER, dir_fd=fd)
        except OSError:
            self._changed.append(path + name)
            return
        try:
            self._folder(child, path + name + b"/", tree, rules)
        finally:
            os.close(child)

    def _find_extra(self, fd: int, path: bytes, names: set[bytes], known: Set[bytes], rules: list[Rules]) -> None:
        for name in names - known:
            if is_protected(name) or left_by(os.fsdecode(name)):
                continue
            if rules:
                folder = stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
                if ignored(rules, os.fsdecode(path + name), folder):
                    continue
            self._extra.append(path + name)

    def _has_content(self, fd: int, entry: Entry) -> bool:
        try:
            source = open_regular(entry[0], dir_fd=fd, follow=True)
        except OSError:
            return False  # a dangling link, a loop, something that is no file
        try:
            st = os.fstat(source)
            if entry[1] == REFERENCE:
                return self._has_referenced(source, st.st_size, entry)
            if st.st_size != entry[2] or bool(st.st_mode & 0o100) != (entry[1] == EXECUTABLE):
                return False
            return hash_file(source, lambda n: self._monitor.advance(0, n))[0] == Digest(entry[3])
        finally:
            os.close(source)

    def _has_referenced(self, source: int, size: int, entry: Entry) -> bool:
        """As far as it can be told here: by the digest if that is known, else by the size."""
        if entry[4] == BLAKE3:
            return bool(hash_file(source, lambda n: self._monitor.advance(0, n))[0].hex() == entry[5])
        return bool(entry[2] in (None, size))
