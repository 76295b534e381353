"""Pack files: opening and checking them, and finding the objects in one whose index is damaged."""

import itertools
from collections.abc import Callable, Iterator

from artstore.domain.digest import (
    BLOB,
    DELTA,
    KIND_NAMES,
    PACKED_NAMES,
    RECIPE,
    TREE,
    VERSION,
    Digest,
    ObjectKind,
    digest_of,
    pack_digest,
)
from artstore.errors import Damage
from artstore.store.packs import END, FOOTER, FRAMES_MAGIC, HEADER, MAGIC, ROW, Pack, PackIndex, Row

_SALVAGE = 20_000
"""Rows of 48 bytes that `salvage` reads at once."""
_STRANGE = 4096
"""`salvage` stops looking for rows after this many places in sequence that can't be rows."""
_FAR = 1 << 62
"""Bytes that no file has: the end of a pack of which only the index is known."""


def open_pack(
    name: str, size: int, read: Callable[[int, int], bytes], close: Callable[[], None] = lambda: None
) -> Pack:
    """Open a pack of `size` bytes: read its header, footer and index, and check them against its name.

    Raises Damage.
    """
    what = f"pack {name[:12]}"
    if size < HEADER + FOOTER.size:
        raise Damage(f"{what} is only {size} bytes long")
    count, offset, footer_name, end = FOOTER.unpack(_exactly(read, size - FOOTER.size, FOOTER.size, what))
    length = size - FOOTER.size - offset
    if end != END or footer_name.hex() != name or offset < HEADER or length < count * ROW.size:
        raise Damage(f"{what} has a damaged footer")
    index = _index_of(name, _exactly(read, 0, HEADER, what), _exactly(read, offset, length, what), offset)
    if index is None or index.count != count:
        raise Damage(f"{what} has a damaged index")
    return pack_with(index, read, close)


def pack_with(index: PackIndex, read: Callable[[int, int], bytes], close: Callable[[], None]) -> Pack:
    """A reader of the pack that has this index."""
    if index.has_frames:
        from artstore.store.framed import FramedIndex, FramedPack  # most repositories have no such pack

        assert isinstance(index, FramedIndex)
        return FramedPack(index, read, close)
    return Pack(index, read, close)


def _index_of(name: str, header: bytes, whole: bytes, objects_end: int) -> PackIndex | None:
    """The index with these bytes, of either format; None unless the pack's name verifies it."""
    if pack_digest(header, whole).hex() != name:
        return None
    if header[:8] == FRAMES_MAGIC:
        from artstore.store.framed import index_of_frames

        return index_of_frames(name, header, whole, objects_end)
    if header[:8] != MAGIC or len(whole) % ROW.size:
        return None
    return PackIndex(name, header, whole, objects_end)


def salvage(size: int, read: Callable[[int, int], bytes]) -> Iterator[tuple[ObjectKind, Digest, bytes]]:
    """Guess the objects in a pack whose index is damaged, in the order of the file.

    Each piece is returned once as each kind, with its digest as that kind. A caller that finds a digest which it needs
    has proved the guess right.
    """
    if read(0, len(FRAMES_MAGIC)) == FRAMES_MAGIC:
        yield from _salvaged_frames(size, read)
        return
    for offset, length in _spans(size, read):
        data = read(offset, length)
        for kind in KIND_NAMES:
            yield kind, digest_of(kind, data), data


def _salvaged_frames(size: int, read: Callable[[int, int], bytes]) -> Iterator[tuple[ObjectKind, Digest, bytes]]:
    """The objects of those frames whose rows in the index are right; of a damaged frame, those before the damage.

    Recipes and deltas are left out: nobody lost these.
    """
    from artstore.store.framed import FramedPack, index_of_frames

    if size < HEADER + FOOTER.size:
        return
    _, start, name, _ = FOOTER.unpack(read(size - FOOTER.size, FOOTER.size))
    if start > size:
        return
    try:
        index = index_of_frames(name.hex(), read(0, HEADER), read(start, max(0, size - FOOTER.size - start)), start)
    except Damage:
        return  # the index is of another size than it says
    pack = FramedPack(index, read, lambda: None)
    for row in index.rows():
        if row.kind == RECIPE or row.kind == DELTA:
            continue
        if (data := pack.object(row) or pack.salvaged(row)) is not None:
            yield row.kind, row.digest, data


def _spans(size: int, read: Callable[[int, int], bytes]) -> list[tuple[int, int]]:
    """(offset, length) of pieces that may be objects, in the order of the file.

    Rows are looked for backwards from the place where the index should end. Objects fill the file without gaps, so two
    objects with good rows also show where an object between them is.
    """
    if size < HEADER + FOOTER.size:
        return []
    spans = {(row.offset, row.length) for row in _plausible_rows(size, read)}
    starts = {offset for offset, _ in spans} | {HEADER}
    index = FOOTER.unpack(_exactly(read, size - FOOTER.size, FOOTER.size, "a pack"))[1]
    following_of = dict(itertools.pairwise(sorted(starts | {index})))
    for offset, length in list(spans):
        if (following := following_of.get(offset)) is not None:
            spans.add((offset, following - offset))
            if offset + length < following:
                spans.add((offset + length, following - offset - length))
    spans.add((HEADER, following_of.get(HEADER, HEADER) - HEADER))
    return sorted(span for span in spans if 0 <= span[1] <= size - span[0])


def _plausible_rows(size: int, read: Callable[[int, int], bytes]) -> Iterator[Row]:
    end, strange = size - FOOTER.size, 0
    while end - ROW.size >= HEADER and strange < _STRANGE:
        start = end - min((end - HEADER) // ROW.size, _SALVAGE) * ROW.size
        window = read(start, end - start)
        for at in range(len(window) - ROW.size, -1, -ROW.size):
            digest, kind, flags, zero, length, offset = ROW.unpack_from(window, at)
            if kind in (BLOB, TREE, VERSION) and not (flags or zero) and HEADER <= offset <= start + at - length:
                strange = 0
                yield Row(Digest(digest), kind, length, offset)
            else:
                strange += 1
        end = start


def known_index(name: str, data: bytes) -> PackIndex | None:
    """The index of a pack from a cached header and index, or None if they don't match the name."""
    header, whole = data[:HEADER], data[HEADER:]
    try:
        index = _index_of(name, header, whole, _FAR)
    except Damage:
        return None
    if index is not None:
        index.objects_end = max((row.offset + row.length for row in index.rows()), default=HEADER)
    return index


def check_rows(pack: Pack) -> str | None:
    """What is wrong with a pack's rows although their digest is right, in words, or None.

    Checks their order, their kinds, and that the objects fill the file without gaps. For fsck and for packs of others.
    """
    previous = b""
    for row in pack.index.rows():
        if row.digest <= previous:
            return "its index is out of order"
        if row.kind not in PACKED_NAMES:
            return f"it holds an object of unknown kind {row.kind}"
        previous = row.digest
    if any(flags or zero for _, _, flags, zero, _, _ in ROW.iter_unpack(pack.index.data)):
        return "its index has fields that should be zero"
    if pack.index.has_frames:
        from artstore.store.framed import FramedIndex, wrong_in

        assert isinstance(pack.index, FramedIndex)
        return wrong_in(pack.index)
    end = HEADER
    for row in sorted(pack.index.rows(), key=lambda row: (row.offset, row.length)):
        if row.offset != end:
            return "its objects don't fill it without gaps"
        end += row.length
    if end != pack.index.objects_end:
        return "its objects don't fill it without gaps"
    only_small = all(row.is_small for row in pack.index.rows())
    return None if only_small else "it holds a large blob or a recipe, which only packs of frames do"


def _exactly(read: Callable[[int, int], bytes], offset: int, length: int, what: str) -> bytes:
    data = read(offset, length)
    if len(data) != length:
        raise Damage(f"{what} ends early")
    return data
