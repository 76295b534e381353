"""The object store: finds, reads and checks blobs, trees and versions in packs and large files; tells damaged from
missing.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from artstore.backends.files import hash_file
from artstore.backends.storage import FolderStorage, Reader, Storage
from artstore.domain.digest import (
    BLOB,
    KIND_NAMES,
    TREE,
    VERSION,
    Digest,
    Kind,
    from_hex,
    is_hex,
    plain_digest,
    short,
)
from artstore.domain.names import printable
from artstore.domain.version import Version, decode_version
from artstore.errors import Damage, DamagedObject, MissingObject, StorageError, storage_error, translated
from artstore.store import index
from artstore.store.index import Index
from artstore.store.packs import LARGE, MERGE_BELOW, Pack, Row, known_pack, open_pack
from artstore.store.verified import VerifiedNotes

_LOOKS = 10
_OPEN_PACKS = 128
_PROBES_FREE = 2000
_PROBES_PER_ROW = 0.2  # a look-up in one more pack costs 3 µs, a row of the table 0.6 µs: build it when it has paid

BLOBS = "objects/blobs"
PACKS = "objects/packs"
INDEXES = "cache/indexes"
"""Indexes of distant packs, by name."""
_TAIL = 1 << 20
"""Bytes at the end of a distant pack that are read first: they hold the index of one that is full of small files."""
_FEW_INDEXES = 8
_TABLE_FROM = 64
"""Packs without a place in the table from which on many look-ups build it anew."""
_AHEAD_DISTANT = 8 << 20
_CACHED_TREES = 4 << 20
"""Bytes of trees that are kept: of 500 folders of 100 files."""


def blob_path(digest: bytes) -> str:
    name = digest.hex()
    return f"{BLOBS}/{name[:2]}/{name}"


def pack_path(name: str) -> str:
    return f"{PACKS}/{name}.pack"


class ObjectStore:
    """Reads take no lock and survive merges: an object is missing only after index → fresh listing → trash → index once
    more.

    Single-threaded but for `read_large`. Pack listings are as of the last `refresh`.
    """

    def __init__(self, storage: Storage, *, cache: FolderStorage | None = None, notes: bool = True) -> None:
        """`cache` is the local repository that keeps what is known of another place's packs (a place's own caches are
        for its own host); without `notes` nothing is written to the place.
        """
        self.storage = storage
        self.here = storage if cache is None and isinstance(storage, FolderStorage) else None
        """the storage, when it is a repository of this host's"""
        self._cache = cache
        self._notes = notes
        self.verified = VerifiedNotes(self.here)
        self._table_path = "cache/objects.idx"
        if cache is None:
            self._cache = self.here
        else:
            self._table_path = f"cache/remotes/{short(plain_digest(storage.root.encode()))}.idx"
        self._packs: dict[str, Pack] = {}
        self._names: set[str] | None = None
        self._last: Pack | None = None
        self._bad: set[tuple[str, bytes]] = set()
        self._broken: set[str] = set()
        self.failure: OSError | None = None
        """the last error met while a pack was opened: who found nothing, or gave something back, may say so"""
        self._index: Index | None = None
        self._unindexed: list[str] = []
        self._cheap = False
        self._probes = 0
        self._probes_allowed = _PROBES_FREE
        self._cached_trees: dict[Digest, bytes] = {}
        self._cached_bytes = 0
        self._kept_trees: dict[Digest, bytes] = {}

    # -- which packs there are --

    def pack_names(self) -> set[str]:
        return self.refresh() if self._names is None else self._names

    def refresh(self) -> set[str]:
        """List packs and notes of damage anew, until the folder's mtime stands still: a listing beside a merge can miss
        both the old and the new pack.
        """
        listed = self.storage.steady_names(PACKS)
        self._names = {name[:-5] for name in listed if name.endswith(".pack") and is_hex(name[:-5])}
        if self._notes:
            notes = self.storage.names("bad")
            self._bad = {
                (name[:64], bytes.fromhex(name[65:]))
                for name in notes
                if len(name) == 129 and name[64] == "." and is_hex(name[:64]) and is_hex(name[65:])
            }
            self._broken = {name[:64] for name in notes if len(name) == 69 and name.endswith(".pack")}
        self._broken &= self._names
        for gone in self._packs.keys() - self._names:  # or a long-lived handle would hold the space that gc freed
            self._packs.pop(gone).close()
        if self._last is not None and self._last.name not in self._packs:
            self._last = None
        known = set(self._table().packs)
        self._unindexed = sorted(self._names - known)
        self._limit()
        return self._names

    @property
    def has_known_damage(self) -> bool:
        """Whether damage was noted that no later save has healed: then nothing may be relied on without a look-up."""
        self.pack_names()
        return bool(self._bad or self._broken) or any(
            self.storage.size(blob_path(from_hex(name[:64]))) is None
            for name in self.storage.names("bad")
            if len(name) == 73 and is_hex(name[:64])
        )

    def fingerprint(self) -> list[tuple[str, int, int, int]]:
        """(name, inode, size, mtime) of every pack: while all are as they were, what was found in them is there still.

        Without the ctime, which our own links and unlinks move.
        """
        found = []
        for name in sorted(self.pack_names()):
            try:
                st = os.stat(f"{self.storage.root}/{pack_path(name)}", follow_symlinks=False)
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
        import mmap

        try:
            fd = self._cache.open_own(self._table_path)
            try:
                return index.decode(mmap.mmap(fd, 0, access=mmap.ACCESS_READ))
            finally:
                os.close(fd)
        except (OSError, ValueError, StorageError):
            return None

    def _build_table(self) -> None:
        packs = []
        for name in sorted((self.pack_names() & set(self._table().packs)) | set(self._unindexed)):
            try:
                packs.append(self.pack(name))
            except (Damage, OSError):
                continue
        self._index, self._unindexed, self._probes = index.build(packs), [], 0
        try:
            if self._cache is not None:
                self._cache.replace(self._table_path, self._index.encode())
        except StorageError:
            pass  # read-only or full: the table lives as long as this process

    def pack(self, name: str) -> Pack:
        """An open reader. FileNotFoundError when a merge or a collector took it away; Damage when it isn't what its
        name says.
        """
        if found := self._packs.get(name):
            return found
        pack = self._cached_pack(name) or self._open(name, pack_path(name))
        if len(self._packs) >= _OPEN_PACKS:
            self._last = None
            self._packs.pop(next(iter(self._packs))).close()
        self._packs[name] = pack
        return pack

    def _open(self, name: str, path: str) -> Pack:
        size, read, close = self.storage.reader(path)
        try:
            if not self.storage.distant:
                return open_pack(name, size, read, close)
            pack = open_pack(name, size, _from_its_end(size, read), close)
            pack.ahead = _AHEAD_DISTANT
        except BaseException:
            close()
            raise
        pack.read_range = read
        self.know_pack(name, pack.header + pack.index)
        return pack

    def know_pack(self, name: str, data: bytes) -> None:
        """Keep the header and index of a distant pack."""
        try:
            if self.storage.distant and self._cache is not None:
                self._cache.replace(f"{INDEXES}/{name}", data)
        except StorageError:
            pass  # a cache

    def _cached_pack(self, name: str) -> Pack | None:
        """A distant pack whose index was read before: it never changes, and its name says whether the cache is right."""
        if not self.storage.distant or self._cache is None:
            return None
        try:
            data = self._cache.read(f"{INDEXES}/{name}")
        except (FileNotFoundError, StorageError):
            return None
        pack = known_pack(name, data)
        if pack is not None:
            pack.ahead = _AHEAD_DISTANT
            pack.read_range = _when_asked(partial(self.storage.reader, pack_path(name)))
        return pack

    def close(self) -> None:
        self._last = None
        while self._packs:
            self._packs.popitem()[1].close()

    # -- finding --

    def _places(self, digest: Digest) -> Iterator[tuple[Pack, Row]]:
        """Copies in packs of the last listing that are not noted as damaged."""
        names = self.pack_names()
        for name, number in self._table().places(digest):
            if name in names and (found := self._row(name, digest, number)):
                yield found
        for name in list(self._unindexed):
            self._probes += 1
            if found := self._row(name, digest, None):
                yield found

    def _row(self, name: str, digest: Digest, number: int | None) -> tuple[Pack, Row] | None:
        """The pack's own row: what the table says is believed only when this agrees."""
        if (name, digest) in self._bad:
            return None
        try:
            pack = self.pack(name)
        except FileNotFoundError:
            return None
        except Damage:
            self._note_broken(name)
            return None
        except OSError as error:
            self.failure = error  # another pack may hold it, too; `read` says so if none does
            return None
        if number is None:
            number = pack.find(digest)
        if number is None or number >= pack.count:
            return None
        row = pack.row(number)
        return (pack, row) if row.digest == digest else None

    def _note_broken(self, name: str) -> None:
        """A pack that can't be opened holds nothing to rely on: noted as `bad/<pack>.pack`, later saves look all up."""
        if name not in self._broken:
            self._broken.add(name)
            self._note(f"bad/{name}.pack")

    def broken_packs(self) -> set[str]:
        self.pack_names()
        return set(self._broken)

    def pack_holding(self, digest: Digest) -> str | None:
        """The pack on which a saver may rely for this object; None when it had better store it. As of the last listing."""
        if not self.pack_names():
            return None
        if self._probes > self._probes_allowed:
            self._weigh_table()
        return next((pack.name for pack, _ in self._places(digest)), None)

    def locate_many(self, wanted: Iterable[Digest]) -> tuple[list[tuple[str, list[Row]]], list[Digest]]:
        """Where small objects lie, by pack, and those that no pack of the last listing holds. Each pack is opened once,
        and a pack of fewer objects than are looked for is read through.
        """
        names, todo = self.pack_names(), set(wanted)
        if not names or not todo:
            return [], list(todo)
        if len(self._unindexed) >= _TABLE_FROM:
            self._build_table()
        tabled: dict[str, list[Digest]] = {}
        for digest in todo if len(self._table()) else ():
            place = next(
                (n for n, _ in self._table().places(digest) if n in names and (n, digest) not in self._bad), None
            )
            if place is not None:
                tabled.setdefault(place, []).append(digest)
        found: list[tuple[str, list[Row]]] = []
        for name in [*tabled, *self._unindexed]:
            if not todo:
                break
            try:
                pack = self.pack(name)
            except (FileNotFoundError, Damage):
                continue
            except OSError as error:
                self.failure = error  # another pack may hold what is looked for; `read` says so if none does
                continue
            asked = [digest for digest in tabled[name] if digest in todo] if name in tabled else todo
            if pack.count < 4 * len(asked):
                rows = [row for row in pack.rows() if row[0] in todo]
            else:
                numbers = (pack.find(digest) for digest in asked)
                rows = [pack.row(number) for number in numbers if number is not None]
            if self._bad:
                rows = [row for row in rows if (name, row.digest) not in self._bad]
            if rows:
                found.append((name, rows))
                todo.difference_update(row.digest for row in rows)
        return found, list(todo)

    def _weigh_table(self) -> None:
        """Build the table over all packs once looking into those it lacks has cost as much as that."""
        rows = len(self._table())
        for name in self._unindexed:
            try:
                rows += self.pack(name).count
            except (FileNotFoundError, Damage):
                continue
        self._probes_allowed = max(_PROBES_FREE, int(rows * _PROBES_PER_ROW))
        if self._probes > self._probes_allowed:
            self._build_table()

    def rely(self, kind: Kind, digest: Digest, size: int) -> bool:
        """As a transaction's, by who only wants to know."""
        if kind == BLOB and size >= LARGE:
            return self.has_large(digest, size)
        return self.pack_holding(digest) is not None

    def large_sizes(self, digests: list[Digest]) -> dict[Digest, int]:
        """Bytes of those large blobs that are in objects/."""
        found = self.storage.sizes([blob_path(digest) for digest in digests])
        return {digest: found[blob_path(digest)] for digest in digests if blob_path(digest) in found}

    def rely_large(self, large: dict[Digest, int]) -> set[Digest]:
        there = self.large_sizes(list(large))
        return {digest for digest, size in large.items() if there.get(digest) == size}

    def rely_many(self, digests: Iterable[Digest]) -> dict[Digest, int | None]:
        return {row.digest: row.size for _, rows in self.locate_many(digests)[0] for row in rows}

    def look_only_where_cheap(self) -> None:
        """From now on objects are looked for in packs whose index is known here (or is one of a few): to fetch every index
        of a distant place costs more than to send again what another has sent.
        """
        self._cheap = self.storage.distant
        self._limit()

    def _limit(self) -> None:
        if self._cheap and self._cache is not None:
            known = set(self._cache.names(INDEXES))
            unknown = [name for name in self._unindexed if name not in known]
            if len(unknown) > _FEW_INDEXES:
                self._unindexed = [name for name in self._unindexed if name in known]

    def small_packs(self) -> int:
        """How many packs are so small that merging them would pay."""
        return sum(path.endswith(".pack") and size < MERGE_BELOW for path, size in self.storage.below(PACKS))

    def has_large(self, digest: Digest, size: int) -> bool:
        """Whether a large blob is in objects/ with the right size (looked at anew)."""
        return self.storage.size(blob_path(digest)) == size

    def may_rely_on_large(self, digest: Digest, size: int) -> bool:
        """As `has_large`, and when the file is not as it was when last hashed, it is hashed again; a wrong one is set aside."""
        if self.here is None:
            return self.storage.sizes([blob_path(digest)]) == {blob_path(digest): size}
        try:
            status = os.stat(self.here.path(blob_path(digest)), follow_symlinks=False)
        except OSError:
            return False
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return False
        if not self.verified.contradicts(digest, status):
            return True
        try:
            fd, _ = self.open_large(digest, size)
            try:
                self.hash_large(digest, fd, size)
            finally:
                os.close(fd)
        except (Damage, StorageError):
            return False
        return True

    def _all_places(self, digest: Digest) -> Iterator[tuple[Pack, Row]]:
        """Every copy there is, in the order in which nothing can slip by: index, fresh listing, trash, listing once
        more.
        """
        yield from self._places(digest)
        self.refresh()
        yield from self._places(digest)
        yield from self._in_every_pack(digest)
        yield from self._in_trash(digest)
        self.refresh()
        yield from self._in_every_pack(digest)

    def _in_every_pack(self, digest: Digest) -> Iterator[tuple[Pack, Row]]:
        """Without the table, which is only a hint."""
        for name in sorted(self.pack_names()):
            if found := self._row(name, digest, None):
                yield found

    def _in_trash(self, digest: Digest) -> Iterator[tuple[Pack, Row]]:
        """Looks again while a run's folder vanishes under it: the run ended, or gave something back."""
        for _ in range(_LOOKS):
            vanished = False
            for path in self.trashed():
                if not path.endswith(".pack"):
                    continue
                try:
                    with self.open_apart(path) as pack:
                        if (number := pack.find(digest)) is not None:
                            yield pack, pack.row(number)
                except FileNotFoundError:
                    vanished = True
                except (Damage, StorageError):
                    continue
            if not vanished:
                return

    def trashed(self) -> list[str]:
        """Paths of all files in the trash; listed again until nothing moves, since a run that ends renames its folder."""
        before: list[str] | None = None
        while True:
            found = sorted(path for path, _ in self.storage.below("trash"))
            if found == before:
                return found
            before = found

    @contextmanager
    def open_apart(self, path: str) -> Iterator[Pack]:
        """A pack outside objects/, open for the block only."""
        pack = self._open(path.rpartition("/")[2].removesuffix(".pack"), path)
        try:
            yield pack
        finally:
            pack.close()

    def pack_in_trash(self, digest: Digest) -> str | None:
        """Name of a pack in the trash that holds this object."""
        return next((pack.name for pack, _ in self._in_trash(digest)), None)

    # -- reading --

    def read(self, kind: Kind, digest: Digest) -> bytes:
        """An object's bytes, checked. Raises MissingObject when it is nowhere, DamagedObject when every copy is wrong."""
        before, self.failure = self.failure, None
        try:
            return self._read(kind, digest)
        finally:
            self.failure = self.failure or before

    def _read(self, kind: Kind, digest: Digest) -> bytes:
        if (data := self._read_where_last(kind, digest)) is not None:
            return data
        damaged: set[str] = set()
        failed: OSError | None = None
        for pack, row in self._all_places(digest):
            if pack.name in damaged or row.kind != kind:
                continue
            try:
                data = _right_bytes(pack, row)
            except OSError as error:
                failed = error
                continue
            if data is not None:
                self._last = pack if pack.name in self._packs else self._last
                return data
            damaged.add(pack.name)
            self.note_bad(pack.name, digest)
        what = f"{KIND_NAMES[kind]} {short(digest)}"
        failed = failed or self.failure
        if failed is not None:
            raise storage_error(failed, f"read {what} in {printable(self.storage.root)}") from failed
        if damaged or any(bad == digest for _, bad in self._bad):
            where = f" in pack {min(damaged)[:12]}" if damaged else ""
            raise DamagedObject(f"{what}{where} is damaged", hint=_HEAL)
        if kind == BLOB and self._find_large(digest) is not None:
            return self._read_large_whole(digest)
        if self._broken:
            raise DamagedObject(
                f"{what} can't be found, and pack {min(self._broken)[:12]}, which is damaged, may hold it", hint=_HEAL
            )
        raise MissingObject(f"{what} is missing from {printable(self.storage.root)}", hint=_HEAL)

    def _read_where_last(self, kind: Kind, digest: Digest) -> bytes | None:
        """An object out of the pack that answered last, checked: who reads file by file meets the same one. A third of the
        price of asking the table.
        """
        pack = self._last
        if pack is None or (number := pack.find(digest)) is None or (pack.name, digest) in self._bad:
            return None
        row = pack.row(number)
        try:
            return pack.object(row) if row.kind == kind else None
        except OSError:
            return None

    def note_bad(self, pack: str, digest: Digest) -> None:
        """Note a damaged copy, so that look-ups skip it and the next save of this content stores it again."""
        self._bad.add((pack, digest))
        self._note(f"bad/{pack}.{digest.hex()}")

    def _note(self, path: str) -> None:
        try:
            if self._notes:
                self.storage.create(path, b"")
        except StorageError:
            pass  # a read-only repository keeps no notes

    def bad_notes(self) -> set[tuple[str, Digest]]:
        """(pack, digest) of every copy noted as damaged, as of the last listing."""
        self.pack_names()
        return {(pack, Digest(digest)) for pack, digest in self._bad}

    def bad_in(self, pack: str) -> set[bytes]:
        return {digest for name, digest in self._bad if name == pack}

    def forget_bad(self, pack: str, digest: Digest) -> None:
        self._bad.discard((pack, digest))
        self.storage.remove(f"bad/{pack}.{digest.hex()}")

    def read_tree(self, digest: Digest) -> bytes:
        """A tree's bytes; the last few are kept, since a walk and a check often ask twice."""
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

    def keep_trees(self, trees: dict[Digest, bytes]) -> None:
        """Trees that were read (and checked) at once, and will be asked for one by one."""
        self._kept_trees.update(trees)

    def read_version(self, id: Digest) -> Version:
        return decode_version(self.read(VERSION, id), id)

    def read_small(self, digest: Digest) -> bytes | memoryview | None:
        """A small blob from the first copy that is found: for those who read many and fall back to `read`, which looks
        everywhere. The pack that answered last is asked first.
        """
        if (place := self._locate_small(digest)) is None:
            return None
        pack, row = place
        try:
            # Over a network what lies behind is read along: the next file's bytes, most often.
            return self.peek_small(digest) if self.storage.distant else pack.object(row)
        except OSError as error:
            raise storage_error(error, f"read pack {pack.name[:12]}") from error

    def _locate_small(self, digest: Digest) -> tuple[Pack, Row] | None:
        pack = self._last
        if pack is not None and (number := pack.find(digest)) is not None and (pack.name, digest) not in self._bad:
            return pack, pack.row(number)
        found = next(self._places(digest), None)
        if found is not None:
            self._last = found[0]
        return found

    def peek_small(self, digest: Digest) -> memoryview | None:
        """A small blob from the pack that answered last; None when it doesn't hold it, or not rightly."""
        pack = self._last
        if pack is None or (number := pack.find(digest)) is None or (self._bad and (pack.name, digest) in self._bad):
            return None
        return pack.peek(number)

    # -- large blobs --

    def _find_large(self, digest: Digest) -> str | None:
        """Path of a large blob in objects/ or trash/; looked for twice, since it may be on its way from one to the
        other.
        """
        name = digest.hex()
        for _ in range(2):
            if self.storage.size(blob_path(digest)) is not None:
                return blob_path(digest)
            if found := next((path for path in self.trashed() if path.endswith("/" + name)), None):
                return found
        return None

    def open_large(self, digest: Digest, size: int) -> tuple[int, str]:
        """(descriptor, path) of a large blob of the right size; not hashed. Raises MissingObject or DamagedObject."""
        for attempt in range(4):
            path = blob_path(digest) if attempt == 0 and self.here is not None else self._find_large(digest)
            if path is None:
                break
            try:
                fd = self.storage.open(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise storage_error(error, f"open blob {short(digest)}") from error
            if os.fstat(fd).st_size == size:
                return fd, path
            try:
                self._judge_size(digest, fd, size)
            finally:
                os.close(fd)
        if any(name.startswith(digest.hex() + ".") for name in self.storage.names("bad")):
            raise DamagedObject(f"blob {short(digest)} is damaged, and was set aside in bad/", hint=_HEAL)
        raise MissingObject(
            f"blob {short(digest)} is missing from {printable(self.storage.root)}",
            hint=_HEAL,
        )

    def copy_large(
        self, digest: Digest, size: int, target: int, advance: Callable[[int], None], *, there: int | None = None
    ) -> tuple[Digest, int]:
        """Copy a large blob into an open file: (digest, bytes) of what was written, which the caller compares. Raises
        MissingObject, and DamagedObject when it has another size; `there` is what `large_sizes` has told. Any thread may
        ask.
        """
        path = blob_path(digest) if there is not None else self._find_large(digest)
        actual = there if there is not None else self.storage.size(path) if path is not None else None
        if path is None or actual is None:
            raise MissingObject(f"blob {short(digest)} is missing from {printable(self.storage.root)}", hint=_HEAL)
        if actual != size:
            raise DamagedObject(
                f"blob {short(digest)} in {printable(self.storage.root)} has {actual} bytes instead of {size}",
                hint=_HEAL,
            )
        try:
            return self.storage.copy_out(path, target, advance)
        except FileNotFoundError as error:
            raise MissingObject(f"blob {short(digest)} was collected while it was copied", hint=_HEAL) from error

    def _judge_size(self, digest: Digest, fd: int, size: int) -> None:
        """A blob of another size than its tree says: which of both is wrong?"""
        actual = os.fstat(fd).st_size
        if self._hashed(digest, fd) == digest:
            raise DamagedObject(
                f"a tree says that blob {short(digest)} has {size} bytes, and it has {actual}", hint=_HEAL
            )
        self.set_aside(digest, os.fstat(fd))
        raise DamagedObject(f"blob {short(digest)} is damaged: it has {actual} bytes instead of {size}", hint=_HEAL)

    def verify_large(self, digest: Digest, fd: int, size: int) -> None:
        """Hash a large blob unless its note says that it is as when last hashed. Wrong in two reads → set aside,
        DamagedObject.
        """
        if self.verified.holds(digest, os.fstat(fd)):
            return
        self.hash_large(digest, fd, size)

    def hash_large(self, digest: Digest, fd: int, size: int) -> None:
        """As `verify_large`, whatever the note says."""
        if self._hashed(digest, fd) != digest and self._hashed(digest, fd) != digest:
            self.set_aside(digest, os.fstat(fd))
            raise DamagedObject(f"blob {short(digest)} is damaged", hint=_HEAL)
        self.verified.note([(digest, os.fstat(fd))])

    def check_large(self, digest: Digest, size: int) -> None:
        """Hash a stored large blob. Wrong in two reads → set aside, DamagedObject."""
        fd, _ = self.open_large(digest, size)
        try:
            self.hash_large(digest, fd, size)
        finally:
            os.close(fd)

    def _hashed(self, digest: Digest, fd: int) -> Digest:
        with translated(f"read blob {short(digest)} in {printable(self.storage.root)}"):
            return hash_file(fd)[0]

    def _read_large_whole(self, digest: Digest) -> bytes:
        path = self._find_large(digest)
        size = self.storage.size(path) if path else 0
        fd, _ = self.open_large(digest, size or 0)
        try:
            self.verify_large(digest, fd, size or 0)
            return os.pread(fd, size or 0, 0)
        finally:
            os.close(fd)

    def set_aside(self, digest: Digest, read: os.stat_result) -> None:
        """Move a damaged large blob into bad/, so that its name is free for the next save. Evidence is never unlinked.

        Only the very file that was `read`: another reader may have set it aside, and a save stored it again, meanwhile.
        """
        try:
            if self._notes:
                self.storage.set_aside(blob_path(digest), f"bad/{digest.hex()}.{os.urandom(4).hex()}", read)
        except (OSError, StorageError):
            pass  # a read-only repository: the error says that it is damaged all the same

    def large_blobs(self) -> Iterator[tuple[Digest, int]]:
        """(digest, size) of every large blob in objects/."""
        for path, size in sorted(self.storage.below(BLOBS)):
            name = path.rpartition("/")[2]
            if is_hex(name) and path == blob_path(bytes.fromhex(name)):
                yield from_hex(name), size


_HEAL = "save the same content again, or restore it from another copy; `artstore fsck` lists all damage"


def _right_bytes(pack: Pack, row: Row) -> bytes | None:
    """Bytes with the right digest, in at most two reads (the first may have met a passing fault); None when the copy is wrong."""
    for _ in range(2):
        if (data := pack.object(row)) is not None:
            return data
    return None


def _from_its_end(size: int, read: Callable[[int, int], bytes]) -> Callable[[int, int], bytes]:
    """A pack's ends are asked for in three pieces: over a network what lies behind is fetched along, once."""
    start = max(0, size - _TAIL)
    tail = read(start, size - start)

    def read_range(offset: int, length: int) -> bytes:
        if offset >= start:
            return tail[offset - start : offset - start + length]
        return read(offset, length)

    return read_range


def _when_asked(open_reader: Callable[[], Reader]) -> Callable[[int, int], bytes]:
    """Reads by a reader that is opened when first needed."""
    readers: list[Reader] = []

    def read_range(offset: int, length: int) -> bytes:
        if not readers:
            readers.append(open_reader())
        return readers[0][1](offset, length)

    return read_range
