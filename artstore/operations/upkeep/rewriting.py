"""Writing packs anew: some objects of a pack are copied to another one, in their order."""

from collections.abc import Collection, Set

from artstore.domain.digest import Digest
from artstore.errors import Damage
from artstore.store.framed import Frame, FramedRow, FramedWindow, FramedWriter
from artstore.store.groups import GroupWriter, is_thin
from artstore.store.objects import ObjectStore
from artstore.store.packs import PackWriter, Row, checked
from artstore.store.paths import pack_path
from artstore.store.reading import read_windows


def copy_objects(objects: ObjectStore, packs: Collection[tuple[str, Collection[Row]]], writer: PackWriter) -> None:
    """Copy these objects of some packs, which are all of the writer's kind. Each is checked, and copied once.

    Raises Damage if one is damaged, which is noted; FileNotFoundError if a pack is gone.
    """
    if isinstance(writer, FramedWriter):
        with GroupWriter(writer) as groups:
            copying = _FrameCopying(objects, groups)
            for name, rows in packs:
                copying.copy(name, rows)
            groups.finish()
        return
    seen: set[Digest] = set()
    for name, rows in packs:
        for window in read_windows(objects.packs, [(name, list(rows))]):
            for row, data in window.objects():
                if data is None:
                    if not window.data:
                        raise FileNotFoundError(pack_path(name))
                    raise damaged(objects, name, [row])
                if row.digest not in seen:
                    seen.add(row.digest)
                    writer.copy(row, window.stored(row))


def damaged(objects: ObjectStore, name: str, rows: Collection[Row]) -> Damage:
    """Note that these objects of a pack are damaged. Returns the error to raise."""
    for row in rows:
        objects.damage.note(name, row.digest)
    return Damage(f"object {min(row.digest for row in rows).hex()[:12]} in it is damaged")


class _FrameCopying:
    """Copies frames as they are, unopened, while at least half of a frame is needed; else its needed objects anew.

    What is not needed in a frame that is copied stays in it: the objects of a frame fill it without gaps. Objects of
    thin frames are put together in groups.
    """

    def __init__(self, objects: ObjectStore, groups: GroupWriter) -> None:
        self._objects = objects
        self._groups = groups
        self._seen: set[Digest] = set()
        """objects that were copied: a pack has one row for each digest"""

    def copy(self, name: str, needed: Collection[Row]) -> None:
        """Copy these objects of a pack."""
        pack, bad = self._objects.packs.open(name), self._objects.damage.inside(name)
        frames, wanted = {row.offset for row in needed}, {row.digest for row in needed}
        rows = [row for row in pack.index.rows() if row.offset in frames]
        for window in read_windows(self._objects.packs, [(name, rows)]):
            if not isinstance(window, FramedWindow):
                raise FileNotFoundError(pack_path(name))
            for frame, members, stored in window.frames():
                if wrong := self._copy_frame(frame, members, stored, wanted, bad):
                    raise damaged(self._objects, name, wrong)

    def _copy_frame(
        self, frame: Frame, members: list[FramedRow], stored: memoryview, wanted: Set[Digest], bad: Set[bytes]
    ) -> list[FramedRow]:
        """Copy what is needed of a frame. Returns the objects that turn out to be damaged."""
        digests = {row.digest for row in members}
        needed = [row for row in members if row.digest in wanted and row.digest not in self._seen]
        mostly = 2 * sum(row.size for row in needed) >= frame.raw
        try:
            if mostly and not is_thin(frame, members) and digests.isdisjoint(bad) and digests.isdisjoint(self._seen):
                frame.verify(stored)
                self._groups.pack.copy_frame(frame, members, stored)
                self._seen |= digests
                return []
            opened = frame.opened(stored) if needed else memoryview(b"")
        except Damage:
            return members
        for row in needed:
            data = checked(row.kind, row.digest, opened[row.place : row.end])
            if data is None:
                return [row]
            self._groups.add(row.kind, row.digest, data)
            self._seen.add(row.digest)
        return []
