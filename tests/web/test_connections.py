"""Connections that keep the server waiting: half requests, and more of them than it has descriptors."""

import asyncio
import http.client
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from artstore.repository import Repository
from artstore.web import connections
from artstore.web.server import application
from tests.support.pages import Served, serve

HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


@pytest.fixture
def served(repo: Repository, tmp_path: Path) -> Iterator[Served]:
    yield from serve(tmp_path, tmp_path)


def test_half_requests_beyond_all_descriptors_keep_nobody_out(served: Served) -> None:
    resource.prlimit(served.pid, resource.RLIMIT_NOFILE, (200, 200))
    with ExitStack() as stack:
        for _ in range(900):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", served.port))
            try:
                one.send(HALF)
            except OSError:
                pass  # it isn't accepted yet
        start = time.monotonic()
        for path in ("/", "/runs", "/static/style.css"):
            assert served.ask(path)[0].status == 200
        assert time.monotonic() - start < 8, "a connection that has to try again waits for seconds"
        assert len(list(Path(f"/proc/{served.pid}/fd").iterdir())) < 200


@contextmanager
def listening(pages: Any) -> Iterator[int]:
    """The port of a server of these pages."""
    config = uvicorn.Config(pages, log_level="error", ws="none", lifespan="off", http=connections.Connection)
    server, listener = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def impatient(repo: Repository, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that waits 0.3 seconds for a request."""
    monkeypatch.setattr(connections, "_SECONDS", 0.3)
    with listening(application(str(root), "s", "artstore")) as port:
        yield port


def is_closed_within(connection: socket.socket, seconds: float, *, dripping: bytes = b"") -> bool:
    """Whether the server closes a connection, on which bytes arrive one at a time."""
    connection.settimeout(0.05)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if dripping:
                connection.sendall(dripping)
            if not connection.recv(1 << 16):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_a_request_that_drips_is_not_waited_for(impatient: int) -> None:
    with socket.create_connection(("127.0.0.1", impatient)) as silent:
        assert is_closed_within(silent, 5)
    with socket.create_connection(("127.0.0.1", impatient)) as dripping:
        dripping.sendall(HALF)
        assert is_closed_within(dripping, 5, dripping=b"x")


def test_the_second_request_of_a_connection_has_its_time_too(impatient: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", impatient, timeout=5)
    for _ in range(4):
        client.request("GET", "/", headers={"Cookie": "artstore=s"})
        own, response = client.sock, client.getresponse()
        assert response.status == 200 and response.read()
        time.sleep(0.15)
    assert client.sock is own is not None, "it is one connection"
    assert is_closed_within(own, 5, dripping=HALF[:1])
    client.close()


async def slow(scope: Any, receive: Any, send: Any) -> None:
    """A page that takes longer than `impatient` waits for a request."""
    await asyncio.sleep(0.6)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})


def test_a_request_that_came_with_another_is_answered_though_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_SECONDS", 0.3)
    with listening(slow) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        answers = b""
        while answers.count(b"done") < 2:
            piece = connection.recv(1 << 16)
            assert piece, "the connection was closed"
            answers += piece
        assert is_closed_within(connection, 5)
