"""Fuzzing of a served repository: requests that were recorded are changed by chance and made, in this process.

    python -m tests.guarantees.fuzz.served [--requests 1000000] [--seed 1] [--folder DIR]

Nothing that is sent may end in an exception, a status of 500 and above, or memory that grows; nobody finds what is in a
project that they may not see; and the repository is whole after it.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import anyio
import msgpack

from artstore.domain.wire import PREFIX, TRANSACTION
from artstore.web.guard import Application
from tests.guarantees.fuzz.decoders import MEMORY
from tests.guarantees.fuzz.mutation import JSON, Shape, mutated
from tests.guarantees.fuzz.recorded import SECRET, TRANSACTIONS, Asked, Place
from tests.support.checks import check
from tests.support.commands import QUIET

WORDS = [
    b"..", b"%00", b"%ed%a0%80", b"%ff", b"%2f", b"//", b"\\", b"?", b"&", b"=", b"a" * 300, b"0" * 64, b"f" * 64, b"local", b"hidden",
    b"vision", b"data", b"refs", b"runs", b"refs/local/hidden/data", b"v0", b"latest", b"-1", b"0", b"9" * 19, b"9" * 5000, b"1e9",
    b"path=", b"q=", b"sort=", b"order=", b"start=", b"key=", b"step=", b"run=", b"over=", b"x=", b"from=", b"project=", b"depth=",
    b"all=", b"before=", b"axis=", b"bins=", b"cursor=", b"recursive=", b"expand=", b"paths=", b"main", b"resolve", b"log=", b"number=", b"id=", b"next=", b"token=", b"old=", b"new=", b"[[[[", b"null",
    "\u202e".encode(), b"{" * 2000, b"[" * 2000, b"bytes=0-", b"bytes=5-2", b"NaN", b"Infinity", b"\\ud800", b"\\u0000",
]  # fmt: skip
HEADERS = (
    b"authorization", b"cookie", b"content-length", b"content-type", b"range", b"if-none-match", b"host", b"origin", b"sec-fetch-site",
    b"sec-fetch-dest", b"accept-encoding", TRANSACTION.encode(), b"x-forwarded-for", b"x-forwarded-proto", b"transfer-encoding",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY")
_FRAMES = Shape(lambda data: _unpacked(data), lambda value: b"".join(msgpack.packb(item) for item in value))
_AT_ONCE = 4
"""Requests that are under way at one time."""
_UNCHANGED = 0.25
"""The part of the requests that are made as they were recorded, so that there is what others name."""
_WARM = 0.1
"""The part of a run after which caches are full: memory is measured from then on."""


class Answer(NamedTuple):
    status: int | None
    """None if there was no answer"""
    headers: dict[bytes, bytes]
    body: bytes
    error: str | None
    """an exception that reached the server's own code, which prints it"""


class Outcome(NamedTuple):
    statuses: Counter[tuple[str, int]]
    """how many answers of each status, by the kind of request"""
    wrong: list[str]
    grown: int
    """bytes of memory that the process has more at the end than when it was warm"""
    opened: int
    """files that it has open then, and had not when it was warm"""
    seconds: float


class Client:
    """Somebody who asks with a role: with its token, its session on the pages, and transactions."""

    def __init__(self, place: Place, role: str) -> None:
        self._application = place.application
        self.role = role
        self.secret = place.secrets.get(role, "")
        self._session = b""
        self._transactions: list[bytes] = []

    async def ask(self, asked: Asked, rng: Random) -> Answer:
        """Make a request, in a transaction and a session that are there."""
        if not self._session and self.secret:
            await self._log_in()
        if b"transactions/" in asked.target or asked.target.startswith(b"/v1/entry"):
            await self._begin()
        own = {
            b"host": b"localhost",
            b"authorization": f"Bearer {self.secret}".encode(),
            b"cookie": b"__Host-artstore=" + self._session,
            TRANSACTION.encode(): self._transactions[-1] if self._transactions else b"",
            b"content-length": str(len(asked.body)).encode(),
        }
        target = asked.target
        if self._transactions:
            target = TRANSACTIONS.sub(b"/transactions/" + self._transactions[-1], target)
        headers = {name: value for name, value in (own | dict(asked.headers)).items() if value}
        body = asked.body.replace(b"TOKEN", self.secret.encode())
        answer = await answered(self._application, asked._replace(target=target, body=body), headers, rng)
        self._heed(asked, answer)
        return answer

    def _heed(self, asked: Asked, answer: Answer) -> None:
        """What a request may have begun or ended."""
        if asked.method == "DELETE" and answer.status == 204:
            self._transactions = self._transactions[:-1]
        elif b'"transaction"' in answer.body and answer.status == 201:
            self._transactions.append(json.loads(answer.body)["transaction"].encode())
        if asked.method == "POST" and asked.target.startswith(b"/log"):
            self._session = b""
        if answer.headers.get(b"location", b"").startswith(b"/login"):
            self._session = b""

    async def _log_in(self) -> None:
        form, origin = f"token={self.secret}".encode(), {b"host": b"localhost", b"origin": b"https://localhost"}
        answer = await answered(self._application, Asked("POST", b"/login", (), form), origin, None)
        self._session = answer.headers[b"set-cookie"].partition(b"=")[2].partition(b";")[0]

    async def _begin(self) -> None:
        """Have a transaction, and end those that the fuzzer began beside it."""
        token = {b"authorization": f"Bearer {self.secret}".encode()}
        while len(self._transactions) > 1:
            target = f"{PREFIX}/transactions/".encode() + self._transactions.pop(0)
            await answered(self._application, Asked("DELETE", target, (), b""), token, None)
        if not self._transactions:
            target = f"{PREFIX}/transactions".encode()
            answer = await answered(self._application, Asked("POST", target, (), b""), token, None)
            if answer.status == 201:
                self._transactions.append(json.loads(answer.body)["transaction"].encode())


async def answered(application: Application, asked: Asked, headers: dict[bytes, bytes], rng: Random | None) -> Answer:
    """Make a request as uvicorn does. By chance its body arrives in pieces, or the client goes away within it."""
    path, _, query = _as_sent(asked.target).partition(b"?")
    pieces = _pieces(asked.body, rng)
    leaves = rng is not None and rng.random() < 0.02
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": asked.method, "scheme": "https",
        "path": _decoded(path), "raw_path": path, "query_string": query, "root_path": "", "server": ("127.0.0.1", 443),
        "client": (f"10.0.{rng.randrange(256)}.{rng.randrange(256)}" if rng else "10.1.0.1", 1),
        "headers": [(name, re.sub(rb"[^\t -~\x80-\xff]", b"", value).strip()) for name, value in headers.items()], "state": {},
    }  # fmt: skip
    status, told, body = None, dict[bytes, bytes](), list[bytes]()

    async def receive() -> dict[str, Any]:
        if (leaves and len(pieces) <= 1) or not pieces:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        nonlocal status, told
        if message["type"] == "http.response.start":
            status, told = message["status"], dict(message["headers"])
        else:
            body.append(message.get("body", b""))

    error = None
    try:
        await application(scope, receive, send)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    return Answer(status, told, b"".join(body), error)


def _as_sent(target: bytes) -> bytes:
    """As a target gets through the parser of requests: of printable ASCII, beginning with a slash."""
    sent = b"".join(bytes([byte]) if 0x21 <= byte <= 0x7E and byte != 0x23 else b"%%%02X" % byte for byte in target)
    return sent if sent.startswith(b"/") else b"/" + sent


def _decoded(path: bytes) -> str:
    from urllib.parse import unquote

    return unquote(path.decode("ascii"))


def _pieces(body: bytes, rng: Random | None) -> list[bytes]:
    if rng is None or rng.random() < 0.8:
        return [body]
    at = rng.randrange(len(body) + 1)
    return [body[:at], b"", body[at:]]


# -- changing requests --


class Changes:
    """Changes requests, also into parts of each other."""

    def __init__(self, seeds: list[Asked]) -> None:
        self._bodies = [asked.body for asked in seeds]
        self._targets = [asked.target for asked in seeds]
        self._words = [*WORDS, *sorted({part for target in self._targets for part in re.split(rb"[/?&=]", target)})]

    def changed(self, asked: Asked, rng: Random) -> Asked:
        """A request with one or two of its parts changed."""
        for _ in range(rng.choice((1, 1, 2))):
            how = rng.random()
            if how < 0.65 and asked.body:
                asked = asked._replace(body=self._body(asked.body, rng))
            elif how < 0.85:
                asked = asked._replace(target=self._target(asked.target, rng))
            elif how < 0.95:
                asked = asked._replace(headers=_headers(asked.headers, rng))
            elif how < 0.98:
                asked = asked._replace(method=rng.choice(METHODS))
            else:
                asked = asked._replace(body=rng.choice(self._bodies))
        return asked

    def _body(self, body: bytes, rng: Random) -> bytes:
        if len(body) > 1 << 16:  # a large blob
            return rng.choice((body[: 1 << 20], body + b"x", body[:-1], b"", body[::-1]))
        return mutated(body, rng, WORDS, JSON if body.startswith(b"{") else _FRAMES, self._bodies)

    def _target(self, target: bytes, rng: Random) -> bytes:
        """With another part of the path or another parameter, or with other bytes."""
        parts = re.split(rb"([/?&=])", target)
        if rng.random() < 0.3 or len(parts) < 2:
            return mutated(target, rng, WORDS, None, self._targets)
        query = parts.index(b"?") + 1 if b"?" in parts and rng.random() < 0.7 else 1
        at, word = rng.randrange(query, len(parts)), rng.choice(self._words)
        new = rng.choice((word, b"", parts[at] + b"&" + word, mutated(parts[at], rng, WORDS, None, self._targets)))
        return b"".join([*parts[:at], new, *parts[at + 1 :]])


def _unpacked(data: bytes) -> list[Any]:
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    return list(unpacker)


def _headers(headers: tuple[tuple[bytes, bytes], ...], rng: Random) -> tuple[tuple[bytes, bytes], ...]:
    """With another header, whose value is anything that such a header may have to get through the parser."""
    name, word = rng.choice(HEADERS), rng.choice(WORDS)
    value = rng.choice((word, rng.randbytes(rng.randrange(40)), b"Bearer " + word, b"0", b"x" * 5000))
    if name == b"content-length":
        value = str(rng.choice((0, 1, 5, 1 << 20, (1 << 63) - 1))).encode()
    return (*(header for header in headers if header[0] != name), (name, value[:8000]))


# -- a run --


class Fuzzer:
    """Makes changed requests, and looks at the answers."""

    def __init__(self, place: Place, seeds: list[Asked], seed: int) -> None:
        self._place = place
        self._changes = Changes(seeds)
        self._by_kind: dict[tuple[str, bytes], list[Asked]] = {}
        for asked in seeds:
            self._by_kind.setdefault(asked.kind, []).append(asked)
        self._seed = seed
        self._statuses = Counter[tuple[str, int]]()
        self._wrong: list[str] = []
        self._made = 0
        self._warm = memory(), files()

    async def run(self, requests: int) -> Outcome:
        began = time.monotonic()
        async with running(self._place.application), anyio.create_task_group() as tasks:
            for number in range(_AT_ONCE):
                tasks.start_soon(self._ask, Random(f"{self._seed} {number}"), requests // _AT_ONCE, requests)
        grown, opened = memory() - self._warm[0], files() - self._warm[1]
        return Outcome(self._statuses, self._wrong, grown, opened, time.monotonic() - began)

    async def _ask(self, rng: Random, count: int, of: int) -> None:
        clients = [Client(self._place, role) for role in (*self._place.secrets, "nobody")]
        kinds = [kind for kind in self._by_kind for _ in range(4 if _is_writing(kind) else 1)]
        for _ in range(count):
            client, kind = rng.choice(clients), rng.choice(kinds)
            asked = rng.choice(self._by_kind[kind])
            asked = self._changes.changed(asked, rng) if rng.random() > _UNCHANGED else asked
            answer = await client.ask(asked, rng)
            self._statuses[b" ".join([kind[0].encode(), kind[1]]).decode("latin-1"), answer.status or 0] += 1
            self._look(asked, client.role, answer)
            self._made += 1
            if self._made == int(of * _WARM):
                self._warm = memory(), files()

    def _look(self, asked: Asked, role: str, answer: Answer) -> None:
        shown = f"{role}: {asked.method} {asked.target[:300]!r} {dict(asked.headers)!r:.300} {asked.body[:500]!r}"
        if answer.error is not None or answer.status is None or answer.status >= 500:
            self._wrong.append(f"{answer.status}, {answer.error}: {shown}")
        if role != "admin" and SECRET.strip() in answer.body:
            self._wrong.append(f"a secret was told: {shown}")


def _is_writing(kind: tuple[str, bytes]) -> bool:
    return kind[1].startswith((b"/v1/transactions", b"/v1/entry"))


@asynccontextmanager
async def running(application: Application) -> AsyncIterator[None]:
    """An application as a server runs it, with its own tasks."""
    begun, ends, ended = anyio.Event(), anyio.Event(), anyio.Event()

    async def receive() -> dict[str, Any]:
        if not begun.is_set():
            return {"type": "lifespan.startup"}
        await ends.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None:
        assert "failed" not in message["type"], message
        (ended if begun.is_set() else begun).set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(application, {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
        await begun.wait()
        yield
        ends.set()
        await ended.wait()


def memory() -> int:
    """Bytes that this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def files() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


def fuzzed(folder: Path, requests: int, seed: int) -> Outcome:
    """Fuzz a new repository in a folder, and check it. The process works in that folder, in a sealed environment."""
    first = Place.made(folder / "first")
    place = first.copy(folder / "second")  # which doesn't have yet what is pushed while requests are recorded
    seeds = first.recorded()
    first.close()
    outcome = anyio.run(Fuzzer(place, seeds, seed).run, requests)
    place.close()
    check(place.root)
    wrong = [*outcome.wrong, *place.audit.check()]
    if [token.status() for token in place.tokens.all()] != ["active"] * len(place.secrets):
        wrong.append("the tokens are others")
    return outcome._replace(wrong=wrong)


def report(outcome: Outcome) -> Iterator[str]:
    """How many answers of each status there were, and what was wrong."""
    statuses = Counter[int]()
    for (_, status), count in outcome.statuses.items():
        statuses[status] += count
    told = ", ".join(f"{count:,} × {status}" for status, count in sorted(statuses.items()))
    yield f"{statuses.total():,} requests in {outcome.seconds:.0f} s: {told}"
    appended = sum(
        count for (kind, status), count in outcome.statuses.items() if kind == "PUT /v1/entry" and status == 201
    )
    yield f"{appended:,} entries appended; {outcome.grown / 1e6:.0f} MB and {outcome.opened} open files more than when warm; {len(outcome.wrong)} wrong"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000, metavar="N", help="how many (default: 1000000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the changes (default: 1)")
    parser.add_argument("--folder", default=MEMORY, help="where to work (default: in memory)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.chdir(folder)
        os.environ.update(QUIET | {"HOME": folder})
        outcome = fuzzed(Path(folder), options.requests, options.seed)
    print("\n".join([*dict.fromkeys(outcome.wrong), *report(outcome)]))
    return int(bool(outcome.wrong))


if __name__ == "__main__":
    sys.exit(main())
