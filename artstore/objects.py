"""The object store: finds, reads and checks blobs, trees and versions in packs and large files; tells damaged from
missing.
"""

import os
from collections.abc import Iterator
from functools import partial

from artstore import index
from artstore.digest import BLOB, KIND_NAMES, TREE, VERSION, Digest, Kind, digest_of, from_hex, short
from artstore.errors import Damage, DamagedObject, InvalidValue, MissingObject, StorageError, storage_error, translated
from artstore.files import hash_own
from artstore.index import Index
from artstore.names import printable
from artstore.packs import Pack, Row, open_pack
from artstore.storage import FolderStorage
from artstore.verified import VerifiedNotes
from artstore.version import Version, decode_version

LARGE = 1 << 20
"""Blobs of so many bytes are files of their own: below it one pack beats many files, above it clones, links and plain
tools win (figures in FORMAT.md).
"""

_OPEN_PACKS = 128
_PROBES_FREE = 2000
_PROBES_PER_ROW = 0.2  # a look-up in one more pack costs 3 µs, a row of the table 0.6 µs: build it when it has paid

BLOBS = "objects/blobs"
PACKS = "objects/packs"


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

    def __init__(self, storage: FolderStorage) -> None:
        self.storage = storage
        self.verified = VerifiedNotes(storage)
        self._packs: dict[str, Pack] = {}
        self._names: set[str] | None = None
        self._last: Pack | None = None
        self._bad: set[tuple[str, bytes]] = set()
        self._index: Index | None = None
        self._unindexed: list[str] = []
        self._probes = 0
        self._probes_allowed = _PROBES_FREE
        self._cached_trees: dict[Digest, bytes] = {}

    # -- which packs there are --

    def pack_names(self) -> set[str]:
        return self.refresh() if self._names is None else self._names

    def refresh(self) -> set[str]:
        """List packs and notes of damage anew, until the folder's mtime stands still: a listing beside a merge can miss
        both the old and the new pack.
        """
        folder = self.storage.path(PACKS)
        with translated(f"list {printable(folder)}"):
            while True:
                before = os.stat(folder).st_mtime_ns
                listed = os.listdir(folder)
                if os.stat(folder).st_mtime_ns == before:
                    break
        self._names = {name[:-5] for name in listed if name.endswith(".pack") and _is_hex(name[:-5])}
        self._bad = {
            (name[:64], bytes.fromhex(name[65:]))
            for name in self.storage.names("bad")
            if len(name) == 129 and name[64] == "." and _is_hex(name[:64]) and _is_hex(name[65:])
        }
        known = set(self._table().packs)
        self._unindexed = sorted(self._names - known)
        return self._names

    @property
    def has_bad_notes(self) -> bool:
        self.pack_names()
        return bool(self._bad)

    def _table(self) -> Index:
        if self._index is None:
            self._index = self._load_table() or Index([], b"", 0, 0)
        return self._index

    def _load_table(self) -> Index | None:
        import mmap

        try:
            fd = self.storage.open("cache/objects.idx")
            try:
                return index.decode(mmap.mmap(fd, 0, access=mmap.ACCESS_READ))
            finally:
                os.close(fd)
        except (OSError, ValueError, StorageError):
            return None

    def _build_table(self) -> None:
        packs = []
        for name in sorted(self.pack_names()):
            try:
                packs.append(self.pack(name))
            except (Damage, FileNotFoundError):
                continue
        self._index, self._unindexed, self._probes = index.build(packs), [], 0
        try:
            self.storage.replace("cache/objects.idx", self._index.encode())
        except StorageError:
            pass  # read-only or full: the table lives as long as this process

    def pack(self, name: str, path: str | None = None) -> Pack:
        """An open reader. FileNotFoundError when a merge or a collector took it away; Damage when it isn't what its
        name says.
        """
        if found := self._packs.get(name):
            return found
        fd = self.storage.open(path or pack_path(name))
        try:
            pack = open_pack(name, os.fstat(fd).st_size, partial(_read_at, fd), partial(os.close, fd))
        except BaseException:
            os.close(fd)
            raise
        if path is None:
            if len(self._packs) >= _OPEN_PACKS:
                self._last = None
                self._packs.pop(next(iter(self._packs))).close()
            self._packs[name] = pack
        return pack

    def close(self) -> None:
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
        except (FileNotFoundError, Damage):
            return None
        if number is None:
            number = pack.find(digest)
        if number is None or number >= pack.count:
            return None
        row = pack.row(number)
        return (pack, row) if row.digest == digest else None

    def pack_holding(self, digest: Digest) -> str | None:
        """The pack on which a saver may rely for this object; None when it had better store it. As of the last listing."""
        if not self.pack_names():
            return None
        if self._probes > self._probes_allowed:
            self._weigh_table()
        return next((pack.name for pack, _ in self._places(digest)), None)

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

    def has_large(self, digest: Digest, size: int) -> bool:
        """Whether a large blob is in objects/ with the right size (looked at anew)."""
        return self.storage.size(blob_path(digest)) == size

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
        for run in self.storage.names("trash"):
            for file in self.storage.names(f"trash/{run}"):
                if not file.endswith(".pack"):
                    continue
                try:
                    pack = self.pack(file[:-5], f"trash/{run}/{file}")
                except (FileNotFoundError, NotADirectoryError, Damage):
                    continue
                try:
                    if (number := pack.find(digest)) is not None:
                        yield pack, pack.row(number)
                finally:
                    pack.close()

    def pack_in_trash(self, digest: Digest) -> str | None:
        """Name of a pack in the trash that holds this object."""
        return next((pack.name for pack, _ in self._in_trash(digest)), None)

    # -- reading --

    def read(self, kind: Kind, digest: Digest) -> bytes:
        """An object's bytes, checked. Raises MissingObject when it is nowhere, DamagedObject when every copy is wrong."""
        damaged: set[str] = set()
        for pack, row in self._all_places(digest):
            if pack.name in damaged:
                continue
            if (data := self._checked(kind, pack, row)) is not None:
                return data
            damaged.add(pack.name)
            self.note_bad(pack.name, digest)
        what = f"{KIND_NAMES[kind]} {short(digest)}"
        if damaged or any(bad == digest for _, bad in self._bad):
            where = f" in pack {min(damaged)[:12]}" if damaged else ""
            raise DamagedObject(
                f"{what}{where} is damaged",
                hint="save the same content again, or restore it from another copy; `artstore fsck` lists all damage",
            )
        if kind == BLOB and self._find_large(digest) is not None:
            return self._read_large_whole(digest)
        raise MissingObject(
            f"{what} is missing from {printable(self.storage.root)}", hint="`artstore fsck` lists what is missing"
        )

    def _checked(self, kind: Kind, pack: Pack, row: Row) -> bytes | None:
        """Bytes with the right digest, in at most two reads (the first may have met a passing fault); None when the
        copy is wrong.
        """
        for _ in range(2):
            try:
                data = pack.read(row)
            except OSError as error:
                raise storage_error(error, f"read pack {pack.name[:12]} in {printable(self.storage.root)}") from error
            if row.kind == kind and digest_of(kind, data) == row.digest:
                return data
        return None

    def note_bad(self, pack: str, digest: Digest) -> None:
        """Note a damaged copy, so that look-ups skip it and the next save of this content stores it again."""
        self._bad.add((pack, digest))
        try:
            self.storage.create(f"bad/{pack}.{digest.hex()}", b"")
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
        data = self._cached_trees.get(digest)
        if data is None:
            data = self.read(TREE, digest)
            if len(self._cached_trees) >= 64:
                self._cached_trees.clear()
            if len(data) < LARGE:
                self._cached_trees[digest] = data
        return data

    def read_version(self, id: Digest) -> Version:
        return decode_version(self.read(VERSION, id), id)

    def read_blob(self, digest: Digest, size: int) -> bytes:
        """A blob in memory, small or large."""
        return self.read(BLOB, digest) if size < LARGE else self._read_large_whole(digest)

    def locate_small(self, digest: Digest) -> tuple[Pack, Row] | None:
        """Where a small blob lies, unchecked: for those who read many and fall back to `read`. The pack that answered
        last is asked first.
        """
        pack = self._last
        if pack is not None and (number := pack.find(digest)) is not None and (pack.name, digest) not in self._bad:
            return pack, pack.row(number)
        found = next(self._places(digest), None)
        if found is not None:
            self._last = found[0]
        return found

    # -- large blobs --

    def _find_large(self, digest: Digest) -> str | None:
        """Path of a large blob in objects/ or trash/; looked for twice, since it may be on its way from one to the
        other.
        """
        name = digest.hex()
        for _ in range(2):
            if self.storage.size(blob_path(digest)) is not None:
                return blob_path(digest)
            for run in self.storage.names("trash"):
                if self.storage.size(f"trash/{run}/{name}") is not None:
                    return f"trash/{run}/{name}"
        return None

    def open_large(self, digest: Digest, size: int) -> tuple[int, str]:
        """(descriptor, path) of a large blob of the right size; not hashed. Raises MissingObject or DamagedObject."""
        for _ in range(3):
            path = self._find_large(digest)
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
            os.close(fd)
            self.set_aside(digest)
            raise DamagedObject(f"blob {short(digest)} is damaged: it does not have {size} bytes", hint=_HEAL)
        if any(name.startswith(digest.hex() + ".") for name in self.storage.names("bad")):
            raise DamagedObject(f"blob {short(digest)} is damaged, and was set aside in bad/", hint=_HEAL)
        raise MissingObject(
            f"blob {short(digest)} is missing from {printable(self.storage.root)}",
            hint="`artstore fsck` lists what is missing",
        )

    def verify_large(self, digest: Digest, fd: int, size: int) -> None:
        """Hash a large blob unless its note says that it is as when last hashed. Wrong in two reads → set aside,
        DamagedObject.
        """
        if self.verified.holds(digest, os.fstat(fd)):
            return
        self.hash_large(digest, fd, size)

    def hash_large(self, digest: Digest, fd: int, size: int) -> None:
        """As `verify_large`, whatever the note says."""
        if hash_own(fd, size) != digest and hash_own(fd, size) != digest:
            self.set_aside(digest)
            raise DamagedObject(f"blob {short(digest)} is damaged", hint=_HEAL)
        self.verified.note([(digest, os.fstat(fd))])

    def _read_large_whole(self, digest: Digest) -> bytes:
        path = self._find_large(digest)
        size = self.storage.size(path) if path else 0
        fd, _ = self.open_large(digest, size or 0)
        try:
            self.verify_large(digest, fd, size or 0)
            return os.pread(fd, size or 0, 0)
        finally:
            os.close(fd)

    def set_aside(self, digest: Digest) -> None:
        """Move a damaged large blob into bad/, so that its name is free for the next save. Evidence is never unlinked."""
        try:
            self.storage.make_folder("bad")
            self.storage.move(blob_path(digest), f"bad/{digest.hex()}.{os.urandom(4).hex()}")
        except (OSError, StorageError):
            pass  # a read-only repository: the error says that it is damaged all the same

    def large_blobs(self) -> Iterator[tuple[Digest, int]]:
        """(digest, size) of every large blob in objects/."""
        for shard in sorted(self.storage.names(BLOBS)):
            for name in sorted(self.storage.names(f"{BLOBS}/{shard}")):
                if (
                    name[:2] == shard
                    and _is_hex(name)
                    and (size := self.storage.size(f"{BLOBS}/{shard}/{name}")) is not None
                ):
                    yield from_hex(name), size


_HEAL = "save the same content again, or restore it from another copy"


def _read_at(fd: int, offset: int, length: int) -> bytes:
    data = os.pread(fd, length, offset)
    while len(data) < length:  # one pread returns at most 2 GiB
        more = os.pread(fd, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def _is_hex(name: str) -> bool:
    try:
        return bool(from_hex(name))
    except InvalidValue:
        return False
