"""The server of the pages: routes, errors, and the address it listens on."""

import re
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
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from artstore.errors import ArtstoreError, Conflict, Damage, InvalidValue, NotFound, Refused, StorageError
from artstore.web import browsing, files, panels, recorded, runs, samples
from artstore.web.connections import BACKLOG, Connection
from artstore.web.guard import Application, Guard
from artstore.web.render import collection_url, page, version_named

HOST = "127.0.0.1"
PORT = 8642
_THREADS = 4
"""How many requests are handled at once, each by a thread with its own handle. A page sends few at a time."""
_VERSION = "/{entity}/{project}/{name}/{number}"
_RUN = "/{entity}/{project}/{id}"
_BYTES = {"raw": files.download, "image": files.image, "play": files.play, "html": files.html, "mask": files.mask}
"""What answers with the bytes of a file of a version or run, by the first part of the address."""
_STATUS: dict[type[ArtstoreError], int] = {
    NotFound: 404, InvalidValue: 400, Conflict: 409, Refused: 403, StorageError: 503, Damage: 500,
}  # fmt: skip


def application(root: str, secret: str, cookie: str = "artstore") -> Application:
    """The pages of the repository at `root`, for browsers that know the secret."""
    found = Starlette(
        routes=[
            Route("/", browsing.home),
            Route("/artifact/{entity}/{project}/{name}", browsing.collection),
            Route("/aliases/{entity}/{project}/{name}", browsing.aliases),
            Route(f"/version{_VERSION}", _by_number(browsing.version)),
            Route(f"/lineage{_VERSION}", _by_number(browsing.lineage)),
            Route("/diff", browsing.diff),
            Route("/search", browsing.search),
            Route("/storage", browsing.storage),
            Route(f"/files{_VERSION}", _by_number(files.browse)),
            *(Route(f"/{name}{_VERSION}", _by_number(answer)) for name, answer in _BYTES.items()),
            *(Route(f"/run-{name}{_RUN}", answer) for name, answer in _BYTES.items()),
            Route("/runs", runs.runs),
            Route(f"/run{_RUN}", runs.run),
            Route(f"/run-files{_RUN}", files.browse_run),
            Route(f"/run-media{_RUN}", panels.media),
            Route(f"/run-console{_RUN}", recorded.console),
            Route(f"/run-environment{_RUN}", recorded.environment),
            Route(f"/run-samples{_RUN}", samples.samples),
            Route("/compare", runs.compare),
            Route("/history", runs.history),
            Mount("/static", StaticFiles(packages=[("artstore.web", "static")])),
        ],
        exception_handlers={ArtstoreError: _ours, HTTPException: _other, Exception: _bug},
        lifespan=_few_threads,
    )
    found.state.root = root
    return Guard(found, secret, cookie)


def _by_number(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """A page of a version that has one address, with the number. An alias or `v3` in its place leads there."""

    def answered(request: Request) -> Response:
        if re.fullmatch(r"\d+", request.path_params["number"], re.ASCII):
            return answer(request)
        found = version_named(request)
        address = f"{collection_url(found.state.path, request.url.path.split('/')[1])}/{found.number}"
        return RedirectResponse(f"{address}?{request.url.query}" if request.url.query else address, 307)

    return answered


@asynccontextmanager
async def _few_threads(application: Any) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    yield


def _ours(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    return page(request, "error.html", "Error", status, message=str(error), hint=getattr(error, "hint", None))


def _other(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return page(request, "error.html", "Error", status, message=f"there is no page {request.url.path}", hint=None)


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
            pages, log_level="error", access_log=False, server_header=False, ws="none", http=Connection, backlog=BACKLOG
        )
        uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int | None) -> socket.socket:
    """A socket that listens on the port; without a port, on 8642 or a free one. Raises OSError."""
    for number in (PORT, 0) if port is None else (port,):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named: else no TCP_NODELAY
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
