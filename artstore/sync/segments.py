"""Sending large blobs that are in packs: only the segments that the receiver lacks, as they are stored."""

from collections.abc import Callable, Mapping

from artstore.domain.digest import Digest
from artstore.store.objects import ObjectStore
from artstore.store.packs import Row
from artstore.store.reading import read_windows
from artstore.store.transaction import Transaction


def send_segments(
    source: ObjectStore, tx: Transaction, large: Mapping[Digest, int], advance: Callable[[int, int], None]
) -> set[Digest]:
    """Send those of some large blobs that are in packs at their source, and return them. Each segment is checked.

    The receiver then has them in packs, too. What is left is sent whole: blobs that are files, or of which a segment is
    damaged. `advance` counts blobs and bytes of them.
    """
    # 1. Which blobs are in packs, and which of their segments does the receiver lack?
    found = (source.large.packed.find(digest) for digest in large)
    packed = {blob.digest: blob for blob in found if blob is not None and blob.size == large[blob.digest]}
    if source.here is not None:  # else whoever receives them puts them together
        packed = {
            digest: blob for digest, blob in packed.items() if source.large.is_right_in_packs(digest, large[digest])
        }
    places = {digest: place for blob in packed.values() for digest, place in blob.places.items()}
    lacking = places.keys() - tx.rely_on_segments(places.keys())
    # 2. Send these, neighbours at once.
    rows: dict[str, list[Row]] = {}
    for digest in lacking:
        name, row = places[digest]
        rows.setdefault(name, []).append(row)
    for window in read_windows(source.packs, list(rows.items())):
        for row, data in window.objects():
            if data is not None:
                tx.add_segment(row, window.stored(row))
                lacking.discard(row.digest)
        tx.write_through()
    # 3. Name the blobs, but for those with a segment that didn't arrive.
    sent = {digest for digest, blob in packed.items() if lacking.isdisjoint(blob.places)}
    for digest in sent:
        tx.add_packed(packed[digest], checked=source.here is not None)
        advance(1, large[digest])
    return sent
