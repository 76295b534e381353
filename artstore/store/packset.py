"""The packs of a storage: listing them, keeping readers open, and finding objects in them."""

from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from functools import partial
from weakref import WeakValueDictionary

from artstore.backends.descriptors import mapped
from artstore.backends.files import closing_fd
from artstore.backends.storage import FolderStorage, Readable, Reader
from artstore.domain.digest import BLOB, DELTA, RECIPE, Digest, is_hex, plain_digest, short
from artstore.errors import Damage, StorageError
from artstore.store import index
from artstore.store.damage import DamageNotes
from artstore.store.index import Index
from artstore.store.packfile import known_index, open_pack, pack_with
from artstore.store.packs import FRAMES_MAGIC, MERGE_BELOW, Pack, PackIndex, PackReader, Row
from artstore.store.paths import PACKS, pack_path
from artstore.store.trash import trashed

_LOOKS = 10
_OPEN_PACKS = 128
_PROBES_FREE = 2000
_PROBES_PER_ROW = 0.2  # a look-up in one more pack takes 3 µs, a row of the table 0.6 µs: build it when it pays

INDEXES = "cache/indexes"
"""The folder in which indexes of distant packs are cached, by the packs' names."""
_TAIL = 1 << 20
"""Bytes at the end of a distant pack that are read first: enough for the index of a pack full of small files."""
_FEW_INDEXES = 8
_TABLE_FROM = 64
"""If this many packs aren't in the table, a look-up of many objects first builds the table anew."""
_AHEAD_DISTANT = 8 << 20


class PackSet:
    """The packs of a storage, as of the last `refresh`. Not thread-safe."""

    def __init__(self, storage: Readable, damage: DamageNotes, cache: FolderStorage | None) -> None:
        """`cache` is the repository on this host that caches the packs' indexes; the storage itself if it is one."""
        self._storage = storage
        self._damage = damage
        self._cache = cache
        self._table_path = "cache/objects.idx"
        if cache is not storage:
            self._table_path = f"cache/remotes/{short(plain_digest(storage.root.encode(errors='surrogateescape')))}.idx"
        self.indexes = WeakValueDictionary[str, PackIndex]()
        """The indexes of packs that are open. Several handles may share them: a name verifies its index anywhere."""
        self._packs: dict[str, Pack] = {}
        self._framed: dict[str, bool] = {}
        self._names: set[str] | None = None
        self.last: Pack | None = None
        """the pack that answered last: a reader of file after file mostly needs the same one"""
        self.failure: OSError | None = None
        """the last error while a pack was opened, for callers that then find nothing"""
        self._index: Index | None = None
        self._unindexed: list[str] = []
        self._cheap = False
        self._probes = 0
        self._probes_allowed = _PROBES_FREE

    @property
    def distant(self) -> bool:
        """Whether each read is a request over a network."""
        return self._storage.distant

    def names(self) -> set[str]:
        return self.refresh() if self._names is None else self._names

    def refresh(self) -> set[str]:
        """List packs and notes of damage anew. During a merge at least the old or the new pack is listed."""
        listed = self._storage.steady_names(PACKS)
        self._names = {name[:-5] for name in listed if name.endswith(".pack") and is_hex(name[:-5])}
        self._damage.refresh(self._names)
        for gone in self._packs.keys() - self._names:  # an open descriptor would keep the space that gc has freed
            self._packs.pop(gone).close()
        if self.last is not None and self.last.name not in self._packs:
            self.last = None
        known = set(self._table().packs)
        self._unindexed = sorted(self._names - known)
        self._limit()
        return self._names

    def fingerprint(self, here: FolderStorage) -> list[tuple[str, int, int, int]]:
        """(name, inode, size, mtime) of each pack, if the storage is `here`.

        While these don't change, everything that was found in the packs is still there. The ctime isn't compared,
        because our own links and unlinks change it.
        """
        found = []
        for name in sorted(self.names()):
            try:
                st = here.stat(pack_path(name))
            except OSError:
                continue
            found.append((name, st.st_ino, st.st_size, st.st_mtime_ns))
        return found

    def _table(self) -> Index:
        if self._index is None:
            self._index = self._load_table() or Index([], b"", 0, 0)
        return self._index

    def _load_table(self) -> Index | None:
        if self._cache is None:
            return None
        try:
            with closing_fd(self._cache.open_own(self._table_path)) as fd:
                return index.decode(mapped(fd))
        except (OSError, ValueError, StorageError):
            return None

    def _build_table(self) -> None:
        indexes = []
        for name in sorted((self.names() & set(self._table().packs)) | set(self._unindexed)):
            try:
                indexes.append(self.open(name).index)
            except (Damage, OSError):
                continue
        self._index, self._unindexed, self._probes = index.build(indexes), [], 0
        try:
            if self._cache is not None:
                self._cache.replace(self._table_path, self._index.encode())
        except StorageError:
            pass  # read-only or full: the table lives as long as this process

    def open(self, name: str) -> Pack:
        """An open reader of a pack.

        Raises FileNotFoundError if a merge or a collector has removed the pack, and Damage if it doesn't match
        its name.
        """
        if found := self._packs.get(name):
            return found
        pack = self._cached_pack(name) or self._opened(name, pack_path(name))
        self.indexes[name] = pack.index
        if len(self._packs) >= _OPEN_PACKS:
            self.last = None
            self._packs.pop(next(iter(self._packs))).close()
        self._packs[name] = pack
        return pack

    def has_frames(self, name: str) -> bool:
        """Whether a pack is one of frames: only these have recipes and segments. Cost: its first bytes are read, once.

        Raises FileNotFoundError if it is gone, StorageError if it can't be read.
        """
        if name not in self._framed:
            if (known := self._packs.get(name)) is not None:
                self._framed[name] = known.index.has_frames
            else:
                self._framed[name] = self._storage.read(pack_path(name), 0, len(FRAMES_MAGIC)) == FRAMES_MAGIC
        return self._framed[name]

    def have_frames(self) -> bool:
        """Whether any pack of the last listing is one of frames."""
        for name in self.names():
            with suppress(OSError, StorageError):
                if self.has_frames(name):
                    return True
        return False

    def reader(self, name: str) -> PackReader:
        """A way to read a pack that stays open, also when a collector removes it: (read, close).

        Raises FileNotFoundError if it is gone already, also from the trash.
        """
        for path in self._places_of(name):
            try:
                _, read, close = self._storage.reader(path)
                return read, close
            except FileNotFoundError:
                continue
        raise FileNotFoundError(pack_path(name))

    def _places_of(self, name: str) -> Iterator[str]:
        """The paths where a pack may be: in objects/, in the trash, and in objects/ if it was given back meanwhile."""
        yield pack_path(name)
        yield from (path for path in trashed(self._storage) if path.endswith(f"/{name}.pack"))
        yield pack_path(name)

    def note_damage(self, name: str, digest: Digest) -> None:
        """Note that the copy of an object in a pack is damaged."""
        self._damage.note(name, digest)

    def remember(self, pack: Pack) -> None:
        """Ask this pack first from now on, unless it is one in the trash, which is open only for a moment."""
        if pack.name in self._packs:
            self.last = pack

    def _opened(self, name: str, path: str) -> Pack:
        size, read, close = self._storage.reader(path)
        try:
            if not self._storage.distant:
                known = self.indexes.get(name)
                if known is not None and known.pack_size == size:
                    return pack_with(known, read, close)
                return open_pack(name, size, read, close)
            pack = open_pack(name, size, _from_its_end(size, read), close)
            pack.ahead = _AHEAD_DISTANT
        except BaseException:
            close()
            raise
        pack.read_range = read
        self.know(name, pack.index.header + pack.index.whole)
        return pack

    def know(self, name: str, data: bytes) -> None:
        """Cache the header and index of a distant pack."""
        try:
            if self._storage.distant and self._cache is not None:
                self._cache.replace(f"{INDEXES}/{name}", data)
        except StorageError:
            pass  # it is only a cache

    def _cached_pack(self, name: str) -> Pack | None:
        """A distant pack whose index is known, or None. Packs never change, and a name shows whether an index is right."""
        if not self._storage.distant:
            return None
        index = self.indexes.get(name) or self._cached_index(name)
        if index is None:
            return None
        pack = pack_with(index, _when_asked(partial(self._storage.reader, pack_path(name))), lambda: None)
        pack.ahead = _AHEAD_DISTANT
        return pack

    def _cached_index(self, name: str) -> PackIndex | None:
        try:
            return known_index(name, self._cache.read(f"{INDEXES}/{name}")) if self._cache is not None else None
        except (FileNotFoundError, StorageError):
            return None

    def close(self) -> None:
        self.last = None
        while self._packs:
            self._packs.popitem()[1].close()

    # -- finding --

    def places(self, digest: Digest) -> Iterator[tuple[Pack, Row]]:
        """The copies of an object in the packs of the last listing, without those that are noted as damaged."""
        names = self.names()
        for name, number in self._table().places(digest):
            if name in names and (found := self._row(name, digest, number)):
                yield found
        for name in list(self._unindexed):
            self._probes += 1
            if found := self._row(name, digest, None):
                yield found

    def _row(self, name: str, digest: Digest, number: int | None) -> tuple[Pack, Row] | None:
        """A pack's own row of an object, or None.

        `number` is the table's answer, which is used only if the row agrees.
        """
        if (name, digest) in self._damage:
            return None
        try:
            pack = self.open(name)
        except FileNotFoundError:
            return None
        except Damage:
            self._damage.note_broken(name)
            return None
        except OSError as error:
            self.failure = error  # another pack may have it; if none has, `read` reports this
            return None
        if number is None:
            number = pack.index.find(digest)
        if number is None or number >= pack.index.count:
            return None
        row = pack.index.row(number)
        return (pack, row) if row.digest == digest else None

    def holding(self, digest: Digest, *, recipe: bool = False) -> str | None:
        """The pack on which a save may rely for an object, or None if the save should store it.

        As of the last listing. With `recipe`, for the recipe of a blob, which has the blob's digest.
        """
        if not self.names():
            return None
        if self._probes > self._probes_allowed:
            self._weigh_table()
        return next((pack.name for pack, row in self.places(digest) if (row.kind == RECIPE) == recipe), None)

    def locate_many(
        self, wanted: Iterable[Digest], *, parts: bool = False
    ) -> tuple[list[tuple[str, list[Row]]], list[Digest]]:
        """Find many small objects: their rows by pack, and the objects that are in no pack of the last listing.

        With `parts`, also segments and deltas of large blobs. Each pack is opened once. All rows of a pack are read if
        it has less than four times as many as are looked for.
        """
        names, todo = self.names(), set(wanted)
        if not names or not todo:
            return [], list(todo)
        if len(self._unindexed) >= _TABLE_FROM:
            self._build_table()
        # Ask the table for the pack of each object.
        tabled: dict[str, list[Digest]] = {}
        for digest in todo if len(self._table()) else ():
            for name, _ in self._table().places(digest):
                if name in names and (name, digest) not in self._damage:
                    tabled.setdefault(name, []).append(digest)  # more than one: the first may have only its recipe
        # Look into these packs, then into those that aren't in the table.
        found: list[tuple[str, list[Row]]] = []
        for name in [*tabled, *self._unindexed]:
            asked = [digest for digest in tabled[name] if digest in todo] if name in tabled else todo
            if not asked:
                continue
            try:
                pack = self.open(name)
            except (FileNotFoundError, Damage):
                continue
            except OSError as error:
                self.failure = error  # another pack may have the objects; if none has, `read` reports this
                continue
            if pack.index.count < 4 * len(asked):
                rows = [row for row in pack.index.rows() if row[0] in todo]
            else:
                numbers = (pack.index.find(digest) for digest in asked)
                rows = [pack.index.row(number) for number in numbers if number is not None]
            if self._damage:
                rows = [row for row in rows if (name, row.digest) not in self._damage]
            if pack.index.has_frames:
                rows = [row for row in rows if row.is_small or (parts and row.kind in (BLOB, DELTA))]
            if rows:
                found.append((name, rows))
                todo.difference_update(row.digest for row in rows)
        return found, list(todo)

    def _weigh_table(self) -> None:
        """Build the table over all packs when look-ups in packs that it lacks have cost as much as building it."""
        rows = len(self._table())
        for name in self._unindexed:
            try:
                rows += self.open(name).index.count
            except (FileNotFoundError, Damage):
                continue
        self._probes_allowed = max(_PROBES_FREE, int(rows * _PROBES_PER_ROW))
        if self._probes > self._probes_allowed:
            self._build_table()

    def look_only_where_cheap(self) -> None:
        """From now on look only into packs whose indexes are cached here, unless only a few aren't.

        Fetching all indexes of a distant place costs more than sending again what another host has sent.
        """
        self._cheap = self._storage.distant
        self._limit()

    def _limit(self) -> None:
        if self._cheap and self._cache is not None:
            known = set(self._cache.names(INDEXES))
            unknown = [name for name in self._unindexed if name not in known]
            if len(unknown) > _FEW_INDEXES:
                self._unindexed = [name for name in self._unindexed if name in known]

    def small(self) -> int:
        """The number of packs that are small enough to be merged."""
        return sum(path.endswith(".pack") and size < MERGE_BELOW for path, size in self._storage.below(PACKS))

    def all_places(self, digest: Digest) -> Iterator[tuple[Pack, Row]]:
        """All copies of an object. The order of the searches ensures that a copy that is moved meanwhile is found."""
        # In the packs of the last listing.
        yield from self.places(digest)
        # In those of a fresh listing, by the table and without it.
        self.refresh()
        yield from self.places(digest)
        yield from self._in_every_pack(digest)
        # In the trash, then once more in the packs: something may have been given back.
        yield from self.copies_in_trash({digest})
        self.refresh()
        yield from self._in_every_pack(digest)

    def _in_every_pack(self, digest: Digest) -> Iterator[tuple[Pack, Row]]:
        """The copies of an object, searched in each pack, without the table, which is only a hint."""
        for name in sorted(self.names()):
            if found := self._row(name, digest, None):
                yield found

    def copies_in_trash(self, digests: Set[Digest]) -> Iterator[tuple[Pack, Row]]:
        """The copies of objects in the trash. Searches again if a file vanishes: its run ended, or gave it back."""
        for _ in range(_LOOKS):
            vanished = False
            for path in trashed(self._storage):
                if not path.endswith(".pack"):
                    continue
                try:
                    with self.open_apart(path) as pack:
                        for digest in digests:
                            if (number := pack.index.find(digest)) is not None:
                                yield pack, pack.index.row(number)
                except FileNotFoundError:
                    vanished = True
                except (Damage, StorageError):
                    continue
            if not vanished:
                return

    @contextmanager
    def open_apart(self, path: str) -> Iterator[Pack]:
        """A pack outside objects/, open only for the block."""
        pack = self._opened(path.rpartition("/")[2].removesuffix(".pack"), path)
        try:
            yield pack
        finally:
            pack.close()

    def in_trash(self, digest: Digest) -> str | None:
        """The name of a pack in the trash that has this object, or None."""
        return next((pack.name for pack, _ in self.copies_in_trash({digest})), None)

    def sizes_in_trash(self, digests: Set[Digest]) -> dict[Digest, int]:
        """The size in bytes of each of these objects that a pack in the trash has. Opens each of these packs."""
        return {row.digest: row.size for _, row in self.copies_in_trash(digests)} if digests else {}


def _from_its_end(size: int, read: Callable[[int, int], bytes]) -> Callable[[int, int], bytes]:
    """A reader that has fetched the file's last bytes with one request.

    Opening a pack reads three pieces, of which two are at its end: over a network one request for these is cheaper.
    """
    start = max(0, size - _TAIL)
    tail = read(start, size - start)

    def read_range(offset: int, length: int) -> bytes:
        if offset >= start:
            return tail[offset - start : offset - start + length]
        return read(offset, length)

    return read_range


def _when_asked(open_reader: Callable[[], Reader]) -> Callable[[int, int], bytes]:
    """A function that reads with a reader, which is opened when it is first needed."""
    readers: list[Reader] = []

    def read_range(offset: int, length: int) -> bytes:
        if not readers:
            readers.append(open_reader())
        return readers[0][1](offset, length)

    return read_range
