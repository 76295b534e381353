"""Collecting: what no live version reaches is taken away, and what is damaged is set aside."""

import os
from collections.abc import Set
from typing import NamedTuple

from artstore.backends.owner import is_alive
from artstore.backends.owner import parse as parse_owner
from artstore.backends.storage import Storage
from artstore.domain.digest import Digest
from artstore.domain.wording import near
from artstore.errors import Damage, NoSpace, NotFound, Refused, StorageError, translated
from artstore.operations.upkeep.mark import Marks
from artstore.operations.upkeep.merge import opened, publish
from artstore.operations.upkeep.removal import Everything, Removal, is_left_over, sweep
from artstore.progress import Monitor
from artstore.store.objects import ObjectStore
from artstore.store.packs import FOOTER, HEADER, ROW, PackWriter, Row
from artstore.store.packset import pack_path
from artstore.store.reading import read_windows
from artstore.store.refs import Refs
from artstore.store.runs import Runs
from artstore.store.transaction import Transaction


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
    """What `collect` would do; also what it would do `without` some versions, and with these blobs `kept`."""
    marks = Marks(objects, refs, runs, monitor, without=without, kept=kept)
    todo = plan(objects, marks)
    now, later = (todo.freed_bytes, 0) if grace <= 0 else (0, todo.freed_bytes)
    freed = now + waiting_trash(objects, grace)
    return Collected(marks.versions, freed, later, todo.dead_bytes_kept, (), 0, tuple(todo.problems))


def collect(objects: ObjectStore, refs: Refs, runs: Runs, *, grace: float, monitor: Monitor) -> Collected:
    """Take away what no live version reaches. With `grace` 0 it is unlinked in this run, else it waits in the trash for
    so many seconds.
    """
    swept = sweep(objects.storage)
    objects.packs.failure = None
    with Transaction(objects, "gc") as tx:
        monitor.start("marking")
        marks = Marks(objects, refs, runs, monitor)
        recheck_bad(objects)
        todo = plan(objects, marks)
        set_broken_aside(objects)
        return carry_out(tx, marks, todo, grace=grace)._replace(swept=swept)


def abandon_transaction(storage: Storage, name: str, *, force: bool, dry_run: bool) -> None:
    """Declare a transaction dead: its save will fail. Refused if its process is alive on this host, unless `force`."""
    if name not in storage.names("tmp") or "/" in name:
        raise NotFound(f"there is no transaction '{name}'", hint=near(name, storage.names("tmp")))
    owner = parse_owner(name)
    if owner is not None and is_alive(owner) and not force:
        raise Refused(
            f"process {owner.pid} is at work here: its save would fail",
            hint="end that process first, or abandon it with --force",
        )
    if not dry_run:
        storage.remove_folder(f"tmp/{name}")


def carry_out(tx: Transaction, marks: Marks, todo: Plan, *, grace: float) -> Collected:
    """Do what was planned: write anew what lives in packs that go, then take packs and blobs away."""
    objects, problems = tx.objects, list(todo.problems)
    rewritten = {name: _rewrite(tx, name, rows, problems) for name, rows in todo.rewrites.items()}
    replaced = {name: size for name, size in rewritten.items() if size is not None}
    removal = Removal(objects, "gc", own_transaction=str(tx.owner))
    try:
        removal.claim_older(grace)
        for name in (*todo.dead_packs, *replaced):
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
    written = sum(replaced.values())
    freed = removed.freed_bytes - (written if not removed.kept_bytes else 0)
    trashed = removed.kept_bytes - (written if removed.kept_bytes else 0)
    return Collected(marks.versions, freed, trashed, todo.dead_bytes_kept, removed.waits_for, 0, tuple(problems))


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
                publish(tx, writer)
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
            if (pack := opened(objects, name)) is None:
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
