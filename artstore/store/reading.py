"""Reading many objects: in the order of the packs, neighbours with one read, each object checked."""

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

from artstore.domain.digest import BLOB, TREE, Digest, ObjectKind
from artstore.domain.tree import DIRECTORY, PART, decode_tree
from artstore.errors import Damage, storage_error
from artstore.store.objects import ObjectStore
from artstore.store.packs import Pack, Row, Window

_WINDOW = 8 << 20
"""Most bytes of one read: large for few requests, but small enough to repeat after a failure."""
_GAP = 64 << 10
_GAP_DISTANT = 1 << 20
"""Most bytes between two objects that are read too, to save a request: over a network one costs as much as a MiB."""
_AHEAD = 6
"""Most reads at once from a distant place."""

Checked = tuple[ObjectKind, Digest, memoryview]


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


def read_small(objects: ObjectStore, wanted: dict[Digest, ObjectKind]) -> Iterator[Checked]:
    """Read small objects and check them, each once, in any order. Raises MissingObject or DamagedObject."""
    if not wanted:
        return
    places, elsewhere = objects.packs.locate_many(wanted)
    for row, data in read_rows(objects, places):
        if data is not None and row.kind == wanted[row.digest]:
            yield row.kind, row.digest, data
        else:
            elsewhere.append(row.digest)  # read again, and from other copies, before it is reported as damaged
    for digest in elsewhere:
        yield wanted[digest], digest, memoryview(objects.read(wanted[digest], digest))


def load_trees(objects: ObjectStore, root: Digest, reaches: Callable[[bytes], bool]) -> None:
    """Read the trees below a root into memory, one level at a time, so that a distant place is asked few times.

    `reaches(path + b"/")` says whether a folder is needed.
    """
    level = [(b"", root)]
    while level:
        wanted = dict.fromkeys((digest for _, digest in level), TREE)
        trees = {digest: bytes(data) for _, digest, data in read_small(objects, wanted)}
        objects.keep_trees(trees)
        level = [
            (path + entry.name + b"/" if entry.kind == DIRECTORY else path, entry.digest)
            for path, digest in level
            for entry in decode_tree(trees[digest], digest)
            if entry.kind == PART or (entry.kind == DIRECTORY and reaches(path + entry.name + b"/"))
        ]


def read_blobs(objects: ObjectStore, wanted: Iterable[Digest]) -> Iterator[list[tuple[Digest, memoryview]]]:
    """Read small blobs like `read_small`, in lists of neighbours. Cost: 3 µs each, besides reading."""
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
    """Each of these rows with its object, in the order of the packs and of the objects in them.

    The object is None if this copy is wrong or its pack is gone.
    """
    for window in read_windows(objects, places):
        yield from window.objects()


def read_windows(objects: ObjectStore, places: list[tuple[str, list[Row]]]) -> Iterator[Window]:
    """Read rows of packs, neighbours at once; from a distant place with several reads at the same time."""
    reads = [_Read(pack, some) for pack, found in places for some in neighbours(found, objects.storage.distant)]
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


def _pack_of(objects: ObjectStore, read: _Read) -> Pack | None:
    """The pack of a read, or None. It is opened only just before the read: not all packs can be open at once."""
    try:
        return objects.packs.open(read.pack)
    except (Damage, OSError):
        return None  # then each of its objects is looked for alone, and the reason is reported
