"""Connections to the pages: how many there are at once, and how long one may keep the server waiting.

Without these limits, anybody on this host could open connections, send half a request on each, and keep everybody
else out, because a process has a limited number of open files.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

BACKLOG = 16
"""Connections that are accepted at once. They are counted afterwards, so that there may be a few more."""
_SECONDS = 10.0
"""How long a connection may take to send its next request."""


class Connection(H11Protocol):
    """A connection that is closed if it keeps the server waiting, and makes room if there are too many others."""

    most = 64
    """Connections that may be open. A browser opens six."""
    _deadline: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        """Wait for the first request. If there are too many connections, drop the one that has waited longest."""
        super().connection_made(transport)
        self._wait()
        others: list[Any] = [one for one in self.connections if not one.transport.is_closing()]
        if len(others) > self.most:
            min(others, key=lambda one: (one.is_answering, one.deadline)).transport.abort()

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def deadline(self) -> float:
        """When the connection is closed if no request has come, on the loop's clock."""
        return self._deadline.when()

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(_SECONDS, self.transport.abort)

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
