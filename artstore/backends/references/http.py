"""References to files on web servers: `http://…`, `https://…`."""

import http.client
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib import request
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit

from artstore.backends.pace import paced
from artstore.backends.parallel import reported, retried
from artstore.backends.references import Reference, Target, changed, plain_tag
from artstore.domain.names import printable
from artstore.domain.tree import ETAG, URI
from artstore.errors import InvalidValue, MissingReference, SourceError, StorageError

_PIECE = 1 << 20
_TIMEOUT = 30
"""Seconds to wait for the next byte."""
_WAITS = (0.5, 2.0)
"""Seconds to wait before each further try, if a server fails or can't be reached."""
_AGAIN = "run the same command again"
_LOG_IN = "the server asks who you are: what needs a login can't be referenced"


class HttpHandler:
    """Identifies content by the server's ETag if there is one, else only by the URL.

    Redirects are followed, but only to web servers.
    """

    def find(self, uri: str, *, checksum: bool) -> Iterator[Target]:
        if not checksum:
            yield Target("", Reference(uri, None, URI, uri, None))
            return
        try:
            with _head(uri) as reply:
                tag, length = plain_tag(reply.headers.get("ETag")), reply.headers.get("Content-Length")
        except MissingReference as error:
            raise SourceError(str(error), problems=[(uri, "it is not there")]) from error
        size = int(length) if length is not None and length.isdecimal() else None
        yield Target("", Reference(uri, size, *((ETAG, tag) if tag else (URI, uri)), None))

    def read(self, reference: Reference) -> Iterator[bytes]:
        with _opened(reference.uri, "GET") as reply:
            tag = plain_tag(reply.headers.get("ETag"))
            if reference.check == ETAG and tag != reference.text:
                raise changed(reference, f"the server's ETag is {printable(tag) or 'missing'} now")
            length, size = reply.headers.get("Content-Length"), 0
            while piece := _piece(reply, reference.uri):
                size += len(piece)
                yield piece
            if length is not None and length.isdecimal() and size != int(length):
                what = f"{printable(reference.uri)} was cut off after {size} of {length} bytes"
                raise StorageError(what, hint=_AGAIN)


def _head(uri: str) -> Any:
    """The reply to a HEAD request; if the server refuses HEAD, to a GET, whose body isn't read."""
    try:
        return _opened(uri, "HEAD")
    except StorageError as error:
        if not isinstance(error.__cause__, HTTPError):
            raise
        return _opened(uri, "GET")


def _piece(reply: Any, uri: str) -> bytes:
    try:
        with reported(_host(uri)):
            return bytes(reply.read1(_PIECE))  # `read` believes a chunk of -1 bytes, and reads without an end
    except (OSError, http.client.HTTPException) as error:
        raise StorageError(f"cannot read {printable(uri)}: {_reason(error)}", hint=_AGAIN) from error


def _opened(uri: str, method: str) -> Any:
    try:
        address = quote(uri, safe="%/:=&?~#+!$,;'@()*[]")
        headers = {"Accept-Encoding": "identity", "User-Agent": "artstore"}
        asked = request.Request(address, method=method, headers=headers)
        if not urlsplit(address).hostname:
            raise ValueError("it names no host")
    except ValueError as error:
        raise InvalidValue(f"'{printable(uri)}' is not a URL: {error}") from error
    return retried(partial(_answer, uri, asked), _WAITS, _may_pass)


def _answer(uri: str, asked: request.Request) -> Any:
    try:
        with reported(_host(uri)):
            return _opener().open(asked, timeout=_TIMEOUT)
    except HTTPError as error:
        error.close()
        answer = f"the server answers {error.code}"
        if error.code in (404, 410):
            raise MissingReference(f"{printable(uri)} is not there: {answer}") from error
        raise StorageError(
            f"cannot read {printable(uri)}: {answer}", hint=_LOG_IN if error.code in (401, 403) else None
        ) from error
    except (ValueError, http.client.InvalidURL) as error:
        raise InvalidValue(f"'{printable(uri)}' is not a URL: {error}") from error
    except (OSError, http.client.HTTPException) as error:
        hint = "check the network, and the address"
        raise StorageError(f"cannot read {printable(uri)}: {_reason(error)}", hint=hint) from error


def _host(uri: str) -> str:
    return printable(urlsplit(uri).hostname or "")


def _may_pass(error: StorageError) -> bool:
    answer = error.__cause__
    return not isinstance(answer, HTTPError) or answer.code >= 500 or answer.code in (408, 429)


def _opener() -> request.OpenerDirector:
    """An opener without urllib's handlers for files and FTP, so that no redirect leads to these."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler, *PACED, request.HTTPRedirectHandler, request.HTTPDefaultErrorHandler,
        request.HTTPErrorProcessor, request.UnknownHandler,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


class _Connection(http.client.HTTPConnection):
    def __init__(self, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        paced(self, printable(host))


class _SecureConnection(http.client.HTTPSConnection):
    def __init__(self, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        paced(self, printable(host))


class _Http(request.HTTPHandler):
    def http_open(self, req: request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _Https(request.HTTPSHandler):
    def https_open(self, req: request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req)


PACED = (_Http, _Https)
"""Handlers for urllib that give up servers whose answers never end, or drip."""


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return printable(str(getattr(reason, "strerror", None) or reason)).lower()
