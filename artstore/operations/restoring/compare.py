"""Comparing a folder with a tree: which files are right, missing, changed or extra.

Restores, `verify` and `status` all use this comparison.
"""

import os
import stat
from collections.abc import Generator, Iterable, Sequence
from functools import cached_property, partial

from artstore.backends.files import closing_fd, has_download_rules, hash_file, open_regular, read_rules
from artstore.domain.digest import Digest
from artstore.domain.ignore import GIT_IGNORE_FILE, IGNORE_FILE, Rules, ignored
from artstore.domain.names import printable
from artstore.domain.selection import EVERYTHING, Selection
from artstore.domain.tree import BLAKE3, DIRECTORY, EXECUTABLE, REFERENCE, Entry, check_depth, read_folder, walk
from artstore.errors import StorageError, storage_error
from artstore.operations.restoring.options import Link
from artstore.progress import Monitor
from artstore.store.packs import LARGE
from artstore.store.sides import Objects
from artstore.store.statcache import UNKNOWN, Stat, StatCache, content_of, list_stats

Todo = list[tuple[bytes, Entry]]
"""(path, entry) of files and folders to write."""

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Comparison:
    """Compares a folder with a tree.

    With a cache, a file is only read if its stat changed since it was last read. Without one, every file is hashed.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        selection: Selection = EVERYTHING,
        cache: StatCache | None = None,
        link: Link | None = None,
        extra: bool = True,
        strict: bool = False,
        monitor: Monitor | None = None,
    ) -> None:
        """Prepare a comparison.

        Args:
            link: How a checkout puts large files there. Then a file is only right if the checkout could have left it
                there. Without `link`, a file is right if its content is: also through a symlink, and a reference whose
                digest is unknown if it has the right size.
            extra: Whether the caller wants to know extra files. If not, and without a cache, no folder is listed.
            strict: Whether ignore rules that can't be read are an error, since extra files will be removed. If not,
                there are none then.
        """
        self.read = objects.read_tree
        self.selection = selection
        self.cache = cache
        self._link = link
        self._extra = extra
        self.strict = strict
        self._monitor = monitor or Monitor()

    def folders(self, fd: int, tree: Digest) -> "Generator[ComparedFolder | AbsentFolder]":
        """Every folder of a tree, each before its subfolders.

        A folder's descriptor is open until the next folder is yielded. Files are read when `differing` is called.
        """
        return self._below(fd, b"", tree, None, None)

    def _below(
        self, fd: int, path: bytes, tree: Digest, expected: Entry | None, above: "ComparedFolder | None"
    ) -> "Generator[ComparedFolder | AbsentFolder]":
        """The folder that is open, then all folders below it."""
        check_depth(path)
        folder = ComparedFolder(self, fd, path, tree, expected, above)
        yield folder
        flags = _OPEN_FOLDER | (os.O_NOFOLLOW if self._link else 0)
        for name, digest, entry in folder.subfolders():
            below = path + name + b"/"
            if not self.selection.reaches(below):
                continue
            try:
                child = os.open(name, flags, dir_fd=fd)
            except OSError:
                yield AbsentFolder(self, folder, entry or Entry((name, DIRECTORY, 0, digest, 0)), entry)
                continue
            with closing_fd(child):
                yield from self._below(child, below, digest, entry, folder)

    def listing(self, fd: int) -> dict[str, Stat] | None:
        """The files and subfolders of an open folder, with stats. Without a cache, each file's stat is UNKNOWN.

        None if neither the cache nor the caller (`extra`) needs them.
        """
        if self.cache is not None:
            return list_stats(fd)
        if not self._extra:
            return None
        with os.scandir(fd) as listed:
            return {
                item.name: (stat.S_IFDIR, item.inode()) if item.is_dir(follow_symlinks=False) else UNKNOWN
                for item in listed
            }

    def has_content(self, fd: int, entry: Entry) -> bool:
        """Whether the file with an entry's name has the entry's content and mode."""
        try:
            source = open_regular(entry.name, dir_fd=fd, follow=self._follows(entry))
        except OSError:
            return False  # nothing, a dangling link, a loop, something that is not a file
        try:
            st = os.fstat(source)
            if entry.kind == REFERENCE:
                if entry.check == BLAKE3:
                    return bool(self._hash(source).hex() == entry.text)
                return bool(self._link is None and entry.size in (None, st.st_size))
            if st.st_size != entry.size or bool(st.st_mode & 0o100) != (entry.kind == EXECUTABLE):
                return False
            return self._hash(source) == entry.digest
        finally:
            os.close(source)

    def _follows(self, entry: Entry) -> bool:
        return self._link is None or (self._link == "symlink" and entry.kind != REFERENCE and entry.size >= LARGE)

    def _hash(self, source: int) -> Digest:
        digest, _ = hash_file(source, partial(self._monitor.advance, 0))
        self._monitor.advance(1)
        return digest


class ComparedFolder:
    """A folder that exists, compared with its tree."""

    def __init__(
        self,
        of: Comparison,
        fd: int,
        path: bytes,
        tree: Digest,
        expected: Entry | None,
        above: "ComparedFolder | None",
    ) -> None:
        """`path` is empty or ends in `/`."""
        self.fd, self.path, self.tree = fd, path, tree
        self._of = of
        self._above = above
        self._expected = expected
        self.listed = of.listing(fd)
        self._record = of.cache.get(path) if of.cache is not None else None
        self._noted = self._record.stats() if self._record is not None else {}
        is_noted = self._record is not None and self._record.tree == tree
        self.unchanged = is_noted and self.listed is not None and self._noted.items() <= self.listed.items()
        """whether the cache proves that all its files are right: then its tree isn't read"""
        self.files = len(self._noted) - len(self._record.folders) if self.unchanged and self._record is not None else 0
        """the number of files that are right, after `differing` was called"""
        self.right: dict[str, Stat] = {}
        """stats of the files that are right, and of subfolders, after `differing` was called; empty if it is unchanged"""

    @cached_property
    def entries(self) -> Sequence[Entry]:
        """The entries of its tree, read when they are first needed."""
        return read_folder(self.tree, self._of.read, self._expected)

    def subfolders(self) -> Iterable[tuple[bytes, Digest, Entry | None]]:
        """(name, tree, entry) of each subfolder of its tree. The entry is None if the folder is unchanged."""
        if self.unchanged and self._record is not None:
            return [(name, digest, None) for name, digest in self._record.folders]
        return [(entry.name, entry.digest, entry) for entry in self.entries if entry.kind == DIRECTORY]

    def differing(self) -> Todo:
        """Its files that are missing or changed, in the order of the tree. Reads each file whose stat is not
        as recorded.
        """
        if self.unchanged:
            return []
        known = self._record.known() if self._record is not None else {}
        takes = None if self._of.selection.everything else self._of.selection.takes
        there = self.listed or {}
        wrong = []
        for entry in self.entries:
            name = os.fsdecode(entry.name)
            st = there.get(name)
            if entry.kind == DIRECTORY:
                if st is not None and len(st) == 2:
                    self.right[name] = st
            elif takes is not None and not takes(self.path + entry.name):
                continue
            elif self.listed is not None and st is None:
                wrong.append((self.path + entry.name, entry))
            elif (st is not None and known.get(name) == (st, entry.kind, content_of(entry))) or self._of.has_content(
                self.fd, entry
            ):
                self.right[name] = st or UNKNOWN
                self.files += 1
            else:
                wrong.append((self.path + entry.name, entry))
        return wrong

    @cached_property
    def rules(self) -> list[Rules]:
        """The ignore rules in this folder and those above it, as they are on disk."""
        above = self._above.rules if self._above is not None else []
        own = rules_in(self.fd, self.path, strict=self._of.strict) if IGNORE_FILE in (self.listed or ()) else []
        return [*above, *own]

    @cached_property
    def is_ignored(self) -> bool:
        """Whether the rules ignore the folder or one above it. A save would look at nothing in it then."""
        above = self._above
        return above is not None and (above.is_ignored or ignored(above.rules, os.fsdecode(self.path[:-1]), True))

    def extra(self) -> list[bytes]:
        """The names of files and subfolders that are not in the tree, sorted, but for those that a save leaves out."""
        if self.unchanged and len(self._noted) == len(self.listed or ()):
            return []
        own = self._noted.keys() if self.unchanged else {os.fsdecode(entry.name) for entry in self.entries}
        names = sorted(os.fsencode(name) for name in (self.listed or {}).keys() - own)
        if not names or self.is_ignored:
            return []
        if GIT_IGNORE_FILE.encode() in names and has_download_rules(self.fd):
            names.remove(GIT_IGNORE_FILE.encode())
        return [name for name in names if not ignored(self.rules, os.fsdecode(self.path + name), self.has_folder(name))]

    def has(self, name: bytes) -> bool:
        """Whether the listing has this name."""
        return os.fsdecode(name) in (self.listed or {})

    def has_folder(self, name: bytes) -> bool:
        """Whether the listing has a folder of this name. A symlink to a folder is not one."""
        return len((self.listed or {}).get(os.fsdecode(name), ())) == 2


def rules_in(fd: int, path: bytes, *, strict: bool) -> list[Rules]:
    """The ignore rules in an open folder that has a file of them. If it can't be read: none, or StorageError."""
    try:
        return [read_rules(fd, path)]
    except OSError as error:
        if not strict:
            return []
        what = str(storage_error(error, f"read {printable(path + IGNORE_FILE.encode())}"))
        raise StorageError(what, hint="mend it or move it away: it says which files stay") from error


class AbsentFolder:
    """A folder of the tree that can't be opened on disk: it is missing, or something else has its name."""

    def __init__(self, of: Comparison, parent: ComparedFolder, entry: Entry, expected: Entry | None) -> None:
        self._of = of
        self._expected = expected
        self.entry = entry
        self.parent = parent
        self.path = parent.path + entry.name

    def selected(self) -> Todo:
        """The selected entries among the folder itself and everything below it in the tree."""
        selection = self._of.selection
        below = walk(self.entry.digest, self._of.read, self.path + b"/", selection.reaches, self._expected)
        return [item for item in [(self.path, self.entry), *below] if selection.takes_entry(*item)]
