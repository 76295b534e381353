"""Finding large blobs that are stored in packs: a blob is one segment, or a recipe names its segments."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from threading import Lock

from artstore.backends.descriptors import read_at
from artstore.domain.digest import BLOB, DELTA, RECIPE, Digest, short
from artstore.domain.recipes import Part, Segment, decode_recipe
from artstore.errors import Damage, MissingObject, StorageError
from artstore.store.packfile import open_pack
from artstore.store.packs import LARGE, Pack, PackReader, Row
from artstore.store.packset import PackSet
from artstore.store.segments import Copy, Packed, PackedContent, Places
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
            if not pack.index.has_frames:
                continue
            if row.kind == BLOB and row.size >= LARGE:
                whole = Segment(row.size, row.digest)
                return Packed(row.digest, (whole,), pack.name, {whole.parts[0]: (pack.name, row)})
            if (
                row.kind == RECIPE
                and (segments := self._segments(pack, row))
                and (places_of := self._located(segments, trash=trash))
            ):
                return Packed(row.digest, segments, pack.name, places_of)
        return None

    def open_segments(self, blob: Digest, digests: Sequence[Digest]) -> PackedContent | None:
        """Segments for a blob, one after the other, open for reading. None if one of them isn't in packs.

        As of the last listing. Raises FileNotFoundError if one of the packs is gone since.
        """
        with self._lock:
            found, missing = self._packs.locate_many(digests, parts=True)
        rows = {row.digest: (name, row) for name, some in found for row in some}
        if missing or not rows:
            return None
        segments = tuple(Segment(rows[digest][1].size, digest) for digest in digests)
        places = {segment.parts[0]: rows[segment.digest] for segment in segments}
        return self.open(Packed(blob, segments, rows[digests[0]][0], places))

    def forms(self, digest: Digest) -> Iterator[Packed]:
        """A blob in each way in which packs have it whole, as of the last listing: as one segment, or by a recipe."""
        for place in list(self._packs.places(digest)):
            if (found := self._found(iter([place]))) is not None:
                yield found

    def taken(self, digest: Digest) -> set[str]:
        """The packs in the trash that hold a recipe of a blob, or a part of it that no other pack has."""
        found, missing = set[str](), set[Digest]()
        for places in (self._packs.places(digest), self._packs.copies_in_trash({digest})):
            for pack, row in places:
                found.add(pack.name)
                segments = self._segments(pack, row) if row.kind == RECIPE else None
                wanted = {part.digest for segment in segments or () for part in segment.parts}
                missing.update(self._packs.locate_many(wanted, parts=True)[1])
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

    def _located(self, segments: tuple[Segment, ...], *, trash: bool) -> Places | None:
        """The pack and row of each part of the segments, with `trash` also of packs there. None if one is missing.

        A pack may lie about a length, and another one have the segment.
        """
        wanted = {part for segment in segments for part in segment.parts}
        found, missing = self._packs.locate_many({part.digest for part in wanted}, parts=True)
        rows = {row.digest: (name, row) for name, some in found for row in some}
        for pack, row in self._packs.copies_in_trash(set(missing)) if trash and missing else ():
            if row.kind in (BLOB, DELTA):
                rows.setdefault(row.digest, (pack.name, row))
        places: Places = {}
        for part in wanted:
            place = rows.get(part.digest)
            if place is not None and part.fits(place[1].kind, place[1].size):
                places[part] = place
            elif (other := _first_fitting(part, self._packs.places(part.digest))) is not None:
                places[part] = other[0].name, other[1]
            else:
                return None
        return places

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
        readers = dict[str, PackReader]()
        with self._lock:
            try:
                for name in sorted(packed.packs):
                    readers[name] = self._packs.reader(name)
            except BaseException:
                for _, close in readers.values():
                    close()
                raise
        return PackedContent(packed, readers, self._notes, self._packs.note_damage, self._copy_of)

    def _copy_of(self, part: Part) -> Copy | None:
        """A copy of a part that is not noted as damaged, with a reader of its own."""
        with self._lock:
            found = _first_fitting(part, self._packs.places(part.digest))
            try:
                return Copy(found[0].name, found[1], self._packs.reader(found[0].name)) if found else None
            except FileNotFoundError:
                return None

    def check_new(self, blobs: Iterable[Packed], staged: Mapping[str, str]) -> None:
        """Check large blobs whose recipes, and parts that weren't stored yet, are in packs that aren't published.

        A recipe that others made may be wrong although each segment is right. Raises DamagedObject for such a one, and
        MissingObject if a part that was stored is gone for good.

        Args:
            staged: The paths of the packs, by their names.
        """
        with ExitStack() as opened:
            packs = [opened.enter_context(closing(_staged_pack(name, path))) for name, path in staged.items()]
            for blob in blobs:
                self._new_content(blob, packs, opened).check()

    def _new_content(self, blob: Packed, staged: list[Pack], opened: ExitStack) -> PackedContent:
        """A blob with its parts in these packs, or stored, or in the trash. `opened` closes what is read."""
        readers: dict[str, PackReader] = {pack.name: (pack.read_range, lambda: None) for pack in staged}
        places: Places = {}
        for part in dict.fromkeys(part for segment in blob.segments for part in segment.parts):
            new = ((pack, pack.index.row(at)) for pack in staged if (at := pack.index.find(part.digest)) is not None)
            found = _first_fitting(part, chain(new, self._packs.all_places(part.digest)))
            try:
                if found is None:
                    raise FileNotFoundError
                if found[0].name not in readers:
                    readers[found[0].name] = self._packs.reader(found[0].name)
                    opened.callback(readers[found[0].name][1])
            except FileNotFoundError:
                what = f"a segment of blob {short(blob.digest)} was collected meanwhile"
                raise MissingObject(what, hint="run the same command again") from None
            places[part] = found[0].name, found[1]
        return PackedContent(blob._replace(places=places), readers, self._notes)


def _first_fitting(part: Part, copies: Iterable[tuple[Pack, Row]]) -> tuple[Pack, Row] | None:
    return next((copy for copy in copies if part.fits(copy[1].kind, copy[1].size)), None)


def _staged_pack(name: str, path: str) -> Pack:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return open_pack(name, os.fstat(fd).st_size, partial(read_at, fd), partial(os.close, fd))
