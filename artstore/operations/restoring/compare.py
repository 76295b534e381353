"""A folder on disk beside the tree that belongs there: which files are right, missing, changed or extra. Restores, `verify`
and `status` all read this one comparison.
"""

import os
import stat
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import cached_property

from artstore.backends.files import hash_file, open_regular
from artstore.domain.digest import Digest
from artstore.domain.selection import EVERYTHING, Selection
from artstore.domain.tree import BLAKE3, DIRECTORY, EXECUTABLE, REFERENCE, Entry, check_depth, read_folder, walk
from artstore.operations.restoring.options import Link
from artstore.store.objects import ObjectStore
from artstore.store.packs import LARGE
from artstore.store.statcache import UNKNOWN, Stat, StatCache, content_of, list_stats

Todo = list[tuple[bytes, Entry]]
"""Paths and entries that are to be written."""

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Comparison:
    """One comparison. With a cache, files are taken for what they were when they were last read, while their stats are as
    they were then; without one, every file is hashed.

    `link` is how a checkout puts large files there: then only what it would leave there itself is right. Without it,
    whatever reads the same is: what is reached through a symlink, and a reference of unknown digest by its size.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        selection: Selection = EVERYTHING,
        cache: StatCache | None = None,
        link: Link | None = None,
        extra: bool = True,
        advance: Callable[[int], None] = lambda n: None,
    ) -> None:
        """`extra` says whether extra files are asked for: if not, and without a cache, no folder is listed."""
        self.read = objects.read_tree
        self.selection = selection
        self.cache = cache
        self._link = link
        self._extra = extra
        self._advance = advance

    def folders(self, fd: int, tree: Digest) -> "Generator[ComparedFolder | AbsentFolder]":
        """Every folder of a tree, each before those in it. A folder's descriptor is open until the next one is asked for;
        its files are read when `differing` is called.
        """
        return self._below(fd, b"", tree, None)

    def _below(
        self, fd: int, path: bytes, tree: Digest, expected: Entry | None
    ) -> "Generator[ComparedFolder | AbsentFolder]":
        check_depth(path)
        folder = ComparedFolder(self, fd, path, tree, expected)
        yield folder
        flags = _OPEN_FOLDER | (os.O_NOFOLLOW if self._link else 0)
        for name, digest, entry in folder.subfolders():
            below = path + name + b"/"
            if not self.selection.reaches(below):
                continue
            try:
                child = os.open(name, flags, dir_fd=fd)
            except OSError:
                yield AbsentFolder(self, folder, entry or (name, DIRECTORY, 0, digest, 0), entry)
                continue
            try:
                yield from self._below(child, below, digest, entry)
            finally:
                os.close(child)

    def listing(self, fd: int) -> dict[str, Stat] | None:
        """What an open folder holds; None when nobody asked. Without a cache the stat of a file is UNKNOWN."""
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
        """Whether the file of an entry's name has its content and mode."""
        try:
            source = open_regular(entry[0], dir_fd=fd, follow=self._follows(entry))
        except OSError:
            return False  # nothing, a dangling link, a loop, something that is not a file
        try:
            st = os.fstat(source)
            if entry[1] == REFERENCE:
                if entry[4] == BLAKE3:
                    return bool(self._hash(source).hex() == entry[5])
                return bool(self._link is None and entry[2] in (None, st.st_size))
            if st.st_size != entry[2] or bool(st.st_mode & 0o100) != (entry[1] == EXECUTABLE):
                return False
            return self._hash(source) == Digest(entry[3])
        finally:
            os.close(source)

    def _follows(self, entry: Entry) -> bool:
        return self._link is None or (self._link == "symlink" and entry[1] != REFERENCE and entry[2] >= LARGE)

    def _hash(self, source: int) -> Digest:
        return hash_file(source, self._advance)[0]


class ComparedFolder:
    """A folder that is there."""

    def __init__(self, of: Comparison, fd: int, path: bytes, tree: Digest, expected: Entry | None) -> None:
        """`path` is empty or ends in `/`."""
        self.fd, self.path, self.tree = fd, path, tree
        self._of = of
        self._expected = expected
        self.listed = of.listing(fd)
        self._record = of.cache.get(path) if of.cache is not None else None
        self._noted = self._record.stats() if self._record is not None else {}
        self.unchanged = (
            self._record is not None
            and self.listed is not None
            and self._record.tree == tree
            and self._noted.items() <= self.listed.items()
        )
        """whether all is as it was recorded: then its tree isn't even read"""
        self.files = len(self._noted) - len(self._record.folders) if self.unchanged and self._record is not None else 0
        """in it and right, once `differing` was called"""
        self.right: dict[str, Stat] = {}
        """their stats, and those of its folders; of one that isn't unchanged"""

    @cached_property
    def entries(self) -> Sequence[Entry]:
        return read_folder(self.tree, self._of.read, self._expected)

    def subfolders(self) -> Iterable[tuple[bytes, Digest, Entry | None]]:
        """(name, tree, entry) of the folders in it; no entry where it is unchanged."""
        if self.unchanged and self._record is not None:
            return [(name, digest, None) for name, digest in self._record.folders]
        return [(entry[0], entry[3], entry) for entry in self.entries if entry[1] == DIRECTORY]

    def differing(self) -> Todo:
        """Its files that are missing or changed, in the tree's order. Reads those whose stats are not as recorded."""
        if self.unchanged:
            return []
        known = self._record.known() if self._record is not None else {}
        takes = None if self._of.selection.everything else self._of.selection.takes
        there = self.listed or {}
        wrong = []
        for entry in self.entries:
            name = os.fsdecode(entry[0])
            st = there.get(name)
            if entry[1] == DIRECTORY:
                if st is not None and len(st) == 2:
                    self.right[name] = st
            elif takes is not None and not takes(self.path + entry[0]):
                continue
            elif self.listed is not None and st is None:
                wrong.append((self.path + entry[0], entry))
            elif (st is not None and known.get(name) == (st, entry[1], content_of(entry))) or self._of.has_content(
                self.fd, entry
            ):
                self.right[name] = st or UNKNOWN
                self.files += 1
            else:
                wrong.append((self.path + entry[0], entry))
        return wrong

    def extra(self) -> list[bytes]:
        """Names of what is in it and not in the tree, in order."""
        own = self._noted.keys() if self.unchanged else {os.fsdecode(entry[0]) for entry in self.entries}
        return sorted(os.fsencode(name) for name in (self.listed or {}).keys() - own)

    def has(self, name: bytes) -> bool:
        """Whether anything has that name, as far as the folder was listed."""
        return os.fsdecode(name) in (self.listed or {})

    def has_folder(self, name: bytes) -> bool:
        """Whether a folder has that name, no symlink."""
        return len((self.listed or {}).get(os.fsdecode(name), ())) == 2


class AbsentFolder:
    """A folder of the tree that can't be opened where it belongs: it is missing, or something else is there."""

    def __init__(self, of: Comparison, parent: ComparedFolder, entry: Entry, expected: Entry | None) -> None:
        self._of = of
        self._expected = expected
        self.entry = entry
        self.parent = parent
        self.path = parent.path + entry[0]

    def selected(self) -> Todo:
        """The folder itself and all that is below it in the tree, as far as it is selected."""
        selection = self._of.selection
        below = walk(self.entry[3], self._of.read, self.path + b"/", selection.reaches, self._expected)
        return [item for item in [(self.path, self.entry), *below] if selection.takes_entry(*item)]
