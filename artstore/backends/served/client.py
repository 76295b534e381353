"""The client of a served remote: its requests over HTTP, with answers that are read as they arrive."""

import http.client
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from blake3 import blake3

from artstore.backends.credentials import Origin
from artstore.backends.pace import paced
from artstore.backends.parallel import reported
from artstore.backends.served.address import Address
from artstore.backends.served.answers import LONGEST_JSON, error_of, is_json, plain_json
from artstore.backends.served.proxies import proxy_for
from artstore.domain.names import printable
from artstore.domain.redaction import redacted
from artstore.domain.wire import FRAMES, PREFIX, frame, frames
from artstore.errors import ArtstoreError, AuthenticationError, Damage, NotFound, StorageError

CONNECT = 15.0
"""Seconds in which a server has to accept a connection."""
ANSWER = 120.0
"""Seconds without a byte after which a connection is given up."""
PIECE = 256 << 10
"""Most bytes that are read at once."""
_WAITS = (0.0, 0.3, 1.0, 3.0)
"""Seconds before each further try of a request that a connection or a busy server lost."""
_LONGEST_WAIT = 30.0
"""Most seconds that a server's `Retry-After` is obeyed."""
_BUSY = (429, 502, 503, 504)
_GOOD = (200, 201, 204)
_END = frame("end")
"""The last bytes of an answer in frames."""
_KEPT = 8
"""Most connections without a request that are kept open."""

Body = bytes | Callable[[], Iterable[bytes]]
"""What a request sends: bytes, or a function that yields them from the start, each time that the request is made."""


class Sent(NamedTuple):
    """What a request sends, beside its method and path."""

    body: Body | None = None
    length: int | None = None
    """of a body that isn't bytes"""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


class CutOff(StorageError):
    """A connection broke while an answer arrived."""


class Client:
    """Makes the requests of the protocol. Any thread may use it: each request has a connection of its own meanwhile."""

    def __init__(self, address: Address, token: str | None) -> None:
        self.address = address
        self.root = address.url
        self._token = token
        self._free: list[http.client.HTTPConnection] = []
        self._lock = threading.RLock()  # Python may end an answer that nobody reads while this thread has the lock
        self._pid = os.getpid()
        self._tls: ssl.SSLContext | None = None

    def close(self) -> None:
        """Close all connections. The client may be used again."""
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    # -- requests --

    def json(self, method: str, path: str, value: Any = None, **headers: str) -> Any:
        """Make a request that is answered with JSON. Raises Damage for any other answer."""
        return plain_json(self.do(method, path, _json_sent(value, headers), _GOOD)[1], self.what)

    def frames(self, path: str, value: Any, *, resumes: bool = True) -> Iterator[list[Any]]:
        """Make a request that is answered with frames, and yield them as they arrive, but for the last, `["end"]`.

        An answer that is cut off is asked for again, and goes on where it broke off; with `resumes` false that is left
        to the caller. Raises CutOff if it is cut off each time, StorageError if it begins in another way when it is
        asked for again, and the error that the server reports within it.
        """
        ended = False
        for values in frames(self._resumed(path, value) if resumes else self._bytes_of(path, value), self.what):
            if ended:
                raise Damage(f"{self.what} sent more after the end of an answer")
            if values[:1] == ["error"] and len(values) == 4:
                raise error_of(500, dict(zip(("kind", "error", "hint"), values[1:], strict=True)), self.what)
            if values == ["end"]:
                ended = True
            else:
                yield values
        if not ended:
            raise self.cut_off()

    def _bytes_of(self, path: str, value: Any) -> Iterator[bytes]:
        """The bytes of an answer in frames. Raises CutOff if something on the way ended it early, too."""
        tail = b""
        with self.asked("POST", path, _json_sent(value, {})) as answer:
            for piece in self.pieces(answer):
                tail = (tail + piece)[-len(_END) :]
                yield piece
        if tail != _END:
            raise self.cut_off()

    def _resumed(self, path: str, value: Any) -> Iterator[bytes]:
        """The bytes of an answer in frames. After it is cut off, those behind the bytes that came before it was."""
        waits, taken, hasher = waits_for_tries(), 0, blake3()
        while True:
            try:
                for piece in self._behind(self._bytes_of(path, value), taken, hasher.digest()):
                    taken += len(piece)
                    hasher.update(piece)
                    yield piece
                return
            except CutOff as error:
                wait_before(waits, error)

    def _behind(self, pieces: Iterator[bytes], skipped: int, digest: bytes) -> Iterator[bytes]:
        """The bytes behind the first `skipped`, which must have this digest."""
        hasher = blake3()
        for piece in pieces:
            head = piece[:skipped]
            if head:
                hasher.update(head)
                skipped -= len(head)
            if not skipped:
                if hasher.digest() != digest and head:
                    message = f"{self.what} answered something else when it was asked again"
                    raise StorageError(message, hint="run the same command again")
                if piece := piece[len(head) :]:
                    yield piece

    def collected(self, path: str, value: Any, most: int) -> list[list[Any]]:
        """All frames of an answer. If it is cut off, the request is made again. Raises Damage for more than `most`."""
        waits = waits_for_tries()
        while True:
            found: list[list[Any]] = []
            try:
                for values in self.frames(path, value, resumes=False):
                    found.append(values)
                    if len(found) > most:
                        raise Damage(f"{self.what} sent more than {most} frames")
                return found
            except CutOff as error:
                wait_before(waits, error)

    def send_frames(self, path: str, body: bytes) -> Any:
        """Send frames. The answer is JSON."""
        sent = Sent(body, headers={"Content-Type": FRAMES})
        return plain_json(self.do("POST", path, sent, _GOOD)[1], self.what)

    def do(self, method: str, path: str, sent: Sent, good: tuple[int, ...]) -> tuple[int, bytes]:
        """Make a request whose whole answer is wanted: (status, bytes). `good` are statuses that aren't errors.

        If the answer is cut off, the request is made again: each of the protocol's may be.
        """
        waits = waits_for_tries()
        while True:
            try:
                with self.asked(method, path, sent, good=good) as answer:
                    return answer.status, self.whole(answer)
            except CutOff as error:
                wait_before(waits, error)

    @contextmanager
    def asked(
        self, method: str, path: str, sent: Sent, good: tuple[int, ...] = _GOOD
    ) -> Iterator[http.client.HTTPResponse]:
        """Make a request below the protocol's prefix. The answer's body is read in the block.

        A request is made again if its connection breaks before an answer, or if the server is too busy. Raises the
        error that the server reports, as one of ours.
        """
        connection, answer = self._answered(method, path, sent)
        try:
            if answer.status not in good:
                raise self._refused(answer)
            yield answer
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if isinstance(error, ArtstoreError):
                raise
            raise self.cut_off() from error
        except BaseException:
            if not answer.isclosed():
                connection.close()
            raise
        finally:
            self._give_back(connection, answer)

    def whole(self, answer: http.client.HTTPResponse) -> bytes:
        """The whole body of an answer.

        Raises Damage if it has more bytes than any can have, CutOff if some are missing.
        """
        found = bytearray()
        for piece in self.pieces(answer):
            found += piece
            if len(found) > LONGEST_JSON:
                raise Damage(f"{self.what} sent an answer of more than {LONGEST_JSON} bytes")
        return bytes(found)

    def pieces(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        """The bytes of an answer as they arrive."""
        with reported(self.what):
            piece = answer.read1(PIECE)
        while piece:
            yield piece
            piece = answer.read1(PIECE)
        if answer.length:
            raise self.cut_off()
        answer.close()  # else its connection can't be used again if it had a length

    @contextmanager
    def elsewhere(self, location: str, start: int) -> Iterator[http.client.HTTPResponse]:
        """Get bytes from the address to which a server redirected, from offset `start` on. It gets no token.

        Raises Damage for an address that isn't https, except from a server on this host.
        """
        url = urljoin(self.root, location)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit("-:"), "", None
        if not host or not (
            parts.scheme == "https" or (parts.scheme == "http" and Origin("http", host, 80).is_loopback())
        ):
            raise Damage(f"{self.what} redirected to an address that can't be trusted with a download")
        there = Address(parts.scheme == "https", host, port or (443 if parts.scheme == "https" else 80), "")
        connection = self._connection(there)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"Range": f"bytes={start}-"} if start else {})
            with reported(f"the bucket of {self.what}"):
                answer = connection.getresponse()
            if answer.status != (206 if start else 200):
                raise StorageError(f"the bucket of {self.what} answered a download with status {answer.status}")
            yield answer
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, ArtstoreError):
                raise
            raise self.cut_off() from error
        finally:
            connection.close()

    # -- connections --

    @property
    def what(self) -> str:
        """The server, for messages."""
        return printable(self.root)

    def _answered(
        self, method: str, path: str, sent: Sent
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Make a request, and make it again if its connection breaks before an answer, or if the server is too busy."""
        for wait in _WAITS:
            try:
                connection, answer = self._try(method, path, sent)
            except (OSError, http.client.HTTPException) as error:
                if not _may_pass(error):
                    raise self._unreachable(error) from error
                time.sleep(wait)
                continue
            if answer.status not in _BUSY or (pause := _pause(answer, wait)) is None:
                return connection, answer
            connection.close()
            time.sleep(pause)
        try:
            return self._try(method, path, sent)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _try(self, method: str, path: str, sent: Sent) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Make a request once, and wait for the head of its answer."""
        connection = self._taken()
        try:
            with reported(self.what):
                try:
                    self._send(connection, method, path, sent)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the server may have refused before it read all: then its answer says why
                answer = connection.getresponse()
            return connection, answer
        except BaseException:
            connection.close()
            raise

    def _send(self, connection: http.client.HTTPConnection, method: str, path: str, sent: Sent) -> None:
        headers = {"User-Agent": "artstore", "Accept-Encoding": "identity", **sent.headers}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        body: bytes | Iterable[bytes] | None
        if sent.body is None or isinstance(sent.body, bytes):
            body = sent.body
            headers["Content-Length"] = str(len(body or b""))
            if method == "GET":
                del headers["Content-Length"]
        else:
            body = sent.body()
            headers["Content-Length"] = str(sent.length)
        connection.request(method, f"{self.address.path}{PREFIX}{path}", body, headers)

    def _taken(self) -> http.client.HTTPConnection:
        """A connection that is free, or a new one."""
        with self._lock:
            if os.getpid() != self._pid:  # a forked child must not answer for its parent
                self._free, self._pid = [], os.getpid()
            if self._free:
                return self._free.pop()
        return self._connection(self.address)

    def _connection(self, address: Address) -> http.client.HTTPConnection:
        if not address.tls:
            connection = http.client.HTTPConnection(address.host, address.port, timeout=CONNECT)
        else:
            self._tls = self._tls or ssl.create_default_context()
            proxy = proxy_for(address)
            host, port = (proxy.host, proxy.port) if proxy else (address.host, address.port)
            connection = http.client.HTTPSConnection(host, port, timeout=CONNECT, context=self._tls)
            if proxy:
                connection.set_tunnel(address.host, address.port, proxy.headers)
        paced(connection, self.what)
        connection.connect()
        if connection.sock is not None:
            connection.sock.settimeout(ANSWER)
        return connection

    def _give_back(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        """Keep a connection for the next request, unless its answer wasn't read to the end."""
        if connection.sock is None or not answer.isclosed():
            connection.close()
            return
        with self._lock:
            if len(self._free) < _KEPT and os.getpid() == self._pid:
                self._free.append(connection)
                return
        connection.close()

    # -- errors --

    def cut_off(self) -> CutOff:
        """The error for an answer that ended early."""
        return CutOff(f"the answer of {self.what} was cut off", hint="run the same command again")

    def _refused(self, answer: http.client.HTTPResponse) -> ArtstoreError:
        """The error that an answer reports."""
        if answer.status == 401:
            return self._unknown()
        if 300 <= answer.status < 400:
            location = printable(redacted(answer.headers.get("Location", "elsewhere")))
            return NotFound(
                f"there is no served repository at {self.what}: it redirects to {location}", hint="use that address"
            )
        try:
            value = plain_json(self.whole(answer), self.what) if is_json(answer) else None
        except (OSError, http.client.HTTPException, Damage, StorageError):
            value = None
        return error_of(answer.status, value if isinstance(value, dict) else None, self.what)

    def _unknown(self) -> AuthenticationError:
        """The error for a request without a token, or with one that isn't valid."""
        if self._token is None:
            message = f"{self.what} answers only with a token, and none is known for it here"
            return AuthenticationError(message, hint=f"`artstore login {self.what}` keeps one")
        message = f"{self.what} doesn't accept the token: it is unknown, was revoked, or has expired"
        return AuthenticationError(message, hint="ask who runs the server for a new one")

    def error_in(self, status: int, data: bytes) -> ArtstoreError | None:
        """The error that an answer's bytes report; None if they are something else, such as a log entry."""
        value = plain_json(data, self.what)
        return error_of(status, value, self.what) if isinstance(value, dict) and "kind" in value else None

    def _unreachable(self, error: Exception) -> StorageError:
        """The error for a server that can't be asked."""
        if isinstance(error, ssl.SSLCertVerificationError):
            hint = "its certificate is not one that this machine trusts; SSL_CERT_FILE names a file of others"
            return StorageError(f"cannot ask {self.what}: {error.verify_message}", hint=hint)
        if isinstance(error, ssl.SSLError):
            return StorageError(f"cannot ask {self.what}: it doesn't speak TLS as it should", hint="check the address")
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            reason = "it doesn't answer"
        return StorageError(f"cannot ask {self.what}: {printable(str(reason).lower())}", hint="check the address")


def waits_for_tries() -> Iterator[float]:
    """Seconds before each further try of a request whose answer is cut off."""
    return iter(_WAITS)


def wait_before(waits: Iterator[float], error: CutOff) -> None:
    """Wait before the next try. Raises the error of the last one if there is none left."""
    wait = next(waits, None)
    if wait is None:
        raise error
    time.sleep(wait)


def query(path: str, **values: str) -> str:
    """A path with a query."""
    return f"{path}?{urlencode(values)}"


def _json_sent(value: Any, headers: dict[str, str]) -> Sent:
    if value is None:
        return Sent(headers=headers)
    body = json.dumps(value, separators=(",", ":")).encode()
    return Sent(body, headers={"Content-Type": "application/json", **headers})


def _may_pass(error: Exception) -> bool:
    """Whether a request may succeed if it is made again: the connection was closed, and no certificate is wrong."""
    if isinstance(error, ssl.SSLError | TimeoutError | ConnectionRefusedError):
        return False
    return isinstance(error, ConnectionError | http.client.BadStatusLine | http.client.IncompleteRead)


def _pause(answer: http.client.HTTPResponse, wait: float) -> float | None:
    """Seconds after which a busy server is asked again; None if that is too long."""
    asked = answer.headers.get("Retry-After", "")
    seconds = float(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 6 else max(wait, 0.3)
    return seconds if seconds <= _LONGEST_WAIT else None
