"""A web server on loopback for tests: pages by path, each of which answers as it is told; every request is noted."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MIB = 1 << 20


@dataclass
class Page:
    """What stands at a path."""

    body: bytes = b""
    etag: str | None = None
    """as the header has it, quotes included"""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: bool = True
    """whether Content-Length is sent"""
    head: int = 200
    """the status of HEAD, if it is not to be that of GET"""
    cut: int | None = None
    """bytes of the body after which the connection is closed"""
    failures: int = 0
    """requests that are answered by 500 first"""
    seconds: float = 0
    """sleep before each answer"""
    silent: bool = False
    """nothing at all is answered to a GET, until the server ends"""
    endless: bool = False
    """a body that goes on after `body`, up to 64 MiB"""


class Web(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.pages: dict[str, Page] = {}
        self.requests: list[str] = []
        """`METHOD PATH` of each, in the order in which they came"""
        self.headers: list[dict[str, str]] = []
        """those of each request, names in lower case"""
        self.sent = 0
        """bytes of bodies"""
        self.ended = threading.Event()
        self.asked = threading.Event()
        """set by the next request"""

    def serve(self, path: str, body: bytes = b"", etag: str | None = None, **more: Any) -> str:
        """Its URL."""
        self.pages[path] = Page(body, etag, **more)
        return self.url + path

    def gets(self) -> int:
        return sum(request.startswith("GET ") for request in self.requests)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave early are none of ours."""


class _Exchange(BaseHTTPRequestHandler):
    server: Web

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.server.asked.set()
        page = self.server.pages.get(self.path) or Page(b"no such page", status=404)
        time.sleep(page.seconds)
        status = page.status if body or page.head == 200 else page.head
        if page.failures:
            page.failures -= 1
            status = 500
        if page.silent and body:
            self.server.ended.wait(30)
            return
        self.send_response(status)
        if page.etag is not None:
            self.send_header("ETag", page.etag)
        if page.length and not page.endless:
            self.send_header("Content-Length", str(len(page.body)))
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self._send(page.body[: page.cut])
            while page.endless and self.server.sent < 64 * MIB:
                self._send(bytes(MIB))

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.server.sent += len(data)

    def log_message(self, *_: Any) -> None:
        """Requests are noted, not printed."""


@contextmanager
def web_server() -> Iterator[Web]:
    with Web() as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield web
        finally:
            web.ended.set()
            web.shutdown()
            thread.join()
