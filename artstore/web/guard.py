"""The guard: which requests are answered, and what browsers may do with the answers. It wraps every request.

The server listens on the loopback address only. Still, any page in a browser could send requests there, even under a
name of its own that resolves to 127.0.0.1, and so could other users of the host. So the Host header has to name this
host, and the browser has to have sent the secret that the command printed. (A browser sends its cookie to every server
of this host that it visits while the page is open, so the secret only helps against those that it doesn't visit.)
"""

import hmac
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from artstore.web.connections import let_in

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_OWN_NAME = re.compile(rb"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; frame-src 'self'; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
FILES = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The policy for files that users stored: a browser that opens one as a page runs nothing in it."""
FRAMED = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox"
)
"""The policy for pages that users stored, in a frame of ours: they run nothing, load nothing and lead nowhere."""


class Guard:
    """Lets only requests with the secret pass, and says what browsers may do with the answers."""

    def __init__(self, application: Application, secret: str, cookie: str) -> None:
        self._application = application
        self._secret = secret
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._application(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["method"] not in ("GET", "HEAD"):
            await say(send, 405, "these pages can't change anything", [(b"allow", b"GET, HEAD")])
        elif not is_own_name(headers.get(b"host", b"")):
            await say(send, 421, "this server answers to localhost and 127.0.0.1 only")
        elif self._is_secret(_given(scope)):
            cookie = f"{self._cookie}={self._secret}; HttpOnly; SameSite=Strict; Path=/"
            await say(send, 303, "", [(b"location", _own_path(scope)), (b"set-cookie", cookie.encode())])
        elif not self._is_secret(cookie_in(headers.get(b"cookie", b""), self._cookie)):
            await say(send, 403, "open the whole address that `artstore ui` printed, which contains a secret")
        else:
            let_in(scope, "")
            await self._application(scope, receive, with_headers(send))

    def _is_secret(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._secret.encode())


def _given(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    return parse_qs(query.decode("latin-1")).get("secret", [""])[0]


def _own_path(scope: Scope) -> bytes:
    """The path of a request. Browsers take `//name/` and `/\\name/` for another host: that becomes the first page."""
    path: bytes = scope["raw_path"]
    return path if re.match(rb"/(?![/\\])", path) else b"/"


def is_own_name(host: bytes) -> bool:
    """Whether a Host header names the loopback address, with any port."""
    return _OWN_NAME.fullmatch(host) is not None


def cookie_in(header: bytes, name: str) -> str:
    """The value of a cookie. Cookies of other applications on this host are ignored, even malformed ones."""
    for pair in header.decode("latin-1").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value
    return ""


def with_headers(send: Send, *more: tuple[bytes, bytes]) -> Send:
    """Say with each answer what browsers may do with it, unless the answer or `more` says something else."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), *more]
            there = {name for name, _ in headers}
            headers += [header for header in _HEADERS if header[0] not in there]
            message = {**message, "headers": headers}
        await send(message)

    return sending


_HEADERS = [
    (b"content-security-policy", PAGES.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"x-dns-prefetch-control", b"off"),  # or the names of hosts in links are looked up
]


async def say(send: Send, status: int, text: str, more: list[tuple[bytes, bytes]] | None = None) -> None:
    """Answer with a line of text."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS, *(more or ())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode() + b"\n" if text else b""})
