"""The protocol's operations: what answers each, and the least role that it takes. PROTOCOL.md describes them."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from artstore.domain.changes import Change
from artstore.domain.codec import MAX_JSON, decode_json
from artstore.domain.collection import ADDS
from artstore.domain.digest import from_hex
from artstore.domain.roles import Role
from artstore.domain.wire import LONGEST_FRAME, PROTOCOL, TRANSACTION, Hello, objects_in
from artstore.errors import InvalidValue
from artstore.server.accepting import Accepting, Stored
from artstore.server.access import Access
from artstore.server.asking import Spools, asked, body_of, flowing, framed, json_of, list_in, text_in
from artstore.server.giving import given
from artstore.server.logs import Logs
from artstore.server.looking import Looking
from artstore.server.objects import Blob, Objects
from artstore.server.sending import Sending, Sendings
from artstore.server.served import Served
from artstore.store.store import Store

_NAMED = 5
"""Changes that one record of the audit names."""


class Parts(NamedTuple):
    """What answers requests."""

    served: Served
    logs: Logs
    looking: Looking
    objects: Objects
    sendings: Sendings
    accepting: Accepting
    spools: Spools
    proxied: str | None
    """the internal location of a proxy that sends large files itself"""


def parts_of(served: Served, protected: tuple[str, ...], proxied: str | None = None) -> Parts:
    """What answers requests for one repository. `protected` are the aliases that promoters move."""
    logs = Logs(served)
    sendings, accepting = Sendings(served), Accepting(served, logs, protected)
    return Parts(served, logs, Looking(served, logs), Objects(served, logs), sendings, accepting, Spools(), proxied)


class Asker(NamedTuple):
    """One request: who asks, and the parts that answer."""

    request: Request
    access: Access
    parts: Parts
    about: "About"


class About:
    """What a request was about, for the audit: whoever answers it fills this in."""

    def __init__(self) -> None:
        self.project: str | None = None
        self.subject: str | None = None


Answer = Callable[[Asker], Awaitable[Response]]


# -- reading --


async def hello(asker: Asker) -> Response:
    """What is served, and to whom."""
    access, served = asker.access, asker.parts.served

    def ask() -> dict[str, Any]:
        with served.store() as store:
            return decode_json(store.storage.read("format"), "format")  # type: ignore[no-any-return]

    format = await anyio.to_thread.run_sync(ask)
    role = access.grant.role.name.lower()
    told = Hello(PROTOCOL, served.id, format, served.settings.entity, access.author, role, access.scope)
    return JSONResponse(told._asdict())


async def heads(asker: Asker) -> Response:
    """The last entry of each log."""
    body = await asked(asker.request)
    under = [str(folder) for folder in list_in(body, "under")]
    asker.access.require_somewhere(Role.READER)

    def found(store: Store) -> Iterator[list[Any]]:
        for folder in dict.fromkeys(under):
            yield from map(list, asker.parts.logs.heads(store, asker.access, folder))

    return await _framed(asker, found)


async def entries(asker: Asker) -> Response:
    """Entries of logs."""
    wanted = [_part_of_log(item) for item in list_in(await asked(asker.request), "logs")]

    def found(store: Store) -> Iterator[list[Any]]:
        for folder, first, last in wanted:
            for number, data in asker.parts.logs.entries(store, asker.access, folder, first, last):
                yield [folder, number, data]

    return await _framed(asker, found)


def _part_of_log(item: Any) -> tuple[str, int, int | None]:
    good = type(item) is list and len(item) == 3 and type(item[0]) is str and type(item[1]) is int
    if not good or type(item[2]) not in (int, type(None)):
        raise InvalidValue("'logs' is not a list of [folder, first, last]")
    return item[0], item[1], item[2]


async def collections(asker: Asker) -> Response:
    """The states of collections."""
    body = await asked(asker.request)
    names = text_in(body, "entity"), text_in(body, "project"), text_in(body, "name")
    return await _framed(asker, lambda store: asker.parts.looking.collections(store, asker.access, *names))


async def runs(asker: Asker) -> Response:
    """The states of runs."""
    body = await asked(asker.request)
    names = text_in(body, "entity"), text_in(body, "project"), text_in(body, "id")
    return await _framed(asker, lambda store: asker.parts.looking.runs(store, asker.access, *names))


async def log(asker: Asker) -> Response:
    """The entries of a log, for people."""
    folder = text_in(await asked(asker.request), "folder") or ""
    return await _framed(asker, lambda store: asker.parts.looking.log(store, asker.access, folder))


async def history(asker: Asker) -> Response:
    """The metrics of a run."""
    body = await asked(asker.request)
    folder, having = text_in(body, "run") or "", text_in(body, "having")
    return await _framed(asker, lambda store: asker.parts.looking.history(store, asker.access, folder, having))


async def run_files(asker: Asker) -> Response:
    """The files of a run: their paths and sizes."""
    folder = text_in(await asked(asker.request), "folder") or ""
    return await _framed(asker, lambda store: asker.parts.looking.run_files(store, asker.access, folder))


async def listing(asker: Asker) -> Response:
    """The files of a version: their paths and sizes."""
    body = await asked(asker.request)
    named = text_in(body, "folder") or "", text_in(body, "id") or "", text_in(body, "prefix") or ""
    return await _framed(asker, lambda store: asker.parts.looking.listing(store, asker.access, *named))


async def objects(asker: Asker) -> Response:
    """Small objects, by their digests."""
    body = await asked(asker.request)
    digests, through = list_in(body, "digests"), body.get("through")

    def found() -> Response:
        given = asker.parts.objects.given(asker.access, through, digests)
        response = flowing(given, asker.parts.served.for_clients)
        with asker.parts.served.store() as store:
            asker.about.project, asker.about.subject = asker.parts.objects.named(store, through)
        return response

    return await anyio.to_thread.run_sync(found)


async def blob(asker: Asker) -> Response:
    """A large blob, or a range of it."""
    request, query = asker.request, asker.request.query_params

    def found() -> Blob:
        with asker.parts.served.store() as store:
            folder, id = query.get("log", ""), query.get("id")
            one = asker.parts.objects.blob(store, asker.access, folder, id, request.path_params["digest"])
            asker.about.project, asker.about.subject = asker.parts.objects.named(store, [[folder, [id] if id else []]])
            return one

    one = await anyio.to_thread.run_sync(found)
    return given(one, request, asker.parts.proxied)


async def _framed(asker: Asker, found: Callable[[Store], Iterator[list[Any]]]) -> Response:
    def frames_of() -> Iterator[list[Any]]:
        with asker.parts.served.store() as store:
            yield from found(store)

    return await anyio.to_thread.run_sync(framed, frames_of(), asker.access.author, asker.parts.spools)


# -- writing --


async def begin(asker: Asker) -> Response:
    """Begin a transaction."""
    asker.access.require_somewhere(Role.WRITER)
    sending = await anyio.to_thread.run_sync(asker.parts.sendings.begin, asker.access.author)
    return JSONResponse({"transaction": sending.id}, 201)


async def held(asker: Asker) -> Response:
    """Which objects need not be sent."""
    body = await asked(asker.request)
    digests = list_in(body, "digests")

    def found() -> Iterator[list[Any]]:
        with _sending(asker) as sending, sending.lock:
            through = asker.parts.objects.reached(sending.store, asker.access, body.get("through"))
            yield from sending.held_of([from_hex(str(digest)) for digest in digests], through)

    return await anyio.to_thread.run_sync(framed, found(), asker.access.author, asker.parts.spools)


async def send(asker: Asker) -> Response:
    """Store small objects."""
    with _sending(asker) as sending:
        body = await body_of(asker.request, LONGEST_FRAME)

        def add() -> int:
            with sending.lock:
                sending.count(len(body))
                return sending.add(objects_in(body, "the client"))

        return JSONResponse({"objects": await anyio.to_thread.run_sync(add)})


async def send_blob(asker: Asker) -> Response:
    """Store a large blob."""
    digest, length = from_hex(asker.request.path_params["digest"]), asker.request.headers.get("content-length", "")
    if not length.isdecimal():
        raise InvalidValue("a large blob is sent with its Content-Length")
    with _sending(asker) as sending:
        await sending.receive(digest, int(length), asker.request.stream())
    return Response(status_code=201)


async def ensure(asker: Asker) -> Response:
    """Look again whether all that a transaction relies on is there."""

    def look() -> None:
        with _sending(asker) as sending, sending.lock:
            sending.tx.publish()
            sending.tx.ensure()

    await anyio.to_thread.run_sync(look)
    return JSONResponse({})


async def end(asker: Asker) -> Response:
    """End a transaction."""
    id = asker.request.path_params["id"]
    await anyio.to_thread.run_sync(asker.parts.sendings.end, id, asker.access.author)
    return Response(status_code=204)


async def append(asker: Asker) -> Response:
    """Append an entry to a log."""
    query, access = asker.request.query_params, asker.access
    folder, number = query.get("log", ""), query.get("number", "")
    if not re.fullmatch(r"[1-9]\d{0,7}", number):
        raise InvalidValue(f"'{number[:20]}' is not the number of an entry")
    asker.about.project, asker.about.subject = "/".join(folder.split("/")[1:3]) or None, folder

    def accept() -> bytes:
        with sending.lock:
            stored = asker.parts.accepting.accept(access, sending, folder, int(number), data)
        asker.about.subject = f"{folder}: {_in_words(stored)}"
        return stored

    try:
        with asker.parts.sendings.used(asker.request.headers.get(TRANSACTION, ""), access.author) as sending:
            data = await json_of(asker.request, MAX_JSON)
            return Response(await anyio.to_thread.run_sync(accept), 201, media_type="application/json")
    except Stored as there:
        return Response(there.data, 409, media_type="application/json")


def _in_words(entry: bytes) -> str:
    """The changes of an entry, for the audit: `v3, alias prod`."""
    told = list(dict.fromkeys(map(_word, json.loads(entry)["changes"])))
    return ", ".join(told[:_NAMED]) + (f", and {len(told) - _NAMED} more" if len(told) > _NAMED else "")


def _word(change: Change) -> str:
    if change["kind"] in ADDS:
        return f"v{change['number']}"
    return f"alias {change['alias']}" if change["kind"] == "alias" else str(change["kind"])


def _sending(asker: Asker) -> AbstractContextManager[Sending]:
    return asker.parts.sendings.used(asker.request.path_params["id"], asker.access.author)


class Operation(NamedTuple):
    """One operation of the protocol: its address, the role that it takes at least, and what answers."""

    method: str
    path: str
    least: Role
    answer: Answer
    noted_as: str | None = None
    """what the audit calls it, if it has each request and not only those that are refused"""

    @property
    def name(self) -> str:
        """Its method and address, for people."""
        return f"{self.method} {self.path.replace(':path', '') or '/'}"


OPERATIONS = [
    Operation("GET", "", Role.VIEWER, hello),
    Operation("POST", "/heads", Role.READER, heads),
    Operation("POST", "/entries", Role.READER, entries),
    Operation("POST", "/collections", Role.VIEWER, collections),
    Operation("POST", "/runs", Role.VIEWER, runs),
    Operation("POST", "/log", Role.VIEWER, log),
    Operation("POST", "/history", Role.VIEWER, history),
    Operation("POST", "/run-files", Role.VIEWER, run_files),
    Operation("POST", "/listing", Role.VIEWER, listing),
    Operation("POST", "/objects", Role.VIEWER, objects, "download"),
    Operation("GET", "/blobs/{digest}", Role.READER, blob, "download"),
    Operation("POST", "/transactions", Role.WRITER, begin),
    Operation("POST", "/transactions/{id}/held", Role.WRITER, held),
    Operation("POST", "/transactions/{id}/objects", Role.WRITER, send),
    Operation("PUT", "/transactions/{id}/blobs/{digest}", Role.WRITER, send_blob),
    Operation("POST", "/transactions/{id}/ensure", Role.WRITER, ensure),
    Operation("DELETE", "/transactions/{id}", Role.WRITER, end),
    Operation("PUT", "/entry", Role.WRITER, append, "append"),
]
"""All operations of the protocol: the matrix of roles in the guide and in the tests is made from this table."""
