"""Connections to the pages: how many there are at once, and how long one may keep the server waiting.

Without these limits, anybody on this host could open connections, send half a request on each, and keep everybody
else out, because a process has a limited number of open files.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from artstore.backends.descriptors import most_open

_ACCEPTED = 16
"""Connections that are accepted at once. They are counted afterwards, so that there may be a few more."""
_QUEUE = 1024
"""Connections that the system keeps until they are accepted: clients whom it refuses try again after a second."""
_SECONDS = 10.0
"""How long a connection may take to send its next request."""
_OTHERS = 32
"""Descriptors that a server needs beside its connections, and for those that are accepted before they are counted."""
_AT_ONCE = 16
"""The part of all connections that is dropped at once if there are too many."""
_WHO = "artstore.who"
_END = "artstore.end"


def let_in(scope: MutableMapping[str, Any], who: str) -> None:
    """Note in the scope of a request whose it is, once that is known. Until then it is a stranger's."""
    scope.setdefault("state", {})[_WHO] = who


def is_let_in(scope: Mapping[str, Any]) -> bool:
    """Whether it is known whose a request is."""
    return _WHO in scope.get("state", ())


def ends_with_connection(scope: MutableMapping[str, Any], end: Callable[[], None]) -> None:
    """Call `end` when the connection of a stranger's request is lost: such a request need not be answered any more."""
    scope.setdefault("state", {})[_END] = end


def share_of_descriptors(shares: int) -> int:
    """How many things, of which each has a descriptor or two, may be open together: one, or a share of what is there.

    When descriptors run out, no connection is accepted for a second, again and again, and nobody is answered.
    """
    return max((most_open() - _OTHERS) // shares, 1)


def accepted_at_once() -> int:
    """How many connections are accepted at once."""
    return min(_ACCEPTED, share_of_descriptors(16))


class Listener(socket.socket):
    """A socket that listens with a long queue, however few connections are accepted at once."""

    def listen(self, backlog: int = _QUEUE, /) -> None:
        """Listen. asyncio calls this with the number of connections that it accepts at once."""
        super().listen(_QUEUE)


class Connection(H11Protocol):
    """A connection that is closed if it keeps the server waiting, and makes room if there are too many others."""

    most = 64
    """Connections that may be open, if there are descriptors enough. A browser opens six."""
    _deadline: asyncio.TimerHandle
    _since: float
    _who: str | None = None
    is_dropped = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        """Wait for the first request. If there are too many connections, drop some."""
        super().connection_made(transport)
        self._wait()
        there: list[Any] = [one for one in self.connections if isinstance(one, Connection) and not one.is_dropped]
        if len(there) > self.room():
            for one in self._to_go(there):
                one.drop()

    @staticmethod
    def _to_go(connections: list["Connection"]) -> list["Connection"]:
        """The connections that are dropped for new ones. Several, because to choose takes time.

        Strangers go before who was let in, whose requests under way go only if there is nothing else. Whoever was let
        in and has more than a quarter of all connections is a stranger on those that wait for a request. The address,
        or whoever was let in, with the most connections loses those that have been open longest without a whole answer.
        """
        counts = Counter(one.owner for one in connections)

        def order(one: Connection) -> tuple[bool, bool, int, float]:
            count, is_known = counts[one.owner], one.was_let_in
            is_trusted = is_known and 4 * count <= len(connections)
            return is_known and one.is_answering, is_trusted, 0 if is_trusted else -count, one.since

        first, *more = sorted(connections, key=order)[: max(len(connections) // _AT_ONCE, 1)]
        return [first, *(one for one in more if not (one.was_let_in and one.is_answering))]

    @classmethod
    def room(cls) -> int:
        """How many connections may be open."""
        return min(cls.most, share_of_descriptors(4))

    def drop(self) -> None:
        """Close it at once, also if it is being closed and its client doesn't take the rest of an answer."""
        self.is_dropped = True
        self.transport.abort()

    @property
    def address(self) -> str:
        """Where it comes from."""
        return self.client[0] if self.client else ""

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def was_let_in(self) -> bool:
        """Whether one of its requests was of somebody who is known."""
        return self.owner[0] is not None

    @property
    def owner(self) -> tuple[str | None, str]:
        """The person or token that was let in last with one of its requests, if any was; else where it comes from."""
        if self.cycle is not None and is_let_in(self.cycle.scope):
            self._who = str(self.cycle.scope["state"][_WHO])
        return self._who, self.address if self._who is None else ""

    @property
    def since(self) -> float:
        """When it began to wait for the request that it waits for, or answers now, on the loop's clock."""
        return self._since

    def _wait(self) -> None:
        self._since = self.loop.time()
        self._deadline = self.loop.call_later(_SECONDS, self.drop)

    def data_received(self, data: bytes) -> None:
        """Read bytes. Part of a request gives no more time: only a whole one does."""
        super().data_received(data)
        if self.is_answering:
            self._deadline.cancel()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it came with the last one and is being answered now."""
        self._deadline.cancel()
        super().on_response_complete()
        if not self.is_answering:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._deadline.cancel()
        super().connection_lost(exc)
        if self.cycle is not None and not self.was_let_in and (end := self.cycle.scope["state"].get(_END)):
            end()
