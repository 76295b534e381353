"""Maintenance: merging packs by size class, and collecting what no live version reaches."""

import os
from collections.abc import Iterator, Set
from typing import NamedTuple

from artstore.domain.collection import State, VersionState, digest_of_state, id_of_state
from artstore.domain.digest import BLOB, TREE, VERSION, Digest
from artstore.domain.properties import property_digests
from artstore.domain.tree import DIRECTORY, PART, REFERENCE, decode_tree
from artstore.errors import Damage, DamagedLog, MissingObject, NoSpace, StorageError, translated
from artstore.operations.upkeep.removal import Everything, Removal, is_left_over, sweep
from artstore.progress import Monitor
from artstore.store.logs import Log, last_number
from artstore.store.objects import ObjectStore
from artstore.store.packs import FOOTER, HEADER, MERGE_BELOW, ROW, Pack, PackWriter, Row
from artstore.store.packset import PACKS, pack_path
from artstore.store.reading import read_small, read_windows
from artstore.store.refs import Refs
from artstore.store.runs import Runs
from artstore.store.transaction import Transaction

MERGE_COUNT = 8
_TRIES = 10
_MERGE_GRACE = 14 * 86400.0  # seconds, on network file systems: far longer than a client believes an old listing
_MERGE_MOST = 64  # at once, each with an open descriptor
_SMALLEST_CLASS = 64 << 10


# -- merge ---------------------------------------------------------------------------------------


def size_class(size: int) -> int | None:
    """Powers of eight from 64 KiB: 0 up to that, 1 up to 512 KiB, 2 up to 4 MiB, 3 up to 32 MiB; None beyond."""
    if size >= MERGE_BELOW:
        return None
    number, limit = 0, _SMALLEST_CLASS
    while size > limit:
        number, limit = number + 1, limit * MERGE_COUNT
    return number


def packs_due(objects: ObjectStore) -> list[str]:
    """The packs of the smallest size class that has eight or more, oldest first; empty when no merge is due."""
    storage, names = objects.storage, objects.packs.names()
    classes: dict[int, list[tuple[float, str]]] = {}
    for path, size in storage.below(PACKS):
        name, number = path[len(PACKS) + 1 : -len(".pack")], size_class(size)
        if number is not None and name in names:
            age = 0.0 if storage.distant else storage.stamp(path) or 0.0
            classes.setdefault(number, []).append((age, name))
    due = min((number for number, packs in classes.items() if len(packs) >= MERGE_COUNT), default=None)
    return [name for _, name in sorted(classes[due])][:_MERGE_MOST] if due is not None else []


def merge(objects: ObjectStore) -> int:
    """Merge as long as a size class has eight packs; how many packs went. Best effort: what fails is left as it was."""
    gone = 0
    while len(due := packs_due(objects)) >= MERGE_COUNT:
        merged = _merge_once(objects, due)
        if not merged:
            return gone
        gone += merged
    return gone


def _merge_once(objects: ObjectStore, names: list[str]) -> int:
    """Write one pack with the objects of these, in their order, then take the old ones away."""
    with Transaction(objects, "gc") as tx:
        packs = [pack for name in names if (pack := _whole_pack(objects, name)) is not None]
        if len(packs) < 2:
            return 0
        writer = PackWriter(tx.staged())
        try:
            seen: set[Digest] = set()
            for window in read_windows(objects, _in_order(objects, packs)):
                for row, data in window.objects():
                    if data is None:
                        return 0
                    if row.digest not in seen:
                        seen.add(row.digest)
                        writer.copy(row, window.stored(row))
            _publish(tx, writer)
        except (Damage, StorageError, OSError):
            return 0  # damage, or no space: fsck and gc say so, a save goes on
        finally:
            writer.close()
        removal = Removal(objects, "merge", own_transaction=str(tx.owner))
        try:
            taken = sum(removal.take_pack(pack.name) for pack in packs)
            grace = 0.0 if objects.storage.local else _MERGE_GRACE
            removal.claim_older(grace)
            removed = removal.finish(Everything(), keep_mine=grace > 0)
        except BaseException:
            removal.abandon()
            raise
        return taken - removed.given_back


def _whole_pack(objects: ObjectStore, name: str) -> Pack | None:
    """A pack without known damage."""
    return None if objects.damage.inside(name) else _opened(objects, name)


def _opened(objects: ObjectStore, name: str) -> Pack | None:
    try:
        return objects.packs.open(name)
    except (Damage, FileNotFoundError):
        return None


def _in_order(objects: ObjectStore, packs: list[Pack]) -> list[tuple[str, list[Row]]]:
    """All rows, by pack and place. At a distant place trees and versions come last, where few requests get them all."""
    rows = [(pack.name, list(pack.rows())) for pack in packs]
    if not objects.storage.distant:
        return rows
    blobs = [(name, [row for row in some if row.kind == BLOB]) for name, some in rows]
    return blobs + [(name, [row for row in some if row.kind != BLOB]) for name, some in rows]


def _publish(tx: Transaction, writer: PackWriter) -> None:
    name = writer.finish(sync=not tx.storage.distant).hex()
    tx.storage.publish(writer.path, pack_path(name))
    tx.storage.sync_names([PACKS])


# -- mark ----------------------------------------------------------------------------------------


class Marks:
    """What live versions reach, as refs say; `refresh` reads them again and adds. Nothing is ever taken out.

    Raises Damage for an unreadable entry, version or tree: then nothing may be collected.
    """

    def __init__(
        self,
        objects: ObjectStore,
        refs: Refs,
        runs: Runs,
        monitor: Monitor,
        *,
        without: Set[str] = frozenset(),
        kept: Set[Digest] = frozenset(),
    ) -> None:
        """`without` these versions, as `<folder of the log>@<id>`: what if they were deleted, and these blobs `kept`?"""
        self._objects = objects
        self._refs = refs
        self._runs = runs
        self._without = without
        self._monitor = monitor
        self._heads: dict[str, int] = {}
        self.reachable: set[bytes] = set(kept)
        self.versions = 0
        self.refresh()

    def __contains__(self, digest: object, /) -> bool:
        return digest in self.reachable

    def refresh(self) -> None:
        if self._objects.here and not os.path.isdir(self._objects.here.path("refs")):
            raise DamagedLog("refs/ is missing: nothing is collected", hint="restore it from a copy")
        for folder in self._refs.paths():
            for attempt in range(_TRIES):
                head = last_number(Log(self._objects.storage, folder).listing())
                if self._heads.get(folder) == head:
                    break
                state = self._refs.read_folder(folder, checkpoints=False)
                try:
                    self._mark_collection(state)
                except MissingObject:
                    # Deleted and collected since the log was read? Then it says so now; if not, it is damage.
                    if attempt == _TRIES - 1 or last_number(Log(self._objects.storage, folder).listing()) == head:
                        raise
                    continue
                if state.pending is None:  # else what it holds is decided by another log's next entry
                    self._heads[folder] = head
                break
        self._mark_histories()

    def _mark_histories(self) -> None:
        """Sealed parts of runs' histories."""
        for folder in self._runs.paths():
            head = last_number(Log(self._objects.storage, folder).listing())
            if self._heads.get(folder) != head:
                self.reachable.update(self._runs.read_folder(folder, checkpoints=False).blobs())
                self._heads[folder] = head

    def _mark_collection(self, state: State) -> None:
        live = [v for v in state.live() if f"{state.path.folder}@{v['id']}" not in self._without]
        self.reachable.update(property_blobs(state, live))
        new = {id_of_state(version): version for version in live if id_of_state(version) not in self.reachable}
        for _ in read_small(self._objects, dict.fromkeys(new, VERSION)):
            pass  # readable, or nothing is collected
        self._mark_trees({digest_of_state(version) for version in new.values()} | part_trees(state))
        self.reachable.update(new)
        self.versions += len(new)

    def _mark_trees(self, level: set[Digest]) -> None:
        """Level by level: from a distant place each costs one round of requests."""
        reachable = self.reachable
        while level := level - reachable:
            below: set[Digest] = set()
            for _, digest, data in read_small(self._objects, dict.fromkeys(level, TREE)):
                for entry in decode_tree(bytes(data), digest):
                    if entry[1] in (DIRECTORY, PART):
                        below.add(entry[3])
                    elif entry[1] != REFERENCE:
                        reachable.add(entry[3])
                reachable.add(digest)
                self._monitor.advance(1)
            level = below


def property_blobs(state: State, live: list[VersionState]) -> Iterator[Digest]:
    """Blobs that the properties of a collection and of its live versions name."""
    for owner in ({"description": state.description, "blobs": state.blobs}, *live):
        yield from property_digests(owner)


def part_trees(state: State) -> set[Digest]:
    """Trees of versions that are not finished."""
    return {Digest(bytes.fromhex(part["tree"])) for parts in state.upserts.values() for part in parts}


# -- gc ------------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """What a collection would do, exactly."""

    dead_packs: list[str]
    rewrites: dict[str, list[Row]]
    """packs more than half dead, and their live objects, which go into a pack of their own first"""
    dead_blobs: list[Digest]
    freed_bytes: int
    """of files that go, less those written anew"""
    dead_bytes_kept: int
    """dead objects in packs that are not worth a rewrite yet"""
    problems: list[str]


class Collected(NamedTuple):
    versions: int
    freed_bytes: int
    trashed_bytes: int
    """taken away now, unlinked by a gc after the grace period"""
    dead_bytes_kept: int
    waits_for: tuple[str, ...]
    swept: int
    problems: tuple[str, ...]


def plan(objects: ObjectStore, marks: Marks) -> Plan:
    """Which packs and large blobs hold nothing (or little) that is reachable."""
    dead_packs: list[str] = []
    rewrites: dict[str, list[Row]] = {}
    problems: list[str] = []
    freed = kept = 0
    copies = _Copies(objects)
    for name in sorted(objects.packs.refresh()):
        try:
            pack = objects.packs.open(name)
        except FileNotFoundError:
            continue
        except Damage as error:
            problems.append(f"{error}; it is set aside in bad/")
            continue
        except OSError as error:
            problems.append(f"pack {name[:12]} can't be read ({(error.strerror or '').lower()}); it is kept")
            continue
        bad = objects.damage.inside(name)
        rows = (row for row in pack.rows() if row.digest in marks and row.digest not in bad)
        live = [row for row in rows if not copies.has_good(row)]
        live_bytes = sum(row.length for row in live)
        all_bytes = pack.objects_end - HEADER
        if not live:
            dead_packs.append(name)
            freed += pack.size
        elif (all_bytes - live_bytes) * 2 > all_bytes or bad:
            rewrites[name] = live
            freed += pack.size - (HEADER + live_bytes + len(live) * ROW.size + FOOTER.size)
        else:
            kept += all_bytes - live_bytes
        copies.add(name, live)
    dead_blobs = []
    for digest, size in objects.large.all():
        if digest not in marks:
            dead_blobs.append(digest)
            freed += size
    return Plan(dead_packs, rewrites, dead_blobs, freed, kept, problems)


class _Copies:
    """Which reachable objects the packs looked at so far hold.

    A second copy is as dead as what nobody reaches, once the first was read and found right.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._first: dict[bytes, str] = {}

    def add(self, pack: str, rows: list[Row]) -> None:
        self._first.update((row.digest, pack) for row in rows)

    def has_good(self, row: Row) -> bool:
        name = self._first.get(row.digest)
        if name is None or self._objects.storage.distant:  # there each look at another copy is a request
            return False
        try:
            return self._objects.packs.open(name).holds(row.digest)
        except (Damage, OSError):
            return False


def collect(
    objects: ObjectStore,
    refs: Refs,
    runs: Runs,
    *,
    grace: float,
    monitor: Monitor,
    dry_run: bool = False,
    without: Set[str] = frozenset(),
    kept: Set[Digest] = frozenset(),
) -> Collected:
    """Take away what no live version reaches. With `grace` 0 it is unlinked in this run, else it waits in the trash for
    so many seconds. A `dry_run` may ask what it would be `without` some versions, and these blobs `kept`.
    """
    if dry_run:
        marks = Marks(objects, refs, runs, monitor, without=without, kept=kept)
        todo = plan(objects, marks)
        now, later = (todo.freed_bytes, 0) if grace <= 0 else (0, todo.freed_bytes)
        freed = now + waiting_trash(objects, grace)
        return Collected(marks.versions, freed, later, todo.dead_bytes_kept, (), 0, tuple(todo.problems))
    swept = sweep(objects.storage)
    objects.packs.failure = None
    with Transaction(objects, "gc") as tx:
        monitor.start("marking")
        marks = Marks(objects, refs, runs, monitor)
        recheck_bad(objects)
        todo = plan(objects, marks)
        problems = list(todo.problems)
        set_broken_aside(objects)
        replaced = [
            (name, size)
            for name, rows in todo.rewrites.items()
            if (size := _rewrite(tx, name, rows, problems)) is not None
        ]
        removal = Removal(objects, "gc", own_transaction=str(tx.owner))
        try:
            removal.claim_older(grace)
            for name in (*todo.dead_packs, *(name for name, _ in replaced)):
                if objects.damage.inside(name):
                    _keep_evidence(objects, name)
                removal.take_pack(name)
            for digest in todo.dead_blobs:
                removal.take_blob(digest)
            removed = removal.finish(marks, keep_mine=grace > 0)
        except BaseException:
            removal.abandon()
            raise
        if objects.packs.failure is not None:
            problems.append(
                f"a pack could not be read ({(objects.packs.failure.strerror or '').lower()}), so others are kept"
            )
        written = sum(size for _, size in replaced)
        freed = removed.freed_bytes - (written if not removed.kept_bytes else 0)
        trashed = removed.kept_bytes - (written if removed.kept_bytes else 0)
        return Collected(
            marks.versions, freed, trashed, todo.dead_bytes_kept, removed.waits_for, swept, tuple(problems)
        )


def _rewrite(tx: Transaction, name: str, rows: list[Row], problems: list[str]) -> int | None:
    """Publish a pack with the live objects of another, in their order; its size. None when the old one has to stay."""
    objects = tx.objects
    try:
        with translated(f"rewrite pack {name[:12]}"):
            writer = PackWriter(tx.staged())
            try:
                for window in read_windows(objects, [(name, rows)]):
                    for row, data in window.objects():
                        if data is None:
                            objects.damage.note(name, row.digest)
                            raise Damage(f"object {row.digest.hex()[:12]} in it is damaged")
                        writer.copy(row, window.stored(row))
                _publish(tx, writer)
            finally:
                writer.close()
        return writer.size
    except NoSpace:
        raise
    except (Damage, StorageError, FileNotFoundError) as error:
        problems.append(f"pack {name[:12]} is kept as it is: {error}")
        return None


def recheck_bad(objects: ObjectStore) -> None:
    """Hash each copy noted as damaged again: a note that came from a passing fault goes."""
    for pack_name, digest in sorted(objects.damage.copies()):
        try:
            right = objects.packs.open(pack_name).holds(digest)
        except FileNotFoundError:
            right = True  # the copy is gone, and the note with it
        except (Damage, OSError):
            continue
        if right:
            objects.damage.forget(pack_name, digest)


def set_broken_aside(objects: ObjectStore) -> list[str]:
    """Packs that can't be opened hold nothing for anybody: they are kept in bad/, and their notes go. Which."""
    return [name for name in sorted(objects.damage.broken) if _set_pack_aside(objects, name)]


def _set_pack_aside(objects: ObjectStore, name: str) -> bool:
    gone = False
    try:
        objects.packs.open(name)
    except Damage:
        gone = objects.storage.set_aside(pack_path(name), f"bad/{name}.pack.{os.urandom(4).hex()}")
    except OSError:
        return False
    objects.storage.remove(f"bad/{name}.pack")
    return gone


def rewrite_bad(objects: ObjectStore) -> list[str]:
    """Write each pack that has damaged copies anew without them, and keep the old one in bad/. Which were; those that
    could not be stay. As in a merge, nothing is taken away but what objects/ holds elsewhere.
    """
    names = sorted({name for name, _ in objects.damage.copies()})
    if not names:
        return []
    with Transaction(objects, "gc") as tx:
        done = []
        for name in names:
            if (pack := _opened(objects, name)) is None:
                continue
            bad = objects.damage.inside(name)
            good = [row for row in pack.rows() if row.digest not in bad]
            if not good or _rewrite(tx, name, good, []) is not None:
                done.append(name)
        removal = Removal(objects, "merge", own_transaction=str(tx.owner))
        try:
            for name in done:
                _keep_evidence(objects, name)
                removal.take_pack(name)
            removal.finish(Everything(), keep_mine=not objects.storage.local)
        except BaseException:
            removal.abandon()
            raise
    return done


def _keep_evidence(objects: ObjectStore, name: str) -> None:
    """A pack that is rewritten without its damaged objects is kept in bad/ by another link."""
    objects.storage.keep(pack_path(name), f"bad/{name}.pack.{os.urandom(4).hex()}")


def waiting_trash(objects: ObjectStore, grace: float) -> int:
    """Bytes in the trash of earlier runs that a collection now would unlink, by the store's own clock."""
    storage, total = objects.storage, 0
    now = storage.now(probe=True)
    for run in storage.names("trash"):
        since = storage.stamp(f"trash/{run}")
        if since is None or not is_left_over(storage, run) or 0 < grace > now - since:
            continue
        total += sum(storage.only_here(f"trash/{run}/{name}") for name in storage.names(f"trash/{run}"))
    return total
