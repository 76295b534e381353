"""The application: who asks, what answers, and what is written down of it."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Match, Mount, Route

from artstore.domain.wire import LONGEST_FRAME, MOST_SENT, PREFIX
from artstore.errors import ArtstoreError, AuthenticationError, NotFound
from artstore.server import hub
from artstore.server.access import Access
from artstore.server.asking import told
from artstore.server.audit import Audit
from artstore.server.connections import ServedConnection
from artstore.server.pages import Pages
from artstore.server.patience import Patient, Room, late, while_valid
from artstore.server.protocol import OPERATIONS, About, Asker, Operation, Parts
from artstore.server.sessions import Sessions
from artstore.server.tokens import Token, Tokens
from artstore.server.tries import Busy, Tries
from artstore.web.connections import let_in
from artstore.web.guard import Receive, Scope, Send
from artstore.web.routes import ROUTES

_THREADS = 8
"""Requests that are answered at once, each with a handle of its own."""
_BODIES = 64 << 20
"""Memory for the bodies of requests, of which each token has a share."""
_OBJECTS = 20
"""Answers with objects that are sent at once: each takes about a MiB of memory. Others wait for their turn."""
_TURN = 300.0
"""Seconds after which such an answer has to end, so that slow clients don't keep others waiting: it is small."""
_UNDER_WAY = 128
"""Requests of one token that are under way at once."""
_SOON = 2.0
"""Seconds after which somebody with more may come again."""
_EXPIRE_EVERY = 60.0
"""Seconds after which abandoned transactions are looked for."""
_SAY_EVERY = 86_400.0
"""Seconds after which the end of the audit is written to the log of the service, where nobody can change it later."""

_PAGES = {route.path.split("/")[1] for route in ROUTES}
"""What the addresses of pages begin with."""
Telling = Callable[[ArtstoreError], Response]
"""What makes an answer of an error."""


class Door:
    """Lets requests with a valid token in, and writes down what they did."""

    def __init__(self, parts: Parts, tries: Tries, audit: Audit) -> None:
        self._parts = parts
        self._tries = tries
        self._audit = audit
        self._bodies, self._large_bodies = Room(_BODIES), Room(LONGEST_FRAME, shares=1)
        self._turns = Room(_OBJECTS)
        self._under_way: Counter[str] = Counter()

    async def answer(self, operation: Operation, telling: Telling, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Errors are answered with what `telling` makes of them."""
        request = Request(scope, receive)
        async with AsyncExitStack() as stack:
            try:
                token = await self._token(request)
                let_in(scope, token.name)
                stack.enter_context(self._counted(token.name))
                if operation.path == "/objects":
                    await stack.enter_async_context(self._turns.taken(token.name, 1))
                    stack.enter_context(anyio.move_on_after(_TURN))
                response = await self._answered(request, operation, telling, token)
            except ArtstoreError as error:
                response = telling(self._parts.served.for_clients(error))
            await response(scope, receive, send)

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        most = min(_UNDER_WAY, ServedConnection.room() // 4)
        if self._under_way[name] >= most:
            raise Busy(f"{most} requests with this token are under way", _SOON)
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1
            self._under_way += Counter()  # forgets who has none

    async def _answered(self, request: Request, operation: Operation, telling: Telling, token: Token) -> Response:
        asker = Asker(request, Access(token.name, token.grant), self._parts, About())
        try:
            if operation.noted_as == "append":
                asker.about.subject = request.query_params.get("log")
                await self._note(asker, operation, "asked")  # first: what can't be written down isn't done
            asker.access.require_somewhere(operation.least)
            async with self._room(request, token.name):
                response = await operation.answer(asker)
        except ArtstoreError as error:
            response = telling(self._parts.served.for_clients(error))
        if response.status_code >= 400 or (operation.noted_as and asker.about.subject):
            await self._note(asker, operation, str(response.status_code))
        if isinstance(response, StreamingResponse):
            secret = _secret(request)
            response.body_iterator = while_valid(response.body_iterator, lambda: self._tries.hold(secret))
        return response

    async def _token(self, request: Request) -> Token:
        """The token of a request. Raises AuthenticationError, and TooMany if its address sent too many wrong ones."""
        address = request.client.host if request.client else "?"
        if not (secret := _secret(request)):
            raise AuthenticationError("this server answers only with a token", hint="`artstore login URL` keeps yours")
        return await anyio.to_thread.run_sync(self._tries.token, secret, address)

    def _room(self, request: Request, who: str) -> AbstractAsyncContextManager[None]:
        """Memory for the body of a request. A large one has to be alone, so that small ones don't wait for it."""
        size = _room_of(request)
        return (self._bodies if size <= MOST_SENT else self._large_bodies).taken(who, size)

    async def _note(self, asker: Asker, operation: Operation, outcome: str) -> None:
        client = asker.request.client
        await anyio.to_thread.run_sync(
            partial(
                self._audit.append,
                operation.noted_as or operation.name,
                outcome,
                token=asker.access.author,
                address=client.host if client else "",
                project=asker.about.project,
                subject=asker.about.subject,
                sync=operation.noted_as is not None,
            )
        )


def _room_of(request: Request) -> int:
    """The memory that the body of a request takes. One without a length may be as large as what is sent at once."""
    if "digest" in request.path_params:
        return MOST_SENT if request.method == "PUT" else 0  # a large blob isn't in memory whole
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0 if request.method == "GET" else MOST_SENT


def _secret(request: Request) -> str:
    """The token that a request has, or an empty text."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret if scheme.lower() == "bearer" else ""


class _Endpoint:
    """One operation, as an ASGI application: what it takes is given back when its answer was sent."""

    def __init__(self, door: Door, operation: Operation, telling: Telling) -> None:
        self._door = door
        self._operation = operation
        self._telling = telling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door.answer(self._operation, self._telling, scope, receive, send)


def application(
    parts: Parts,
    tokens: Tokens,
    audit: Audit,
    previews: tuple[str, ...] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Patient:
    """The served remote, as an ASGI application.

    Args:
        parts: What answers requests.
        tokens: Those that are let in.
        audit: The record of what is asked.
        previews: Projects in which viewers see previews on the pages.
        say: What writes a line to the log of the service: the end of the audit, daily and when the server stops.
    """
    tries = Tries(tokens)
    door = Door(parts, tries, audit)
    pages = Pages(parts.served, tries, Sessions(tokens), audit, previews)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_expire, parts, tries)
            tasks.start_soon(_say_ends, audit, say)
            yield
            tasks.cancel_scope.cancel()
        _say_end(audit, say)
        parts.sendings.close()
        parts.served.close()

    routes = [
        Route("/health", _health),
        *(Route(PREFIX + one.path, _Endpoint(door, one, told), methods=[one.method]) for one in OPERATIONS),
        Mount(PREFIX, _nothing),
        *(HubRoute(prefix, one, _Endpoint(door, one, hub.told)) for prefix in hub.PREFIXES for one in hub.OPERATIONS),
        *(Mount(f"{prefix}/api", hub.nothing) for prefix in hub.PREFIXES),
        Mount("/", pages.application()),
    ]
    handlers: dict[Any, Callable[[Request, Exception], Response | Awaitable[Response]]] = {
        HTTPException: _other,
        ClientDisconnect: late,
        Exception: _bug,
    }
    return Patient(Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan))


async def _expire(parts: Parts, tries: Tries) -> None:
    def expire() -> None:
        parts.sendings.expire(is_active=lambda name: tries.named(name) is not None)

    while True:
        await anyio.sleep(_EXPIRE_EVERY)
        with suppress(ArtstoreError):  # such as a file of tokens that can't be read now
            await anyio.to_thread.run_sync(expire)


async def _say_ends(audit: Audit, say: Callable[[str], None]) -> None:
    while True:
        await anyio.sleep(_SAY_EVERY)
        _say_end(audit, say)


def _say_end(audit: Audit, say: Callable[[str], None]) -> None:
    if (head := audit.head()) is not None:
        with suppress(OSError):  # nobody may read the log
            say(f"head: {head}")


async def _health(request: Request) -> Response:
    return Response("ok\n", media_type="text/plain")


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    await told(NotFound("there is nothing at this address"))(scope, receive, send)


class HubRoute(Route):
    """A route in the hub's shape. Where a page may have its address, it is for requests with a token."""

    def __init__(self, prefix: str, operation: Operation, answer: _Endpoint) -> None:
        super().__init__(prefix + operation.path, answer, methods=[operation.method])

    def matches(self, scope: MutableMapping[str, Any]) -> tuple[Match, MutableMapping[str, Any]]:
        """Whether a request is for this route."""
        if scope["type"] == "http" and scope["path"].split("/")[1] in _PAGES and not _secret(Request(scope)):
            return Match.NONE, {}
        return super().matches(scope)


def _other(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return told(NotFound("there is nothing at this address")) if status == 404 else Response(status_code=status)


def _bug(request: Request, error: Exception) -> Response:
    told = {"error": "a bug in artstore: see the server's output", "hint": None, "kind": "StorageError"}
    return JSONResponse(told, 500)
