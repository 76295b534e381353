"""Storing deltas anew, whole, where nothing but they needs their bases: then these, and the deltas, can go."""

from collections.abc import Mapping

from artstore.domain.digest import Digest
from artstore.domain.frames import WIDTHS, encode
from artstore.domain.recipes import Segment
from artstore.errors import Damage, StorageError
from artstore.operations.upkeep.mark import Marks
from artstore.store.objects import ObjectStore
from artstore.store.segments import Packed
from artstore.store.transaction import Transaction

_WORTH = 0.03
"""A blob is stored anew if that frees this part of its size, or more."""


def store_anew(tx: Transaction, marks: Marks) -> int:
    """Store blobs anew without deltas whose bases nothing else needs, if that frees bytes. Returns how many.

    Their old recipes stay: see `superseded`. A blob that can't be read is left as it is. Nothing is
    done at a distant place, where each blob would be fetched, and sent again.
    """
    objects, count = tx.objects, 0
    if objects.storage.distant or marks.unread:
        return 0
    costly = _costly_bases(objects, marks)
    blobs = {blob for blob, segments in marks.recipes() if any(segment.base in costly for segment in segments)}
    for blob in sorted(blobs):
        packed = min(objects.large.packed.forms(blob), key=lambda packed: packed.deltas, default=None)
        if packed is None or _freed(packed, costly) < _WORTH * packed.size:
            continue
        try:
            _store_whole(tx, packed, costly)
            count += 1
        except (Damage, FileNotFoundError):
            continue
    if count:
        tx.publish()
        tx.ensure()
        objects.packs.refresh()
    return count


def _freed(packed: Packed, costly: Mapping[Digest, float]) -> float:
    """Bytes that are freed if a blob doesn't need these bases any more."""
    return sum(costly.get(segment.base, 0.0) for segment in set(packed.segments) if segment.base is not None)


def _costly_bases(objects: ObjectStore, marks: Marks) -> dict[Digest, float]:
    """The bases that nothing but deltas needs, if these would take less whole than they take with it.

    For each the bytes that its deltas would free, shared among them.
    """
    whole, deltas = set[Digest](), dict[Digest, set[Digest]]()
    for _, segments in marks.recipes():
        for segment in segments:
            if segment.base is None or segment.delta is None:
                whole.add(segment.digest)
            else:
                deltas.setdefault(segment.base, set()).add(segment.delta)
    alone = {base: some for base, some in deltas.items() if base not in whole and base not in marks.reachable}
    wanted = alone.keys() | {delta for some in alone.values() for delta in some}
    stored = {
        row.digest: row.stored_bytes for _, rows in objects.packs.locate_many(wanted, parts=True)[0] for row in rows
    }
    found = dict[Digest, float]()
    for base, some in alone.items():
        takes = stored.get(base, 0) + sum(stored.get(delta, 0) for delta in some)
        freed = takes - len(some) * stored.get(base, 0)  # each whole segment takes about as much as the base
        if freed > 0:
            found[base] = freed / len(some)
    return found


def _store_whole(tx: Transaction, packed: Packed, costly: Mapping[Digest, float]) -> None:
    """Store the segments of a blob whole that have one of these bases, and its new recipe."""
    segments = list[Segment]()
    with tx.objects.large.packed.open(packed) as content:
        content.verify()
        for number, segment in enumerate(packed.segments):
            if segment.base not in costly:
                tx.rely_on_parts(set(segment.parts))
                segments.append(segment)
                continue
            segments.append(segment.whole)
            if not tx.rely_on_parts(set(segment.whole.parts)):
                data = content.segment(number)
                if data is None:
                    raise Damage("a segment can't be read")
                tx.add_segment(segment.whole, encode(data, WIDTHS))
                tx.write_through()
    tx.add_packed(packed._replace(segments=tuple(segments)), checked=True)


def superseded(objects: ObjectStore, marks: Marks) -> dict[str, set[Digest]]:
    """The recipes that can go, by their packs: the blob is there with fewer deltas, too, and was read whole from that.

    All collectors agree which one stays, whatever packs each has seen.
    """
    found = dict[str, set[Digest]]()
    for blob in {blob for blob, segments in marks.recipes() if any(segment.delta for segment in segments)}:
        whole = [packed for packed in objects.large.packed.forms(blob) if packed.recipe in marks.packs]
        least = min(whole, key=lambda packed: packed.deltas, default=None)
        more = [packed for packed in whole if least is not None and packed.deltas > least.deltas]
        if least is not None and more and _is_right(objects, least):
            for packed in more:
                found.setdefault(packed.recipe, set()).add(blob)
    return found


def _is_right(objects: ObjectStore, packed: Packed) -> bool:
    try:
        with objects.large.packed.open(packed) as content:
            content.check()
    except (Damage, StorageError, FileNotFoundError):
        return False
    return True
