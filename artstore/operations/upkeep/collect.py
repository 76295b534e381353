"""Collecting: removing objects that no live version reaches, and moving damaged packs to bad/."""

import os
from collections.abc import Set
from contextlib import closing
from operator import attrgetter
from typing import NamedTuple

from artstore.backends.owner import is_alive, parse
from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.digest import RECIPE, Digest
from artstore.domain.wording import near
from artstore.errors import Damage, NotFound, Refused, StorageError, translated
from artstore.operations.upkeep.anew import store_anew, superseded
from artstore.operations.upkeep.mark import Marks
from artstore.operations.upkeep.merge import opened, publish
from artstore.operations.upkeep.removal import Everything, Removal, is_left_over, sweep
from artstore.operations.upkeep.rewriting import copy_objects
from artstore.progress import Monitor
from artstore.store.objects import ObjectStore
from artstore.store.packs import Row
from artstore.store.paths import pack_path
from artstore.store.refs import Refs
from artstore.store.runs import Runs
from artstore.store.transaction import Transaction
from artstore.store.trash import trashed


class Plan(NamedTuple):
    """The packs and large blobs that a collection removes or rewrites."""

    dead_packs: list[str]
    """packs without a live object"""
    rewrites: dict[str, list[Row]]
    """packs of which more than half is dead, with their live objects: those are written to a new pack first"""
    dead_blobs: list[Digest]
    """large blobs that no live version reaches"""
    freed_bytes: int
    """of the removed files, minus those of new packs"""
    dead_bytes_kept: int
    """of dead objects in packs that are not worth a rewrite yet"""
    superseded: dict[str, set[Digest]]
    """by pack, the recipes in it that others have made needless: what only these name can go when they are gone"""
    problems: list[str]


class Collected(NamedTuple):
    """The result of a collection."""

    versions: int
    """live versions"""
    freed_bytes: int
    trashed_bytes: int
    """moved to the trash now; a gc after the grace period deletes them"""
    dead_bytes_kept: int
    """of dead objects in packs that are not worth a rewrite yet"""
    waits_for: tuple[str, ...]
    """transactions that kept the trash from being deleted"""
    swept: int
    """folders of dead processes that were removed from tmp/"""
    problems: tuple[str, ...]

    def with_more(self, later: "Collected") -> "Collected":
        """The result of both runs."""
        return later._replace(
            freed_bytes=self.freed_bytes + later.freed_bytes,
            trashed_bytes=self.trashed_bytes + later.trashed_bytes,
            waits_for=tuple(dict.fromkeys(self.waits_for + later.waits_for)),
            swept=self.swept,
            problems=tuple(dict.fromkeys(self.problems + later.problems)),
        )


def plan(objects: ObjectStore, marks: Marks) -> Plan:
    """Find the packs and large blobs that hold nothing, or little, that is reachable. Changes nothing.

    Packs that came after the marks are left out: they may have recipes, and so the segments that these need.
    """
    dead_packs: list[str] = []
    rewrites: dict[str, list[Row]] = {}
    problems: list[str] = []
    freed = kept = 0
    copies = _Copies(objects)
    needless = superseded(objects, marks)
    for name in sorted(objects.packs.refresh() & marks.packs):
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
        # Of each pack, the live objects: reachable, not damaged, and without a good copy in an earlier pack.
        bad = objects.damage.inside(name)
        gone = needless.get(name, set())
        rows = [row for row in pack.index.rows() if row.digest in marks and row.digest not in bad]
        dead = copies.second(rows) | gone
        live = [row for row in rows if row.digest not in dead] if dead else rows
        live_bytes, all_bytes = pack.index.bytes_of(live), pack.index.stored_bytes
        # No live object: remove the pack. More than half dead, or damaged: rewrite it. Otherwise keep it.
        if pack.index.has_frames and marks.unread:
            kept += all_bytes - live_bytes  # a pack that can't be read now may have recipes that need the rest
        elif not live:
            dead_packs.append(name)
            freed += pack.index.pack_size
        elif (all_bytes - live_bytes) * 2 > all_bytes or bad or gone:
            rewrites[name] = live
            freed += pack.index.pack_size - pack.index.size_with(live)
        else:
            kept += all_bytes - live_bytes
        copies.add(name, live)
    dead_blobs = {
        digest: size
        for digest, size in objects.large.files()
        if digest not in marks or objects.large.is_right_in_packs(digest, size)  # whoever packed it was killed
    }
    freed += sum(dead_blobs.values())
    return Plan(dead_packs, rewrites, list(dead_blobs), freed, kept, needless, problems)


class _Copies:
    """The live objects of the packs that were planned so far.

    A second copy of an object is dead, too, if the first copy can be read.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._first: dict[bytes, str] = {}

    def add(self, pack: str, rows: list[Row]) -> None:
        """Note the live objects of a pack."""
        self._first.update((row.digest, pack) for row in rows if row.kind != RECIPE)

    def second(self, rows: list[Row]) -> set[Digest]:
        """Those of a pack's objects of which an earlier pack has a good copy. Reads and hashes these copies.

        Always empty at a distant place, where reading each copy would cost a request.
        """
        if self._objects.storage.distant:
            return set()
        # Two recipes of a blob may name other segments: each is kept.
        twice = [row for row in rows if row.digest in self._first and row.kind != RECIPE]
        return {row.digest for row in sorted(twice, key=attrgetter("offset")) if self._has_good(row.digest)}

    def _has_good(self, digest: Digest) -> bool:
        try:
            return self._objects.packs.open(self._first[digest]).holds(digest)
        except (Damage, OSError):
            return False


def foresee(
    objects: ObjectStore,
    refs: Refs,
    runs: Runs,
    *,
    grace: float,
    monitor: Monitor,
    without: Set[str] = frozenset(),
    kept: Set[Digest] = frozenset(),
) -> Collected:
    """The result that `collect` would have. Changes nothing.

    Args:
        without: Versions to take as deleted, as `<folder of the log>@<id>`.
        kept: Blobs to take as reachable.
    """
    marks = Marks(objects, refs, runs, monitor, without=without, kept=kept)
    todo = plan(objects, marks)
    now, later = (todo.freed_bytes, 0) if grace <= 0 else (0, todo.freed_bytes)
    freed = now + waiting_trash(objects, grace)
    return Collected(marks.versions, freed, later, todo.dead_bytes_kept, (), 0, tuple(todo.problems))


def collect(objects: ObjectStore, refs: Refs, runs: Runs, *, grace: float, monitor: Monitor) -> Collected:
    """Remove objects that no live version reaches.

    With `grace` 0 they are deleted now. Otherwise they wait in the trash for `grace` seconds, and a later gc deletes
    them. Raises Damage, and removes nothing, if a log, version or tree can't be read.
    """
    # 1. Remove what dead processes left in tmp/.
    swept = sweep(objects.storage, builds=True)
    objects.packs.failure = None
    with Transaction(objects, "gc") as tx:
        # 2. Mark what live versions reach.
        monitor.start("marking", "folder")
        marks = Marks(objects, refs, runs, monitor)
        # 3. Forget notes of damage that was a passing fault, so that good packs aren't rewritten.
        recheck_bad(objects)
        # 4. Store deltas whole whose bases nothing else needs.
        if store_anew(tx, marks):
            marks.refresh()
        # 5. Plan what to remove, then move unreadable packs to bad/: the plan reports them as problems. Remove it.
        todo = plan(objects, marks)
        set_broken_aside(objects)
        done = carry_out(tx, marks, todo, grace=grace)._replace(swept=swept)
        # 6. What only needless recipes named can go now that these are gone.
        if todo.superseded:
            marks = Marks(objects, refs, runs, monitor)
            done = done.with_more(carry_out(tx, marks, plan(objects, marks), grace=grace))
    # 7. Set space aside for the next time that the disk is full.
    if isinstance(objects.storage, FolderStorage):
        objects.storage.reserve()
    return done


def abandon_transaction(storage: Storage, name: str, *, force: bool, dry_run: bool) -> None:
    """Remove a transaction as if its process were dead: if it is alive, its save will fail.

    Raises NotFound. Raises Refused if the process is alive on this host, unless `force`.
    """
    if name not in storage.names("tmp") or "/" in name:
        raise NotFound(f"there is no transaction '{name}'", hint=near(name, storage.names("tmp")))
    owner = parse(name)
    if owner is not None and is_alive(owner) and not force:
        hint = "end that process first, or abandon it with --force"
        raise Refused(f"process {owner.pid} is at work here: its save would fail", hint=hint)
    if not dry_run:
        storage.remove_folder(f"tmp/{name}")


def carry_out(tx: Transaction, marks: Marks, todo: Plan, *, grace: float) -> Collected:
    """Carry out a plan: write live objects of removed packs to new packs, then remove packs and large blobs."""
    # 1. Rewrite packs first: a live object is never without a stored copy.
    objects, problems = tx.objects, list(todo.problems)
    rewritten = {name: _rewrite(tx, name, rows, problems) for name, rows in todo.rewrites.items()}
    replaced = {name: size for name, size in rewritten.items() if size is not None}
    # 2. Move packs and blobs to the trash, together with the trash of earlier runs whose grace period is over. Then
    #    delete it, or leave it there for the grace period.
    with Removal(objects, "gc", own_transaction=str(tx.owner)) as removal:
        removal.claim_older(grace)
        for name in (*todo.dead_packs, *replaced):
            if objects.damage.inside(name):
                _keep_evidence(objects, name)
            removal.take_pack(name)
        for digest in todo.dead_blobs:
            removal.take_blob(digest)
        removed = removal.finish(marks, keep_mine=grace > 0)
    if (failure := objects.packs.failure) is not None:
        problems.append(f"a pack could not be read ({(failure.strerror or '').lower()}), so others are kept")
    written = sum(replaced.values())
    freed = removed.freed_bytes - (written if not removed.kept_bytes else 0)
    trashed = removed.kept_bytes - (written if removed.kept_bytes else 0)
    return Collected(marks.versions, freed, trashed, todo.dead_bytes_kept, removed.waits_for, 0, tuple(problems))


def _rewrite(tx: Transaction, name: str, rows: list[Row], problems: list[str]) -> int | None:
    """Publish a new pack with some objects of a pack, in their order. Returns the size of the new pack.

    Returns None, with a problem added, if the old pack has to stay, also because there is no space for the new one.
    """
    objects = tx.objects
    try:
        with translated(f"rewrite pack {name[:12]}"), closing(objects.packs.open(name).writer(tx.staged())) as writer:
            copy_objects(objects, [(name, rows)], writer)
            publish(tx, writer)
        return writer.size
    except (Damage, StorageError, FileNotFoundError) as error:
        problems.append(f"pack {name[:12]} is kept as it is: {error}")
        return None


def recheck_bad(objects: ObjectStore) -> None:
    """Hash each object again that is noted as damaged. If it is right, remove the note: the fault was a passing one.

    The notes of a pack that is gone can go. While it is in the trash they stay, or it is brought back for what is
    damaged in it.
    """
    copies = sorted(objects.damage.copies())
    waiting = {path.rpartition("/")[2] for path in trashed(objects.storage)} if copies else set[str]()
    for pack_name, digest in copies:
        try:
            right = objects.packs.open(pack_name).holds(digest)
        except FileNotFoundError:
            right = f"{pack_name}.pack" not in waiting
        except (Damage, OSError):
            continue
        if right:
            objects.damage.forget(pack_name, digest)


def set_broken_aside(objects: ObjectStore) -> list[str]:
    """Move packs that can't be opened to bad/, and remove the notes about them. Returns the names of these packs."""
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
    """Rewrite each pack that has damaged objects without them, and keep the old pack in bad/.

    As in a merge, good objects are only removed from a pack if another one in objects/ holds them. Returns the names of
    the rewritten packs. A pack that could not be rewritten stays.
    """
    names = sorted({name for name, _ in objects.damage.copies()})
    if not names:
        return []
    with Transaction(objects, "gc") as tx:
        done = []
        for name in names:
            if (pack := opened(objects, name)) is None:
                continue
            bad = objects.damage.inside(name)
            good = [row for row in pack.index.rows() if row.digest not in bad]
            if not good or _rewrite(tx, name, good, []) is not None:
                done.append(name)
        with Removal(objects, "merge", own_transaction=str(tx.owner)) as removal:
            for name in done:
                _keep_evidence(objects, name)
                removal.take_pack(name)
            removal.finish(Everything(), keep_mine=not objects.storage.local)
    return done


def _keep_evidence(objects: ObjectStore, name: str) -> None:
    """Keep a pack in bad/, under another name, before it is removed from objects/."""
    objects.storage.keep(pack_path(name), f"bad/{name}.pack.{os.urandom(4).hex()}")


def waiting_trash(objects: ObjectStore, grace: float) -> int:
    """The number of bytes in the trash that a collection would delete now, by the clock of the storage."""
    storage, total = objects.storage, 0
    now = storage.now(probe=True)
    for run in storage.names("trash"):
        since = storage.stamp(f"trash/{run}")
        if since is None or not is_left_over(storage, run) or 0 < grace > now - since:
            continue
        total += sum(storage.only_here(f"trash/{run}/{name}") for name in storage.names(f"trash/{run}"))
    return total
