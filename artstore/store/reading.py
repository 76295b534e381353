"""Reading many objects of packs: in the order of the packs, neighbours with one read, each object checked."""

from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

from artstore.errors import Damage, storage_error
from artstore.store.packs import Pack, Row, Window
from artstore.store.packset import PackSet

_WINDOW = 8 << 20
"""Most bytes of one read: large for few requests, but small enough to repeat after a failure."""
_GAP = 64 << 10
_GAP_DISTANT = 1 << 20
"""Most bytes between two objects that are read too, to save a request: over a network one costs as much as a MiB."""
_AHEAD = 6
"""Most reads at once from a distant place."""


class _Read(NamedTuple):
    pack: str
    rows: list[Row]

    def run(self, pack: Pack | None) -> Window:
        """Read these rows. If the pack is gone, no bytes are returned, and the caller looks for each object alone."""
        nothing = Window(self.rows, memoryview(b""))
        try:
            return pack.window(self.rows) if pack is not None else nothing
        except FileNotFoundError:
            return nothing
        except OSError as error:
            raise storage_error(error, f"read pack {self.pack[:12]}") from error


def read_rows(packs: PackSet, places: list[tuple[str, list[Row]]]) -> Iterator[tuple[Row, memoryview | None]]:
    """Each of these rows with its object, in the order of the packs and of the objects in them.

    The object is None if this copy is wrong or its pack is gone.
    """
    for window in read_windows(packs, places):
        yield from window.objects()


def read_windows(packs: PackSet, places: list[tuple[str, list[Row]]]) -> Iterator[Window]:
    """Read rows of packs, neighbours at once; from a distant place with several reads at the same time."""
    reads = [_Read(pack, some) for pack, found in places for some in neighbours(found, packs.distant)]
    if not packs.distant or len(reads) < 2:
        for read in reads:
            yield read.run(_pack_of(packs, read))
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting = [pool.submit(read.run, _pack_of(packs, read)) for read in reads[:_AHEAD]]
        rest = iter(reads[_AHEAD:])
        try:
            while waiting:
                future = waiting.pop(0)
                if (following := next(rest, None)) is not None:
                    waiting.append(pool.submit(following.run, _pack_of(packs, following)))
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def neighbours(rows: list[Row], distant: bool) -> Iterator[list[Row]]:
    """Group the rows of one pack into runs of neighbours, each of which is read with one read.

    An empty object has the same offset as the next object. It is put first, so that a run's last row ends where the
    run ends.
    """
    gap = _GAP_DISTANT if distant else _GAP
    run: list[Row] = []
    reach = full = -1
    for row in sorted(sorted(rows, key=itemgetter(2)), key=itemgetter(3)):  # half the price of a key of two
        _, _, length, offset = row
        if offset > reach or offset + length > full:
            if run:
                yield run
            run, full = [], offset + _WINDOW
        run.append(row)
        reach = offset + length + gap
    if run:
        yield run


def _pack_of(packs: PackSet, read: _Read) -> Pack | None:
    """The pack of a read, or None. It is opened only just before the read: not all packs can be open at once."""
    try:
        return packs.open(read.pack)
    except (Damage, OSError):
        return None  # then each of its objects is looked for alone, and the reason is reported
