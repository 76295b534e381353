"""Finding large blobs that are stored in packs: a blob is one segment, or a recipe names its segments."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from threading import Lock

from artstore.backends.descriptors import read_at
from artstore.domain.digest import BLOB, RECIPE, Digest
from artstore.domain.recipes import Segment, decode_recipe
from artstore.errors import Damage, StorageError
from artstore.store.packfile import open_pack
from artstore.store.packs import LARGE, Pack, Row
from artstore.store.packset import PackSet
from artstore.store.segments import Packed, PackedContent, Reader
from artstore.store.verified import VerifiedNotes


class PackedBlobs:
    """The large blobs in the packs of a storage. Threads may call `find` and `open`, if no other code uses the packs."""

    def __init__(self, packs: PackSet, notes: VerifiedNotes, lock: Lock) -> None:
        """`lock` is held while threads use the packs."""
        self._packs = packs
        self._notes = notes
        self._lock = lock

    def find(self, digest: Digest) -> Packed | None:
        """A blob of which all segments are in packs, as of the last listing. None if one of them is missing."""
        with self._lock:
            return self._found(self._packs.places(digest))

    def find_anywhere(self, digest: Digest) -> Packed | None:
        """The same, for readers: with packs of a new listing, and those in the trash."""
        if (found := self.find(digest)) is not None:
            return found
        with self._lock:
            return self._found(self._packs.all_places(digest), trash=True)

    def _found(self, places: Iterator[tuple[Pack, Row]], *, trash: bool = False) -> Packed | None:
        for pack, row in places:
            if row.kind == BLOB and row.size >= LARGE:
                return Packed(row.digest, (Segment(row.size, row.digest),), pack.name, {row.digest: (pack.name, row)})
            if (
                row.kind == RECIPE
                and (segments := self._segments(pack, row))
                and (places_of := self._located(segments, trash=trash))
            ):
                return Packed(row.digest, segments, pack.name, places_of)
        return None

    def taken(self, digest: Digest) -> set[str]:
        """The packs in the trash that hold a recipe of a blob, or a segment that no other pack has."""
        found, missing = set[str](), set[Digest]()
        for places in (self._packs.places(digest), self._packs.copies_in_trash({digest})):
            for pack, row in places:
                found.add(pack.name)
                segments = self._segments(pack, row) if row.kind == RECIPE else None
                wanted = {segment.digest for segment in segments or ()}
                missing.update(self._packs.locate_many(wanted, segments=True)[1])
        found |= {pack.name for pack, _ in self._packs.copies_in_trash(missing)}
        return found - self._packs.names()

    def recipes_in(self, name: str) -> Iterator[tuple[Digest, tuple[Segment, ...] | None]]:
        """The recipes in a pack of frames: (blob, segments), without segments if it can't be read.

        Raises FileNotFoundError if the pack is gone.
        """
        pack = self._packs.open(name)
        for row in pack.index.rows():
            if row.kind == RECIPE:
                yield row.digest, self._segments(pack, row)

    def _segments(self, pack: Pack, row: Row) -> tuple[Segment, ...] | None:
        """What a recipe says. None if it can't be read."""
        try:
            data = pack.object(row)
            return None if data is None else decode_recipe(data).segments
        except (Damage, OSError):
            return None

    def _located(self, segments: tuple[Segment, ...], *, trash: bool) -> dict[Digest, tuple[str, Row]] | None:
        """The pack and row of each segment, with `trash` also of packs there. None if one is missing."""
        found, missing = self._packs.locate_many({segment.digest for segment in segments}, segments=True)
        places = {row.digest: (name, row) for name, rows in found for row in rows if row.kind == BLOB}
        for pack, row in self._packs.copies_in_trash(set(missing)) if trash and missing else ():
            if row.kind == BLOB:
                places.setdefault(row.digest, (pack.name, row))
        good = all(digest in places and places[digest][1].size == length for length, digest in segments)
        return places if good else None

    def all(self) -> Iterator[tuple[Digest, int]]:
        """(digest, size) of each blob that has a recipe, and of each segment of 1 MiB or more."""
        for name in sorted(self._packs.names()):
            for pack, row in self.rows_in(name):
                if row.kind == BLOB and row.size >= LARGE:
                    yield row.digest, row.size
                elif row.kind == RECIPE and (segments := self._segments(pack, row)):
                    yield row.digest, sum(segment.length for segment in segments)

    def rows_in(self, name: str) -> Iterator[tuple[Pack, Row]]:
        """The rows of a pack, if it is one of frames: others hold no part of a large blob."""
        try:
            if not self._packs.has_frames(name):
                return
            pack = self._packs.open(name)
        except (Damage, OSError, StorageError):
            return
        for row in pack.index.rows():
            yield pack, row

    def open(self, packed: Packed) -> "PackedContent":
        """Open a blob for reading. Raises FileNotFoundError if one of its packs is gone."""
        readers = dict[str, Reader]()
        with self._lock:
            try:
                for name in sorted(packed.packs):
                    readers[name] = self._packs.reader(name)
            except BaseException:
                for _, close in readers.values():
                    close()
                raise
        return PackedContent(packed, readers, self._notes, self._packs.note_damage)

    def check_new(self, blobs: Iterable[Packed], staged: Mapping[str, str]) -> None:
        """Check large blobs whose recipes, and segments that weren't stored yet, are in packs that aren't published.

        A recipe that others made may be wrong although each segment is right. Raises DamagedObject for such a one.

        Args:
            staged: The paths of the packs, by their names.
        """
        with ExitStack() as opened:
            packs = [opened.enter_context(closing(_staged_pack(name, path))) for name, path in staged.items()]
            for blob in blobs:
                self._new_content(blob, packs).check()

    def _new_content(self, blob: Packed, staged: list[Pack]) -> PackedContent:
        """A blob with its segments in these packs, or stored. Its readers are closed with the packs."""
        readers: dict[str, Reader] = {pack.name: (pack.read_range, lambda: None) for pack in staged}
        places: dict[Digest, tuple[str, Row]] = {}
        for digest in blob.places:
            new = ((pack, number) for pack in staged if (number := pack.index.find(digest)) is not None)
            found = chain(((pack, pack.index.row(number)) for pack, number in new), self._packs.places(digest))
            pack, row = next((pack, row) for pack, row in found if row.kind == BLOB)
            readers.setdefault(pack.name, (pack.read_range, lambda: None))
            places[digest] = pack.name, row
        return PackedContent(blob._replace(places=places), readers, self._notes, lambda name, digest: None)


def _staged_pack(name: str, path: str) -> Pack:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return open_pack(name, os.fstat(fd).st_size, partial(read_at, fd), partial(os.close, fd))
