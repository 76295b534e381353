"""The objects of a served remote. Each is hashed as it arrives, and its size is bounded."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Set
from itertools import islice
from typing import Any, NamedTuple

from artstore.backends.served.client import CutOff
from artstore.backends.served.storage import ServedStorage
from artstore.backends.storage import FolderStorage
from artstore.domain.codec import MAX_BYTES
from artstore.domain.collection import VersionState, digest_of_state
from artstore.domain.digest import BLOB, KIND_NAMES, TREE, VERSION, Digest, ObjectKind, digest_of, short
from artstore.domain.names import printable
from artstore.domain.version import MAX_VERSION, VersionRecord, decode_version
from artstore.domain.wire import MOST_OBJECTS, Through
from artstore.errors import Damage, DamagedObject, MissingObject, NotFound, Refused
from artstore.store.packs import LARGE
from artstore.store.served.ahead import read_ahead
from artstore.store.served.large import ServedLarge
from artstore.store.served.listing import Listings

_VERSIONS = 50_000
"""Versions through which one request asks."""
_BATCH = 4 << 20
"""Bytes of small blobs that one request asks for."""
_REQUESTS = 3
"""Requests for small blobs that are under way at once."""
_CACHED_TREES = 16 << 20
"""Bytes of trees that are kept in memory."""
_TRIES = 4
"""How often an answer that is cut off is asked for, if each time more of it arrives."""
_MOST = {BLOB: LARGE - 1, TREE: MAX_BYTES, VERSION: MAX_VERSION}


class ServedObjects:
    """The objects that a server gives through the versions and logs that were named.

    Not thread-safe, except `large.copy`.
    """

    here: FolderStorage | None = None
    doubted = False
    """whether damage there is known: the server answers for its own"""

    def __init__(self, storage: ServedStorage) -> None:
        self.storage = storage
        self._through: dict[str, dict[str, None]] = {}
        """by folder of a log, the ids of versions; none for the log itself"""
        self.large = ServedLarge(storage.client, self)
        self._listings = Listings(storage.client)
        self._trees: dict[Digest, bytes] = {}
        self._tree_bytes = 0
        self._known: dict[Digest, bytes] = {}
        """small objects that were read to learn their sizes: the next read takes them"""
        self._coming = self._ahead_of(iter(()))
        self._ahead: dict[Digest, tuple[int, memoryview]] = {}
        """blobs that were read ahead: how often each will be read, and its bytes"""

    def close(self) -> None:
        """Forget what was read, and what is asked for ahead."""
        self._coming.close()
        self._trees, self._known, self._ahead = {}, {}, {}

    # -- through what --

    def through(self, folder: str, ids: Iterable[str]) -> None:
        """See `Objects`. What was named stays so."""
        known = self._through.setdefault(folder, {})
        known.update(dict.fromkeys(ids))

    def looks_at(self, folder: str, version: VersionState) -> None:
        """See `Objects`. A role that can only look gets a listing of the version."""
        self.through(folder, [version["id"]])
        self._listings.roots[digest_of_state(version)] = folder, version["id"]

    def named(self) -> list[Through]:
        """What was named, in lists of which each fits into a request. The versions that were named last come first."""
        if not self._through:
            return []
        found: list[Through] = []
        logs: Through = [(folder, []) for folder in self._through]
        versions = [] if self.storage.only_looks else [(f, id) for f, ids in self._through.items() for id in ids]
        for start in range(0, max(len(versions), 1), _VERSIONS):
            by_folder: dict[str, list[str]] = {}
            for folder, id in versions[start : start + _VERSIONS]:
                by_folder.setdefault(folder, []).append(id)
            found.append([*(logs if not start else []), *by_folder.items()])
        return found

    def holders(self) -> list[tuple[str, str | None]]:
        """Each version that was named, and each log itself: (folder, id or None)."""
        versions = [(folder, id) for folder, ids in self._through.items() for id in ids]
        return [*versions, *((folder, None) for folder in self._through)]

    def has_through(self, through: Through, digests: list[Digest]) -> set[Digest]:
        """Those of some blobs that are reached through some versions."""
        return {digest for _, digest, _ in self._asked(through, dict.fromkeys(digests, BLOB))}

    # -- what is there --

    def refresh(self) -> object:
        """Do nothing: nothing is listed."""

    def look_only_where_cheap(self) -> None:
        """Do nothing: one request answers for many objects."""

    def due(self) -> int:
        """0: the server merges its packs."""
        return 0

    def sizes(self, digests: Iterable[Digest]) -> dict[Digest, int]:
        """The size in bytes of each of these small objects that is there. Cost: they are read."""
        return {digest: len(data) for _, digest, data in self._received(dict.fromkeys(digests), None)}

    def readable(self, digests: Set[Digest]) -> dict[Digest, int]:
        """See `sizes`."""
        return self.sizes(digests)

    def worth_asking(self, digests: Set[Digest]) -> Set[Digest]:
        """All: a look-up costs as much as reading them."""
        return digests

    def large_size(self, blob: Digest) -> int | None:
        """The size of a large blob. None for a small one, and if there is none. A small one is kept for the next read."""
        for found in self.ask({blob: BLOB}):
            if isinstance(found[2], int):
                return found[2]
            self._known[blob] = found[2]
        return None

    # -- reading --

    def read(self, kind: ObjectKind, digest: Digest) -> bytes:
        """An object's bytes, checked. Raises MissingObject if none of what was named has it."""
        if (known := self._known.pop(digest, None)) is not None:
            return known
        for found in self.ask({digest: kind}):
            return self.large.read(digest, found[2]) if isinstance(found[2], int) else found[2]
        raise self.missing(kind, digest)

    def read_many(self, wanted: dict[Digest, ObjectKind]) -> Iterator[tuple[ObjectKind, Digest, memoryview]]:
        """Read small objects and check them, each once, in any order. Raises MissingObject, at the end."""
        missing = dict(wanted)
        for kind, digest, data in self._received(dict(wanted), missing):
            yield kind, digest, memoryview(data)
        for digest, kind in missing.items():
            raise self.missing(kind, digest)

    def read_there(self, wanted: Mapping[Digest, ObjectKind]) -> Iterator[tuple[ObjectKind, Digest, bytes]]:
        """See `ObjectStore`. After an error of one, the others are asked for by halves."""
        left = dict(wanted)
        try:
            for kind, digest, data in self.ask(wanted):
                del left[digest]
                if not isinstance(data, int):
                    yield kind, digest, data
        except Damage:
            items = list(left.items()) if len(left) > 1 else []
            for half in (items[: len(items) // 2], items[len(items) // 2 :]):
                yield from self.read_there(dict(half)) if half else ()

    def read_blobs(self, wanted: Mapping[Digest, int]) -> Iterator[list[tuple[Digest, memoryview]]]:
        """Read small blobs (digest → size), in lists. Some are asked for while others are used.

        Raises DamagedObject for another size. Raises MissingObject, at the end.
        """
        missing: list[Digest] = []
        for some, found in self._ahead_of(iter(wanted.items())):
            yield found
            if len(found) < len(some):
                missing += some.keys() - {digest for digest, _ in found}
        if missing:
            raise self.missing(BLOB, missing[0])

    def _ahead_of(
        self, blobs: Iterator[tuple[Digest, int]]
    ) -> Generator[tuple[dict[Digest, int], list[tuple[Digest, memoryview]]], None, None]:
        """Batches of small blobs (digest → times that it is wanted), each with those that are there.

        The next batches are asked for meanwhile. Memory: a few batches of 4 MiB.
        """
        first = _batch(blobs)
        if first is None:
            return
        if (second := _batch(blobs)) is None:  # mostly: no thread is needed
            yield first.times, self._fetched(first)
            return
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(_REQUESTS)
        try:
            waiting = [(batch, pool.submit(self._fetched, batch)) for batch in (first, second)]
            while waiting:
                if len(waiting) <= _REQUESTS and (following := _batch(blobs)) is not None:
                    waiting.append((following, pool.submit(self._fetched, following)))
                batch, future = waiting.pop(0)
                yield batch.times, future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _fetched(self, batch: "_Batch") -> list[tuple[Digest, memoryview]]:
        """The blobs of a batch that are there. Raises DamagedObject for one of another size than its tree records."""
        found = []
        for _, digest, data in self._received(dict.fromkeys(batch.times, BLOB), None):
            if len(data) != (size := batch.sizes[digest]):
                raise DamagedObject(f"blob {short(digest)} has {len(data)} bytes, but a tree records {size}")
            found.append((digest, memoryview(data)))
        return found

    def read_tree(self, digest: Digest) -> bytes:
        """A tree's bytes. For a role that can only look, a tree made of the listing of its version."""
        if (data := self._trees.get(digest)) is not None:
            return data
        if (data := self._listings.tree(digest)) is not None:
            return data
        if not self.storage.only_looks:
            try:
                data = self.read(TREE, digest)
                self.keep_trees({digest: data})
                return data
            except Refused:
                pass  # in this project
        if (data := self._listings.read(digest)) is None:
            self.storage.refuse_download()
        return data

    def keep_trees(self, trees: dict[Digest, bytes]) -> None:
        """Keep trees in memory that were read and checked together and will be needed one by one."""
        if self._tree_bytes > _CACHED_TREES and sum(map(len, trees.values())) < _CACHED_TREES:
            self._trees, self._tree_bytes = {}, 0
        self._trees.update(trees)
        self._tree_bytes += sum(map(len, trees.values()))

    def read_version(self, id: Digest) -> VersionRecord:
        return decode_version(self.read(VERSION, id), id)

    # -- one by one --

    def expect(self, blobs: Iterable[tuple[Digest, int]]) -> None:
        """See `Objects`."""
        self._coming.close()
        self._coming, self._ahead = self._ahead_of(iter(blobs)), {}

    def peek_small(self, digest: Digest) -> memoryview | None:
        """A small blob that was read ahead, or None."""
        found = self._ahead.get(digest)
        if found is None:
            return None
        if found[0] > 1:
            self._ahead[digest] = found[0] - 1, found[1]
        else:
            del self._ahead[digest]
        return found[1]

    def read_small(self, digest: Digest) -> bytes | memoryview | None:
        """A small blob. It was, or is, asked for together with those that are expected beside it."""
        if digest not in self._ahead:
            times, blobs = next(self._coming, ({}, []))
            for there, data in blobs:
                self._ahead[there] = times[there] + self._ahead.get(there, (0, data))[0], data
        found = self.peek_small(digest)
        return self.read(BLOB, digest) if found is None else found

    # -- requests --

    def ask(self, wanted: Mapping[Digest, ObjectKind | None]) -> Iterator[tuple[ObjectKind, Digest, bytes | int]]:
        """Ask for objects: (kind, digest, bytes) of each that is reached; for a large blob the size instead of bytes.

        Raises Refused if the role of the token can only look.
        """
        missing, todo = dict(wanted), self.named()
        refused: Refused | None = None
        while todo and missing:
            through, digests = todo.pop(0), list(missing)
            try:
                for found in self._all(through, [{d: missing[d] for d in part} for part in _parts(digests)]):
                    del missing[found[1]]
                    yield found
            except (NotFound, Refused) as error:  # of one of these logs or versions: the others are asked without it
                refused = error if isinstance(error, Refused) else refused
                todo += _smaller(through, halves=isinstance(error, NotFound))
        if missing and self.storage.only_looks:
            self.storage.refuse_download()
        if missing and refused is not None:
            raise refused

    def _all(
        self, through: Through, parts: list[dict[Digest, ObjectKind | None]]
    ) -> Iterator[tuple[ObjectKind, Digest, bytes | int]]:
        """Ask for the objects of several requests. Of more than one, the next answers are read ahead."""
        answers = (found for part in parts for found in self._asked(through, part))
        return answers if len(parts) < 2 else read_ahead(answers)

    def _asked(
        self, through: Through, some: dict[Digest, ObjectKind | None]
    ) -> Iterator[tuple[ObjectKind, Digest, bytes | int]]:
        """Ask for objects through some versions. After an answer that is cut off, ask for the rest again."""
        for attempt in range(_TRIES):
            before = len(some)
            try:
                yield from self._once(through, some)
                if some:
                    raise Damage(f"{self.storage.client.what} did not answer for {len(some)} objects")
                return
            except CutOff:
                if attempt == _TRIES - 1 or (len(some) == before and attempt):
                    raise

    def _once(
        self, through: Through, some: dict[Digest, ObjectKind | None]
    ) -> Iterator[tuple[ObjectKind, Digest, bytes | int]]:
        """Make one request. What is answered is taken out of `some`."""
        what = self.storage.client.what
        asked = {"through": through, "digests": [digest.hex() for digest in some]}
        for values in self.storage.client.frames("/objects", asked, resumes=False):
            digest = Digest(values[1]) if len(values) == 3 and type(values[1]) is bytes else None
            if digest is None or digest not in some:
                raise Damage(f"{what} sent an object that it was not asked for")
            expected = some.pop(digest)
            kind, _, data = values
            if kind == 0 and data is None:
                continue
            if kind == BLOB and type(data) is int and LARGE <= data < 1 << 63 and expected in (BLOB, None):
                yield BLOB, digest, data
                continue
            if kind not in KIND_NAMES or type(data) is not bytes or expected not in (kind, None):
                raise Damage(f"{what} sent something else than object {short(digest)}")
            if len(data) > _MOST[kind] or digest_of(kind, data) != digest:
                raise DamagedObject(f"{what} sent {KIND_NAMES[kind]} {short(digest)} with other bytes than it has")
            yield kind, digest, data

    def _received(
        self, wanted: Mapping[Digest, ObjectKind | None], missing: dict[Digest, Any] | None
    ) -> Iterator[tuple[ObjectKind, Digest, bytes]]:
        """Ask for small objects. Those that arrive are taken out of `missing`. Raises Damage for a large blob."""
        if not wanted:
            return
        for kind, digest, data in self.ask(wanted):
            if isinstance(data, int):
                raise Damage(f"blob {short(digest)} has {data} bytes, but is recorded as a small one")
            if missing is not None:
                del missing[digest]
            yield kind, digest, data

    def missing(self, kind: ObjectKind, digest: Digest) -> MissingObject:
        """The error for an object that none of what was named has."""
        return MissingObject(f"{KIND_NAMES[kind]} {short(digest)} is missing from {printable(self.storage.root)}")


class _Batch(NamedTuple):
    """Small blobs that are asked for together: how often each is wanted, and its size."""

    times: dict[Digest, int]
    sizes: dict[Digest, int]


def _batch(blobs: Iterator[tuple[Digest, int]]) -> _Batch | None:
    """The next blobs, up to 4 MiB; None if there are no more."""
    batch, room = _Batch({}, {}), _BATCH
    for digest, size in islice(blobs, MOST_OBJECTS):
        batch.times[digest] = batch.times.get(digest, 0) + 1
        batch.sizes[digest] = size
        room -= size
        if room <= 0:
            break
    return batch if batch.times else None


def _smaller(through: Through, *, halves: bool) -> list[Through]:
    """The logs of a request each alone; with `halves`, the versions of a single one in two halves."""
    if len(through) > 1:
        return [[pair] for pair in through]
    folder, ids = through[0]
    half = len(ids) // 2
    return [[(folder, ids[:half])], [(folder, ids[half:])]] if half and halves else []


def _parts(digests: list[Digest]) -> Iterator[list[Digest]]:
    return (digests[start : start + MOST_OBJECTS] for start in range(0, len(digests), MOST_OBJECTS))
