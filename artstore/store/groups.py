"""Groups: small blobs that are stored together, in one frame of a pack."""

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Self

from artstore.domain.digest import BLOB, Digest, PackedKind
from artstore.domain.frames import Encoded, compressed
from artstore.errors import Damage
from artstore.store.framed import Frame, FramedRow, FramedWriter

if TYPE_CHECKING:
    from concurrent.futures import Future

GROUP = 128 << 10
"""Bytes of small blobs after which a group is full. A blob of as many is in a frame of its own.

Larger groups get hardly smaller, and whoever reads one file decodes all of its group. Figures are in FORMAT.md.
"""
_THREADS, _AHEAD = 2, 4
"""Threads that encode, and groups that wait for them."""


class _Group(NamedTuple):
    rows: list[tuple[PackedKind, Digest, int, int]]
    raw: int
    encoded: "Future[Encoded]"


def is_thin(frame: Frame, rows: list[FramedRow]) -> bool:
    """Whether a frame has so little that it should be a part of a group: small blobs of less than half a group."""
    return frame.raw < GROUP // 2 and frame.width == 1 and all(row.kind == BLOB for row in rows)


class GroupWriter:
    """Adds objects to a pack of frames: small blobs in groups, in the order in which they come. Two threads encode."""

    def __init__(self, writer: FramedWriter) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self.pack = writer
        self._pool = ThreadPoolExecutor(_THREADS)
        self._waiting = deque[_Group]()
        self._members: list[tuple[Digest, bytes]] = []
        self._size = 0

    def add(self, kind: PackedKind, digest: Digest, data: bytes | memoryview) -> None:
        """Add an object that isn't empty. One that is large, or no blob, is in a frame of its own."""
        if kind != BLOB or len(data) >= GROUP:
            self._encode([(kind, digest, 0, len(data))], bytes(data))
            return
        self._members.append((digest, bytes(data)))
        self._size += len(data)
        if self._size >= GROUP:
            self._end_group()

    def _end_group(self) -> None:
        rows, at = list[tuple[PackedKind, Digest, int, int]](), 0
        for digest, data in self._members:
            rows.append((BLOB, digest, at, len(data)))
            at += len(data)
        if not at:
            raise Damage("an empty object can't be alone in a pack of frames")
        self._encode(rows, b"".join(data for _, data in self._members))
        self._members, self._size = [], 0

    def _encode(self, rows: list[tuple[PackedKind, Digest, int, int]], data: bytes) -> None:
        self._waiting.append(_Group(rows, len(data), self._pool.submit(compressed, data)))
        if len(self._waiting) >= _AHEAD:
            self._write()

    def _write(self) -> None:
        group = self._waiting.popleft()
        self.pack.add_frame(group.encoded.result(), group.raw, group.rows)

    def finish(self) -> None:
        """Add what was given so far to the pack. Without this, the last objects aren't in it."""
        if self._members:
            self._end_group()
        while self._waiting:
            self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
