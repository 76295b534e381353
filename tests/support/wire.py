"""A server that writes bytes of whatever kind: answers that HTTP doesn't allow, or that never end."""

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, TypeVar

Server = TypeVar("Server", bound=socketserver.TCPServer)
Raw = Callable[[socket.socket], object]
"""What writes an answer: bytes of whatever kind, until the client has gone."""


class Wire(socketserver.ThreadingTCPServer):
    """A server that writes what a test wants, by the path of a request."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: dict[str, Raw] = {}
        self.tokens: list[bytes] = []
        self.paths: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no error."""


class _Handler(socketserver.StreamRequestHandler):
    server: Wire

    def handle(self) -> None:
        while line := self.rfile.readline(1 << 16):
            size = 0
            while (header := self.rfile.readline(1 << 16)) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    size = int(value)
                if name.lower() == b"authorization":
                    self.server.tokens.append(value.strip())
            self.rfile.read(size)
            path = line.split(b" ")[1].decode().removeprefix("/v1").partition("?")[0]
            self.server.paths.append(path)
            with suppress(OSError):
                self.server.answers.get(path, whole(b"{}", status="404 Not Found"))(self.request)


def whole(body: bytes, kind: str = "application/json", status: str = "200 OK", more: str = "") -> Raw:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return lambda wire: wire.sendall(head.encode("latin-1") + body)


def raw(*pieces: bytes, pause: float = 0, forever: bytes = b"", closes: bool = True) -> Raw:
    """Some bytes, then others again and again, until the client has gone."""

    def answer(wire: socket.socket) -> None:
        for piece in pieces:
            wire.sendall(piece)
        while forever:
            wire.sendall(forever)
            time.sleep(pause)
        if closes:
            wire.shutdown(socket.SHUT_RDWR)

    return answer


@contextmanager
def answering(server: Server) -> Iterator[Server]:
    """The server answers in a thread of its own until the end of the block, and is closed then."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def wire() -> AbstractContextManager[Wire]:
    return answering(Wire())


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BLOCK = b" " * (1 << 20)
HEADS: dict[str, Raw] = {
    "a line without an end": raw(forever=b"x" * (1 << 16)),
    "a header without an end": raw(PLAIN + b"X: ", forever=b"x" * (1 << 16)),
    "headers without an end": raw(PLAIN, forever=b"X-More: " + b"x" * 1000 + b"\r\n"),
    "the longest headers": raw(PLAIN + (b"X-More: " + b"x" * 65_000 + b"\r\n") * 99 + b"\r\n{}"),
    "to go on without an end": raw(forever=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "another protocol": raw(b"SSH-2.0-OpenSSH_9\x1b[2J\r\n"),
    "a status that is none": raw(b"HTTP/1.1 2000000000000 \x1b]0;evil\x07\r\n\r\n"),
    "a reason with controls": raw(b"HTTP/1.1 500 \x1b[2J\r\nContent-Length: 0\r\n\r\n"),
    "a place with controls": raw(b"HTTP/1.1 302 F\r\nLocation: http://x/\x1b[2J\xff\r\nContent-Length: 0\r\n\r\n"),
    "a folded place": raw(b"HTTP/1.1 302 F\r\nLocation: http://x/\r\n y\r\nContent-Length: 0\r\n\r\n"),
    "nothing": raw(b""),
}
BODIES: dict[str, Raw] = {
    "a body without an end": raw(PLAIN + b"\r\n", forever=BLOCK),
    "less than all of a body": raw(PLAIN + b"Content-Length: 1000\r\n\r\n{}"),
    "a huge length": raw(PLAIN + b"Content-Length: 99999999999999999999\r\n\r\n", forever=BLOCK),
    "a length below zero": raw(PLAIN + b"Content-Length: -1\r\n\r\n", forever=BLOCK),
    "a length that is none": raw(PLAIN + b"Content-Length: x\r\n\r\n", forever=BLOCK),
    "two lengths": raw(PLAIN + b"Content-Length: 2\r\nContent-Length: 900\r\n\r\n[]"),
    "a chunk below zero": raw(CHUNKED + b"-1\r\n", forever=BLOCK),
    "a chunk further below zero": raw(CHUNKED + b"-5\r\n", forever=BLOCK),
    "a chunk of no size": raw(CHUNKED + b"size\r\n\r\n"),
    "a chunk of a huge size": raw(CHUNKED + b"7fffffffffffffff\r\n", forever=BLOCK),
    "a size without an end": raw(CHUNKED, forever=b"0" * (1 << 16)),
    "chunks without an end": raw(CHUNKED, forever=(b"400\r\n" + b" " * 1024 + b"\r\n") * 64),
    "a trailer without an end": raw(CHUNKED + b"2\r\n[]\r\n0\r\n", forever=b"X: " + b"x" * 1000 + b"\r\n"),
    "compressed": raw(PLAIN + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n\x1f\x8b\x08aaaaaa"),
}
