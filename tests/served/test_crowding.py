"""Clients that keep the server waiting: whoever else asks is answered meanwhile."""

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from artstore.domain.roles import Role
from artstore.repository import Repository
from artstore.server.patience import Room
from tests.support.served import Asking, Server, serving

MOST = 40
SETUP = f"""
from artstore.server import application, connections, patience
connections.ServedConnection.most, application._UNDER_WAY = {MOST}, 8
patience.OF_STRANGERS, patience.SECONDS = 2.0, 4.0
"""
HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
LOGIN = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16000\r\n\r\ntoken="
MANY = b"GET /static/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has room for few connections, and little patience."""
    folder = tmp_path_factory.mktemp("crowded")
    with Repository.init(str(folder / ".artifacts")) as repository:
        (folder / "data").mkdir()
        repository.put(str(folder / "data"), "vision/data")
    with serving(folder, setup=SETUP) as server:
        yield server


@pytest.fixture(scope="module")
def member(server: Server) -> Asking:
    return server.token("ann", Role.READER)


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=60)


@contextmanager
def crowd(server: Server, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Connections that each sent something, and take no answer."""
    with ExitStack() as stack:
        found = [stack.enter_context(connected(server)) for _ in range(count)]
        for one in found:
            one.sendall(sent)
        yield found


def descriptors(server: Server) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def until_closed(connection: socket.socket) -> bytes:
    """What arrives until the server closes a connection."""
    got = b""
    try:
        while piece := connection.recv(1 << 16):
            got += piece
    except ConnectionResetError:
        pass
    return got


@pytest.mark.parametrize("sent", [b"", HALF, LOGIN, MANY], ids=["nothing", "half headers", "half a form", "no reading"])
def test_strangers_keep_no_member_out(server: Server, member: Asking, sent: bytes) -> None:
    with crowd(server, 3 * MOST, sent):
        for _ in range(5):
            assert member.get("")[0] == 200
            assert descriptors(server) < 2.5 * MOST


def test_a_stranger_gets_one_answer_on_a_connection(server: Server, member: Asking) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        assert until_closed(connection).count(b"200 OK") == 1
    kept = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    with closing(kept):
        for _ in range(2):
            kept.request("GET", "/v1", headers={"Authorization": f"Bearer {member.secret}"})
            own, response = kept.sock, kept.getresponse()
            assert response.status == 200 and response.read()
        assert kept.sock is own is not None


def test_a_form_that_arrives_byte_by_byte_is_not_waited_for(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(LOGIN)
        began = time.monotonic()
        connection.settimeout(0.2)
        answer = b""
        while not answer and time.monotonic() - began < 30:
            try:
                connection.sendall(b"x")
                answer = connection.recv(1 << 16)
            except TimeoutError:
                continue
        assert b" 408 " in answer and b"connection: close" in answer


@pytest.mark.long
def test_many_requests_of_one_token_keep_no_other_out(server: Server, member: Asking) -> None:
    other = server.token("bob", Role.READER)
    half = f"POST /v1/heads HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {other.secret}\r\nContent-Length: 99\r\n\r\n"
    with crowd(server, 2 * MOST, half.encode()) as connections:
        status, told = other.get("")
        assert status == 429 and told["error"] == "8 requests with this token are under way", told
        assert member.post("/heads", under=["refs"])[0] == 200
        assert {until_closed(one)[9:12] for one in connections} <= {b"408", b"429", b""}
    assert other.get("")[0] == 200


def test_many_idle_connections_of_one_token_keep_no_other_out(server: Server, member: Asking) -> None:
    other = server.token("eve", Role.READER)
    asked = f"GET /v1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {other.secret}\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(2 * MOST):
            one = stack.enter_context(connected(server))
            one.sendall(asked)
            assert one.recv(100).startswith(b"HTTP/1.1 200")
        for _ in range(5):
            assert member.get("")[0] == 200
        assert descriptors(server) < 2.5 * MOST


def test_nobody_has_more_than_a_share_of_a_room() -> None:
    async def main() -> list[str]:
        room, order = Room(8), list[str]()

        async def take(who: str, size: int, seconds: float) -> None:
            async with room.taken(who, size):
                order.append(who)
                await anyio.sleep(seconds)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(take, "slow", 99, 0.2)
            await anyio.sleep(0.05)
            assert order == ["slow"], "which is as much as it may have"
            with anyio.fail_after(0.1):
                await take("quick", 2, 0)
        return order

    assert anyio.run(main) == ["slow", "quick", "slow", "slow"]
