"""The object store: finds, reads and checks blobs, trees and versions in packs and large files.

It distinguishes damaged objects from missing ones.
"""

from collections.abc import Iterable, Iterator, Mapping, Set

from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.collection import VersionState
from artstore.domain.digest import BLOB, KIND_NAMES, TREE, VERSION, Digest, ObjectKind, short
from artstore.domain.names import printable
from artstore.domain.version import VersionRecord, decode_version
from artstore.errors import DamagedObject, MissingObject, storage_error
from artstore.store.content import HEAL
from artstore.store.damage import DamageNotes
from artstore.store.large import LargeBlobs
from artstore.store.packs import LARGE, Pack, Row
from artstore.store.packset import PackSet
from artstore.store.reading import read_rows, read_windows

_CACHED_TREES = 4 << 20
"""Bytes of trees that are kept in memory: about 500 folders of 100 files."""


class ObjectStore:
    """The objects of a storage. Not thread-safe, except `large.copy`.

    Reading takes no lock and works during merges: an object is reported missing only after a search in the index, in a
    fresh listing of packs, in the trash and in the packs once more. Listings are as of the last `packs.refresh`.
    """

    def __init__(self, storage: Storage, *, cache: FolderStorage | None = None, notes: bool = True) -> None:
        """`cache` is the repository on this host that caches the indexes of another place's packs: a place's own caches
        are only for its own host. Without `notes` nothing is written to the place.
        """
        self.storage = storage
        self.here = storage if cache is None and isinstance(storage, FolderStorage) else None
        """the storage if it is a repository on this host, else None"""
        self._damage = DamageNotes(storage, kept=notes)
        self.packs = PackSet(storage, self._damage, self.here if cache is None else cache)
        self.large = LargeBlobs(storage, self.packs, kept=notes, here=self.here)
        self._cached_trees: dict[Digest, bytes] = {}
        self._cached_bytes = 0
        self._kept_trees: dict[Digest, bytes] = {}

    @property
    def damage(self) -> DamageNotes:
        """Notes of damage, as of the last listing of packs."""
        self.packs.names()
        return self._damage

    def close(self) -> None:
        self.packs.close()

    @property
    def doubted(self) -> bool:
        """Whether there is damage that no later save has repaired. Then nothing may be relied on without a look-up."""
        return self.damage.is_known

    def through(self, folder: str, ids: Iterable[str]) -> None:
        """Do nothing: see `Objects`."""

    def looks_at(self, folder: str, version: VersionState) -> None:
        """Do nothing: see `Objects`."""

    def expect(self, blobs: Iterable[tuple[Digest, int]]) -> None:
        """Do nothing: see `Objects`."""

    def refresh(self) -> object:
        """List the packs anew."""
        return self.packs.refresh()

    def look_only_where_cheap(self) -> None:
        """From now on look only into packs whose indexes are cached here: see `PackSet.look_only_where_cheap`."""
        self.packs.look_only_where_cheap()

    def due(self) -> int:
        """The number of packs that are small enough to be merged."""
        return self.packs.small()

    def has(self, kind: ObjectKind, digest: Digest, size: int) -> bool:
        """Whether an object is stored, as of the last listing.

        It may be collected: only a transaction can rely on it.
        """
        if kind == BLOB and size >= LARGE:
            return self.large.has(digest, size)
        return self.packs.holding(digest) is not None

    def sizes(self, digests: Iterable[Digest]) -> dict[Digest, int]:
        """The size in bytes of each of these small objects that is stored."""
        return {row.digest: row.size for _, rows in self.packs.locate_many(digests)[0] for row in rows}

    def readable(self, digests: Set[Digest]) -> dict[Digest, int]:
        """The size in bytes of each of these small objects that can be read: it is stored, or waits in the trash.

        For readers. A save can't rely on an object in the trash.
        """
        found = self.sizes(digests)
        found |= self.packs.sizes_in_trash(digests - found.keys())
        if absent := digests - found.keys():  # one may have been given back, or merged, since it was looked for
            self.packs.refresh()
            found |= self.sizes(absent)
        return found

    def worth_asking(self, digests: Set[Digest]) -> Set[Digest]:
        """Those of these small objects that can probably be read."""
        return self.readable(digests).keys()

    def large_size(self, blob: Digest) -> int | None:
        """The size of a large blob that can be read. None for a small one, and if there is none."""
        small = any(row.is_small for _, row in self.packs.places(blob))
        return None if small else self.large.readable({blob}).get(blob)

    # -- reading --

    def read_there(self, wanted: Mapping[Digest, ObjectKind]) -> Iterator[tuple[ObjectKind, Digest, bytes]]:
        """Read those of some small objects that are there and right, in any order: (kind, digest, bytes)."""
        rows, elsewhere = self.packs.locate_many(list(wanted))
        for row, data in read_rows(self.packs, rows):
            if data is not None and wanted[row.digest] == row.kind:
                yield row.kind, row.digest, bytes(data)
        for digest in self.packs.sizes_in_trash(set(elsewhere)):
            yield wanted[digest], digest, self.read(wanted[digest], digest)

    def read_many(self, wanted: dict[Digest, ObjectKind]) -> Iterator[tuple[ObjectKind, Digest, memoryview]]:
        """Read small objects and check them, each once, in any order. Raises MissingObject or DamagedObject."""
        if not wanted:
            return
        places, elsewhere = self.packs.locate_many(wanted)
        for row, data in read_rows(self.packs, places):
            if data is not None and row.kind == wanted[row.digest]:
                yield row.kind, row.digest, data
            else:
                elsewhere.append(row.digest)  # read again, and from other copies, before it is reported as damaged
        for digest in elsewhere:
            yield wanted[digest], digest, memoryview(self.read(wanted[digest], digest))

    def read_blobs(self, wanted: Mapping[Digest, int]) -> Iterator[list[tuple[Digest, memoryview]]]:
        """Read small blobs (digest → size) like `read_many`, in lists of neighbours. Cost: 3 µs each, besides reading.

        Their sizes are not checked.
        """
        places, elsewhere = self.packs.locate_many(wanted)
        for window in read_windows(self.packs, places):
            good = []
            for (digest, kind, _, _), data in window.objects():
                if data is not None and kind == BLOB:
                    good.append((digest, data))
                else:
                    elsewhere.append(digest)
            yield good
        for digest in elsewhere:
            yield [(digest, memoryview(self.read(BLOB, digest)))]

    def read(self, kind: ObjectKind, digest: Digest) -> bytes:
        """An object's bytes, checked. Raises MissingObject if it is nowhere, DamagedObject if every copy is wrong."""
        before, self.packs.failure = self.packs.failure, None
        try:
            return self._read(kind, digest)
        finally:
            self.packs.failure = self.packs.failure or before

    def _read(self, kind: ObjectKind, digest: Digest) -> bytes:
        # First the pack that answered last, then all copies in packs.
        if (data := self._read_where_last(kind, digest)) is not None:
            return data
        damaged: set[str] = set()
        failed: OSError | None = None
        for pack, row in self.packs.all_places(digest):
            if pack.name in damaged or row.kind != kind:
                continue
            try:
                data = _right_bytes(pack, row)
            except OSError as error:
                failed = error
                continue
            if data is not None:
                self.packs.remember(pack)
                return data
            damaged.add(pack.name)
            for other in _damaged_with(pack, row):
                self._damage.note(pack.name, other)
        # No copy was right: say whether reading failed, all copies are damaged, or there is none.
        what = f"{KIND_NAMES[kind]} {short(digest)}"
        failed = failed or self.packs.failure
        if failed is not None:
            raise storage_error(failed, f"read {what} in {printable(self.storage.root)}") from failed
        if damaged or self._damage.of(digest):
            where = f" in pack {min(damaged)[:12]}" if damaged else ""
            raise DamagedObject(f"{what}{where} is damaged", hint=HEAL)
        if kind == BLOB and (data := self.large.read(digest)) is not None:
            return data
        if self._damage.broken:
            pack_name = min(self._damage.broken)[:12]
            raise DamagedObject(
                f"{what} can't be found, and pack {pack_name}, which is damaged, may hold it", hint=HEAL
            )
        raise MissingObject(f"{what} is missing from {printable(self.storage.root)}", hint=HEAL)

    def _read_where_last(self, kind: ObjectKind, digest: Digest) -> bytes | None:
        """An object from the pack that answered last, checked, or None.

        A reader of file after file mostly needs the same pack, and this takes a third of the time of asking the table.
        """
        pack = self.packs.last
        if pack is None or (number := pack.index.find(digest)) is None or (pack.name, digest) in self._damage:
            return None
        row = pack.index.row(number)
        try:
            return pack.object(row) if row.kind == kind else None
        except OSError:
            return None

    def read_small(self, digest: Digest) -> bytes | memoryview | None:
        """A small blob from the first copy that is found, or None. The pack that answered last is asked first.

        For callers that read many blobs and fall back to `read`, which searches everywhere.
        """
        if (place := self._locate_small(digest)) is None:
            return None
        pack, row = place
        try:
            # Over a network, also read what follows in the pack: mostly the next file's bytes.
            return self.peek_small(digest) if self.storage.distant else pack.object(row)
        except OSError as error:
            raise storage_error(error, f"read pack {pack.name[:12]}") from error

    def _locate_small(self, digest: Digest) -> tuple[Pack, Row] | None:
        pack = self.packs.last
        if (
            pack is not None
            and (number := pack.index.find(digest)) is not None
            and (pack.name, digest) not in self._damage
        ):
            return pack, pack.index.row(number)
        found = next(self.packs.places(digest), None)
        if found is not None:
            self.packs.last = found[0]
        return found

    def peek_small(self, digest: Digest) -> memoryview | None:
        """A small blob from the pack that answered last, or None if it isn't there or is damaged."""
        pack = self.packs.last
        if (
            pack is None
            or (number := pack.index.find(digest)) is None
            or (self._damage and (pack.name, digest) in self._damage)
        ):
            return None
        return pack.peek(number)

    def read_tree(self, digest: Digest) -> bytes:
        """A tree's bytes.

        The last few are kept in memory, because a walk and a check often read the same tree twice.
        """
        data = self._cached_trees.get(digest) or self._kept_trees.get(digest)
        if data is None:
            data = self.read(TREE, digest)
            if self._cached_bytes > _CACHED_TREES:
                self._cached_trees.clear()
                self._cached_bytes = 0
            if len(data) < LARGE:
                self._cached_trees[digest] = data
                self._cached_bytes += len(data)
        return data

    def forget_trees(self) -> None:
        """Forget the trees that are in memory: the next reader finds out whether they are still stored."""
        self._cached_trees, self._cached_bytes, self._kept_trees = {}, 0, {}

    def keep_trees(self, trees: dict[Digest, bytes]) -> None:
        """Keep trees in memory that were read and checked together and will be needed one by one."""
        self._kept_trees.update(trees)

    def read_version(self, id: Digest) -> VersionRecord:
        return decode_version(self.read(VERSION, id), id)


def _damaged_with(pack: Pack, row: Row) -> list[Digest]:
    """This object, whose copy is wrong, and those that can't be read from the pack either."""
    try:
        return pack.damaged_with(row)
    except OSError:
        return [row.digest]


def _right_bytes(pack: Pack, row: Row) -> bytes | None:
    """An object's bytes from one copy, or None if the copy is wrong in two reads; a single fault may be temporary."""
    for _ in range(2):
        if (data := pack.object(row)) is not None:
            return data
    return None
