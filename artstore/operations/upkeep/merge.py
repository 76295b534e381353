"""Merging packs: eight or more small packs of one size class, all plain or all of frames, become one pack."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.digest import BLOB, RECIPE, Digest
from artstore.errors import ArtstoreError, Damage, StorageError
from artstore.operations.upkeep.removal import Everything, Removal
from artstore.operations.upkeep.rewriting import copy_objects
from artstore.store.objects import ObjectStore
from artstore.store.packs import MERGE_BELOW, Pack, PackWriter, Row
from artstore.store.paths import PACKS, pack_path
from artstore.store.transaction import Transaction

MERGE_COUNT = 8
MERGE_GRACE = 14 * 86400.0  # seconds, on network file systems: far longer than a client caches an old listing
_MERGE_MOST = 64  # packs in one merge, each with an open descriptor
_SMALLEST_CLASS = 64 << 10


def size_class(size: int) -> int | None:
    """The size class of a pack: 0 up to 64 KiB, 1 up to 512 KiB, 2 up to 4 MiB, 3 up to 32 MiB; None for larger ones."""
    if size >= MERGE_BELOW:
        return None
    number, limit = 0, _SMALLEST_CLASS
    while size > limit:
        number, limit = number + 1, limit * MERGE_COUNT
    return number


def packs_due(objects: ObjectStore) -> list[str]:
    """The packs to merge: those of the smallest size class that has eight or more, oldest first. Empty if none has.

    All of them are plain packs, or all are packs of frames.
    """
    storage = objects.storage
    sizes = {path[len(PACKS) + 1 : -len(".pack")]: size for path, size in storage.below(PACKS)}
    # Another handle of this process may have saved: one handle for a run, one for each of its artifacts.
    names = objects.packs.names() if objects.packs.names() >= sizes.keys() else objects.packs.refresh()
    classes: dict[int, list[tuple[float, str]]] = {}
    for name, size in sizes.items():
        number = size_class(size)
        if number is not None and name in names:
            age = 0.0 if storage.distant else storage.stamp(pack_path(name)) or 0.0
            classes.setdefault(number, []).append((age, name))
    for number in sorted(classes):
        if len(packs := classes[number]) >= MERGE_COUNT:
            framed = [name for _, name in sorted(packs) if _has_frames(objects, name)]
            for due in ([name for _, name in sorted(packs) if name not in framed], framed):
                if len(due) >= MERGE_COUNT and len(due := _that_fit(objects, due)) >= MERGE_COUNT:
                    return due
    return []


def _has_frames(objects: ObjectStore, name: str) -> bool:
    """Whether a pack is one of frames. One that can't be read counts as a plain one."""
    try:
        return objects.packs.has_frames(name)
    except (OSError, StorageError):
        return False


def _that_fit(objects: ObjectStore, names: list[str]) -> list[str]:
    """Those of these packs that can be one pack, which has one row for each digest.

    A blob's recipe doesn't fit beside another recipe of it, and not beside the segment that the blob is.
    """
    fit, recipes, others = list[str](), set[Digest](), set[Digest]()
    for name in names:
        rows = [row for _, row in objects.large.packed.rows_in(name)]  # none of a plain pack
        own = {row.digest for row in rows if row.kind == RECIPE}
        rest = {row.digest for row in rows} - own
        if own.isdisjoint(recipes | others) and rest.isdisjoint(recipes):
            fit.append(name)
            recipes |= own
            others |= rest
        if len(fit) == _MERGE_MOST:
            break
    return fit


def merge_if_due(objects: ObjectStore) -> None:
    """Merge packs if that is due, unless another process does maintenance.

    Never raises for errors of the store: a later save, or gc, merges these packs.
    """
    try:
        if packs_due(objects):
            with maintenance_lock(objects.storage) as is_free:
                if is_free:
                    merge(objects)
    except (ArtstoreError, OSError):
        pass


@contextmanager
def maintenance_lock(storage: Storage) -> Iterator[bool]:
    """Take the lock for maintenance of a repository. Yields False if another process has it.

    The lock only saves work; nothing relies on it. If locks don't work, it counts as free. A bucket has no lock.
    """
    if not isinstance(storage, FolderStorage):
        yield True
        return
    import filelock  # takes 30 ms to load

    lock = filelock.FileLock(storage.path("cache/maintenance.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    except (OSError, NotImplementedError):
        yield True
        return
    try:
        yield True
    finally:
        lock.release()


def merge(objects: ObjectStore) -> int:
    """Merge packs until no size class has eight of them. Returns how many packs were removed.

    Best effort: if a merge fails, the packs stay as they are, and no error is raised.
    """
    gone = 0
    while len(due := packs_due(objects)) >= MERGE_COUNT and (merged := _merge_once(objects, due)):
        gone += merged
    return gone


def _merge_once(objects: ObjectStore, names: list[str]) -> int:
    """Write one pack with the objects of these packs, then remove the old ones. Returns how many were removed."""
    with Transaction(objects, "gc") as tx:
        # 1. Write and publish the new pack, with one copy of each object. Packs with known damage are left to gc.
        undamaged = [name for name in names if not objects.damage.inside(name)]
        packs = [pack for name in undamaged if (pack := opened(objects, name)) is not None]
        packs = [pack for pack in packs if pack.index.has_frames == packs[0].index.has_frames]
        if len(packs) < 2:
            return 0
        with closing(packs[0].writer(tx.staged())) as writer:
            try:
                copy_objects(objects, _in_order(objects, packs), writer)
                publish(tx, writer)
            except (Damage, StorageError, OSError):
                return 0  # damage, or no space: fsck and gc report it; the save that began this merge goes on
        # 2. Only then remove the old packs. Where a client may use an old listing, they wait in the trash.
        with Removal(objects, "merge", own_transaction=str(tx.owner)) as removal:
            taken = sum(removal.take_pack(pack.name) for pack in packs)
            grace = 0.0 if objects.storage.local else MERGE_GRACE
            removal.claim_older(grace)
            removed = removal.finish(Everything(), keep_mine=grace > 0)
        return taken - removed.given_back


def opened(objects: ObjectStore, name: str) -> Pack | None:
    """Open a pack. None if it is damaged or gone."""
    try:
        return objects.packs.open(name)
    except (Damage, FileNotFoundError):
        return None


def _in_order(objects: ObjectStore, packs: list[Pack]) -> list[tuple[str, list[Row]]]:
    """The rows of all packs, in the order in which to write them: that of the packs.

    At a distant place trees and versions come last, so that they are neighbours and few requests get them all.
    """
    rows = [(pack.name, list(pack.index.rows())) for pack in packs]
    if not objects.storage.distant:
        return rows
    blobs = [(name, [row for row in some if row.kind == BLOB]) for name, some in rows]
    return blobs + [(name, [row for row in some if row.kind != BLOB]) for name, some in rows]


def publish(tx: Transaction, writer: PackWriter) -> None:
    """Finish a pack and give it its name in objects/packs. It is safe on disk when this returns."""
    name = writer.finish(sync=not tx.storage.distant).hex()
    tx.storage.publish(writer.path, pack_path(name))
    tx.storage.sync_names([PACKS])
