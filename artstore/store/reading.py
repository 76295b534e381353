"""Reading many objects at once: in the order in which they lie, neighbours by one read, every one checked."""

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

from artstore.domain.digest import BLOB, Digest, Kind
from artstore.errors import Damage, storage_error
from artstore.store.objects import ObjectStore
from artstore.store.packs import Pack, Row, Window

_WINDOW = 8 << 20
"""Bytes of one read at most: few requests, and few bytes to repeat when one fails."""
_GAP = 64 << 10
_GAP_DISTANT = 1 << 20
"""Bytes that nobody asked for, read along rather than asked for apart: a request over a network costs as much as a MiB."""
_AHEAD = 6
"""Reads on their way at once from a distant place."""

Checked = tuple[Kind, Digest, memoryview]


class _Read(NamedTuple):
    pack: str
    rows: list[Row]

    def run(self, pack: Pack | None) -> Window:
        """What came of it; nothing when the pack is gone: then each object is looked for by itself."""
        nothing = Window(self.rows, memoryview(b""))
        try:
            return pack.window(self.rows) if pack is not None else nothing
        except FileNotFoundError:
            return nothing
        except OSError as error:
            raise storage_error(error, f"read pack {self.pack[:12]}") from error


def read_small(objects: ObjectStore, wanted: dict[Digest, Kind]) -> Iterator[Checked]:
    """Small objects, each once, checked; not in the order asked for. Raises MissingObject or DamagedObject for one that is
    not there.
    """
    if not wanted:
        return
    places, elsewhere = objects.packs.locate_many(wanted)
    for row, data in read_rows(objects, places):
        if data is not None and row.kind == wanted[row.digest]:
            yield row.kind, row.digest, data
        else:
            elsewhere.append(row.digest)  # read once more, and from any other copy, before it is called damaged
    for digest in elsewhere:
        yield wanted[digest], digest, memoryview(objects.read(wanted[digest], digest))


def read_blobs(objects: ObjectStore, wanted: Iterable[Digest]) -> Iterator[list[tuple[Digest, memoryview]]]:
    """As `read_small`, blobs alone, a window of neighbours at a time: 3 µs each beside the reading."""
    places, elsewhere = objects.packs.locate_many(wanted)
    for window in read_windows(objects, places):
        good = []
        for (digest, kind, _, _), data in window.objects():
            if data is not None and kind == BLOB:
                good.append((digest, data))
            else:
                elsewhere.append(digest)
        yield good
    for digest in elsewhere:
        yield [(digest, memoryview(objects.read(BLOB, digest)))]


def read_rows(objects: ObjectStore, places: list[tuple[str, list[Row]]]) -> Iterator[tuple[Row, memoryview | None]]:
    """Rows of packs and their objects, in the order of the packs and of what lies in them; None where a copy is wrong, or
    its pack gone.
    """
    for window in read_windows(objects, places):
        yield from window.objects()


def read_windows(objects: ObjectStore, places: list[tuple[str, list[Row]]]) -> Iterator[Window]:
    """Rows of packs in runs that are read at once; from a distant place several are on their way."""
    reads = [_Read(pack, some) for pack, found in places for some in neighbours(found, objects.storage.distant)]
    return _windows(objects, reads)


def neighbours(rows: list[Row], distant: bool) -> Iterator[list[Row]]:
    """Rows of one pack in runs that are read at once. An empty object lies where another begins: it comes first, so that
    the last row of a run ends where the run does.
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


def _windows(objects: ObjectStore, reads: list[_Read]) -> Iterator[Window]:
    if not objects.storage.distant or len(reads) < 2:
        for read in reads:
            yield read.run(_pack_of(objects, read))
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting = [pool.submit(read.run, _pack_of(objects, read)) for read in reads[:_AHEAD]]
        rest = iter(reads[_AHEAD:])
        try:
            while waiting:
                future = waiting.pop(0)
                if (following := next(rest, None)) is not None:
                    waiting.append(pool.submit(following.run, _pack_of(objects, following)))
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _pack_of(objects: ObjectStore, read: _Read) -> Pack | None:
    """Opened just before it is read: the store keeps only so many open."""
    try:
        return objects.packs.open(read.pack)
    except (Damage, OSError):
        return None  # each of its objects is looked for by itself then, and the reason told
