"""Sending large blobs that are in packs: only the parts that the receiver lacks, as they are stored."""

from collections.abc import Callable, Iterable, Mapping

from artstore.domain.digest import Digest
from artstore.domain.frames import WIDTHS, encode
from artstore.domain.recipes import Segment
from artstore.store.objects import ObjectStore
from artstore.store.packs import Row
from artstore.store.reading import read_windows
from artstore.store.segments import Packed
from artstore.store.transaction import Transaction


def send_segments(
    source: ObjectStore, tx: Transaction, large: Mapping[Digest, int], advance: Callable[[int, int], None]
) -> set[Digest]:
    """Send those of some large blobs that are in packs at their source, and return them. Each part is checked.

    The receiver then has them in packs, too. A delta is sent if the receiver has its base, or gets it; otherwise the
    segment is sent whole. What is left is sent as files: blobs that are files, or of which a part is damaged. `advance`
    counts blobs and bytes of them.
    """
    packed = _packed(source, large)
    # 1. How is each segment to be stored at the receiver, and which parts does it lack?
    segments = {segment for blob in packed.values() for segment in blob.segments}
    whole = {part for segment in segments for part in segment.whole.parts}
    relied = {
        part.digest for part in tx.rely_on_parts(whole | {part for segment in segments for part in segment.parts})
    }
    gets = relied | {segment.digest for segment in segments if segment.delta is None}
    chosen = {segment: _chosen(segment, gets) for segment in segments}
    # 2. Send what is stored in that way, neighbours at once; then the segments that were deltas only.
    stored = {part.digest: place for blob in packed.values() for part, place in blob.places.items()}
    wanted = {part.digest for segment in chosen.values() for part in segment.parts} - relied
    sent = relied | _send_stored(source, tx, [stored[digest] for digest in wanted & stored.keys()])
    for blob in packed.values():
        sent |= _send_decoded(source, tx, blob, wanted - stored.keys() - sent)
    # 3. Name the blobs, but for those with a part that didn't arrive.
    arrived = set[Digest]()
    for blob in packed.values():
        there = blob._replace(segments=tuple(chosen[segment] for segment in blob.segments))
        if all(part.digest in sent for segment in there.segments for part in segment.parts):
            tx.add_packed(there, checked=source.here is not None)
            advance(1, blob.size)
            arrived.add(blob.digest)
    return arrived


def _packed(source: ObjectStore, large: Mapping[Digest, int]) -> dict[Digest, Packed]:
    """Those of some blobs that are in packs, with the right size."""
    found = (source.large.packed.find(digest) for digest in large)
    packed = {blob.digest: blob for blob in found if blob is not None and blob.size == large[blob.digest]}
    if source.here is None:  # whoever receives them puts them together
        return packed
    return {digest: blob for digest, blob in packed.items() if source.large.is_right_in_packs(digest, large[digest])}


def _chosen(segment: Segment, gets: set[Digest]) -> Segment:
    """How to store a segment where these parts are: whole if it is there, as a delta if its base is, else whole."""
    return segment.whole if segment.digest in gets or segment.base not in gets else segment


def _send_stored(source: ObjectStore, tx: Transaction, places: Iterable[tuple[str, Row]]) -> set[Digest]:
    """Send parts as they are stored. Returns those that are right."""
    rows: dict[str, list[Row]] = {}
    for name, row in places:
        rows.setdefault(name, []).append(row)
    right = set[Digest]()
    for window in read_windows(source.packs, list(rows.items())):
        for row, data in window.objects():
            if data is not None:
                tx.add_part(row, window.stored(row))
                right.add(row.digest)
        tx.write_through()
    return right


def _send_decoded(source: ObjectStore, tx: Transaction, blob: Packed, wanted: set[Digest]) -> set[Digest]:
    """Send segments whole that are stored as deltas. Returns those that were."""
    sent = set[Digest]()
    if wanted.isdisjoint(segment.digest for segment in blob.segments):
        return sent
    with source.large.packed.open(blob) as content:
        at = 0
        for segment in blob.segments:
            if segment.digest in wanted and segment.digest not in sent:
                tx.add_segment(segment, encode(content.read(at, segment.length), WIDTHS))
                tx.write_through()
                sent.add(segment.digest)
            at += segment.length
    return sent
