"""Answers of servers that may never end: how long a client waits for one, and how much it reads to get at its bytes."""

import http.client
import io
import socket
import time
from functools import partial
from typing import Any

from artstore.errors import Damage, StorageError

PATIENCE = 120.0
"""Seconds that a server may keep its client waiting for one answer, beside those for its bytes."""
RATE = 1 << 10
"""Bytes a second that it sends at least."""
_AROUND = 1 << 20
"""Most bytes of a head, and most that are read for one piece of a body beside its bytes: sizes of chunks, trailers."""


def paced(connection: http.client.HTTPConnection, what: str) -> None:
    """Let the answers on a connection be `Answer`s. `what` is the server, for messages."""
    connection.response_class = partial(Answer, what=what)  # type: ignore[assignment]


class Answer(http.client.HTTPResponse):
    """An answer that is read by `read1`. Raises Damage if it is endless and has no body, StorageError if it drips."""

    def __init__(self, sock: socket.socket, what: str, **options: Any) -> None:
        self._wire = _Wire(sock, what)
        super().__init__(self._wire, **options)  # type: ignore[arg-type]  # it only makes a file of it

    def read1(self, n: int = -1) -> bytes:
        """Some of the bytes, at most `n`; none at the end."""
        self._wire.allow(n)
        return super().read1(n)


class _Wire(io.RawIOBase):
    """The bytes that arrive on a connection, for one answer."""

    def __init__(self, sock: socket.socket, what: str) -> None:
        self._raw = sock.makefile("rb", buffering=0)
        self._what = what
        self._bytes = 0
        self._waited = 0.0
        self.allow(0)

    def makefile(self, mode: str) -> io.BufferedReader:
        """A file to read from, as a socket gives."""
        return io.BufferedReader(self)

    def allow(self, size: int) -> None:
        """Let `size` more bytes of a body be read, with what is around them."""
        self._most = self._bytes + size + _AROUND

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        began = time.monotonic()
        size = self._raw.readinto(buffer)
        self._waited += time.monotonic() - began
        self._bytes += size or 0
        if self._bytes > self._most:
            raise Damage(f"{self._what} sent an answer of HTTP that doesn't get to its point")
        if self._waited > PATIENCE + self._bytes / RATE:
            raise StorageError(f"{self._what} answers too slowly", hint="run the same command again later")
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()
