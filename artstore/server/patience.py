"""Patience: how long a client may keep an answer or a request waiting, and that a revoked token ends what flows."""

import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from artstore.web.connections import ends_with_connection, is_let_in

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
T = TypeVar("T")

SECONDS = 60.0
"""How long a client may take to send the next piece of a request, or to take the next piece of an answer."""
OF_STRANGERS = 10.0
"""How long all pieces of a request may take together, and all of its answer, if nobody was let in with it."""
RATE = 8 << 10
"""Bytes a second that clients send and take at least, after the first minute."""
LOOK_EVERY = 5.0
"""Seconds after which it is looked whether a token is still valid, while an answer is sent."""
_SMALL = 64 << 10
"""Bytes of a request that have arrived when it is answered, or soon after."""
_SHARES = 4
_CLOSED = (b"connection", b"close")


class _Pace:
    """The time that a client takes for the pieces of a request, or of an answer."""

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self._scope = scope
        self._waited = 0.0
        self._bytes = 0

    async def of(self, piece: Awaitable[T], size: Callable[[T], int]) -> T:
        """Wait for one piece. Raises TimeoutError if the client takes too long for it, or took for all so far."""
        began = time.monotonic()
        with anyio.fail_after(self._left()):
            found = await piece
        self._waited += time.monotonic() - began
        self._bytes += size(found)
        return found

    def _left(self) -> float:
        if not is_let_in(self._scope):
            return max(OF_STRANGERS - self._waited, 0)
        return max(min(SECONDS, SECONDS + self._bytes / RATE - self._waited), 0)


class Patient:
    """Ends requests whose client takes too long to send them, or to take their answers: they hold memory and a handle.

    A stranger gets one answer on a connection: many requests on one would keep others waiting.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        whole, late = False, False
        arriving, leaving = _Pace(scope), _Pace(scope)

        async def received() -> Message:
            nonlocal whole, late
            if whole:
                return await receive()  # which tells that the client went away
            try:
                message = await arriving.of(receive(), lambda message: len(message.get("body", b"")))
            except TimeoutError:
                late = True
                return {"type": "http.disconnect"}
            whole = message["type"] == "http.request" and not message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and (late or _is_one_only(scope)):
                message = {**message, "headers": [*message.get("headers", ()), _CLOSED]}
            await leaving.of(send(message), lambda _: len(message.get("body", b"")))

        try:
            with anyio.CancelScope() as answering:
                ends_with_connection(scope, answering.cancel)
                await self._application(scope, received, sent)
        except* (TimeoutError, ClientDisconnect, ConnectionAbortedError):
            pass  # uvicorn closes the connection, since the answer isn't whole


def _is_one_only(scope: MutableMapping[str, Any]) -> bool:
    """Whether a connection ends with this answer. Not while a stranger sends more: they would miss the answer."""
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return not is_let_in(scope) and length.isdigit() and int(length) <= _SMALL


async def late(request: Request, error: Exception) -> Response:
    """The answer to a request that didn't arrive whole in time."""
    return Response("the request came too slowly\n", 408, media_type="text/plain")


async def while_valid(pieces: AsyncIterable[Any], is_valid: Callable[[], bool]) -> AsyncIterator[Any]:
    """The pieces of an answer, as long as the token that asked for it is valid."""
    looked = time.monotonic()
    async for piece in pieces:
        if time.monotonic() - looked > LOOK_EVERY:
            looked = time.monotonic()
            if not await anyio.to_thread.run_sync(is_valid):
                raise ConnectionAbortedError("the token was revoked, or has expired")
        yield piece


class Room:
    """What requests share, such as memory. One that needs more than is free waits, and nobody has more than a share."""

    def __init__(self, size: int, shares: int = _SHARES) -> None:
        self._free = size
        self._share = size // shares
        self._taken: Counter[str] = Counter()
        self._changed: anyio.Condition | None = None

    @asynccontextmanager
    async def taken(self, who: str, size: int) -> AsyncIterator[None]:
        """Some of it for one request of somebody, until the block ends."""
        changed = self._changed = self._changed or anyio.Condition()
        wanted = min(size, self._share)
        async with changed:
            while self._free < wanted or self._taken[who] + wanted > self._share:
                await changed.wait()
            self._free -= wanted
            self._taken[who] += wanted
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                async with changed:
                    self._free += wanted
                    self._taken[who] -= wanted
                    self._taken += Counter()  # forgets who has nothing
                    changed.notify_all()
