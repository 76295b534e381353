"""fsck: everything that is stored against everything that should be."""

import os
import re
from collections.abc import Callable, Set
from functools import cached_property
from typing import Any, NamedTuple

from artstore.domain.collection import State, VersionState, digest_of_state, id_of_state
from artstore.domain.digest import BLOB, KIND_NAMES, TREE, VERSION, Digest, ObjectKind
from artstore.domain.names import printable
from artstore.domain.run import RunState
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry, check_depth, check_root, read_folder
from artstore.domain.wording import count
from artstore.errors import ArtstoreError, DamagedObject, MissingObject
from artstore.operations.upkeep.mark import part_trees, property_blobs
from artstore.operations.upkeep.removal import is_left_over, open_transactions
from artstore.progress import Monitor
from artstore.store.large import BLOBS
from artstore.store.logs import Log, decode_checkpoint
from artstore.store.metrics import rows_of, whole_rows
from artstore.store.objects import ObjectStore
from artstore.store.packs import LARGE, Pack, check_rows
from artstore.store.packset import PACKS
from artstore.store.reading import neighbours
from artstore.store.refs import Refs
from artstore.store.runs import CHECKPOINT, Runs


class Report(NamedTuple):
    """`problems`: what is lost, damaged or contradicts itself. `notes`: what a user may want to know, and is no fault.
    `mended`: what a repair did about it.
    """

    problems: list[str]
    notes: list[str]
    objects: int
    versions: int
    bytes: int
    mended: list[str]


class Lost(NamedTuple):
    """An object that something live needs and the store can't give."""

    kind: ObjectKind
    size: int | None
    """bytes; None where nobody tells"""


class Fsck:
    """One check. Goes on after each problem; `quick` leaves out the hashing of blobs, not that of trees, versions,
    entries and pack indexes.
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
        monitor: Monitor,
    ) -> None:
        """`promised` tells blobs that may be absent, since a remote holds them. Packs and large blobs that are `doubted` are
        hashed by a quick check, too.
        """
        self._doubted = doubted
        self._find_promised = promised
        self._absent: set[Digest] = set()
        self._objects = objects
        self._refs = refs
        self._runs = runs
        self._quick = quick
        self._monitor = monitor
        self._problems: list[str] = []
        self._notes: list[str] = []
        self._totals: dict[Digest, tuple[int, int]] = {}
        self.wrong: set[Digest] = set()
        """objects of which a copy has other bytes"""
        self.lost: dict[Digest, Lost] = {}
        self.doubtful: set[str] = set()
        """names of packs and large blobs of which something was wrong, or could not be read"""
        self.useless: list[str] = []
        """paths of checkpoints that can be made anew"""
        self._lengths: dict[Digest, int] = {}
        self._hashed = 0
        self._versions = 0

    def run(self) -> Report:
        self._monitor.start("checking packs")
        for name in sorted(self._objects.packs.refresh()):
            problems = len(self._problems)
            self._check_pack(name)
            if len(self._problems) > problems:
                self.doubtful.add(name)
        self._monitor.start("checking large blobs")
        for digest, size in self._objects.large.all():
            if self._is_right(digest, size):
                self._lengths[digest] = size
            else:
                self.doubtful.add(digest.hex())
        self._monitor.start("checking versions")
        for folder in self._refs.paths():
            self._check_log(folder)
        for folder in self._runs.paths():
            self._check_run(folder)
        self._look_around()
        if self._absent:
            self._notes.append(f"{count(len(self._absent), 'blob')} only at a remote, which promised them")
        return Report(self._problems, self._notes, len(self._lengths), self._versions, self._hashed, [])

    # -- objects --

    def _check_pack(self, name: str) -> None:
        try:
            pack = self._objects.packs.open(name)
        except FileNotFoundError:
            return  # merged away meanwhile; its objects are in a later pack
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
        """Hash the objects of a pack in file order, from a few large reads."""
        bad, rows = self._objects.damage.inside(pack.name), list(pack.rows())
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
                self._lengths[row.digest] = size
        for row in rows if len(hashed) < len(rows) else ():
            if row.kind == BLOB and row.digest in bad:
                self._report_object(row.kind, row.digest, f"in pack {pack.name[:12]}")
            elif row.kind == BLOB:
                self._lengths[row.digest] = row.size

    def _report_object(self, kind: ObjectKind, digest: Digest, where: str) -> None:
        self.wrong.add(digest)
        self._problems.append(f"{KIND_NAMES[kind]} {digest.hex()[:12]} {where} is damaged")

    def _hashes(self, name: str) -> bool:
        """Whether this check hashes the blobs of a pack, or a large blob."""
        return not self._quick or name in self._doubted

    def _is_right(self, digest: Digest, size: int) -> bool:
        """Whether a large blob is what its name says, as far as this check looks."""
        if not self._hashes(digest.hex()):
            return True
        try:
            self._objects.large.check(digest, size)
        except DamagedObject:
            stands = self._objects.large.sizes([digest])
            self._report_object(BLOB, digest, "in objects/blobs" if stands else "is set aside in bad/: it")
            return False
        except ArtstoreError as error:
            self._problems.append(str(error))
            return False
        self._hashed += size
        self._monitor.advance(1, size)
        return True

    # -- logs and versions --

    def _check_log(self, folder: str) -> None:
        log = Log(self._objects.storage, folder)
        listing = log.listing()
        for name in sorted(listing):
            if not re.fullmatch(r"\d{8}\.(json|checkpoint)", name):
                self._notes.append(f"{folder}/{printable(name)} does not belong there")
        try:
            state = self._refs.read_folder(folder, checkpoints=False)
        except ArtstoreError as error:
            self._problems.append(str(error))
            return
        if state.number and state.path.folder != folder:
            self._problems.append(f"{folder} says that it is {state.path}")
        for name in sorted(name for name in listing if name.endswith(".checkpoint")):
            self._check_checkpoint(folder, name, state, self._refs.read_folder, State.from_plain)
        for blob in property_blobs(state, state.live()):
            self._need(BLOB, blob, None, f"a property of {state.path}")
        for tree in part_trees(state):
            self._check_tree(tree, b"", None, f"an unfinished version of {state.path}")
        for version in state.live():
            self._check_version(state, version)

    def _check_run(self, folder: str) -> None:
        try:
            state = self._runs.read_folder(folder, checkpoints=False)
            if state.number and state.path.folder != folder:
                self._problems.append(f"{folder} says that it is {printable(str(state.path))}")
            for path in self._runs.open_parts(state):
                for _ in rows_of(whole_rows(self._objects.storage.read(path))):
                    pass
        except FileNotFoundError:
            return  # its history was sealed meanwhile
        except ArtstoreError as error:
            self._problems.append(str(error))
            return
        if CHECKPOINT in self._objects.storage.names(folder):
            self._check_checkpoint(folder, CHECKPOINT, state, self._runs.read_folder, RunState.from_plain)
        for blob in state.blobs():
            self._need(BLOB, blob, None, f"the history of run {state.path}")

    def _check_checkpoint(self, folder: str, name: str, now: Any, fold: Any, load: Any) -> None:
        """`now` is the fold of all entries, which a checkpoint of the newest one is compared with."""
        what = f"checkpoint {name} of {folder}"
        try:
            data = self._objects.storage.read(f"{folder}/{name}")
            number, digest, plain = decode_checkpoint(data, what, foreign=self._objects.here is None)
            state = now if number == now.number else fold(folder, checkpoints=False, until=number)
            if (
                number > now.number
                or name not in (f"{number:08}.checkpoint", CHECKPOINT)
                or digest != state.digest
                or load(plain).plain() != state.plain()
            ):
                self._problems.append(f"{what} is not the fold of its entries; delete it")
                self.useless.append(f"{folder}/{name}")
        except FileNotFoundError:
            return
        except (ArtstoreError, KeyError, TypeError, ValueError, AttributeError) as error:
            self._problems.append(f"{what} is of no use ({error}); delete it")
            self.useless.append(f"{folder}/{name}")

    def _check_version(self, state: State, version: VersionState) -> None:
        name = f"{state.path}:v{version['number']}"
        self._versions += 1
        try:
            record = self._objects.read_version(id_of_state(version))
            if record.tree != digest_of_state(version) or (record.size, record.files) != (
                version["size"],
                version["files"],
            ):
                self._problems.append(f"{name}: its log entry does not say what its record says")
            if self._check_tree(record.tree, b"", None, name) != (record.size, record.files):
                self._problems.append(f"{name}: its record has wrong totals")
        except ArtstoreError as error:
            self._problems.append(f"{name}: {error}")
            if isinstance(error, (MissingObject, DamagedObject)):
                self.lost[id_of_state(version)] = Lost(VERSION, None)

    def _check_tree(self, digest: Digest, path: bytes, expected: Entry | None, name: str) -> tuple[int, int]:
        """Totals of a tree after checking all below it; each tree is walked once however many versions share it."""
        if (known := self._totals.get(digest)) is not None:
            if expected is not None and known != (expected[2], expected[4]):
                self._problems.append(f"{name}: '{printable(path)}' does not have the totals that its folder claims")
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
            below = path + entry[0]
            if entry[1] == DIRECTORY:
                sub = self._check_tree(entry[3], below + b"/", entry, name)
                size, files = size + sub[0], files + sub[1]
                continue
            size, files = size + (entry[2] or 0), files + 1
            if entry[1] != REFERENCE:
                self._need(BLOB, entry[3], entry[2], f"{name}: '{printable(below)}'")
        self._totals[digest] = size, files
        return size, files

    def _read_tree(self, digest: Digest) -> bytes:
        try:
            return self._objects.read_tree(digest)
        except (MissingObject, DamagedObject):
            self.lost[digest] = Lost(TREE, None)
            raise

    def _need(self, kind: ObjectKind, digest: Digest, size: int | None, where: str) -> None:
        length = self._lengths.get(digest)
        if length is None and (digest in self.lost or not self._found_late(kind, digest, size)):
            if digest not in self.wrong and digest in self._promised:
                self._absent.add(digest)
                return
            self.lost[digest] = Lost(kind, size)
            state = "damaged" if digest in self.wrong else "missing"
            self._problems.append(f"{where}: {KIND_NAMES[kind]} {digest.hex()[:12]} is {state}")
        elif length is not None and size is not None and length != size:
            self._problems.append(f"{where}: blob {digest.hex()[:12]} has {length} bytes, its tree says {size}")

    @cached_property
    def _promised(self) -> set[Digest]:
        return self._find_promised()

    def _found_late(self, kind: ObjectKind, digest: Digest, size: int | None) -> bool:
        """Saved or merged since the packs were listed, or waiting in the trash."""
        try:
            if size is not None and size >= LARGE:
                if digest in self.wrong:  # it may not have been possible to move it away
                    self._objects.large.check(digest, size)
                    return True
                fd, _ = self._objects.large.open(digest, size)
                os.close(fd)
            else:
                self._objects.read(kind, digest)
        except ArtstoreError:
            return False
        return True

    # -- the rest --

    def _look_around(self) -> None:
        storage = self._objects.storage
        for name in storage.names(PACKS):
            if not re.fullmatch(r"[0-9a-f]{64}\.pack", name):
                self._notes.append(f"{PACKS}/{printable(name)} is no pack of ours; it is left alone")
        for path, _ in sorted(storage.below(BLOBS)):
            if not re.fullmatch(rf"{BLOBS}/([0-9a-f]{{2}})/\1[0-9a-f]{{62}}", path):
                self._notes.append(f"{printable(path)} is no blob of ours; it is left alone")
        if runs := [run for run in storage.names("trash") if is_left_over(storage, run)]:
            self._notes.append(
                f"{count(len(runs), 'earlier gc run')} left something in the trash; `gc` frees it when its time is over"
            )
        for transaction in open_transactions(storage):
            self._notes.append(f"somebody is at work, or died elsewhere: transaction {printable(transaction)}")
        evidence = [name for name in storage.names("bad") if not re.fullmatch(r"[0-9a-f]{64}\.[0-9a-f]{64}", name)]
        if evidence:
            self._notes.append(f"{count(len(evidence), 'damaged file')} kept in bad/: delete what you no longer need")
