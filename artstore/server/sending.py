"""What clients send: objects under a transaction, each checked before it is stored, until entries name them."""

import math
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Lock
from typing import Any

import anyio.to_thread
from blake3 import blake3

from artstore.backends.files import closing_fd, remove_if_there
from artstore.domain.digest import BLOB, KIND_NAMES, Digest, ObjectKind, digest_of, short
from artstore.domain.names import printable
from artstore.domain.wire import MOST_TOGETHER
from artstore.errors import Damage, InvalidValue, NotFound, Refused, storage_error
from artstore.server.reach import Digests
from artstore.server.served import Served
from artstore.server.space import check_space
from artstore.server.tries import Busy
from artstore.store.packs import LARGE
from artstore.store.store import Store
from artstore.store.transaction import Transaction
from artstore.web.connections import share_of_descriptors

IDLE = 600.0
"""Seconds without a request after which a transaction ends."""
_LONGEST = 86_400.0
"""Seconds after which it ends all the same: while it is open, no collector removes what it may rely on."""
_MOST = 8
"""Transactions that one token may have open. With another, the one that has been idle longest ends."""
_SPARED = 20.0
"""Seconds without a request before which none is ended for another: its client may be reading what it sends next."""
_MOST_STAGED = 1 << 40
"""Bytes that one transaction may send."""
_MOST_HELD = 256 << 20
"""Bytes of the sets of what one transaction may rely on: of eight million objects."""
_GATHERED = 4 << 20
"""Bytes of a large blob that are written and hashed at once, in another thread."""


class Sending:
    """One transaction of a client: what it has sent, and what it may rely on. Requests of it wait for each other."""

    def __init__(self, served: Served, author: str) -> None:
        self.id = secrets.token_hex(16)
        self.author = author
        self.lock = Lock()
        self.began = self.asked = time.monotonic()
        self.under_way = 0
        """requests that use it now"""
        self.is_ending = False
        """whether it ends as soon as none does"""
        self.sent: dict[Digest, tuple[ObjectKind, int]] = {}
        """kind and size of each object that was sent whole"""
        self._relied: dict[Digest, int] = {}
        """sizes of the objects that were found, and are relied on"""
        self._held: list[Digests] = []
        """sets of what is reached through versions whose bytes the token may read"""
        self.checked: set[tuple[Digest, int, int]] = set()
        """trees that were checked with everything below them: (digest, size, files)"""
        self.bytes = 0
        self._open = ExitStack()
        self.store: Store = self._open.enter_context(served.store())
        self.tx = self._open.enter_context(Transaction(self.store.objects))
        self._staging = os.path.dirname(self.tx.staged())
        """the folder to which bytes are written as they arrive; that of a bucket is on this host, too"""

    def close(self) -> None:
        """End it. What no entry names is collected later."""
        self._open.close()

    def count(self, size: int) -> None:
        """Count bytes that arrive. Raises Refused if they are too many, NoSpace if the disk is nearly full."""
        if self.bytes + size > _MOST_STAGED:
            raise Refused(f"one transaction may send {_MOST_STAGED} bytes", hint="push fewer versions at once")
        check_space(self._staging, size)
        self.bytes += size

    def add(self, objects: Iterator[tuple[int, memoryview]]) -> int:
        """Store small objects. Their digests are computed here, so none can be wrong."""
        count, blobs = 0, list[tuple[Digest, memoryview]]()
        for kind, data in objects:
            if kind not in KIND_NAMES:
                raise InvalidValue(f"{kind} is not a kind of object")
            if count == MOST_TOGETHER:
                raise InvalidValue(f"one request may send {MOST_TOGETHER} objects")
            if kind == BLOB and len(data) >= LARGE:
                raise InvalidValue(f"a blob of {len(data)} bytes among small objects: large ones are sent alone")
            digest = digest_of(kind, data)
            if kind != BLOB:
                self.tx.add(kind, data, digest)
            elif digest not in self.sent:
                # Stored without a look whether it is there: that takes half of the time, and an object that is there in
                # another project must not be faster. A merge of packs keeps one copy.
                blobs.append((digest, data))
            self.sent[digest] = kind, len(data)
            count += 1
        if blobs:
            self.tx.add_missing(blobs)
        self.tx.write_through()  # else a small object would keep the whole request in memory
        return count

    def held_of(self, digests: list[Digest], through: list[Digests]) -> Iterator[list[Any]]:
        """[digest, size] of each of these objects that an entry may name already. It is relied on from now on.

        Raises Refused if the sets through which objects are reached take too much memory.
        """
        self._held += [some for some in through if not any(some is known for known in self._held)]
        if sum(some.room for some in self._held) > _MOST_HELD:
            raise Refused("one transaction relies on too many versions", hint="push fewer collections at once")
        found = [digest for digest in digests if digest in self.sent or any(digest in some for some in through)]
        yield from map(list, self.rely(found).items())

    def rely(self, digests: list[Digest]) -> dict[Digest, int]:
        """Rely on those of these objects that are stored, also by others since this began. Returns their sizes."""
        todo = [digest for digest in digests if digest not in self.sent and digest not in self._relied]
        self._relied |= {digest: size or 0 for digest, size in self.tx.rely_many(todo).items()}
        if todo := [digest for digest in todo if digest not in self._relied]:
            self.store.objects.packs.refresh()
            self._relied |= {digest: size or 0 for digest, size in self.tx.rely_many(todo).items()}
        large = [digest for digest in todo if digest not in self._relied]
        for digest, size in (self.store.objects.large.sizes(large) if large else {}).items():
            if self.tx.rely(BLOB, digest, size):
                self._relied[digest] = size
        sent = {digest: self.sent[digest][1] for digest in digests if digest in self.sent}
        return sent | {digest: self._relied[digest] for digest in digests if digest in self._relied}

    def may_name(self, digest: Digest) -> bool:
        """Whether an entry may name an object: it was sent, or is reached through what the token may read."""
        return digest in self.sent or any(digest in some for some in self._held)

    async def receive(self, digest: Digest, length: int, pieces: AsyncIterator[bytes]) -> None:
        """Store a large blob. Raises Damage if it isn't the one that was announced.

        Raises NotFound if the transaction ends meanwhile, such as that of a revoked token.
        """
        if length < LARGE:
            raise InvalidValue(f"a blob of {length} bytes is small: small ones are sent in frames")
        self.count(length)
        path, hasher, size = self.tx.staged(), blake3(max_threads=blake3.AUTO), 0
        fd = await anyio.to_thread.run_sync(
            partial(os.open, path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        )
        try:
            with closing_fd(fd):
                gathered: list[bytes] = []
                waiting = 0
                async for piece in pieces:
                    if self.is_ending:
                        raise _ended()
                    gathered.append(piece)
                    size, waiting = size + len(piece), waiting + len(piece)
                    if size > length:
                        raise InvalidValue(f"more than the {length} bytes that were announced")
                    if waiting >= _GATHERED:
                        await anyio.to_thread.run_sync(_write, fd, hasher, b"".join(gathered))
                        gathered, waiting = [], 0
                await anyio.to_thread.run_sync(_write, fd, hasher, b"".join(gathered))
            if size != length or hasher.digest() != digest:
                raise Damage(f"blob {short(digest)} arrived with other bytes than its digest says")
        except OSError as error:
            remove_if_there(path)
            raise storage_error(error, f"write to {printable(self.store.storage.root)}") from error
        except BaseException:
            remove_if_there(path)
            raise
        with self.lock:
            self.tx.add_large(digest, size, path)
            self.sent[digest] = BLOB, size


def _write(fd: int, hasher: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    hasher.update(data)


class Sendings:
    """The open transactions of all clients."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._lock = Lock()
        self._open: dict[str, Sending] = {}

    def begin(self, author: str) -> Sending:
        """Begin a transaction. If the token has too many, or all together, its own that has been idle longest ends.

        Raises Busy if all of its own are in use, or were a moment ago.
        """
        self.expire()
        with self._lock:
            self._most_idle(author)  # before anything is made
        sending = Sending(self._served, author)
        try:
            with self._lock:
                abandoned = self._most_idle(author)
                if abandoned is not None:
                    del self._open[abandoned.id]
                self._open[sending.id] = sending
        except BaseException:
            sending.close()
            raise
        if abandoned is not None:
            abandoned.close()
        return sending

    def _most_idle(self, author: str) -> Sending | None:
        """The transaction that ends so that its token may begin another; None if there may be one more. Raises Busy."""
        own = [one for one in self._open.values() if one.author == author]
        if len(own) < _MOST and len(self._open) < share_of_descriptors(8):
            return None
        asked, id = min(((one.asked, one.id) for one in own if not one.under_way), default=(math.inf, ""))
        wait = min(asked + _SPARED - time.monotonic(), _SPARED)
        if wait > 0:
            what = f"'{author}' has {_MOST}" if len(own) >= _MOST else "there are too many"
            raise Busy(f"{what} pushes under way", math.ceil(wait))
        return self._open[id]

    @contextmanager
    def used(self, id: str, author: str) -> Iterator[Sending]:
        """The transaction with an id, which doesn't end within the block. Raises NotFound if it ended, or is another's."""
        with self._lock:
            found = self._open.get(id)
            if found is None or found.author != author or found.is_ending:
                raise _ended()
            found.under_way += 1
        try:
            yield found
        finally:
            with self._lock:
                found.under_way -= 1
                found.asked = time.monotonic()

    def end(self, id: str, author: str) -> None:
        """End a transaction, once no other request uses it."""
        with self.used(id, author) as sending:
            sending.is_ending = True
        self._close_ending()

    def expire(self, idle: float = IDLE, is_active: Callable[[str], bool] = lambda author: True) -> None:
        """End transactions that nobody has used for some seconds, and those of tokens that aren't active any more."""
        now = time.monotonic()
        with self._lock:
            authors = {one.author for one in self._open.values()}
        ended = {author for author in authors if not is_active(author)}
        with self._lock:
            for one in self._open.values():
                is_idle = not one.under_way and now - one.asked > idle
                one.is_ending |= is_idle or now - one.began > _LONGEST or one.author in ended
        self._close_ending()

    def _close_ending(self) -> None:
        with self._lock:
            gone = [one for one in self._open.values() if one.is_ending and not one.under_way]
            for one in gone:
                del self._open[one.id]
        with ExitStack() as closing:  # each is closed, also if another can't be
            for sending in gone:
                closing.callback(sending.close)

    def close(self) -> None:
        """End all transactions."""
        self.expire(-1.0)


def _ended() -> NotFound:
    message = "this push has ended: it was idle, its token began others meanwhile, or the server was started again"
    return NotFound(message, hint="push again: versions that are there aren't sent again")
