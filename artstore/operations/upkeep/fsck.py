"""fsck: checking that everything that should be stored is stored, and right."""

import re
from collections.abc import Callable, Set
from functools import cached_property
from typing import Any, NamedTuple

from artstore.domain.collection import State, VersionState, digest_of_state, id_of_state
from artstore.domain.digest import BLOB, KIND_NAMES, PACKED_NAMES, RECIPE, TREE, VERSION, Digest, ObjectKind, PackedKind
from artstore.domain.names import printable
from artstore.domain.run import RunState
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry, check_depth, check_root, read_folder
from artstore.domain.wording import count
from artstore.errors import ArtstoreError, DamagedLog, DamagedObject, MissingObject
from artstore.operations.upkeep.mark import part_trees, property_blobs
from artstore.operations.upkeep.removal import is_left_over, open_transactions
from artstore.progress import Monitor
from artstore.store.logs import Log, decode_checkpoint
from artstore.store.metrics import rows_of, whole_rows
from artstore.store.objects import ObjectStore
from artstore.store.packfile import check_rows
from artstore.store.packs import LARGE, Pack
from artstore.store.paths import BLOBS, PACKS
from artstore.store.reading import neighbours
from artstore.store.refs import Refs
from artstore.store.runs import CHECKPOINT, Runs


class Report(NamedTuple):
    """The result of a check, and of a repair."""

    problems: list[str]
    """objects that are lost or damaged, and contradictions"""
    notes: list[str]
    """facts that a user may want to know, and that are not faults"""
    objects: int
    """stored objects that were not found damaged"""
    versions: int
    """live versions"""
    bytes: int
    """that were read and hashed"""
    mended: list[str]
    """problems that a repair solved"""


NO_COPY = "no other repository has this log: bring the file back from a backup"


def _of_log(error: ArtstoreError) -> str:
    return f"{error}; {NO_COPY}" if isinstance(error, DamagedLog) else str(error)


class Lost(NamedTuple):
    """An object that a live version or run needs, and that is missing or damaged."""

    kind: ObjectKind
    size: int | None
    """bytes; None if it isn't recorded"""


class Fsck:
    """One check of a whole repository. It continues after each problem.

    A quick check doesn't hash blobs. It does hash trees, versions, log entries and pack indexes.
    """

    def __init__(
        self,
        objects: ObjectStore,
        refs: Refs,
        runs: Runs,
        *,
        quick: bool,
        doubted: Set[str] = frozenset(),
        promised: Callable[[], set[Digest]] = set,
        gone: Callable[[], list[str]] = list,
        monitor: Monitor,
    ) -> None:
        """Prepare a check.

        Args:
            quick: Don't hash blobs.
            doubted: Names of packs and large blobs that are hashed even by a quick check.
            promised: The blobs that may be absent here, because the remote of a partial clone holds them.
            gone: Which logs of a remote are gone or other ones since they were last seen, in words.
        """
        self._gone = gone
        self._doubted = doubted
        self._find_promised = promised
        self._absent: set[Digest] = set()
        """promised blobs that are absent"""
        self._objects = objects
        self._refs = refs
        self._runs = runs
        self._quick = quick
        self._monitor = monitor
        self._problems: list[str] = []
        self._notes: list[str] = []
        self._totals: dict[Digest, tuple[int, int]] = {}
        """(bytes, files) of each tree that was checked"""
        self.wrong: set[Digest] = set()
        """objects with a damaged copy; another copy may be right"""
        self.lost: dict[Digest, Lost] = {}
        self.doubtful: set[str] = set()
        """names of packs and large blobs that are damaged, or could not be read"""
        self.useless: list[str] = []
        """paths of wrong checkpoints; they can be made again from the entries"""
        self._lengths: dict[Digest, int] = {}
        """sizes of all objects that are stored and not found damaged"""
        self._recipes: set[Digest] = set()
        """large blobs that have a recipe"""
        self._hashed = 0
        self._versions = 0

    def run(self) -> Report:
        """Check everything. The log entries are checked last: they need the sizes of all stored objects."""
        # 1. Packs and large blobs: which objects are stored, and right?
        self._objects.forget_trees()
        self._monitor.start("checking packs", "pack")
        for name in sorted(self._objects.packs.refresh()):
            problems = len(self._problems)
            self._check_pack(name)
            if len(self._problems) > problems:
                self.doubtful.add(name)
        self._monitor.start("checking large blobs", "blob")
        large = list(self._objects.large.files())
        if not self._quick:
            self._monitor.expect(len(large), sum(size for _, size in large))
        for digest, size in large:
            if self._is_right(digest, size):
                self._lengths[digest] = size
            else:
                self.doubtful.add(digest.hex())
        self._check_recipes()
        # 2. Logs of collections and runs, with everything that live versions and histories need.
        self._monitor.start("checking versions", "folder")
        self._problems += [f"{text}; {NO_COPY}" for text in self._gone()]
        for folder in self._refs.paths():
            self._check_log(folder)
        for folder in self._runs.paths():
            self._check_run(folder)
        # 3. Files that don't belong to the repository, the trash, open transactions.
        self._look_around()
        if self._absent:
            self._notes.append(f"{count(len(self._absent), 'blob')} stored only at a remote, as in any partial clone")
        return Report(self._problems, self._notes, len(self._lengths), self._versions, self._hashed, [])

    # -- objects --

    def _check_pack(self, name: str) -> None:
        """Check a pack: its index, the order of its rows, then its objects."""
        try:
            pack = self._objects.packs.open(name)
        except FileNotFoundError:
            return  # it was merged meanwhile: its objects are in another pack
        except ArtstoreError as error:
            self._problems.append(str(error))
            return
        except OSError as error:
            self._problems.append(f"pack {name[:12]} can't be read: {(error.strerror or '').lower()}")
            return
        if wrong := check_rows(pack):
            self._problems.append(f"pack {name[:12]}: {wrong}")
            return
        try:
            self._check_objects(pack)
        except OSError as error:
            self._problems.append(f"pack {name[:12]} can't be read: {(error.strerror or '').lower()}")

    def _check_objects(self, pack: Pack) -> None:
        """Hash the objects of a pack, in the order of the file, with a few large reads."""
        # 1. Hash trees and versions, and blobs unless the check is quick. Damage is noted; an old note is removed if
        #    the object is right.
        bad, rows = self._objects.damage.inside(pack.name), list(pack.index.rows())
        hashed = rows if self._hashes(pack.name) else [row for row in rows if row.kind != BLOB]
        for run in neighbours(hashed, self._objects.storage.distant):
            window = pack.window(run)
            self._monitor.advance(0, len(window.data))
            for row, data in window.objects():
                size = row.size
                self._hashed += size
                if data is None and pack.object(row) is None:
                    self._report_object(row.kind, row.digest, f"in pack {pack.name[:12]}")
                    self._objects.damage.note(pack.name, row.digest)
                    continue
                if row.digest in bad:
                    self._objects.damage.forget(pack.name, row.digest)
                if row.kind == RECIPE:
                    self._recipes.add(row.digest)
                else:
                    self._lengths[row.digest] = size
        # 2. Blobs that are not hashed count as right, unless damage was noted before.
        for row in rows if len(hashed) < len(rows) else ():
            if row.kind == BLOB and row.digest in bad:
                self._report_object(row.kind, row.digest, f"in pack {pack.name[:12]}")
            elif row.kind == BLOB:
                self._lengths[row.digest] = row.size

    def _report_object(self, kind: PackedKind, digest: Digest, where: str) -> None:
        self.wrong.add(digest)
        self._problems.append(f"{PACKED_NAMES[kind]} {digest.hex()[:12]} {where} is damaged")

    def _check_recipes(self) -> None:
        """Find the large blobs that are whole in packs. They are put together and hashed, unless the check is quick.

        A blob with a missing segment counts as missing: if a version needs it, it is reported there.
        """
        packed = self._objects.large.packed
        for digest in sorted(self._recipes):
            if (found := packed.find(digest)) is None or digest in self._lengths:
                continue
            try:
                if self._hashes(found.recipe):
                    with packed.open(found) as content:
                        content.check()
                    self._monitor.advance(0, found.size)
            except FileNotFoundError:
                continue  # a pack was merged meanwhile: `_found_late` looks again
            except DamagedObject:
                self._report_object(RECIPE, digest, f"in pack {found.recipe[:12]}")
                continue
            self._lengths[digest] = found.size

    def _hashes(self, name: str) -> bool:
        """Whether this check hashes the blobs of a pack, or a large blob."""
        return not self._quick or name in self._doubted

    def _is_right(self, digest: Digest, size: int) -> bool:
        """Whether a large blob has the digest of its name. A quick check assumes that it has."""
        if not self._hashes(digest.hex()):
            return True
        try:
            self._objects.large.check(digest, size)
        except DamagedObject:
            stands = self._objects.large.sizes([digest])
            self._report_object(BLOB, digest, "in objects/blobs" if stands else "(now in bad/)")
            return False
        except ArtstoreError as error:
            self._problems.append(str(error))
            return False
        self._hashed += size
        self._monitor.advance(1, size)
        return True

    # -- logs and versions --

    def _check_log(self, folder: str) -> None:
        """Check the log of a collection, its checkpoints, and all objects that its live versions need."""
        log = Log(self._objects.storage, folder)
        listing = log.listing()
        for name in sorted(listing):
            if not re.fullmatch(r"\d{8}\.(json|checkpoint)", name):
                self._notes.append(f"{folder}/{printable(name)} does not belong there")
        try:
            state = self._refs.read_folder(folder, checkpoints=False)
        except ArtstoreError as error:
            self._problems.append(_of_log(error))
            return
        if state.number and state.path.folder != folder:
            self._problems.append(f"the log in {folder} belongs to {state.path}")
        for name in sorted(name for name in listing if name.endswith(".checkpoint")):
            self._check_checkpoint(folder, name, state, self._refs.read_folder, State.from_plain)
        for blob in property_blobs(state, state.live()):
            self._need(BLOB, blob, None, f"a property of {state.path}")
        for tree in part_trees(state):
            self._check_tree(tree, b"", None, f"an unfinished version of {state.path}")
        for version in state.live():
            self._check_version(state, version)

    def _check_run(self, folder: str) -> None:
        """Check the log of a run, its checkpoint, and its history."""
        try:
            state = self._runs.read_folder(folder, checkpoints=False)
            if state.number and state.path.folder != folder:
                self._problems.append(f"the log in {folder} belongs to {printable(str(state.path))}")
            for path in self._runs.open_parts(state):
                for _ in rows_of(whole_rows(self._objects.storage.read(path))):
                    pass
        except FileNotFoundError:
            return  # its open history was sealed meanwhile
        except ArtstoreError as error:
            self._problems.append(_of_log(error))
            return
        if CHECKPOINT in self._objects.storage.names(folder):
            self._check_checkpoint(folder, CHECKPOINT, state, self._runs.read_folder, RunState.from_plain)
        for blob in state.blobs():
            self._need(BLOB, blob, None, f"the history of run {state.path}")
        for tree in state.folders():
            name = f"the files of run {state.path}"
            try:
                if self._check_tree(tree.digest, b"", None, name) != (tree.size, tree.files):
                    self._problems.append(f"{name}: its log has wrong totals")
            except ArtstoreError as error:
                self._problems.append(f"{name}: {error}")

    def _check_checkpoint(self, folder: str, name: str, now: Any, fold: Any, load: Any) -> None:
        """Check that a checkpoint has the state that its entries give.

        Args:
            now: The state of the log after all entries, so that a checkpoint of the newest needs no second fold.
            fold: Reads the state of the log after an earlier entry.
            load: Makes a state from the plain values of a checkpoint.
        """
        what = f"checkpoint {name} of {folder}"
        try:
            data = self._objects.storage.read(f"{folder}/{name}")
            number, digest, plain = decode_checkpoint(data, what, foreign=self._objects.here is None)
            state = now if number == now.number else fold(folder, checkpoints=False, until=number)
            right = number <= now.number and name in (f"{number:08}.checkpoint", CHECKPOINT) and digest == state.digest
            if not right or load(plain).plain() != state.plain():
                self._problems.append(f"{what} doesn't match its entries; delete it")
                self.useless.append(f"{folder}/{name}")
        except FileNotFoundError:
            return
        except (ArtstoreError, KeyError, TypeError, ValueError, AttributeError) as error:
            self._problems.append(f"{what} can't be used ({error}); delete it")
            self.useless.append(f"{folder}/{name}")

    def _check_version(self, state: State, version: VersionState) -> None:
        """Check a version's record against its log entry, and its tree."""
        name = f"{state.path}:v{version['number']}"
        self._versions += 1
        try:
            record = self._objects.read_version(id_of_state(version))
            logged = digest_of_state(version), version["size"], version["files"]
            if (record.tree, record.size, record.files) != logged:
                self._problems.append(f"{name}: its log entry and its record differ")
            if self._check_tree(record.tree, b"", None, name) != (record.size, record.files):
                self._problems.append(f"{name}: its record has wrong totals")
        except ArtstoreError as error:
            self._problems.append(f"{name}: {error}")
            if isinstance(error, (MissingObject, DamagedObject)):
                self.lost[id_of_state(version)] = Lost(VERSION, None)

    def _check_tree(self, digest: Digest, path: bytes, expected: Entry | None, name: str) -> tuple[int, int]:
        """Check a tree and everything below it. Returns its totals: bytes, files.

        Each tree is walked once, however many versions share it.

        Args:
            path: Of the folder in the version, with a slash at its end; empty for the root.
            expected: The entry in the folder above, with the totals that it records.
            name: Of the version, for messages.
        """
        if (known := self._totals.get(digest)) is not None:
            if expected is not None and known != (expected[2], expected[4]):
                self._problems.append(f"{name}: '{printable(path)}' has other totals than its folder records")
            return known
        self._monitor.advance(1)
        try:
            check_depth(path)
            entries = read_folder(digest, self._read_tree, expected)
            if not path:
                check_root(entries)
        except ArtstoreError as error:
            self._problems.append(f"{name}: '{printable(path)}': {error}")
            return (0, 0) if expected is None else (expected[2], expected[4])
        size = files = 0
        for entry in entries:
            below = path + entry.name
            if entry.kind == DIRECTORY:
                sub = self._check_tree(entry.digest, below + b"/", entry, name)
                size, files = size + sub[0], files + sub[1]
                continue
            size, files = size + (entry.size or 0), files + 1
            if entry.kind != REFERENCE:
                self._need(BLOB, entry.digest, entry.size, f"{name}: '{printable(below)}'")
        self._totals[digest] = size, files
        return size, files

    def _read_tree(self, digest: Digest) -> bytes:
        try:
            return self._objects.read_tree(digest)
        except (MissingObject, DamagedObject):
            self.lost[digest] = Lost(TREE, None)
            raise

    def _need(self, kind: ObjectKind, digest: Digest, size: int | None, where: str) -> None:
        """Check that an object is stored. If it isn't, it is lost, unless a remote promised it."""
        length = self._lengths.get(digest)
        if length is None and (digest in self.lost or not self._found_late(kind, digest, size)):
            if digest not in self.wrong and digest in self._promised:
                self._absent.add(digest)
                return
            self.lost[digest] = Lost(kind, size)
            state = "damaged" if digest in self.wrong else "missing"
            self._problems.append(f"{where}: {KIND_NAMES[kind]} {digest.hex()[:12]} is {state}")
        elif length is not None and size is not None and length != size:
            self._problems.append(f"{where}: blob {digest.hex()[:12]} has {length} bytes, but its tree records {size}")

    @cached_property
    def _promised(self) -> set[Digest]:
        return self._find_promised()

    def _found_late(self, kind: ObjectKind, digest: Digest, size: int | None) -> bool:
        """Whether an object can be read that was not in the listing of packs and large blobs.

        It may have been saved or merged since, or be in the trash.
        """
        try:
            if size is not None and size >= LARGE:
                if digest in self.wrong:  # the damaged file may still be in place, if it could not be moved
                    self._objects.large.check(digest, size)
                    return True
                self._objects.large.open(digest, size).close()
            else:
                self._objects.read(kind, digest)
        except ArtstoreError:
            return False
        return True

    # -- the rest --

    def _look_around(self) -> None:
        """Note files that don't belong to the repository, waiting trash, open transactions and kept evidence."""
        storage = self._objects.storage
        for name in storage.names(PACKS):
            if not re.fullmatch(r"[0-9a-f]{64}\.pack", name):
                self._notes.append(f"{PACKS}/{printable(name)} is not a pack; it is left alone")
        for path, _ in sorted(storage.below(BLOBS)):
            if not re.fullmatch(rf"{BLOBS}/([0-9a-f]{{2}})/\1[0-9a-f]{{62}}", path):
                self._notes.append(f"{printable(path)} is not a blob; it is left alone")
        if runs := [run for run in storage.names("trash") if is_left_over(storage, run)]:
            left = f"{count(len(runs), 'earlier gc run')} left files in the trash"
            self._notes.append(f"{left}; `gc` puts back what is needed, and deletes the rest after the grace period")
        for transaction in open_transactions(storage):
            name = printable(transaction)
            self._notes.append(f"transaction {name} is open: its process is at work, or died on another host")
        evidence = [name for name in storage.names("bad") if not re.fullmatch(r"[0-9a-f]{64}\.[0-9a-f]{64}", name)]
        if evidence:
            self._notes.append(f"{count(len(evidence), 'damaged file')} kept in bad/: delete what you no longer need")
