"""Walking a folder into a transaction: by folder descriptors, nothing skipped silently."""

import os
import stat
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from artstore.backends.files import check_below, closing_fd, kind_of
from artstore.domain import tree as trees
from artstore.domain.codec import encode_rows
from artstore.domain.digest import BLOB, TREE, Digest
from artstore.domain.ignore import NO_FILTER, PathFilter, Rules
from artstore.domain.names import MAX_DEPTH, printable
from artstore.domain.tree import DIRECTORY, EXECUTABLE, PART, Folder, Row, read_folder
from artstore.errors import ArtstoreError, SourceError
from artstore.operations.saving.ahead import expected_below
from artstore.operations.saving.listing import Lister, Listing, OpenFolder, stat_of
from artstore.operations.saving.problems import VANISHED, Problems, reason_of, source_error
from artstore.operations.saving.reading import FileReader
from artstore.progress import Monitor
from artstore.store import statcache
from artstore.store.packs import LARGE
from artstore.store.settings import server_root
from artstore.store.statcache import UNKNOWN, Record, RecordPart, Stat, StatCache, Trust, signature, trust
from artstore.store.transaction import Transaction

_WALKS = 8
"""A folder in which files vanish is walked this often, before they are missed."""

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

Edits = dict[bytes, Row | None]
"""The differences between a folder and its tree of the last save: by name, the new entry, or None if it is gone."""

Bases = Callable[[bytes], Digest | None]
"""The trees of a folder's subfolders in the base version, by name."""


class Scanned(NamedTuple):
    """The result of a walk."""

    folder: Folder
    left_out: list[str]
    """protected folders (.git, .artifacts) that were not saved"""
    relied_on_base: bool
    """whether trees of the base version were used without looking up each object below them"""


class _Comparison(NamedTuple):
    """The differences between a folder's listing and the stat cache's record of it."""

    record: Record | None
    """None if the folder was never saved"""
    is_same: bool
    """whether nothing in it was added, changed or removed since; subfolders aren't looked into"""
    is_base: bool
    """whether the record's tree is that of the base version: then all objects below it are known to be stored"""
    fresh: dict[str, Stat]
    """stats of files that are new or changed, and of new subfolders"""
    gone: set[bytes]
    """names of files that the record has and the folder hasn't any more"""
    folders: dict[bytes, Digest]
    """trees of the subfolders at the last save"""


class Scanner:
    """Walks one folder, and adds its files and trees to a transaction.

    All problems are raised together at the end, in one SourceError. Objects that were added by then stay unused.
    """

    def __init__(
        self,
        transaction: Transaction,
        cache: StatCache | None = None,
        *,
        base: Digest | None = None,
        chosen: PathFilter | None = None,
        monitor: Monitor,
        depth: int = 0,
        inside: str | None = None,
    ) -> None:
        """Prepare a walk.

        Args:
            base: Root tree of a live version. If a folder still has its tree in that version, all its objects
                are stored.
            depth: Number of folders above the walk's root in the draft.
            inside: A folder that no link may lead out of. Its path has no link.
        """
        self._tx = transaction
        self._cache = cache
        self._base = base
        self._filter = chosen or NO_FILTER
        self._monitor = monitor
        self._most_levels = MAX_DEPTH - 1 - depth
        self._relied_on_base = False
        self._inside = inside
        self._root = ""
        self._listed: dict[bytes, set[bytes]] = {}
        """names in the folders in which something vanished during this walk"""
        self._before: dict[bytes, set[bytes]] = {}
        """the same of the walk before"""
        self._missed: list[bytes] = []
        self._problems = Problems()
        self._reader = FileReader(transaction, self._problems, monitor, inside=inside)
        store = os.stat(transaction.storage.root)
        self._store = store.st_dev, store.st_ino
        own = {self._store} | _folder_at(server_root(transaction.storage.root))
        self._lister = Lister(own, self._filter, self._problems)

    def run(self, root: str) -> Scanned:
        """Walk a folder. Afterwards all its objects are in the transaction or in the store."""
        self._root = root
        store = os.path.realpath(self._tx.storage.root)
        if (os.path.realpath(root) + os.sep).startswith(store + os.sep):
            problems = [(root, "is in the repository")]
            raise SourceError(f"{printable(root)} is in the repository itself", problems=problems)
        if not self._filter:
            self._monitor.expect_later(lambda since: expected_below(root, self._monitor.items, since))
        for _ in range(_WALKS - 1):
            folder = self._walk(root)
            if self._problems or not self._missed:
                break
            self._begin_again()
        else:
            folder = self._walk(root)
        for path in self._missed:
            self._problems.miss(path)
        if self._problems:
            raise self._problems.error(root)
        return Scanned(folder, self._lister.left_out, self._relied_on_base)

    def _walk(self, root: str) -> Folder:
        try:
            with closing_fd(_open_for(root, root, self._inside)) as fd:
                here = OpenFolder.of(fd, b"")
                return self._folder(here, [], {here.identity}, self._base)
        finally:
            self._reader.close()

    def _begin_again(self) -> None:
        """Prepare another walk, because something vanished: it may have moved to where the walk had been before."""
        self._before, self._listed, self._missed = self._listed, {}, []
        self._monitor.expect()
        self._lister.left_out.clear()
        if self._cache is not None:
            self._cache.begin_again()

    def _drop_vanished(self, path: bytes, listing: Listing) -> set[bytes]:
        """Leave out what was listed in a folder and then was gone. Returns the names.

        It is missed if it was there in the walk before. If not, it came and went since, as temporary files do.
        """
        gone = self._problems.take_vanished(path)
        if gone:
            self._listed[path] = gone | set(map(os.fsencode, listing.seen))
            self._missed += [path + name for name in sorted(gone & self._before.get(path, gone))]
            for name in gone:
                listing.drop(os.fsdecode(name))
        return gone

    def one_file(self, folder: str, name: str) -> Row:
        """Add a single file. Symlinks are followed. The cache, if any, is that of the file."""
        path = os.path.join(folder, name)
        with closing_fd(_open_for(path, folder, self._inside)) as fd:
            try:
                st = os.stat(name, dir_fd=fd)
                if not stat.S_ISREG(st.st_mode):
                    message = f"{printable(path)} is a {kind_of(st.st_mode)}, not a file"
                    raise SourceError(message, problems=[(path, "not a file")])
                entry = self._one_file(folder, fd, name, stat_of(st, True))
            except OSError as error:
                raise source_error("read", path, reason_of(error)) from error
        if entry is None:
            raise source_error("add", path, self._problems.first_reason)
        return entry

    def _one_file(self, folder: str, fd: int, name: str, st: Stat) -> Row | None:
        """The entry of a file in an open folder. If it can't be read, add a problem and return None."""
        cache, seen = self._cache, {name: st}
        if cache and (record := cache.get(b"")) and record.stats() == seen:
            known = record.parts[0].entries()[0]
            if self._tx.rely(BLOB, known[3], known[2]):
                cache.keep(b"")
                return known
        young = _untrusted(seen, trust(folder, [st], of_many=True), st[5]) if cache else []
        entry = self._reader.read_again(fd, b"", os.fsencode(name), st, True)
        if cache and entry is not None:
            packed = encode_rows([entry])
            tree, parts = Folder(trees.tree_digest(packed), entry[2], 1), [RecordPart(None, packed)]
            record = _record(seen, young, tree, {}, parts, _is_large(entry))
            cache.put_later(b"", lambda: record, 1, 0)  # in memory until the save: a draft may hold many such files
        return entry

    # -- one folder --

    def _folder(self, here: OpenFolder, rules: list[Rules], above: set[tuple[int, int]], base: Digest | None) -> Folder:
        """Save an open folder.

        Args:
            rules: The ignore rules of the folders above.
            above: Identities of this folder and of those that hold it, to detect loops of symlinks.
            base: The tree that the base version has at this path.
        """
        fd, path = here.fd, here.path
        # 1. List the folder, and compare it with the record of the last save.
        listing, rules = self._lister.list_folder(here, rules)
        if not path and not listing.folders:
            self._monitor.expect(len(listing.seen), sum(st[2] for st in listing.seen.values()))
        now = self._compare(path, listing, base)
        cache, record = self._cache, now.record
        # 2. Read files that are new or changed. Decide before the read which stats can't be trusted: then no change
        #    that is made during the read stays unseen at the next save.
        young = _untrusted(now.fresh, trust(self._root, now.fresh.values()), here.device) if cache and now.fresh else []
        before = self._reader.files, self._reader.bytes
        edits: Edits = self._reader.read(fd, path, now.fresh, listing.linked)
        # 3. Note files that are gone.
        edits |= dict.fromkeys(now.gone)
        # 4. Read unchanged files again if their blobs are not stored any more. Below a tree of the base all blobs are.
        if record is not None and not now.is_base:
            edits |= self._unstored_files(fd, path, record, listing, edits)
        read = self._reader.files - before[0], self._reader.bytes - before[1]
        # 5. Save the subfolders; note those whose trees changed, and those that are gone.
        bases = self._base_folders(base, now, listing)
        folders = self._subfolders(here, rules, above, listing.folders, bases)
        if gone := self._drop_vanished(path, listing):
            edits |= dict.fromkeys(gone)
            folders = {name: folder for name, folder in folders.items() if name not in gone}
            young = [name for name in young if name in listing.seen]
        _note_folders(edits, folders, now.folders)
        files = len(listing.seen) - len(listing.folders)
        self._relied_on_base |= now.is_base
        # 6. If nothing differs and the trees are stored, the folder's tree is that of the last save.
        if record is not None and now.is_same and not edits and (now.is_base or self._rely_trees(record)):
            cache.keep(path)  # type: ignore[union-attr]  # a record comes from a cache
            return self._counted(Folder(record.tree, record.size, record.files), folders, files, read)
        # 7. Otherwise build its tree, and record it for the next save.
        parts, folder = self._build(record, edits, files + len(folders), now.is_base)
        if cache:
            large = bool(record and record.large) or any(map(_is_large, edits.values()))
            cache.put_later(
                path, lambda: _record(listing.seen, young, folder, folders, parts, large), len(listing.seen), len(edits)
            )
        return self._counted(folder, folders, files, read)

    def _counted(self, folder: Folder, below: dict[bytes, Folder], files: int, read: tuple[int, int]) -> Folder:
        """Count the files of a folder that weren't read, too.

        Args:
            read: The files that were read, and their bytes. The reader has counted them.
        """
        own = folder.size - sum(each.size for each in below.values())
        self._monitor.advance(files - read[0], own - read[1])
        return folder

    def _compare(self, path: bytes, listing: Listing, base: Digest | None) -> _Comparison:
        """Compare a listing with the record of the last save. Stats are unpacked only if some of them differ."""
        seen = listing.seen
        record = self._cache.get(path) if self._cache else None
        if record is None:
            return _Comparison(None, False, False, seen, set(), {})
        is_base = record.tree == base and self._large_are_there(record)
        folders = dict(record.folders)
        if record.signature == signature(seen) or (old := record.stats()) == seen:
            return _Comparison(record, True, is_base, {}, set(), folders)
        fresh = {name: st for name, st in seen.items() if old.get(name) != st}
        gone = set(map(os.fsencode, old.keys() - seen.keys())) - folders.keys()
        return _Comparison(record, False, is_base, fresh, gone, folders)

    def _unstored_files(self, fd: int, path: bytes, record: Record, listing: Listing, edits: Edits) -> Edits:
        """Read again the unchanged files whose blobs are not stored, or damaged. Rely on the blobs of all others."""
        rely, todo = self._tx.rely, {}
        for part in record.parts:
            for entry in part.entries():
                if entry[1] != DIRECTORY and entry[0] not in edits and not rely(BLOB, entry[3], entry[2]):
                    name = os.fsdecode(entry[0])
                    todo[name] = listing.seen[name]
        return self._reader.read(fd, path, todo, listing.linked) if todo else {}

    def _large_are_there(self, record: Record) -> bool:
        return all(self._tx.objects.large.may_rely_on(digest, size) for digest, size in record.large)

    # -- subfolders --

    def _base_folders(self, base: Digest | None, now: _Comparison, listing: Listing) -> Bases:
        """A function from a subfolder's name to its tree in the base version. If the cache has the trees, none is read."""
        if base is None or not listing.folders:
            return lambda name: None
        if now.is_base:
            return now.folders.get
        try:
            entries = read_folder(base, self._tx.objects.read_tree)
        except ArtstoreError:
            return lambda name: None
        return {entry[0]: entry[3] for entry in entries if entry[1] == DIRECTORY}.get

    def _subfolders(
        self, here: OpenFolder, rules: list[Rules], above: set[tuple[int, int]], names: Iterable[str], base_of: Bases
    ) -> dict[bytes, Folder]:
        """Save the subfolders of an open folder. Those that can't be saved are problems. Returns the tree of each."""
        found: dict[bytes, Folder] = {}
        for name in names:
            raw = os.fsencode(name)
            below = here.path + raw
            if below.count(b"/") >= self._most_levels:
                self._problems.add(below, f"is deeper than {MAX_DEPTH} levels")
                continue
            try:
                fd = check_below(os.open(name, _OPEN_FOLDER, dir_fd=here.fd), self._inside)
            except OSError as error:
                vanished = isinstance(error, FileNotFoundError)
                self._problems.add(below, VANISHED if vanished else reason_of(error))
                continue
            try:
                child = OpenFolder.of(fd, below + b"/")
                me = child.identity
                if me == self._store:  # the repository is mounted here: the listing has the inode below the mount
                    self._lister.leave_out(below)
                    continue
                if me in above:
                    self._problems.add(below, "is a symlink to a folder that holds it: a loop")
                    continue
                folder = self._folder(child, rules, above | {me}, base_of(raw))
            finally:
                os.close(fd)
            if folder.files or not self._filter or self._filter.passes(f"{os.fsdecode(below)}/"):
                found[raw] = folder
        return found

    # -- the tree --

    def _rely_trees(self, record: Record) -> bool:
        trees = [record.tree, *(part.entry[3] for part in record.parts if part.entry is not None)]
        return all(self._tx.rely(TREE, tree, 0) for tree in trees)

    def _build(self, record: Record | None, edits: Edits, count: int, is_base: bool) -> tuple[list[RecordPart], Folder]:
        """Build a folder's tree from its tree of the last save and the edits. Returns its parts and its root.

        `count` is the number of entries that the folder has now.
        """
        if record is not None and len(record.parts) > 1 and count > trees.SPLIT_ABOVE:
            parts = self._amend(record.parts, edits, is_base)
        else:
            known: Edits = {}
            for part in record.parts if record else ():
                known.update((entry[0], entry) for entry in part.entries())
            known |= edits
            runs = trees.split(_sorted(known))
            parts = [self._part(run, len(runs) > 1) for run in runs]
        if len(parts) == 1 and parts[0].entry is None:
            entries = parts[0].entries()
            return parts, Folder(self._add_tree(parts[0].packed), *trees.totals(entries))
        entries = [part.entry for part in parts if part.entry is not None]
        return parts, Folder(self._add_tree(encode_rows(entries)), *trees.totals(entries))

    def _amend(self, parts: tuple[RecordPart, ...], edits: Edits, is_base: bool) -> list[RecordPart]:
        """Apply edits to the parts of a large folder. Only parts that hold an edit are decoded and split again.

        The result is the same as that of splitting all entries: see `split`.
        """
        # 1. Find the part of each edit: the last part whose first entry is not after it.
        firsts = [part.entry[0] for part in parts if part.entry is not None]
        dirty = {max(0, bisect_right(firsts, name) - 1) for name in edits}
        # 2. If a part's first entry is gone, there is no cut any more: its other entries are joined to the part before.
        for number in sorted(dirty, reverse=True):
            while number > 0 and firsts[number] in edits and edits[firsts[number]] is None:
                number -= 1
                dirty.add(number)
        result: list[RecordPart] = []
        number = 0
        while number < len(parts):
            # 3. Keep a part without edits. Store it, unless the base version has it.
            if number not in dirty:
                if not is_base:
                    self._add_tree(parts[number].packed)
                result.append(parts[number])
                number += 1
                continue
            # 4. Join neighbouring parts with edits.
            entries: Edits = {}
            start = number
            while number < len(parts) and number in dirty:
                entries.update((entry[0], entry) for entry in parts[number].entries())
                number += 1
            # 5. Apply the edits between their first entry and that of the next part, and split the result.
            high = firsts[number] if number < len(parts) else None
            low = firsts[start] if start else b""
            entries |= {name: entry for name, entry in edits.items() if low <= name and (high is None or name < high)}
            result += [self._part(run, True) for run in trees.split(_sorted(entries), always=True)]
        return result

    def _part(self, run: Sequence[Row], one_of_many: bool) -> RecordPart:
        packed = encode_rows(run)
        if not one_of_many:
            return RecordPart(None, packed)
        size, files = trees.totals(run)
        return RecordPart((run[0][0], PART, size, self._add_tree(packed), files), packed)

    def _add_tree(self, data: bytes) -> Digest:
        with self._tx.storage.writing():
            return self._tx.add(TREE, data)


def _open_for(path: str, folder: str, inside: str | None = None) -> int:
    """Open a folder, to read the file or folder at `path`. Raises SourceError, which names `path`."""
    try:
        return check_below(os.open(folder, _OPEN_FOLDER), inside)
    except OSError as error:
        raise source_error("open", path, reason_of(error)) from error


def _note_folders(edits: Edits, folders: dict[bytes, Folder], known: dict[bytes, Digest]) -> None:
    """Add an edit for each subfolder whose tree differs from its `known` tree of the last save."""
    for name, folder in folders.items():
        if known.get(name) != folder.digest:
            edits[name] = (name, DIRECTORY, folder.size, folder.digest, folder.files)
    for name in known.keys() - folders.keys():
        edits.setdefault(name, None)  # unless a file took its place


def _untrusted(fresh: dict[str, Stat], trusted: Trust, device: int) -> list[str]:
    """The names of files that may change later without a change of their stats. Call this before reading the files."""
    return [name for name, st in fresh.items() if len(st) > 2 and not trusted.holds(st, device)]


def _record(
    seen: dict[str, Stat],
    young: list[str],
    folder: Folder,
    folders: dict[bytes, Folder],
    parts: list[RecordPart],
    large: bool,
) -> Record:
    """The stat cache's record of a folder.

    Args:
        seen: Stats of its files and subfolders.
        young: Files whose stats are not kept, so that they are read at the next save.
        large: Whether there may be large files in it.
    """
    known = tuple((name, f.digest) for name, f in folders.items())
    sig = signature({**seen, **dict.fromkeys(young, UNKNOWN)} if young else seen)
    return Record(sig, *folder, known, tuple(parts), statcache.large_in(parts) if large else ())


def _folder_at(path: str) -> set[tuple[int, int]]:
    """Device and inode of a folder, if there is one."""
    try:
        status = os.stat(path)
    except OSError:
        return set()
    return {(status.st_dev, status.st_ino)}


def _is_large(entry: Row | None) -> bool:
    return entry is not None and entry[1] <= EXECUTABLE and entry[2] >= LARGE


def _sorted(entries: Edits) -> list[Row]:
    """The entries in the order of the tree, without those that are gone."""
    return [entry for name in sorted(entries) if (entry := entries[name]) is not None]
