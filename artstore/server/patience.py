"""Patience: how long a client may keep an answer or a request waiting, and that a revoked token ends what flows."""

import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import anyio

from artstore.domain.wire import PREFIX

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

SECONDS = 60.0
"""How long a client may take to send the next piece of a request, or to take the next piece of an answer."""
AT_ONCE = 20
"""Answers with objects that are sent at once: each takes about a MiB of memory. Others wait for their turn."""
TURN = 300.0
"""Seconds after which such an answer has to end, so that slow clients don't keep others waiting: it is small."""
LOOK_EVERY = 5.0
"""Seconds after which it is looked whether a token is still valid, while an answer is sent."""


class Patient:
    """Ends requests whose client neither sends nor takes anything for too long: they hold memory and a handle."""

    def __init__(self, application: Application, seconds: float = SECONDS) -> None:
        self._application = application
        self._seconds = seconds
        self._turns: anyio.Semaphore | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
        elif scope["path"] != f"{PREFIX}/objects":
            await self._answer(scope, receive, send)
        else:
            self._turns = self._turns or anyio.Semaphore(AT_ONCE)
            async with self._turns:
                with anyio.move_on_after(TURN):
                    await self._answer(scope, receive, send)

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        whole = False

        async def received() -> Message:
            nonlocal whole
            if whole:
                return await receive()  # which tells that the client went away
            with anyio.fail_after(self._seconds):
                message = await receive()
            whole = message["type"] == "http.request" and not message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            with anyio.fail_after(self._seconds):
                await send(message)

        try:
            await self._application(scope, received, sent)
        except* TimeoutError:
            pass  # uvicorn closes the connection, since the answer isn't whole


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
    """Memory for the bodies of requests: who needs more than is free waits for others to end."""

    def __init__(self, size: int = 64 << 20) -> None:
        self._size = self._free = size
        self._changed: anyio.Condition | None = None

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """Room for a body of some bytes, until the block ends."""
        changed = self._changed = self._changed or anyio.Condition()
        wanted = min(size, self._size)
        async with changed:
            while self._free < wanted:
                await changed.wait()
            self._free -= wanted
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                async with changed:
                    self._free += wanted
                    changed.notify_all()
