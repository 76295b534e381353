"""The server of the pages: routes, errors, and the address it listens on."""

import secrets
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from artstore.api.handles import opened
from artstore.errors import ArtstoreError
from artstore.web.connections import Connection, Listener, accepted_at_once
from artstore.web.guard import Application, Guard
from artstore.web.render import absent, failed, page
from artstore.web.routes import ROUTES, STATIC

HOST = "127.0.0.1"
PORT = 8642
_THREADS = 4
"""How many requests are handled at once, each by a thread with its own handle. A page sends few at a time."""


def application(root: str, secret: str, cookie: str = "artstore") -> Application:
    """The pages of the repository at `root`, for browsers that know the secret."""
    found = Starlette(
        routes=[*(Route(row.path, row.answer) for row in ROUTES), STATIC],
        exception_handlers={ArtstoreError: _ours, HTTPException: _other, Exception: _bug},
        lifespan=_few_threads,
    )
    found.state.where = root
    found.state.repository_of = lambda request: opened(root)
    return Guard(found, secret, cookie)


@asynccontextmanager
async def _few_threads(application: Any) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    yield


def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, ArtstoreError)
    return failed(request, error)


def _other(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return absent(request) if status == 404 else Response(status_code=status)


def _bug(request: Request, error: Exception) -> Response:
    message = f"a bug in artstore: {type(error).__name__}: {error}"
    return page(request, "error.html", "A bug", 500, message=message, hint="see the command's output")


def serve(root: str, port: int | None, *, browser: bool, told: Callable[[str], None]) -> None:
    """Serve the pages until interrupted.

    `told` is called with the address. The default port is 8642, or a free one if that is taken. Raises OSError if the
    given port is taken.
    """
    with _listening(port) as listener:
        port, secret = listener.getsockname()[1], secrets.token_urlsafe(24)
        address = f"http://{HOST}:{port}/?secret={secret}"
        told(address)
        if browser:
            webbrowser.open(address)
        pages = application(root, secret, f"artstore-{port}")
        config = uvicorn.Config(
            pages,
            log_level="error",
            access_log=False,
            server_header=False,
            ws="none",
            http=Connection,
            backlog=accepted_at_once(),
        )
        uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int | None) -> socket.socket:
    """A socket that listens on the port; without a port, on 8642 or a free one. Raises OSError."""
    for number in (PORT, 0) if port is None else (port,):
        listener = Listener(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named: else no TCP_NODELAY
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, number))
            listener.listen()
        except OSError:
            listener.close()
            if number == 0 or port is not None:
                raise
        else:
            return listener
    raise AssertionError("port 0 means any free port")
