"""Grouping: the small blobs of plain packs are written to packs of frames, where neighbours are compressed together."""

from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import NamedTuple

from artstore.backends.files import forget_pages
from artstore.domain.digest import BLOB, Digest
from artstore.domain.frames import compressed
from artstore.errors import Damage, NoSpace, StorageError
from artstore.operations.upkeep.merge import MERGE_GRACE, opened, publish
from artstore.operations.upkeep.removal import Everything, Removal, Removed
from artstore.operations.upkeep.rewriting import damaged
from artstore.progress import Monitor
from artstore.store.framed import FRAME, FramedWriter
from artstore.store.groups import GROUP, GroupWriter
from artstore.store.objects import ObjectStore
from artstore.store.packs import MERGE_BELOW, PackWriter, Row
from artstore.store.paths import PACKS, pack_path
from artstore.store.reading import read_rows, read_windows
from artstore.store.transaction import Transaction

_WORTH = 0.97
"""Packs are written anew if they then take this part of their size or less."""
_LEAST = 4096
"""Bytes that have to be saved: a file system gives a file whole blocks, of this size on most."""
_SAMPLES = 8
"""Groups that are encoded to estimate what the blobs of some packs take."""
_MOST = 256 << 20
"""Bytes of packs, beyond which no further small ones are written anew together."""


class Grouped(NamedTuple):
    """The result of grouping."""

    blobs: int
    """small blobs in the new packs"""
    old_bytes: int
    """of the packs that had them"""
    new_bytes: int
    """of the new packs, with the trees and versions that the old ones had, too"""
    trashed_bytes: int
    """of old packs that wait in the trash"""
    waits_for: tuple[str, ...]
    """open transactions, because of which they do"""
    problems: tuple[str, ...]


class _Packs(NamedTuple):
    """Packs that are written anew together."""

    rows: dict[str, list[Row]]
    """by the packs' names, oldest first: all objects, in the order in which they were saved"""
    size: int
    """of these packs"""
    blobs: list[tuple[str, Row]]
    """what is put into groups: (pack, object)"""


class Grouper:
    """Groups the small blobs of a repository. Others may save, read and collect meanwhile.

    It is a merge that compresses: all objects of the old packs, also those that nobody needs any more, are in the new
    ones. Blobs that were saved together stay neighbours, in the order of their trees. Trees and versions, which are
    asked for one by one, go to a plain pack, and empty blobs too.
    """

    def __init__(self, objects: ObjectStore, monitor: Monitor) -> None:
        self._objects = objects
        self._monitor = monitor
        self._problems: list[str] = []

    def foresee(self) -> Grouped:
        """What `run` would do, by samples. Changes nothing."""
        worth = [(packs, new) for packs in self._candidates() if _is_worth(packs.size, new := self._estimate(packs))]
        blobs, old = sum(len(packs.blobs) for packs, _ in worth), sum(packs.size for packs, _ in worth)
        return Grouped(blobs, old, sum(new for _, new in worth), 0, (), ())

    def run(self, tx: Transaction) -> Grouped:
        """Group what is worth it. New packs are published and read back before the old ones go.

        Raises NoSpace if there is no space for a pack. What was grouped before stays so.
        """
        blobs = old = new = trashed = 0
        waits = dict[str, None]()
        for packs in [packs for packs in self._candidates() if _is_worth(packs.size, self._estimate(packs))]:
            if (written := self._written(tx, packs)) is not None and self._reads_back(packs, written):
                removed = self._let_go(tx, packs)
                blobs += len(packs.blobs)
                old += packs.size
                new += sum(written.values())
                trashed += removed.kept_bytes
                waits |= dict.fromkeys(removed.waits_for)
        return Grouped(blobs, old, new, trashed, tuple(waits), tuple(self._problems))

    # -- what to group --

    def _candidates(self) -> list[_Packs]:
        """The plain packs with small blobs: each large one alone, small ones together."""
        self._monitor.start("looking at small files", "pack")
        storage, found, small, size = self._objects.storage, list[_Packs](), dict[str, list[Row]](), 0
        sizes = {path[len(PACKS) + 1 : -len(".pack")]: size for path, size in storage.below(PACKS)}
        names = sorted(self._objects.packs.refresh() & sizes.keys())
        if not storage.distant:
            names.sort(key=lambda name: storage.stamp(pack_path(name)) or 0.0)
        for name in names:
            self._monitor.advance(1)
            if not (rows := self._rows_of(name)):
                continue
            if sizes[name] >= MERGE_BELOW:
                found.append(_packs({name: rows}, sizes[name]))
                continue
            if size + sizes[name] > _MOST:
                found.append(_packs(small, size))
                small, size = {}, 0
            small[name] = rows
            size += sizes[name]
        return [*found, _packs(small, size)] if small else found

    def _rows_of(self, name: str) -> list[Row]:
        """All objects of a pack, in its order. Empty if there is nothing to group, or it can't be read."""
        try:
            pack = opened(self._objects, name)
        except OSError as error:
            reason = (error.strerror or "").lower()
            self._problems.append(f"pack {name[:12]} can't be read ({reason}); small files in it stay as they are")
            return []
        if pack is None or pack.index.has_frames or self._objects.damage.inside(name):
            return []
        rows = sorted(pack.index.rows(), key=attrgetter("offset"))
        return rows if any(_is_grouped(row) for row in rows) else []

    def _estimate(self, packs: _Packs) -> int:
        """Bytes that new packs take, by encoding some groups."""
        raw = stored = 0
        blobs = packs.blobs
        for group in _samples(blobs):
            places = [(name, [row for _, row in some]) for name, some in groupby(group, itemgetter(0))]
            data = b"".join(data for _, data in read_rows(self._objects.packs, places) if data is not None)
            raw += len(data)
            stored += len(compressed(data).stored) + FRAME.size
        return packs.size - int(sum(row.size for _, row in blobs) * (1 - stored / max(1, raw)))

    # -- writing --

    def _written(self, tx: Transaction, packs: _Packs) -> dict[str, int] | None:
        """Publish new packs with all objects of these. Returns their sizes by name; None if the old ones have to stay.

        They stay if one is damaged, or gone, and if the new ones aren't small enough after all.
        """
        self._monitor.start("grouping", "file")
        self._monitor.expect(len(packs.blobs), packs.size)
        framed, plain = FramedWriter(tx.staged()), PackWriter(tx.staged())
        with tx.storage.writing(), closing(framed), closing(plain):
            try:
                self._copy(packs, framed, plain)
            except FileNotFoundError:
                return None  # it was merged or collected
            except (Damage, StorageError) as error:
                if isinstance(error, NoSpace):
                    raise
                self._problems.append(f"small files stay as they are: {error}")
                return None
            writers = [writer for writer in (framed, plain) if len(writer)]
            if not _is_worth(packs.size, sum(writer.finished_size for writer in writers)):
                return None
            for writer in writers:
                publish(tx, writer)
        return {writer.name: writer.size for writer in writers}

    def _copy(self, packs: _Packs, framed: FramedWriter, plain: PackWriter) -> None:
        seen = set[Digest]()
        with GroupWriter(framed) as groups:
            for name, rows in packs.rows.items():
                for window in read_windows(self._objects.packs, [(name, rows)]):
                    self._monitor.advance(len(window.rows), len(window.data))
                    for row, data in window.objects():
                        if data is None:
                            if not window.data:
                                raise FileNotFoundError(pack_path(name))
                            raise damaged(self._objects, name, [row])
                        if row.digest not in seen:
                            seen.add(row.digest)
                            (groups.add if _is_grouped(row) else plain.add)(row.kind, row.digest, data)
                    framed.write_through()
            groups.finish()

    # -- letting go --

    def _reads_back(self, packs: _Packs, written: dict[str, int]) -> bool:
        """Whether all objects of the old packs can be read from the new ones, from the disk, and are right."""
        right = set[Digest]()
        self._objects.packs.refresh()
        try:
            for name in written:
                if self._objects.here is not None:
                    forget_pages(self._objects.here.path(pack_path(name)))
                rows = list(self._objects.packs.open(name).index.rows())
                found = read_rows(self._objects.packs, [(name, rows)])
                right.update(row.digest for row, data in found if data is not None)
        except (Damage, OSError, StorageError) as error:
            self._problems.append(f"{error}; small files stay as they are")
            return False
        if all(row.digest in right for rows in packs.rows.values() for row in rows):
            return True
        self._problems.append("small files were read back wrong after they were grouped; the old packs stay")
        return False

    def _let_go(self, tx: Transaction, packs: _Packs) -> Removed:
        """Remove the old packs, or move them to the trash where others may still use an old listing."""
        grace = 0.0 if self._objects.storage.local else MERGE_GRACE
        with Removal(self._objects, "merge", own_transaction=str(tx.owner)) as removal:
            for name in packs.rows:
                removal.take_pack(name)
            return removal.finish(Everything(), keep_mine=grace > 0)


def _packs(rows: dict[str, list[Row]], size: int) -> _Packs:
    return _Packs(rows, size, [(name, row) for name, some in rows.items() for row in some if _is_grouped(row)])


def _is_grouped(row: Row) -> bool:
    return row.kind == BLOB and row.size > 0


def _is_worth(old: int, new: int) -> bool:
    return new <= _WORTH * old and old - new >= _LEAST


def _samples(blobs: list[tuple[str, Row]]) -> Iterator[list[tuple[str, Row]]]:
    """Some groups of neighbours, from the first blobs to the last; all blobs if there are few."""
    step = max(1, len(blobs) // _SAMPLES)
    for begin in range(0, len(blobs), step):
        size, end = 0, begin
        while end < min(begin + step, len(blobs)) and size < GROUP:
            size += blobs[end][1].size
            end += 1
        yield blobs[begin:end]
