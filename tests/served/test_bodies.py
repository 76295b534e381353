"""Bodies of requests as connections bring them: in pieces of any size, in chunks, and with the next request behind."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from artstore.domain.digest import BLOB
from artstore.domain.wire import frame
from tests.support.served import Asking, Server

BLOBS = [bytes([number]) * (300_000 + number) for number in range(10)]
BODY = b"".join(frame(BLOB, blob) for blob in BLOBS)


@contextmanager
def connected(asking: Asking) -> Iterator[socket.socket]:
    address = urlsplit(asking.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        yield connection


def head(asking: Asking, method: str, path: str, **headers: str) -> bytes:
    told = {"Host": "localhost", "Authorization": f"Bearer {asking.secret}"} | headers
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
    return f"{method} /v1{path} HTTP/1.1\r\n{named}\r\n".encode()


def answers(connection: socket.socket, count: int) -> list[tuple[int, Any]]:
    """The next answers, each with its status."""
    found = []
    with closing(connection.makefile("rb")) as read:
        for _ in range(count):
            status, length = int(read.readline().split()[1]), 0
            while (line := read.readline().strip()) != b"":
                name, _, value = line.partition(b": ")
                length = int(value) if name.lower() == b"content-length" else length
            found.append((status, json.loads(read.read(length) or b"null")))
    return found


@pytest.mark.parametrize("piece", [1_000, 65_536, 262_144, 1 << 30])
def test_a_body_is_whole_in_whatever_pieces_it_comes_and_the_next_request_follows_it(
    askers: dict[str, Asking], piece: int
) -> None:
    writer = askers["writer"]
    transaction = writer.begin()
    sent = head(writer, "POST", f"/transactions/{transaction}/objects", Content_Length=str(len(BODY))) + BODY
    sent += head(writer, "DELETE", f"/transactions/{transaction}")
    with connected(writer) as connection:
        for start in range(0, len(sent), piece):
            connection.sendall(sent[start : start + piece])
        assert answers(connection, 2) == [(200, {"objects": 10}), (204, None)]


def test_a_body_in_chunks_is_read_as_one_of_known_length(askers: dict[str, Asking]) -> None:
    writer = askers["writer"]
    transaction = writer.begin()
    with connected(writer) as connection:
        connection.sendall(head(writer, "POST", f"/transactions/{transaction}/objects", Transfer_Encoding="chunked"))
        for start in range(0, len(BODY), 100_000):
            part = BODY[start : start + 100_000]
            connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        connection.sendall(b"0\r\n\r\n")
        assert answers(connection, 1) == [(200, {"objects": 10})]


def test_a_body_that_ends_early_stores_nothing_and_the_server_goes_on(
    askers: dict[str, Asking], server: Server
) -> None:
    writer = askers["writer"]
    transaction = writer.begin()
    with connected(writer) as connection:
        connection.sendall(head(writer, "POST", f"/transactions/{transaction}/objects", Content_Length=str(len(BODY))))
        connection.sendall(BODY[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100)[:12] in (b"", b"HTTP/1.1 400")
    assert writer.send(transaction, (BLOB, b"another")) == (200, {"objects": 1})
    assert writer.ask("DELETE", f"/transactions/{transaction}")[0] == 204
