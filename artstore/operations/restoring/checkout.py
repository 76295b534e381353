"""Checkouts: writing a version's files to a folder. Every byte is checked."""

import errno
import os
import stat
import time
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from artstore.backends.addresses import path_here
from artstore.backends.confined import Confined, open_child
from artstore.backends.files import closing_fd, kind_of, remove_tree
from artstore.backends.mounts import memory_devices
from artstore.backends.owner import is_dead, left_by, this_process
from artstore.domain import tree as trees
from artstore.domain.codec import encode_rows
from artstore.domain.digest import Digest
from artstore.domain.names import is_protected, printable
from artstore.domain.selection import nothing_in, select
from artstore.domain.tree import (
    DIRECTORY,
    EXECUTABLE,
    REFERENCE,
    Entry,
    check_depth,
    check_root,
    part_of,
    read_folder,
    tree_digest,
)
from artstore.errors import Conflict, MissingReference, Refused, storage_error
from artstore.operations.restoring import obstacles
from artstore.operations.restoring.compare import AbsentFolder, ComparedFolder, Comparison, Todo
from artstore.operations.restoring.forbidden import REFUSALS, refuse_forbidden
from artstore.operations.restoring.options import PLAIN, Restore
from artstore.operations.restoring.writing import FileWriter, refuse_protected, small_among, small_below
from artstore.progress import Monitor
from artstore.store import statcache
from artstore.store.outside import noted_build, remove_left, sweep_folder
from artstore.store.packs import LARGE
from artstore.store.sides import Objects
from artstore.store.statcache import UNKNOWN, Record, RecordPart, Stat, StatCache, Trust, clock_tick, list_stats, trust

_TOGETHER = 256
"""Files that are written between two reports of progress."""

_WAIT = 20_000_000
"""Nanoseconds: a checkout waits at most this long for the next tick of the file system's clock (`clock_tick`)."""


class CheckedOut(NamedTuple):
    """The result of a checkout."""

    root: str
    files: int
    """selected files of the version that are in the folder now"""
    written: int
    """files that were missing or changed"""
    written_bytes: int
    removed: int = 0
    """files that are not in the version, removed because of `delete`"""
    missing: tuple[str, ...] = ()
    """paths of references that were left out, because their bytes are gone and `allow_missing_references` was set"""
    others: int = 0
    """files and folders beside those of the version that stayed, as far as they were seen"""


class Checkout:
    """Writes the files of one tree to a folder."""

    def __init__(self, objects: Objects, tree: Digest, how: Restore = PLAIN) -> None:
        how.check()
        self._how = how
        self._objects = objects
        self._tree = tree
        self._selection = how.selection
        self._force = how.force
        self._monitor = how.monitor or Monitor()
        self._writer = FileWriter(objects, how)
        self._removed = self._others = 0
        self._cache: StatCache | None = None
        self._folder, self._private = "", False
        self._in_memory: frozenset[int] = frozenset()
        self._owner = this_process()
        self._store = None if objects.storage.distant else objects.storage.root
        self._unfinished: list[tuple[bytes, Digest, dict[str, Stat]]] = []
        """folders to note in the cache once all their files are written: path, tree, and the stats that are known"""

    def run(self, root: str) -> CheckedOut:
        """Bring a folder to the version's content.

        Files that are right stay untouched, and missing and changed files are written. Other files are only removed
        with `delete`. If the root doesn't exist, the whole folder appears by one rename. If it exists, each file
        appears by one rename.
        """
        self._writer.root = root = os.path.abspath(path_here(root))
        self._refuse_repository(root)
        try:
            if os.path.lexists(root):
                self._into_existing(root, root)
            else:
                self._build_beside(root)
            self._sweep_beside(root)
        except MissingReference:
            raise  # this is an OSError, but not an error of this folder
        except OSError as error:
            named = error.filename
            where = named if isinstance(named, str) and os.path.isabs(named) and ".artstore-" not in named else root
            raise storage_error(error, f"write to {printable(where)}") from error
        finally:
            self._writer.close()
            if self._cache is not None:
                self._cache.close()
        writer = self._writer
        missing = tuple(sorted(map(os.fsdecode, writer.missing)))
        files = writer.files - len(missing)
        return CheckedOut(root, files, writer.written, writer.written_bytes, self._removed, missing, self._others)

    def _refuse_repository(self, root: str) -> None:
        store, real = os.path.realpath(self._store or os.devnull), os.path.realpath(root)
        if (real + os.sep).startswith(store + os.sep):
            hint = "choose another --root"
            raise Refused(f"{printable(root)} is in the repository; files can't be restored there", hint=hint)
        if self._how.delete and os.path.lexists(os.path.join(real, ".artifacts")):
            hint = "choose another --root, such as a folder in it"
            raise Refused(f"{printable(root)} holds a repository; other files are not removed there", hint=hint)

    # -- a new root --

    def _build_beside(self, root: str) -> None:
        """Build a new root under a temporary name in the same folder, then rename it."""
        parent, name = os.path.split(root)
        os.makedirs(parent, exist_ok=True)
        prefix, owner = f".{name[:60]}.artstore-", this_process()
        building = os.path.join(parent, f"{prefix}{owner}")
        with noted_build(building, owner, self._objects.here):
            self._build(building, prefix, root)

    def _build(self, building: str, prefix: str, root: str) -> None:
        parent = os.path.dirname(root)
        # 1. Continue a build of a dead process, if there is one. Otherwise write all files.
        resumed = self._take_over(parent, prefix, building)
        try:
            if resumed:
                self._force = True  # all files in it are from a checkout
                self._into_existing(building, root)
            else:
                os.mkdir(building)
                self._folder, self._private, self._in_memory = building, True, memory_devices()
                self._fresh(building, root)
        except BaseException as error:
            self._writer.close()  # first: a thread that still creates a file would keep its folder from being removed
            remove_tree(building, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in REFUSALS:
                self._refuse_forbidden(parent)
            raise
        # 2. Rename it to the root.
        try:
            os.rename(building, root)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            # Another process made the root meanwhile: bring that folder to the version, and drop this one.
            remove_tree(building)
            if self._cache is not None:
                self._cache.close()
            self._into_existing(root, root)
            return
        # 3. Save the stat cache last: it names the root.
        self._save_cache()

    def _refuse_forbidden(self, folder: str) -> None:
        with Confined(folder, None) as target:
            paths = select(self._tree, self._objects.read_tree, self._how.selection)
            refuse_forbidden(target, (path for path, _ in paths))

    def _take_over(self, parent: str, prefix: str, building: str) -> bool:
        """Rename what a dead process left of its build to `building`. Returns whether there was one.

        Only a real folder of this user is taken: others may write to the parent (/tmp). Its files are
        checked afterwards.
        """
        for name in os.listdir(parent):
            if name.startswith(prefix) and self._is_left_by_dead(name):
                try:
                    status = os.lstat(os.path.join(parent, name))
                    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                        os.rename(os.path.join(parent, name), building)
                        return True
                except OSError:
                    continue
        return False

    def _sweep_beside(self, root: str) -> None:
        """Remove unfinished builds that dead processes left beside the root."""
        parent, name = os.path.split(root)
        prefix = f".{name[:60]}.artstore-"
        try:
            beside = [left for left in os.listdir(parent) if left.startswith(prefix)]
        except OSError:
            return  # the files are restored; without permission to list the parent, the builds stay
        for left in beside:
            if self._is_left_by_dead(left):
                remove_left(os.path.join(parent, left))

    def _is_left_by_dead(self, name: str) -> bool:
        """Whether a checkout made this name, and its process is dead."""
        owner = left_by(name)
        return owner is not None and is_dead(owner, local=self._objects.storage.local)

    def _open_cache(self, root: str) -> StatCache | None:
        if self._selection.everything and self._objects.here is not None:
            self._cache = StatCache(self._objects.here, root)
        return self._cache

    def _save_cache(self) -> None:
        if self._cache is not None:
            self._cache.save(self._cache.note)
            self._cache = None

    def _fresh(self, building: str, root: str) -> None:
        """Write everything into a new folder whose name no other process knows."""
        cache = self._open_cache(root)
        with Confined(building, self._store) as target:
            if self._selection.everything:
                self._objects.expect(small_below(self._tree, self._objects.read_tree))
                with closing_fd(target.open_folder(())) as fd:
                    self._fresh_folder(fd, b"", self._tree, None, cache)
                # Large and referenced files are written by threads. Their folders are noted when they are done.
                self._writer.finish()
                for path, tree, known in self._unfinished:
                    self._note_folder(target, path, tree, known)
                # Once the clock has moved on, a later change of a file changes its stat.
                time.sleep(min(clock_tick(building), _WAIT) / 1e9)
            else:
                self._write_selected(target, list(select(self._tree, self._objects.read_tree, self._selection)))
            self._writer.finish()

    def _fresh_folder(
        self, fd: int, path: bytes, tree: Digest, expected: Entry | None, cache: StatCache | None
    ) -> None:
        """Write all files of a tree into a new folder that is open. Raises Damage if it is not the tree `expected`."""
        # 1. Write the files and make the subfolders, in the order of the tree: packs are read from front to back.
        check_depth(path)
        entries = read_folder(tree, self._objects.read_tree, expected)
        if not path:
            check_root(entries)
            size, files = trees.totals(entries)
            self._monitor.expect(files, size)
        seen: dict[str, Stat] = {}
        for start in range(0, len(entries), _TOGETHER):
            some = entries[start : start + _TOGETHER]
            for entry in some:
                try:
                    if entry.kind == DIRECTORY:
                        if is_protected(entry.name):
                            refuse_protected(path + entry.name)
                        os.mkdir(entry.name, dir_fd=fd)
                        continue
                    st = self._writer.write_quickly(fd, entry) or self._writer.write_named(fd, path, entry)
                except FileExistsError:
                    raise _twins(fd, path, entry.name, entries) from None
                if st is not None:
                    seen[os.fsdecode(entry.name)] = st
            self._advance(some)
        # 2. Fill the subfolders.
        folders = [entry for entry in entries if entry.kind == DIRECTORY]
        for entry in folders:
            with closing_fd(open_child(fd, entry.name, create=False)) as child:
                seen[os.fsdecode(entry.name)] = (stat.S_IFDIR, os.fstat(child).st_ino)
                self._fresh_folder(child, path + entry.name + b"/", entry.digest, entry, cache)
        # 3. Note the stats in the cache, now or when the last of its files is written.
        if cache is not None and len(seen) == len(entries):
            cache.put(path, _record(_trusted(fd, seen, self._trust_in(seen)), tree, entries))
        elif cache is not None:
            self._unfinished.append((path, tree, {}))

    def _advance(self, entries: Sequence[Entry]) -> None:
        """Count files that were written, or that threads write: these count the bytes of large and of fetched ones."""
        sizes = [entry.size for entry in entries if entry.kind <= EXECUTABLE and entry.size < LARGE]
        self._monitor.advance(sum(entry.kind != DIRECTORY for entry in entries), sum(sizes))

    def _note_folder(self, target: Confined, path: bytes, tree: Digest, known: dict[str, Stat]) -> None:
        """Note a folder in the cache, after the last of its files was written.

        Files that were written or compared before keep the stats that they had then (`known`), because they may have
        been changed since.
        """
        entries = read_folder(tree, self._objects.read_tree)
        with closing_fd(target.open_folder(tuple(path.split(b"/")[:-1]), create=False)) as fd:
            seen = list_stats(fd)
            trusted = _trusted(fd, seen, self._trust_in(seen)) | known
        if self._cache is not None:
            self._cache.put(path, _record(trusted, tree, entries))

    def _trust_in(self, seen: dict[str, Stat]) -> Trust:
        """The rule for which of these stats can be trusted at the next look.

        In a new folder only this process writes. So all stats are trusted if the clock moves on before the rename.
        """
        if not self._private:
            return trust(self._folder, seen.values())
        tick = clock_tick(self._folder)
        return Trust(time.time_ns() - (tick if tick > _WAIT else 0), in_memory=self._in_memory)

    # -- a root that exists --

    def _into_existing(self, folder: str, root: str) -> None:
        """Bring a folder that exists to the version: compare, refuse, then replace file by file."""
        self._writer.reset()
        self._folder, self._private = folder, False
        if not os.path.isdir(folder):
            message = f"{printable(root)} is a {kind_of(os.stat(folder, follow_symlinks=False).st_mode)}, not a folder"
            raise Refused(message, hint="move it away, or choose another --root")
        cache = self._open_cache(root)
        with Confined(folder, self._store) as target:
            # 1. Find the files to write and to remove.
            with closing_fd(target.open_folder(())) as fd:
                todo, extra, stays = self._plan(fd)
            # 2. Refuse before anything is changed: names that are the same here, things of another kind that stay, and
            #    files that no version holds.
            obstacles.refuse_twins(target, todo)
            refuse_forbidden(target, (path for path, _ in todo))
            if stays:
                obstacles.refuse_other_kinds(target, todo, root)
            self._refuse_losses(target, todo, extra, root)
            # 3. Remove, then look again for things of another kind: a protected folder stays.
            self._removed = obstacles.remove(target, extra)
            obstacles.refuse_other_kinds(target, todo, root)
            # 4. Write.
            self._write_selected(target, todo)
            self._writer.finish()
            # 5. Note the folders whose files were written by threads.
            if cache is not None and self._unfinished:
                time.sleep(min(clock_tick(folder), _WAIT) / 1e9)
                for path, tree, known in self._unfinished:
                    self._note_folder(target, path, tree, known)
        if folder == root:
            self._save_cache()

    def _refuse_losses(self, target: Confined, todo: Todo, extra: obstacles.Extra, root: str) -> None:
        """Raise Refused if files that no version holds would be lost. Cost: hashes each of them, once.

        With `force` they may be lost, but for those in folders that are in the way: only `delete` removes these.
        """
        replaced = [] if self._force else [path for path, entry in todo if entry.kind != DIRECTORY]
        removed = [path for path, is_folder in extra if not is_folder]
        if self._force and self._how.delete:
            return
        unknown = obstacles.unknown_files(self._objects, target, [*replaced, *removed])
        if not self._how.delete and not set(removed).isdisjoint(unknown):
            obstacles.refuse_other_kinds(target, todo, root)
        if not self._force:
            obstacles.refuse_unknown(unknown, extra, root)

    def _plan(self, fd: int) -> tuple[Todo, obstacles.Extra, list[bytes]]:
        """The files to write below an open folder, those to remove, and those in the way that can't be removed.

        Raises NotFound if the selection matches nothing.
        """
        selection, link, delete = self._selection, self._how.link, self._how.delete
        comparison = Comparison(
            self._objects, selection=selection, cache=self._cache, link=link, extra=delete, strict=delete,
            monitor=self._monitor,
        )  # fmt: skip
        todo: Todo = []
        extras = obstacles.Extras(delete=delete)
        found = self._selection.everything
        with closing(comparison.folders(fd, self._tree)) as folders:
            for folder in folders:
                if isinstance(folder, AbsentFolder):
                    wrong = folder.selected()
                else:
                    wrong = self._differing(folder)
                    found = found or bool(folder.files) or (folder.path != b"" and self._selection.takes(folder.path))
                todo += wrong
                extras.look_into(folder, wrong)
                if not delete and self._cache is not None and isinstance(folder, ComparedFolder):
                    self._others += sum(not is_protected(name) for name in folder.extra())
        if not (found or todo):
            raise nothing_in(self._selection)
        return todo, sorted(extras.found, key=lambda item: item[0].split(b"/")), extras.stays

    def _differing(self, folder: ComparedFolder) -> Todo:
        """The files of a folder that are missing or changed. The others are recorded in the cache."""
        if folder.listed is not None:
            self._sweep(folder.fd, folder.listed)
        if folder.unchanged:
            if self._cache is not None:
                self._cache.keep(folder.path)
            self._writer.files += folder.files
            return []
        if not folder.path:
            check_root(folder.entries)
        for entry in folder.entries:
            if is_protected(entry.name) and self._selection.takes_entry(folder.path + entry.name, entry):
                refuse_protected(folder.path + entry.name)
        if self._cache is None:
            wrong = folder.differing()
        else:
            rule = self._trust_in(folder.listed or {})  # before the files are read: see `trust`
            wrong = folder.differing()
            trusted = _trusted(folder.fd, folder.right, rule)
            self._cache.put(folder.path, _record(trusted, folder.tree, folder.entries))
            if any(entry.kind == REFERENCE for _, entry in wrong):  # without a record they would be fetched again
                self._unfinished.append((folder.path, folder.tree, trusted))
        self._writer.files += folder.files
        return wrong

    def _sweep(self, fd: int, seen: dict[str, Stat]) -> None:
        """Remove temporary files that dead checkouts left in a folder."""
        for name in sweep_folder(fd, seen, local=self._objects.storage.local):
            del seen[name]

    def _write_selected(self, target: Confined, items: Todo) -> None:
        """Write files by path. Each is written under a temporary name and renamed over the file that was there."""
        files = [entry for _, entry in items if entry.kind != DIRECTORY]
        self._monitor.expect(len(files), sum(entry.size or 0 for entry in files))
        self._objects.expect(small_among(files))
        open_parts: tuple[bytes, ...] | None = None
        fd = -1
        try:
            for path, entry in items:
                parts = tuple(path.split(b"/"))
                for part in parts:
                    if is_protected(part):
                        refuse_protected(path)
                folder = parts if entry.kind == DIRECTORY else parts[:-1]
                if folder != open_parts:
                    if fd >= 0:
                        os.close(fd)
                        fd = -1
                    fd, open_parts = target.open_folder(folder), folder
                if entry.kind != DIRECTORY:
                    self._replace(fd, path, entry)
                    self._advance([entry])
        finally:
            if fd >= 0:
                os.close(fd)

    def _replace(self, fd: int, path: bytes, entry: Entry) -> None:
        """Write one file under a temporary name, then rename it over the file that was there."""
        name = entry.name
        temporary = os.fsencode(f".artstore-{self._owner}-{self._writer.files}")
        if entry.kind == REFERENCE:
            self._writer.fetch(fd, path, entry, temporary)
            return
        try:
            self._writer.write(fd, path[: -len(name)], entry, temporary)
            self._writer.finish()
            os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
        except BaseException:
            try:
                os.unlink(temporary, dir_fd=fd)  # our own: no other process has this name
            except OSError:
                pass
            raise


def _trusted(fd: int, seen: dict[str, Stat], rule: Trust) -> dict[str, Stat]:
    """The stats of an open folder's files, with UNKNOWN for a file that may change without a change of its stat."""
    device = os.fstat(fd).st_dev
    return {
        name: st if len(st) == 2 or (stat.S_ISREG(st[0]) and rule.holds(st, device)) else UNKNOWN
        for name, st in seen.items()
    }


def _record(trusted: dict[str, Stat], tree: Digest, entries: Sequence[Entry]) -> Record:
    """The stat cache's record of a folder whose files were just written or read. A file without a stat is read
    next time.
    """
    stats = dict(trusted)
    for entry in entries:
        stats.setdefault(os.fsdecode(entry.name), UNKNOWN)
    folders = tuple((entry.name, entry.digest) for entry in entries if entry.kind == DIRECTORY)
    runs = trees.split(entries)
    parts = tuple(RecordPart(part_of(run, tree_digest) if len(runs) > 1 else None, encode_rows(run)) for run in runs)
    sig = statcache.signature(stats)
    return Record(sig, tree, *trees.totals(entries), folders, parts, statcache.large_in(parts))


def _twins(fd: int, path: bytes, name: bytes, entries: tuple[Entry, ...]) -> Conflict:
    """The error for an entry that can't be made beside those before it. It names all twins of the open folder."""
    spelled: dict[str, bytes] = {}
    firsts = [(spelled.setdefault(obstacles.folded(entry.name), entry.name), entry.name) for entry in entries]
    spelling = obstacles.spelling_in(fd)
    twins = [(path + one, path + two) for one, two in firsts if one != two and spelling.are_one(one, two)]
    return obstacles.one_name(twins or [(path + b"another name", path + name)])
