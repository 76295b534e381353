"""Transferring objects between repositories: finding out which ones the receiver lacks, and copying them."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from artstore.backends.parallel import together
from artstore.domain import tree as trees
from artstore.domain.collection import VersionState, digest_of_state, id_of_state
from artstore.domain.digest import BLOB, KIND_NAMES, TREE, VERSION, Digest, ObjectKind, short
from artstore.domain.properties import property_digests
from artstore.domain.selection import EVERYTHING, Selection
from artstore.domain.tree import DIRECTORY, EXECUTABLE, PART, REFERENCE, Folder, Row
from artstore.domain.version import decode_version
from artstore.errors import Damage, DamagedObject
from artstore.progress import Monitor
from artstore.store.copying import copied
from artstore.store.objects import ObjectStore
from artstore.store.packs import LARGE
from artstore.store.sides import Objects, Receiver
from artstore.store.transaction import Transaction
from artstore.sync.segments import send_segments

_PUBLISH_EVERY = 256 << 20
"""Bytes. After each such amount, the received objects are published, so that they aren't sent again after an error."""

NOTHING = Selection(prefix="\0")
"""Selects no file: `--no-blobs`."""


class Needs(NamedTuple):
    """Objects to send, by digest: trees and versions with their bytes, blobs with their sizes."""

    trees: dict[Digest, bytes]
    versions: dict[Digest, bytes]
    small: dict[Digest, int]
    large: dict[Digest, int]

    @property
    def objects(self) -> int:
        """The number of objects."""
        return len(self.trees) + len(self.versions) + len(self.small) + len(self.large)

    @property
    def bytes(self) -> int:
        """The size of all objects together."""
        data = (*self.trees.values(), *self.versions.values())
        return sum(map(len, data)) + sum(self.small.values()) + sum(self.large.values())


class Wanted(NamedTuple):
    """A version to send, with a similar one as its base."""

    version: VersionState
    base: VersionState | None
    """a version of which the receiver has all objects, or gets them before"""


class Transfer:
    """Copies the objects of versions from one repository to another. One of them is the repository here."""

    def __init__(
        self,
        source: Objects,
        tx: Receiver,
        near: ObjectStore,
        *,
        selection: Selection = EVERYTHING,
        jobs: int = 4,
        segments: bool = True,
        monitor: Monitor | None = None,
    ) -> None:
        """Prepare a transfer.

        Args:
            source: The objects of the sender.
            tx: A transaction of the receiver, or what foresees one if nothing will be sent.
            near: The objects of the repository here. Trees are read from it if it has them.
            selection: Files whose blobs are sent. Trees are always sent.
            jobs: Number of large blobs that are copied at once.
            segments: Send large blobs that are in packs as their segments, if the receiver has packs.
        """
        self._source = source
        self._tx = tx
        self._near = near
        self._selection = selection
        self._jobs = jobs
        self._segments = segments
        self._monitor = monitor or Monitor()
        self._trees: dict[Digest, bytes] = {}
        self._there: dict[Digest, int] = {}
        """sizes of the large blobs that a distant source has"""

    # -- planning --

    def plan(self, wanted: list[Wanted], properties: Iterable[Digest] = (), folders: Iterable[Folder] = ()) -> Needs:
        """Find out which objects the receiver lacks.

        The trees of each version are compared with those of its base, level by level. Folders that are equal aren't
        read. At a distant place each level costs one round of requests.

        Args:
            wanted: The versions to send.
            properties: Blobs with long properties, to send as well.
            folders: Trees that belong to no version, to send as well.

        Raises:
            Damage: An object of the source is damaged, or is one that artstore would not have written.
            MissingObject: The source lacks an object.
        """
        # 1. Records of versions, and blobs of long properties.
        needs = Needs({}, {}, {}, {})
        self._need_versions([item.version for item in wanted], needs)
        for blob in properties:
            self._need_property(blob, needs)
        # 2. Trees, and the blobs that they name and the bases don't.
        seen: set[tuple[Any, ...]] = set()
        level = [_Pair(b"", _root(item.version), _root(item.base) if item.base else None) for item in wanted]
        level += [_Pair(b"", (b"", DIRECTORY, tree.size, tree.digest, tree.files), None) for tree in folders]
        while level:
            level = [pair for pair in level if pair.is_new(seen, self._selection.everything)]
            data = self._load({d for pair in level for d in pair.digests})
            level = [below for pair in level for below in self._compare(pair, data, needs)]
        # 3. Drop those that the receiver has all the same. Many look-ups at once cost few requests.
        there, large = self._tx.rely_on(needs.small.keys() | needs.trees.keys(), needs.large)
        for digest, size in there.items():
            if needs.small.pop(digest, size) != size and size is not None:
                raise Damage(f"blob {short(digest)} has {size} bytes, but a tree records another size")
            needs.trees.pop(digest, None)
        for digest in large:
            del needs.large[digest]
        return needs

    def _need_versions(self, versions: list[VersionState], needs: Needs) -> None:
        """Add the records of versions, and the blobs of their long properties, unless the receiver has them.

        Raises Damage if a record and the log entry of a version differ.
        """
        missing = [v for v in versions if not self._tx.rely(VERSION, id_of_state(v), 0)]
        kinds: dict[Digest, ObjectKind] = {id_of_state(version): VERSION for version in missing}
        told = {id_of_state(version): version for version in missing}
        for _, id, found in self._source.read_many(kinds):
            data = bytes(found)
            record, version = decode_version(data, id), told[id]
            logged = digest_of_state(version), version["size"], version["files"]
            if (record.tree, record.size, record.files) != logged:
                raise Damage(f"version {short(id)} and its log entry differ")
            needs.versions[id] = data
        for version in versions:
            for blob in property_digests(version):
                self._need_property(blob, needs)

    def _need_property(self, blob: Digest, needs: Needs) -> None:
        """Add the blob of a long property, unless the receiver has it. Its size isn't recorded: it is looked up."""
        if self._tx.rely(BLOB, blob, 0):
            return
        size = self._source.large_size(blob)
        if size is None:
            needs.small[blob] = len(self._source.read(BLOB, blob))
        elif not self._tx.rely(BLOB, blob, size):
            needs.large[blob] = size

    def _load(self, digests: set[Digest]) -> dict[Digest, bytes]:
        """Read trees, by digest: from the repository here if it has them, all others from the source with few requests.

        Trees of a base may be here and not at the source, also in the trash.
        """
        found = {digest: data for digest in digests if (data := self._trees.get(digest)) is not None}
        wanted = digests - found.keys()
        if self._source is not self._near:
            here = {digest for digest in wanted if self._near.packs.holding(digest) is not None}
            if trashed := self._near.packs.sizes_in_trash(wanted - here).keys():
                here |= trashed - self._source.sizes(trashed).keys()
            for _, digest, tree in self._source.read_many(dict.fromkeys(wanted - here, TREE)):
                found[digest] = self._trees[digest] = bytes(tree)
                self._monitor.advance(1)
            wanted = here
        found.update((digest, bytes(tree)) for _, digest, tree in self._near.read_many(dict.fromkeys(wanted, TREE)))
        return found

    def _compare(self, pair: "_Pair", data: dict[Digest, bytes], needs: Needs) -> Iterator["_Pair"]:
        """Add a folder's tree and those of its blobs that its base doesn't have. Yields the subfolders that differ."""
        trees.check_depth(pair.path)
        digest = pair.new[3]
        entries = trees.trusted_tree(data[digest]) if self._source is self._near else self._checked(pair, data)
        before: dict[bytes, Row] = {}
        needs.trees[digest] = data[digest]
        if pair.base is not None:
            base = trees.trusted_tree(data[pair.base[3]])
            before = {entry[0]: entry for entry in base if entry[1] in (DIRECTORY, PART)}
            # By digest and size, not by entry: hashing a digest takes a third of the time of hashing an entry.
            there = {entry[3]: entry[2] for entry in base if entry[1] <= EXECUTABLE}
            entries = tuple(entry for entry in entries if entry[1] > EXECUTABLE or there.get(entry[3], -1) != entry[2])
        for entry in entries:
            if entry[1] in (DIRECTORY, PART):
                old = before.get(entry[0])
                if old != entry:
                    path = pair.path + entry[0] + b"/" if entry[1] == DIRECTORY else pair.path
                    yield _Pair(path, entry, old if old and old[1] == entry[1] else None)
            elif entry[1] != REFERENCE:
                self._need_blob(pair.path, entry, needs)

    def _checked(self, pair: "_Pair", data: dict[Digest, bytes]) -> tuple[Row, ...]:
        """The entries of a tree from another repository. Raises Damage unless it is one that artstore would write."""
        digest = pair.new[3]
        entries = trees.decode_tree(data[digest], digest)
        if trees.totals(entries) != (pair.new[2], pair.new[4]):
            raise Damage(f"tree {short(digest)} has other totals than its folder records")
        if not pair.path and pair.new[1] == DIRECTORY:
            trees.check_root(entries)
        if entries and entries[0][1] == PART:
            parts = self._load({entry[3] for entry in entries})
            trees.read_folder(digest, lambda part: data[part] if part == digest else parts[part])
        return entries

    def _need_blob(self, folder: bytes, entry: Row, needs: Needs) -> None:
        """Add the blob of a file, if the file is selected. Raises Damage if it was recorded with another size before."""
        name, _, size, digest = entry
        if not self._selection.everything and not self._selection.takes(folder + name):
            return
        known = (needs.small if size < LARGE else needs.large).setdefault(digest, size)
        if known != size:
            raise Damage(f"'{os.fsdecode(folder + name)}' is recorded with {size} bytes, and elsewhere with {known}")

    # -- sending --

    def send(self, needs: Needs) -> None:
        """Copy objects into the receiver's transaction. The last ones are not published yet.

        Blobs come first, then trees, then versions: so the trees of a pack are neighbours, next to its index.
        """
        tx = self._tx
        if self._tx.sends_later:
            self._monitor.expect(None, needs.bytes)
        else:
            blobs = needs.small | needs.large
            self._monitor.expect(len(blobs), sum(blobs.values()))
        published = tx.new_bytes
        for window in self._source.read_blobs(needs.small):
            for digest, data in window:
                if len(data) != (size := needs.small[digest]):
                    raise DamagedObject(f"blob {short(digest)} has {len(data)} bytes, but a tree records {size}")
            tx.add_missing(window)
            if tx.new_bytes - published >= _PUBLISH_EVERY:
                self.publish()  # if the transfer is interrupted later, these objects aren't sent again
                published = tx.new_bytes
            self._advance(len(window), sum(len(data) for _, data in window))
        self._send_large(needs.large)
        for digest, tree in needs.trees.items():
            tx.add(TREE, tree, digest)
        for digest, version in needs.versions.items():
            tx.add(VERSION, version, digest)

    def _send_large(self, large: dict[Digest, int]) -> None:
        """Copy large blobs, several at once. Each is hashed: while it arrives here, or before it leaves from here."""
        if self._segments and isinstance(self._source, ObjectStore) and isinstance(self._tx, Transaction):
            sent = send_segments(self._source, self._tx, large, self._advance)
            large = {digest: size for digest, size in large.items() if digest not in sent}
        if not large:
            return
        if self._source.storage.distant:
            self._there = self._source.large.sizes(list(large))
        published = self._tx.new_bytes
        with closing(together(self._brought, large.items(), most=self._jobs)) as copies:
            for digest, staged in copies:
                self._tx.add_missing_large(digest, large[digest], staged)
                if self._tx.new_bytes - published >= _PUBLISH_EVERY:
                    self.publish()
                    published = self._tx.new_bytes
                self._advance(1)

    def _brought(self, item: tuple[Digest, int]) -> tuple[Digest, str]:
        """Copy a large blob into the transaction. Returns its digest and what `add_missing_large` takes."""
        digest, size = item
        advance = partial(self._advance, 0)
        return digest, self._tx.bring_large(self._source, digest, size, advance, self._there.get(digest))

    def publish(self) -> None:
        """Publish what was sent. To a distant place the bytes go only now, so they are counted now."""
        with self._monitor.waiting():
            self._tx.publish(partial(self._monitor.advance, 0))

    def _advance(self, items: int, size: int = 0) -> None:
        """Count what was copied, unless it is sent, and counted, later."""
        if not self._tx.sends_later:
            self._monitor.advance(items, size)


class Supply:
    """The objects of the repository here, for a push: it sends them again if a collector removed them at the remote."""

    def __init__(self, objects: ObjectStore, monitor: Monitor) -> None:
        self._objects = objects
        self._monitor = monitor

    def small(self, digest: Digest) -> tuple[ObjectKind, bytes] | None:
        """The kind and bytes of an object. None if it is not here."""
        for kind in KIND_NAMES:
            try:
                return kind, self._objects.read(kind, digest)
            except Damage:
                continue
        return None

    def large(self, digest: Digest, size: int, staged: Callable[[], str]) -> str | None:
        """Copy a large blob to a path that `staged` returns, and return the path. None if it is not here."""
        try:
            return copied(self._objects, digest, size, staged, partial(self._monitor.advance, 0), None)
        except Damage:
            return None


class _Pair(NamedTuple):
    """A folder of a version, and the folder at the same path of its base. Both are entries of the folders above."""

    path: bytes
    new: Row
    base: Row | None

    @property
    def digests(self) -> list[Digest]:
        """The trees to read."""
        return [self.new[3], self.base[3]] if self.base else [self.new[3]]

    def is_new(self, seen: set[tuple[Any, ...]], everything: bool) -> bool:
        """Whether the folder must be compared: it differs from its base, and is not in `seen`. Adds it to `seen`.

        A folder that is recorded with other totals is another one: they are checked. With a selection, the same folder
        is compared once for each path, because the path decides which files are selected.
        """
        key = (b"" if everything else self.path, self.new[3], self.new[2], self.new[4])
        if key in seen or (self.base is not None and self.base[1:] == self.new[1:]):
            return False
        seen.add(key)
        return True


def _root(version: VersionState) -> Row:
    return (b"", DIRECTORY, version["size"], digest_of_state(version), version["files"])


def with_bases(versions: list[VersionState], whole: list[VersionState]) -> list[Wanted]:
    """Versions with the bases whose trees are probably most similar: the one with the next lower number.

    So only differences are compared and sent. The result is sorted by number.

    Args:
        versions: The versions to send.
        whole: Versions of which the receiver has all objects.
    """
    going = {version["id"] for version in versions}
    found, before = [], max(whole, key=itemgetter("number"), default=None)
    for version in sorted([*whole, *versions], key=itemgetter("number")):
        if version["id"] in going:
            found.append(Wanted(version, before))
        before = version
    return found
