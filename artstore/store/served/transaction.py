"""A transaction of a served remote: objects are sent while they are read, and the server checks each."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import msgpack

from artstore.backends.served.client import Sent
from artstore.backends.served.storage import ServedStorage
from artstore.domain.codec import MAX_BYTES
from artstore.domain.digest import BLOB, KIND_NAMES, TREE, VERSION, Digest, ObjectKind, digest_of, short
from artstore.domain.version import MAX_VERSION
from artstore.domain.wire import MOST_WANTED
from artstore.errors import Conflict, Damage, InvalidValue, MissingObject, UnknownOutcome
from artstore.store.packs import LARGE
from artstore.store.served.objects import ServedObjects
from artstore.store.sides import Objects

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_TOGETHER = 6 << 20
"""Bytes of small objects that are sent with one request."""
_AT_ONCE = 2
"""Such requests under way: the server takes one while it stores another."""
_OVERHEAD = 100
"""Bytes that count for each object beside its own: so there are never more than MOST_TOGETHER with one request."""
_PIECE = 1 << 20
_MOST = {BLOB: LARGE - 1, TREE: MAX_BYTES, VERSION: MAX_VERSION}


class ServedTransaction:
    """What is sent to a served remote, and what it has already. The server keeps it until an entry names it.

    One thread adds; any thread may call `bring_large`.
    """

    sends_later = False

    def __init__(self, storage: ServedStorage, objects: ServedObjects) -> None:
        storage.end()  # entries that come after this rely on what is sent now
        self._storage = storage
        self._objects = objects
        self._path = f"/transactions/{storage.begun()}"
        self._known: set[Digest] = set()
        """what was sent, or may be relied on"""
        self._packer = msgpack.Packer(use_bin_type=True, autoreset=False)
        """the frames that wait to be sent"""
        self._waiting_bytes = 0
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: deque[Future[Any]] = deque()
        self.new_objects = 0
        self.new_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        if isinstance(error, UnknownOutcome):
            self._storage.transaction = None  # the entry may be there: the server ends this one later
        else:
            self._storage.end()

    # -- what is there --

    def rely(self, kind: ObjectKind, digest: Digest, size: int) -> bool:
        """Whether an object was sent, or is known to be there. The server isn't asked: `rely_on` asks for many."""
        return digest in self._known

    def rely_on(
        self, small: Iterable[Digest], large: dict[Digest, int]
    ) -> tuple[Mapping[Digest, int | None], set[Digest]]:
        """Ask which of these objects need not be sent: sizes of the small ones (None if sent), and the large ones."""
        found: dict[Digest, int | None] = {digest: None for digest in small if digest in self._known}
        there = {digest for digest in large if digest in self._known}
        asked = [digest for digest in (*small, *large) if digest not in self._known]
        for through in self._objects.named():
            for start in range(0, len(asked), MOST_WANTED):
                some = asked[start : start + MOST_WANTED]
                for digest, size in self._held(through, some):
                    if digest in large and size != large[digest]:
                        raise Damage(f"blob {short(digest)} has {size} bytes, but a tree records {large[digest]}")
                    self._known.add(digest)
                    if digest in large:
                        there.add(digest)
                    else:
                        found[digest] = size
            asked = [digest for digest in asked if digest not in self._known]
            if not asked:
                break
        return found, there

    def _held(self, through: Any, some: list[Digest]) -> Iterator[tuple[Digest, int]]:
        wanted = set(some)
        value = {"through": through, "digests": [digest.hex() for digest in some]}
        for values in self._storage.client.collected(f"{self._path}/held", value, len(some)):
            if (
                len(values) != 2
                or type(values[0]) is not bytes
                or type(values[1]) is not int
                or values[0] not in wanted
            ):
                raise Damage(f"{self._storage.client.what} sent something else than what it holds")
            yield Digest(values[0]), values[1]

    # -- sending small objects --

    def add(self, kind: ObjectKind, data: bytes | memoryview, digest: Digest | None = None) -> Digest:
        """Send a small object, soon, unless it was sent or is there."""
        digest = digest or digest_of(kind, data)
        if digest in self._known:
            return digest
        if len(data) > _MOST[kind]:
            raise InvalidValue(
                f"a {KIND_NAMES[kind]} would have {len(data)} bytes; nobody reads more than {_MOST[kind]}"
            )
        if len(data) >= _TOGETHER:
            self._send()  # it is sent alone
        self._wait(kind, digest, data)
        return digest

    def add_missing(self, objects: list[tuple[Digest, memoryview]]) -> None:
        """Send small blobs that `rely_on` didn't find."""
        for digest, data in objects:
            if digest not in self._known:
                self._wait(BLOB, digest, data)

    def _wait(self, kind: ObjectKind, digest: Digest, data: bytes | memoryview) -> None:
        """Put an object behind those that wait, and send them if they are many."""
        self._known.add(digest)
        self._packer.pack((kind, data))
        self.new_objects += 1
        self.new_bytes += len(data)
        self._waiting_bytes += len(data) + _OVERHEAD
        if self._waiting_bytes >= _TOGETHER:
            self._send()

    def _send(self) -> None:
        """Send what waits, in a thread: the next objects are read meanwhile."""
        if not self._waiting_bytes:
            return
        from concurrent.futures import ThreadPoolExecutor  # a push without objects doesn't need it

        body, self._waiting_bytes = self._packer.bytes(), 0
        self._packer.reset()
        self._arrived(_AT_ONCE - 1)
        self._pool = self._pool or ThreadPoolExecutor(_AT_ONCE)
        self._under_way.append(self._pool.submit(self._storage.client.send_frames, f"{self._path}/objects", body))

    def _arrived(self, under_way: int = 0) -> None:
        """Wait until no more requests than these are under way. Raises the error of one that failed."""
        while len(self._under_way) > under_way:
            self._under_way.popleft().result()

    # -- sending large blobs --

    def bring_large(
        self, source: Objects, digest: Digest, size: int, advance: Callable[[int], None], there: int | None
    ) -> str:
        """Send a large blob of another place. Any thread may call this. Raises DamagedObject if it is damaged there."""
        with source.large.open(digest, size) as content:
            sent = 0

            def pieces() -> Iterator[bytes]:
                nonlocal sent
                advance(-sent)  # a request that is made again begins anew
                sent = 0
                while piece := content.read(sent, min(_PIECE, size - sent)):
                    sent += len(piece)
                    advance(len(piece))
                    yield piece

            put = Sent(pieces, size, {"Content-Type": "application/octet-stream"})
            try:
                self._storage.client.do("PUT", f"{self._path}/blobs/{digest.hex()}", put, (200, 201, 204))
            except Damage:
                content.check()  # raises if it is damaged at its source
                raise
        return ""

    def add_missing_large(self, digest: Digest, size: int, staged: str) -> None:
        """Count a large blob that `bring_large` sent."""
        self._known.add(digest)
        self.new_objects += 1
        self.new_bytes += size

    # -- the end --

    def publish(self, sent: Callable[[int], None] = lambda n: None) -> None:
        """Send what waits, and make sure that all of it arrived."""
        self._send()
        self._arrived()

    def ensure(self) -> None:
        """Let the server look again. Raises MissingObject if a collector took something for good."""
        try:
            self._storage.client.json("POST", f"{self._path}/ensure")
        except Conflict as error:
            raise MissingObject(error.message, hint=error.hint) from error
