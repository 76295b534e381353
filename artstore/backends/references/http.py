"""References to files on web servers: `http://…`, `https://…`."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from artstore.backends.references import Reference, Target, changed
from artstore.domain.names import printable
from artstore.domain.tree import ETAG, URI
from artstore.errors import InvalidValue, MissingReference, SourceError, StorageError

_PIECE = 1 << 20
_TIMEOUT = 30
"""Seconds to wait for the next byte."""
_WAITS = (0.5, 2.0)
"""Seconds to wait before each further try, if a server fails or can't be reached."""


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
                tag, length = _tag(reply), reply.headers.get("Content-Length")
        except MissingReference as error:
            raise SourceError(str(error), problems=[(uri, "it is not there")]) from error
        size = int(length) if length is not None and length.isdecimal() else None
        yield Target("", Reference(uri, size, *((ETAG, tag) if tag else (URI, uri)), None))

    def read(self, reference: Reference) -> Iterator[bytes]:
        with _opened(reference.uri, "GET") as reply:
            tag = _tag(reply)
            if reference.check == ETAG and tag != reference.text:
                raise changed(reference, f"the server's ETag is {printable(tag) or 'missing'} now")
            length, size = reply.headers.get("Content-Length"), 0
            while piece := _piece(reply, reference.uri):
                size += len(piece)
                yield piece
            if length is not None and length.isdecimal() and size != int(length):
                raise StorageError(
                    f"{printable(reference.uri)} was cut off after {size} of {length} bytes",
                    hint="run the same command again",
                )


def _tag(reply: Any) -> str:
    """The reply's ETag without its quotes; a weak one (`W/"…"`) stays as it is."""
    tag = str(reply.headers.get("ETag") or "")
    return tag[1:-1] if tag.startswith('"') and tag.endswith('"') and len(tag) > 1 else tag


def _head(uri: str) -> Any:
    """The reply to a HEAD request; if the server refuses HEAD, to a GET, whose body isn't read."""
    try:
        return _opened(uri, "HEAD")
    except StorageError as error:
        if not isinstance(error.__cause__, urllib.error.HTTPError):
            raise
        return _opened(uri, "GET")


def _piece(reply: Any, uri: str) -> bytes:
    try:
        return bytes(reply.read(_PIECE))
    except (OSError, http.client.HTTPException) as error:
        raise StorageError(
            f"cannot read {printable(uri)}: {_reason(error)}", hint="run the same command again"
        ) from error


def _opened(uri: str, method: str) -> Any:
    try:
        address = quote(uri, safe="%/:=&?~#+!$,;'@()*[]")
        headers = {"Accept-Encoding": "identity", "User-Agent": "artstore"}
        request = urllib.request.Request(address, method=method, headers=headers)
        if not urlsplit(address).hostname:
            raise ValueError("it names no host")
    except ValueError as error:
        raise InvalidValue(f"'{printable(uri)}' is not a URL: {error}") from error
    for wait in (*_WAITS, None):
        try:
            return _opener().open(request, timeout=_TIMEOUT)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                raise MissingReference(f"{printable(uri)} is not there: the server answers {error.code}") from error
            if wait is None or (error.code < 500 and error.code not in (408, 429)):
                hint = (
                    "the server asks who you are: what needs a login can't be referenced"
                    if error.code in (401, 403)
                    else None
                )
                raise StorageError(
                    f"cannot read {printable(uri)}: the server answers {error.code}", hint=hint
                ) from error
        except (ValueError, http.client.InvalidURL) as error:
            raise InvalidValue(f"'{printable(uri)}' is not a URL: {error}") from error
        except (OSError, http.client.HTTPException) as error:
            if wait is None:
                raise StorageError(
                    f"cannot read {printable(uri)}: {_reason(error)}", hint="check the network, and the address"
                ) from error
        time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _opener() -> urllib.request.OpenerDirector:
    """An opener without urllib's handlers for files and FTP, so that no redirect leads to these."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return printable(str(getattr(reason, "strerror", None) or reason)).lower()
