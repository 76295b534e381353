"""Repair: lost objects of live versions are looked for wherever they may be, and stored again.

Whatever is found is checked by its digest. Damaged files are never deleted: they are moved to bad/.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple

from artstore.backends.files import closing_fd, open_regular, remove_if_there
from artstore.domain.collection import VersionState, digest_of_state, id_of_state
from artstore.domain.digest import BLOB, KIND_NAMES, TREE, VERSION, Digest, ObjectKind, digest_of, from_hex, is_hex
from artstore.domain.names import printable
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry, read_folder
from artstore.domain.version import record_of
from artstore.domain.wording import count
from artstore.errors import ArtstoreError, Damage, StorageError
from artstore.operations.saving.draft import Draft
from artstore.operations.upkeep.collect import recheck_bad, rewrite_bad, set_broken_aside
from artstore.operations.upkeep.fsck import Fsck, Lost, Report
from artstore.progress import Monitor
from artstore.store.checkouts import Checkouts, Noted
from artstore.store.objects import ObjectStore
from artstore.store.packfile import salvage
from artstore.store.packs import LARGE
from artstore.store.paths import pack_path
from artstore.store.refs import Refs
from artstore.store.sides import LargeObjects, Objects
from artstore.store.transaction import Transaction


class Elsewhere(NamedTuple):
    """Another repository that may hold objects that were lost here."""

    name: str
    """for people, such as `remote 'origin'`"""
    open: Callable[[], AbstractContextManager[Objects]]
    """raises an ArtstoreError if it can't be reached"""


Look = Callable[[Transaction, dict[Digest, Lost]], Iterator[Digest]]
"""Searches one place for lost objects: stores those that it finds, and yields them."""


class Repair:
    """One repair of one store."""

    def __init__(self, objects: ObjectStore, refs: Refs, elsewhere: list[Elsewhere], monitor: Monitor) -> None:
        self._objects = objects
        self._refs = refs
        self._elsewhere = elsewhere
        self._monitor = monitor
        self.mended: list[str] = []
        """each repair that was made, as a sentence"""
        self.notes: list[str] = []
        """places that could not be searched, as sentences"""

    def run(self, check: Callable[..., Fsck], *, quick: bool) -> Report:
        """Check and repair, again and again while that helps. Returns the report of the last check.

        One round may not be enough: only after a lost tree is stored again are the objects below it known to be lost.
        After the first check, only packs and large blobs are hashed in which an earlier check found a problem.

        Args:
            check: Makes a check. `quick` and `doubted` are those of `Fsck`.
            quick: Whether the first check is quick.
        """
        doubted: set[str] = set()
        fsck = check(quick=quick, doubted=doubted)
        first = report = fsck.run()
        before: list[str] = []
        while report.problems not in ([], before) and self._mend(fsck):
            doubted |= fsck.doubtful
            before, fsck = report.problems, check(quick=True, doubted=doubted)
            report = fsck.run()
        return report._replace(bytes=first.bytes, mended=self.mended, notes=report.notes + self.notes)

    def _mend(self, fsck: Fsck) -> bool:
        """Repair what a check found. Returns whether anything was repaired."""
        before = len(self.mended)
        self._monitor.start("repairing", "object")
        # 1. Forget damage that was a passing fault.
        self._objects.packs.refresh()
        recheck_bad(self._objects)
        # 2. Move damaged large blobs away, since they have the names that the right ones need.
        lost = dict(fsck.lost)
        self._free_names(lost, fsck.wrong)
        # 3. Store lost objects again, before packs are moved: those that can't be opened are searched, too.
        self._store_again(lost)
        # 4. Rewrite packs with damaged objects, and move away packs that can't be opened and wrong checkpoints.
        for name in rewrite_bad(self._objects):
            self.mended.append(f"pack {name[:12]} was rewritten without its damaged objects; the old one is in bad/")
        for name in set_broken_aside(self._objects):
            self.mended.append(f"pack {name[:12]} can't be read: it was moved to bad/")
        for path in fsck.useless:
            folder, _, name = path.rpartition("/")
            if self._objects.storage.set_aside(path, f"bad/{name}.{os.urandom(4).hex()}"):
                moved = f"checkpoint {name} of {folder} was moved to bad/"
                self.mended.append(f"{moved}; the next one is made from the entries")
        return len(self.mended) > before

    def _free_names(self, lost: dict[Digest, Lost], wrong: set[Digest]) -> None:
        """Try again to move damaged large blobs away that could not be moved before.

        Blobs that are still in place are taken out of `lost`: either they can't be moved, and their name isn't free, or
        another process stored them again.
        """
        for digest, size in self._objects.large.sizes(list(wrong)).items():
            try:
                self._objects.large.check(digest, size)
            except ArtstoreError:
                continue  # the next check reports it if it is still in place
        for digest in self._objects.large.sizes([digest for digest, item in lost.items() if item.kind == BLOB]):
            del lost[digest]

    # -- places to search --

    def _store_again(self, lost: dict[Digest, Lost]) -> None:
        """Search all places for lost objects, the nearest first. Objects that are found are taken out of `lost`."""
        with Transaction(self._objects) as tx:
            self._note(tx, lost, "the log", self._from_logs)
            self._note(tx, lost, "bad/", self._from_evidence)
            for noted in self._checkouts():
                self._note(tx, lost, printable(noted.folder), partial(self._from_folder, noted))
            for place in self._elsewhere:
                self._note(tx, lost, place.name, partial(self._from_store, place))
            tx.publish()
            tx.ensure()
        for noted in self._checkouts() if any(item.kind == TREE for item in lost.values()) else ():
            self._from_whole_folder(lost, noted)

    def _note(self, tx: Transaction, lost: dict[Digest, Lost], where: str, look: Look) -> None:
        """Search one place with `look`, which yields the objects that it stored. Report them as from `where`."""
        found: Counter[ObjectKind] = Counter()
        for digest in look(tx, lost) if lost else ():
            if item := lost.pop(digest, None):
                found[item.kind] += 1
                self._monitor.advance(1)
        self._tell(found, where)

    def _tell(self, found: Counter[ObjectKind], where: str) -> None:
        if found:
            what = " and ".join(count(number, KIND_NAMES[kind]) for kind, number in sorted(found.items()))
            self.mended.append(f"{what} stored again, from {where}")

    def _from_logs(self, tx: Transaction, lost: dict[Digest, Lost]) -> Iterator[Digest]:
        """Make lost records of versions again: a log entry has all of their fields."""
        if not any(item.kind == VERSION for item in lost.values()):
            return
        for state in self._refs.collections(damaged=[]):  # those that can't be read are left out
            for version in state.live():
                id, data = id_of_state(version), record_of(version, state.type)
                if id in lost and digest_of(VERSION, data) == id:
                    yield tx.add(VERSION, data, id)

    def _from_evidence(self, tx: Transaction, lost: dict[Digest, Lost]) -> Iterator[Digest]:
        """Search files in bad/ and packs that can't be opened: many objects in them may be right."""
        storage = self._objects.storage
        if storage.distant:
            return
        names = storage.names("bad")
        packs = [f"bad/{name}" for name in names if is_hex(name[:64]) and name[64:70] == ".pack."]
        for path in (*map(pack_path, self._objects.damage.broken), *packs):
            yield from self._from_broken(tx, lost, path)
        for name in names:
            if len(name) == 73 and is_hex(name[:64]) and (item := lost.get(from_hex(name[:64]))):
                digest = from_hex(name[:64])
                if self._copied(tx, digest, item, partial(storage.copy_out, f"bad/{name}")):
                    yield digest

    def _from_broken(self, tx: Transaction, lost: dict[Digest, Lost], path: str) -> Iterator[Digest]:
        try:
            size, read, close = self._objects.storage.reader(path)
        except (OSError, ArtstoreError):
            return
        try:
            for kind, digest, data in salvage(size, read):
                if digest in lost and lost[digest].kind == kind:
                    yield tx.add_bytes(data) if kind == BLOB else tx.add(kind, data, digest)
        except (OSError, Damage):
            return  # the next place is searched
        finally:
            close()

    def _from_folder(self, noted: Noted, tx: Transaction, lost: dict[Digest, Lost]) -> Iterator[Digest]:
        """Search a folder that was saved as, or restored from, a version, for files that didn't change since."""
        version = self._version(noted)
        if version is None:
            return
        for path, entry in self._readable(b"", digest_of_state(version)):
            if entry.digest in lost and noted.selection.takes(path):
                at = noted.folder if noted.name is not None else os.path.join(noted.folder, os.fsdecode(path))
                if self._from_file(tx, entry, at):
                    yield entry.digest

    def _from_file(self, tx: Transaction, entry: Entry, path: str) -> bool:
        """Store a lost blob again from a file on disk, if it has the same content. Returns whether it has."""
        _, _, size, digest = entry
        try:
            with closing_fd(open_regular(path, follow=True)) as fd:
                if os.fstat(fd).st_size != size:
                    return False
                if size < LARGE:
                    data = os.pread(fd, size, 0)
                    return digest_of(BLOB, data) == digest and bool(tx.add(BLOB, data, digest))
                copied = tx.copy_large(fd, size, lambda n: None)
                if copied is None or copied[0] != digest:
                    if copied is not None and copied[1] is not None:
                        remove_if_there(copied[1])
                    return False
                tx.add_large(digest, size, copied[1])
                return True
        except OSError:
            return False

    def _from_store(self, place: Elsewhere, tx: Transaction, lost: dict[Digest, Lost]) -> Iterator[Digest]:
        try:
            with place.open() as store:
                small = {digest: item.kind for digest, item in lost.items() if (item.size or 0) < LARGE}
                for kind, digest, data in store.read_there(small):
                    yield tx.add(kind, data, digest)
                blobs = {digest: item.size for digest, item in lost.items() if item.kind == BLOB}
                large = store.large.readable({d for d, size in blobs.items() if size is None or size >= LARGE})
                for digest, size in large.items():
                    if self._copied(tx, digest, lost[digest], partial(_copy_of, store.large, digest, size)):
                        yield digest
        except (ArtstoreError, OSError) as error:
            note = f"{place.name} could not be searched completely: {error}"
            self.notes += [note] if note not in self.notes else []  # each round asks again

    def _copied(self, tx: Transaction, digest: Digest, item: Lost, copy: Callable[[int], tuple[Digest, int]]) -> bool:
        """Store the large blob that `copy` writes to a descriptor, if it is the right one. Returns whether it is."""
        staged = tx.staged()
        with closing_fd(os.open(staged, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)) as fd:
            try:
                found, size = copy(fd)
            except (OSError, Damage, StorageError):
                found, size = None, 0
        if found != digest or item.size not in (None, size):
            remove_if_there(staged)
            return False
        tx.add_large(digest, size, staged)
        return True

    def _from_whole_folder(self, lost: dict[Digest, Lost], noted: Noted) -> None:
        """Save a folder again that still has all files of a version: that makes the same trees."""
        version = self._version(noted)
        if version is None or noted.name is not None or not noted.selection.everything:
            return
        try:
            with Draft(self._objects, self._refs, self._monitor) as draft:
                draft.add_folder(noted.folder)
                if draft.store_again(digest_of_state(version)):
                    found = Counter(lost.pop(digest).kind for digest in list(lost) if self._is_there(digest, lost))
                    self._tell(found, printable(noted.folder))
        except ArtstoreError as error:
            self.notes.append(f"{printable(noted.folder)} could not be saved again: {error}")

    def _is_there(self, digest: Digest, lost: dict[Digest, Lost]) -> bool:
        return self._objects.has(lost[digest].kind, digest, lost[digest].size or 0)

    # -- checkouts and versions --

    def _checkouts(self) -> list[Noted]:
        here = self._objects.here
        return Checkouts(here).all() if here is not None else []

    def _version(self, noted: Noted) -> VersionState | None:
        try:
            return self._refs.read(noted.collection).versions.get(noted.id)
        except ArtstoreError:
            return None

    def _readable(self, path: bytes, tree: Digest) -> Iterator[tuple[bytes, Entry]]:
        """The files below a tree, except those below trees that are lost."""
        try:
            entries = read_folder(tree, self._objects.read_tree)
        except ArtstoreError:
            return
        for entry in entries:
            if entry.kind == DIRECTORY:
                yield from self._readable(path + entry.name + b"/", entry.digest)
            elif entry.kind != REFERENCE:
                yield path + entry.name, entry


def _copy_of(large: LargeObjects, digest: Digest, size: int, target: int) -> tuple[Digest, int]:
    return large.copy(digest, size, target, lambda sent: None)
