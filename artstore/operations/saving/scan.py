"""Walking a folder into a transaction: by folder descriptors, one pass, nothing skipped silently."""

import errno
import os
import stat
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3

from artstore.backends.files import kind_of, open_regular, read_rules, remove_if_there, unreadable_at
from artstore.backends.owner import left_by
from artstore.domain.codec import encode_rows
from artstore.domain.digest import BLOB, TREE, Digest
from artstore.domain.ignore import IGNORE_FILE, NO_FILTER, Filter, Rules, ignored
from artstore.domain.names import MAX_DEPTH, check_component, check_root_component, is_protected, printable
from artstore.domain.tree import (
    DIRECTORY,
    EXECUTABLE,
    FILE,
    PART,
    SPLIT_ABOVE,
    Entry,
    Folder,
    read_folder,
    split,
    totals,
    tree_digest,
)
from artstore.errors import ArtstoreError, InvalidValue, SourceError, storage_error
from artstore.progress import Monitor
from artstore.store import statcache
from artstore.store.packs import LARGE
from artstore.store.statcache import UNKNOWN, Part, Record, Stat, StatCache, Trust, signature, trust
from artstore.store.transaction import Transaction

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

TRIES = 4
"""Reads of a file that changes meanwhile, with 50, 100 and 200 ms between them, before it is an error."""

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Scanned(NamedTuple):
    folder: Folder
    left_out: list[str]
    """protected folders (.git, .artifacts) that were met"""
    relied_on_base: bool
    """whether trees were taken over from the base version without a look at each object below them"""


class _Listing(NamedTuple):
    """One folder as listed: stats in the system's order, files read through links, and subfolders."""

    seen: dict[str, Stat]
    linked: set[str]
    folders: list[str]
    device: int


class Scanner:
    """One walk. `base` is the root tree of a live version: what equals a tree of it is known to be stored whole.

    Every problem is gathered and raised at the end in one SourceError; the transaction then holds garbage only.
    """

    def __init__(
        self,
        transaction: Transaction,
        cache: StatCache | None = None,
        *,
        base: Digest | None = None,
        chosen: Filter | None = None,
        monitor: Monitor,
        depth: int = 0,
    ) -> None:
        self._tx = transaction
        self._cache = cache
        self._base = base
        self._filter = chosen or NO_FILTER
        self._monitor = monitor
        self._most_levels = MAX_DEPTH - 1 - depth
        self._problems: list[tuple[str, str]] = []
        self._left_out: list[str] = []
        self._relied_on_base = False
        self._root = ""
        self._pool: ThreadPoolExecutor | None = None
        store = os.stat(transaction.storage.root)
        self._store = store.st_dev, store.st_ino

    def run(self, root: str) -> Scanned:
        """Walk a folder; its tree is in the transaction (or the store) afterwards."""
        self._root = root
        store = os.path.realpath(self._tx.storage.root)
        if (os.path.realpath(root) + os.sep).startswith(store + os.sep):
            raise SourceError(
                f"{printable(root)} lies in the repository itself", problems=[(root, "lies in the repository")]
            )
        try:
            try:
                fd = os.open(root, _OPEN_FOLDER)
            except OSError as error:
                raise SourceError(
                    f"cannot open {printable(root)}: {_reason(error)}", problems=[(root, _reason(error))]
                ) from error
            try:
                folder = self._folder(fd, b"", [], {_identity(fd)}, self._base)
            finally:
                os.close(fd)
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
        if self._problems:
            raise _source_error(root, self._problems)
        return Scanned(folder, self._left_out, self._relied_on_base)

    def one_file(self, folder: str, name: str) -> Entry:
        """Add a single file, through symlinks. The cache, if any, is the file's own."""
        path = os.path.join(folder, name)
        try:
            fd = os.open(folder, _OPEN_FOLDER)
        except OSError as error:
            raise SourceError(
                f"cannot open {printable(path)}: {_reason(error)}", problems=[(path, _reason(error))]
            ) from error
        try:
            st = os.stat(name, dir_fd=fd)
            if not stat.S_ISREG(st.st_mode):
                raise SourceError(
                    f"{printable(path)} is a {kind_of(st.st_mode)}, not a file", problems=[(path, "not a file")]
                )
            entry = self._one_file(folder, fd, name, _stat_of(st, True))
        except OSError as error:
            raise SourceError(
                f"cannot read {printable(path)}: {_reason(error)}", problems=[(path, _reason(error))]
            ) from error
        finally:
            os.close(fd)
        if entry is None:
            reason = self._problems[0][1]
            raise SourceError(f"cannot add {printable(path)}: {reason}", problems=[(path, reason)])
        return entry

    def _one_file(self, folder: str, fd: int, name: str, st: Stat) -> Entry | None:
        cache, seen = self._cache, {name: st}
        if cache and (record := cache.get(b"")) and record.stats() == seen:
            known = record.parts[0].entries()[0]
            if self._tx.rely(BLOB, known[3], known[2]):
                cache.keep(b"")
                return known
        young = _untrusted(seen, trust(folder, [st], of_many=True), st[5]) if cache else []
        entry = self._read_again(fd, b"", os.fsencode(name), st, True)
        if cache and entry is not None:
            packed = encode_rows([entry])
            tree, parts = Folder(tree_digest(packed), entry[2], 1), [Part(None, packed)]
            record = _record(seen, young, tree, {}, parts, _is_large(entry))
            cache.put_later(b"", lambda: record, 1, 0)  # in memory until the save: a draft may hold many such files
        return entry

    # -- one folder --

    def _folder(
        self, fd: int, path: bytes, rules: list[Rules], above: set[tuple[int, int]], base: Digest | None
    ) -> Folder:
        listing, rules = self._list(fd, path, rules)
        cache = self._cache
        record = cache.get(path) if cache else None
        sig = signature(listing.seen)
        covered = record is not None and record.tree == base and self._large_are_there(record)
        equal = record is not None and record.signature == sig
        old = listing.seen if equal else record.stats() if record is not None else {}
        same = equal or (record is not None and old == listing.seen)
        fresh = {} if same else {name: st for name, st in listing.seen.items() if old.get(name) != st}
        young = _untrusted(fresh, trust(self._root, fresh.values()), listing.device) if cache and fresh else []
        changed: dict[bytes, Entry | None] = self._read_files(fd, path, fresh, listing.linked)
        if record is not None:
            gone = set(map(os.fsencode, old.keys() - listing.seen.keys()))
            changed |= dict.fromkeys(gone - dict(record.folders).keys())
        if record is not None and not covered:
            changed |= self._unstored_files(fd, path, record, listing, changed)
        folders = self._subfolders(
            fd, path, rules, above, listing.folders, self._base_folders(base, record, covered, listing)
        )
        known = dict(record.folders) if record is not None else {}
        changed |= {
            name: (name, DIRECTORY, f.size, f.digest, f.files)
            for name, f in folders.items()
            if known.get(name) != f.digest
        }
        for name in known.keys() - folders.keys():
            changed.setdefault(name, None)  # unless a file took its place
        files = len(listing.seen) - len(listing.folders)
        self._monitor.advance(files)
        self._relied_on_base |= covered
        if record is not None and same and not changed and (covered or self._rely_trees(record)):
            cache.keep(path)  # type: ignore[union-attr]  # a record comes from a cache
            return Folder(record.tree, record.size, record.files)
        parts, folder = self._build(record, changed, files + len(folders), covered)
        if cache:
            large = bool(record and record.large) or any(map(_is_large, changed.values()))
            cache.put_later(
                path,
                lambda: _record(listing.seen, young, folder, folders, parts, large),
                len(listing.seen),
                len(changed),
            )
        return folder

    def _list(self, fd: int, path: bytes, rules: list[Rules]) -> tuple[_Listing, list[Rules]]:
        seen: dict[str, Stat] = {}
        linked: set[str] = set()
        folders: list[str] = []
        device = os.fstat(fd).st_dev
        try:
            # The hot loop of an unchanged re-save: a stat and one tuple per file. On strings; is_file() asks the
            # listing, not the disk.
            with os.scandir(fd) as entries:
                for entry in entries:
                    name = entry.name
                    if entry.is_file(follow_symlinks=False):
                        st = entry.stat(follow_symlinks=False)
                        seen[name] = (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
                    elif entry.is_dir(follow_symlinks=False):
                        if self._admits(path, name, device, entry.inode()):
                            seen[name] = (stat.S_IFDIR, entry.inode())
                            folders.append(name)
                    else:
                        self._list_special(fd, path, name, seen, linked, folders)
        except OSError as error:
            self._problem(path, _reason(error))
        if IGNORE_FILE in seen:
            try:
                rules = [*rules, read_rules(fd, path)]
            except OSError as error:
                self._problem(path + IGNORE_FILE.encode(), _reason(error))
        if rules or self._filter:
            self._leave_out(path, seen, folders, rules)
        for name in list(seen):
            if name[0] == "." and (is_protected(os.fsencode(name)) or left_by(name)):
                self._left_out.append(printable(path + os.fsencode(name)))  # `left_by`: of a checkout at work, or dead
                del seen[name]
                linked.discard(name)
                if name in folders:
                    folders.remove(name)
            elif "\\" in name or ":" in name:
                self._check_name(path, os.fsencode(name))
        return _Listing(seen, linked, folders, device), rules

    def _list_special(
        self, fd: int, path: bytes, name: str, seen: dict[str, Stat], linked: set[str], folders: list[str]
    ) -> None:
        """Symlinks are followed; anything that is neither file nor folder then is a problem."""
        try:
            st = os.stat(name, dir_fd=fd)
        except FileNotFoundError:
            target = _link_target(fd, name)
            self._problem(
                path + os.fsencode(name),
                f"dangling symlink to {target}" if target else "vanished while the folder was read",
            )
            return
        except OSError as error:
            self._problem(path + os.fsencode(name), "symlink loop" if error.errno == errno.ELOOP else _reason(error))
            return
        if stat.S_ISREG(st.st_mode):
            linked.add(name)
            seen[name] = (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_dev)
        elif stat.S_ISDIR(st.st_mode):
            if self._admits(path, name, st.st_dev, st.st_ino):
                seen[name] = (stat.S_IFDIR, st.st_ino)
                folders.append(name)
        else:
            self._problem(path + os.fsencode(name), f"is a {kind_of(st.st_mode)}, not a file")

    def _admits(self, path: bytes, name: str, device: int, inode: int) -> bool:
        if (device, inode) == self._store or is_protected(os.fsencode(name)):
            self._left_out.append(printable(path + os.fsencode(name)))
            return False
        return True

    def _leave_out(self, path: bytes, seen: dict[str, Stat], folders: list[str], rules: list[Rules]) -> None:
        below = os.fsdecode(path)
        for name in list(seen):
            folder = stat.S_IFMT(seen[name][0]) == stat.S_IFDIR
            full = below + name
            out = ignored(rules, full, folder) or self._filter.excludes(full, folder)
            if out or (not folder and self._filter and not self._filter.passes(full)):
                del seen[name]
                if folder:
                    folders.remove(name)

    def _check_name(self, path: bytes, name: bytes) -> None:
        try:
            (check_component if path else check_root_component)(name)
        except InvalidValue as error:
            self._problem(path + name, str(error).removeprefix("Invalid artifact path: "))

    # -- files --

    def _read_files(self, fd: int, path: bytes, todo: dict[str, Stat], linked: set[str]) -> dict[bytes, Entry | None]:
        """Entries of these files, their blobs in the transaction."""
        out: dict[bytes, Entry | None] = {}
        large: list[tuple[bytes, Stat, Future[tuple[Digest, str | None, Stat] | None]]] = []
        tx = self._tx
        # The hot loop of a first save: four system calls and one hash per small file. One stat before (the listing's)
        # and one after the read.
        # In the tree's order, so that a restore reads its pack from front to back.
        for name, st in sorted(todo.items()):
            size = st[2] if len(st) > 2 else -1
            if size < 0:
                continue
            raw = os.fsencode(name)
            if size >= LARGE or name in linked:
                if size >= LARGE:
                    large.append((raw, st, self._submit(fd, raw, st, name in linked)))
                else:
                    out[raw] = self._read_again(fd, path, raw, st, True)
                continue
            source = -1
            try:
                source = os.open(name, _OPEN_FILE, dir_fd=fd)
                data = os.read(source, size + 1)
                after = os.fstat(source)
                opened, source = source, -1
                os.close(opened)
            except OSError:
                if source >= 0:
                    os.close(source)
                out[raw] = self._read_again(fd, path, raw, st, False)
                continue
            if (
                len(data) != size
                or (after.st_mode, after.st_ino, after.st_size, after.st_mtime_ns, after.st_ctime_ns) != st
            ):
                out[raw] = self._read_again(fd, path, raw, st, False)
                continue
            digest = Digest(blake3(data).digest())
            try:
                tx.add(BLOB, data, digest)
            except OSError as error:
                raise storage_error(error, f"write to {printable(tx.storage.root)}") from error
            out[raw] = (raw, EXECUTABLE if st[0] & 0o100 else FILE, size, digest)
        for raw, st, future in large:
            out[raw] = self._take_large(fd, path, raw, st, future)
        return {name: entry for name, entry in out.items() if entry is not None}

    def _submit(self, fd: int, name: bytes, st: Stat, follow: bool) -> "Future[tuple[Digest, str | None, Stat] | None]":
        if self._pool is None:
            # Two: one copies while the other hashes or syncs. Small files stay in this thread, where threads only fight
            # for the interpreter.
            from concurrent.futures import ThreadPoolExecutor  # 6 ms, for large files only

            self._pool = ThreadPoolExecutor(2)
        return self._pool.submit(self._copy_large, fd, name, st[2], follow)

    def _copy_large(self, fd: int, name: bytes, size: int, follow: bool) -> tuple[Digest, str | None, Stat] | None:
        """None when the file ended early. Raises OSError for the source's errors, StorageError for the store's."""
        source = open_regular(name, dir_fd=fd, follow=follow)
        try:
            try:
                copied = self._tx.copy_large(source, size, lambda n: self._monitor.advance(0, n))
            except OSError as error:
                if (at := unreadable_at(source)) is not None:
                    raise OSError(error.errno, f"{_reason(error)} at byte {at}") from error
                raise storage_error(error, f"write to {printable(self._tx.storage.root)}") from error
            return (*copied, _stat_of(os.fstat(source), follow)) if copied else None
        finally:
            os.close(source)

    def _take_large(
        self, fd: int, path: bytes, name: bytes, st: Stat, future: "Future[tuple[Digest, str | None, Stat] | None]"
    ) -> Entry | None:
        try:
            copied = future.result()
        except OSError:
            copied = None
        if copied is None or copied[2] != st:
            if copied is not None and copied[1] is not None:
                remove_if_there(copied[1])
            return self._read_again(fd, path, name, st, len(st) > 5)
        self._tx.add_large(copied[0], st[2], copied[1])
        return (name, EXECUTABLE if st[0] & 0o100 else FILE, st[2], copied[0])

    def _read_again(self, fd: int, path: bytes, name: bytes, st: Stat, follow: bool) -> Entry | None:
        """The slow way, for a file that changed, vanished or can't be read: up to TRIES reads, then a problem."""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(0.025 * 2**attempt)
            try:
                now = os.stat(name, dir_fd=fd, follow_symlinks=follow)
                if not stat.S_ISREG(now.st_mode):
                    self._problem(path + name, f"became a {kind_of(now.st_mode)} while it was read")
                    return None
                entry = self._read_once(fd, name, _stat_of(now, follow), follow)
            except OSError as error:
                self._problem(
                    path + name,
                    "vanished while the folder was read" if isinstance(error, FileNotFoundError) else _reason(error),
                )
                return None
            if entry is not None:
                return entry
        self._problem(path + name, "keeps changing while it is read, or its size is not what the system says")
        return None

    def _read_once(self, fd: int, name: bytes, st: Stat, follow: bool) -> Entry | None:
        kind = EXECUTABLE if st[0] & 0o100 else FILE
        if st[2] >= LARGE:
            copied = self._copy_large(fd, name, st[2], follow)
            if copied is None or copied[2] != st:
                if copied is not None and copied[1] is not None:
                    remove_if_there(copied[1])
                return None
            self._tx.add_large(copied[0], st[2], copied[1])
            return (name, kind, st[2], copied[0])
        source = open_regular(name, dir_fd=fd, follow=follow)
        try:
            data = os.read(source, st[2] + 1)
            after = _stat_of(os.fstat(source), follow)
        except OSError as error:
            raise OSError(error.errno, f"{_reason(error)} at byte {unreadable_at(source) or 0}") from error
        finally:
            os.close(source)
        if len(data) != st[2] or after != st:
            return None
        with self._tx.storage.writing():
            return (name, kind, st[2], self._tx.add(BLOB, data))

    def _unstored_files(
        self, fd: int, path: bytes, record: Record, listing: _Listing, changed: dict[bytes, Entry | None]
    ) -> dict[bytes, Entry | None]:
        """Files that did not change, but whose blob the store lacks (or has damaged): read again. All others are relied
        on.
        """
        rely, todo = self._tx.rely, {}
        for part in record.parts:
            for entry in part.entries():
                if entry[1] != DIRECTORY and entry[0] not in changed and not rely(BLOB, entry[3], entry[2]):
                    name = os.fsdecode(entry[0])
                    todo[name] = listing.seen[name]
        return self._read_files(fd, path, todo, listing.linked) if todo else {}

    def _large_are_there(self, record: Record) -> bool:
        return all(self._tx.objects.large.may_rely_on(digest, size) for digest, size in record.large)

    # -- subfolders --

    def _base_folders(
        self, base: Digest | None, record: Record | None, covered: bool, listing: _Listing
    ) -> Callable[[bytes], Digest | None]:
        """The base version's tree of each subfolder, without reading a tree where the cache knows it."""
        if base is None or not listing.folders:
            return lambda name: None
        if covered and record is not None:
            return dict(record.folders).get
        try:
            trees = {
                entry[0]: entry[3] for entry in read_folder(base, self._tx.objects.read_tree) if entry[1] == DIRECTORY
            }
        except ArtstoreError:
            return lambda name: None
        return trees.get

    def _subfolders(
        self,
        fd: int,
        path: bytes,
        rules: list[Rules],
        above: set[tuple[int, int]],
        names: list[str],
        base_of: Callable[[bytes], Digest | None],
    ) -> dict[bytes, Folder]:
        found: dict[bytes, Folder] = {}
        for name in names:
            raw = os.fsencode(name)
            below = path + raw
            if below.count(b"/") >= self._most_levels:
                self._problem(below, f"lies deeper than {MAX_DEPTH} levels")
                continue
            try:
                child = os.open(name, _OPEN_FOLDER, dir_fd=fd)
            except OSError as error:
                self._problem(
                    below, "vanished while it was read" if isinstance(error, FileNotFoundError) else _reason(error)
                )
                continue
            try:
                me = _identity(child)
                if me == self._store:  # mounted here: a listing tells the inode below the mount
                    self._left_out.append(printable(below))
                    continue
                if me in above:
                    self._problem(below, "is a symlink to a folder that holds it: a loop")
                    continue
                folder = self._folder(child, below + b"/", rules, above | {me}, base_of(raw))
            finally:
                os.close(child)
            if folder.files or not self._filter:
                found[raw] = folder
        return found

    # -- the tree --

    def _rely_trees(self, record: Record) -> bool:
        trees = [record.tree, *(part.entry[3] for part in record.parts if part.entry is not None)]
        return all(self._tx.rely(TREE, tree, 0) for tree in trees)

    def _build(
        self, record: Record | None, changed: dict[bytes, Entry | None], count: int, covered: bool
    ) -> tuple[list[Part], Folder]:
        if record is not None and len(record.parts) > 1 and count > SPLIT_ABOVE:
            parts = self._amend(record.parts, changed, covered)
        else:
            known: dict[bytes, Entry | None] = {}
            for part in record.parts if record else ():
                known.update((entry[0], entry) for entry in part.entries())
            known |= changed
            runs = split(_sorted(known))
            parts = [self._part(run, len(runs) > 1) for run in runs]
        if len(parts) == 1 and parts[0].entry is None:
            entries = parts[0].entries()
            return parts, Folder(self._add_tree(parts[0].packed), *totals(entries))
        entries = [part.entry for part in parts if part.entry is not None]
        return parts, Folder(self._add_tree(encode_rows(entries)), *totals(entries))

    def _amend(self, parts: tuple[Part, ...], changed: dict[bytes, Entry | None], covered: bool) -> list[Part]:
        """The parts of a split folder after some changes: only those parts are decoded and encoded that hold a change."""
        firsts = [part.entry[0] for part in parts if part.entry is not None]
        dirty = {max(0, _last_not_above(firsts, name)) for name in changed}
        # A part whose first entry went has lost its cut: what is left of it belongs to the part before.
        for number in sorted(dirty, reverse=True):
            while number > 0 and firsts[number] in changed and changed[firsts[number]] is None:
                number -= 1
                dirty.add(number)
        result: list[Part] = []
        number = 0
        while number < len(parts):
            if number not in dirty:
                if not covered:
                    self._add_tree(parts[number].packed)
                result.append(parts[number])
                number += 1
                continue
            entries: dict[bytes, Entry | None] = {}
            start = number
            while number < len(parts) and number in dirty:
                entries.update((entry[0], entry) for entry in parts[number].entries())
                number += 1
            high = firsts[number] if number < len(parts) else None
            low = firsts[start] if start else b""
            entries |= {name: entry for name, entry in changed.items() if low <= name and (high is None or name < high)}
            result += [self._part(run, True) for run in split(_sorted(entries), always=True)]
        return result

    def _part(self, run: Sequence[Entry], one_of_many: bool) -> Part:
        packed = encode_rows(run)
        if not one_of_many:
            return Part(None, packed)
        size, files = totals(run)
        return Part((run[0][0], PART, size, self._add_tree(packed), files), packed)

    def _add_tree(self, data: bytes) -> Digest:
        with self._tx.storage.writing():
            return self._tx.add(TREE, data)

    def _problem(self, path: bytes, reason: str) -> None:
        self._problems.append((printable(path.rstrip(b"/")) or ".", reason))


def _untrusted(fresh: dict[str, Stat], trusted: Trust, device: int) -> list[str]:
    """Names of files that are about to be read, and that their stats won't tell the next time."""
    return [name for name, st in fresh.items() if len(st) > 2 and not trusted.holds(st, device)]


def _record(
    seen: dict[str, Stat],
    young: list[str],
    folder: Folder,
    folders: dict[bytes, Folder],
    parts: list[Part],
    large: bool,
) -> Record:
    """Of the stats `seen`, those of `young` files are not kept. `large`: whether there may be large files."""
    known = tuple((name, f.digest) for name, f in folders.items())
    sig = signature({**seen, **dict.fromkeys(young, UNKNOWN)} if young else seen)
    return Record(sig, *folder, known, tuple(parts), statcache.large_in(parts) if large else ())


def _is_large(entry: Entry | None) -> bool:
    return entry is not None and entry[1] <= EXECUTABLE and entry[2] >= LARGE


def _sorted(entries: dict[bytes, Entry | None]) -> list[Entry]:
    """In the tree's order, without those that went."""
    return [entry for name in sorted(entries) if (entry := entries[name]) is not None]


def _last_not_above(firsts: list[bytes], name: bytes) -> int:
    from bisect import bisect_right

    return bisect_right(firsts, name) - 1


def _stat_of(st: os.stat_result, follow: bool) -> Stat:
    plain = (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    return (*plain, st.st_dev) if follow else plain


def _identity(fd: int) -> tuple[int, int]:
    st = os.fstat(fd)
    return st.st_dev, st.st_ino


def _link_target(fd: int, name: str) -> str | None:
    try:
        return printable(os.readlink(name, dir_fd=fd))
    except OSError:
        return None


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _source_error(root: str, problems: list[tuple[str, str]]) -> SourceError:
    first, reason = problems[0]
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return SourceError(
        f"{len(problems)} of the files in {printable(root)} can't be added: {first}: {reason}{more}",
        problems=problems,
        hint=f"mend or remove them, or leave them out with {IGNORE_FILE}; nothing was saved",
    )
