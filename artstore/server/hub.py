"""Reading in the shape of the Hugging Face hub, for its clients: models, datasets and their files, for readers."""

import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from artstore.domain.collection import Path, State, nfc
from artstore.domain.digest import BLOB, Digest
from artstore.domain.hub import KINDS, MAIN, commit_of, spec_of
from artstore.domain.names import parse_path, parse_spec, printable
from artstore.domain.roles import Role
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry, Read, find, folder_page, walk
from artstore.domain.wire import MOST_ASKED
from artstore.errors import ArtstoreError, InvalidValue, NotFound, Refused
from artstore.operations.finding.lookup import Version
from artstore.server import asking
from artstore.server.asking import body_of
from artstore.server.giving import BYTES, given
from artstore.server.objects import called, opened
from artstore.server.protocol import Asker, Operation
from artstore.store.packs import LARGE
from artstore.store.refs import resolve
from artstore.store.store import Store
from artstore.web.guard import FILES, is_own_name
from artstore.web.ranges import part_asked

PREFIXES = ("", "/entity/{entity}")
"""What stands before the addresses: nothing for the default entity."""
_PAGE = 1000
"""Files of a list that one answer has, as the hub's."""
_SIBLINGS = 10_000
"""Files that a version may have so that its description lists them, too."""
_MOST_PATHS = 1000
_RENAMES = 100
_UNKNOWN = "Invalid credentials in Authorization header"
"""The hub's message for a wrong token. With any other one, clients report that the repository isn't there."""
_NO_OBJECT = "0" * 40
"""The id of a file that isn't stored here."""

_Told = dict[str, Any]
"""A file or folder, as the hub lists it."""


class Absent(NotFound):
    """What is asked for isn't there, or may not be seen. It has the hub's name of what is absent."""

    def __init__(self, code: str, message: str, commit: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.commit = commit
        """of the version that lacks it"""


# -- what a request names --


def _collection(asker: Asker, store: Store) -> State:
    """The artifact that a request names, if the token may read it. Raises Absent or Refused."""
    told = asker.request.path_params
    entity = told.get("entity", asker.parts.served.settings.entity)
    project, name = told["project"], told["name"]
    try:
        spec = parse_spec(f"{entity}/{project}/{name}")
        path = Path(spec.entity or "", spec.project or "", spec.name)
        for _ in range(_RENAMES):
            asker.access.require(Role.READER, path.entity, path.project)
            state = asker.parts.served.collection(store, path.folder)
            if state.redirect is None:
                break
            path = state.redirect
        good = state.exists and state.path == nfc(path) and not spec.names_version
    except (InvalidValue, NotFound):
        good = False
    if not good:
        raise Absent("RepoNotFound", f"there is no artifact {printable(f'{project}/{name}'[:200])}")
    asker.about.project = f"{path.entity}/{path.project}"
    return state


def _version(asker: Asker, store: Store) -> Version:
    """The version that a request names. Raises Absent or Refused."""
    state = _collection(asker, store)
    try:
        spec = spec_of(state.path, asker.request.path_params.get("revision", "main"), state.aliases)
        return Version(state, resolve(state, spec))
    except (InvalidValue, NotFound) as error:
        raise Absent("RevisionNotFound", error.message, hint=error.hint) from error


def _file(asker: Asker, store: Store) -> tuple[Version, Entry]:
    """The file that a request names, whose bytes are stored here. Raises Absent or Refused."""
    found, path = _version(asker, store), asker.request.path_params["path"]
    entry = _entry_at(found, path, store)
    if entry is None or entry.kind == DIRECTORY:
        raise _no_entry(found, path)
    if entry.kind == REFERENCE:
        what = f"'{printable(path)}' is stored elsewhere, and a server opens no references"
        raise Absent("EntryNotFound", what, hint=f"`artstore get {found.spec}` fetches it")
    asker.about.subject = f"{called(found.state, found.id)} {path}"
    return found, entry


def _entry_at(found: Version, path: str, store: Store) -> Entry | None:
    try:
        return find(found.tree, parse_path(path), store.objects.read_tree)
    except (InvalidValue, UnicodeError):
        return None


def _no_entry(found: Version, path: str) -> Absent:
    return Absent("EntryNotFound", f"{found.name} has no file '{printable(path[:200])}'", commit_of(found.id))


# -- what there is --


async def whoami(asker: Asker) -> Response:
    """The name of the token."""
    token = {"displayName": asker.access.author, "role": "read"}
    auth = {"type": "access_token", "accessToken": token}
    return JSONResponse({"type": "user", "name": asker.access.author, "orgs": [], "auth": auth})


async def info(asker: Asker) -> Response:
    """What there is to say of a version, and its files."""
    return await _answered(asker, lambda store: _json(_info(_version(asker, store), store)))


def _info(found: Version, store: Store) -> dict[str, Any]:
    path, version = found.state.path, found.version
    told = {
        "id": f"{path.project}/{path.name}",
        "author": path.project,
        "sha": commit_of(found.id),
        "createdAt": _time(found),
        "lastModified": _time(found),
        "private": True,
        "gated": False,
        "disabled": False,
        "tags": version.get("tags", []),
    }
    if version["files"] <= _SIBLINGS:
        files = (file for file in _listed(found, store) if file["type"] == "file")
        told["siblings"] = [
            {"rfilename": file["path"], "size": file["size"], "blobId": file["oid"]} for file in files
        ]  # fmt: skip
    return told


async def refs(asker: Asker) -> Response:
    """The revisions of an artifact: aliases as branches, versions as tags."""

    def found(store: Store) -> Response:
        state = _collection(asker, store)
        live, main = state.live(), {} if state.latest is None else {MAIN: state.latest["id"]}
        aliases = main | {alias: id for id, names in state.all_aliases().items() for alias in names}
        tags = [_ref("tags", f"v{version['number']}", version["id"]) for version in live]
        branches = [_ref("heads", alias, id) for alias, id in aliases.items()]
        return _json({"branches": branches, "tags": tags, "converts": [], "pullRequests": []})

    return await _answered(asker, found)


def _ref(kind: str, name: str, id: str) -> dict[str, str]:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit_of(id)}


async def tree(asker: Asker) -> Response:
    """The files in a folder, or all below it, in pages."""
    query = asker.request.query_params

    def found(store: Store) -> Response:
        version, folder = _version(asker, store), asker.request.path_params.get("path", "")
        after, whole = query.get("cursor", "").encode("latin-1", "replace"), _is_true(query.get("recursive"))
        page, following = _page_of(version, store, folder, after, whole)
        if _is_true(query.get("expand")):
            page = [_expanded(version, one) for one in page]
        return _json(page, _link(asker.request, following) if following is not None else {})

    return await _answered(asker, found)


def _page_of(found: Version, store: Store, folder: str, after: bytes, whole: bool) -> tuple[list[_Told], bytes | None]:
    """The files and folders of a folder behind a path, and the path behind which the next page begins, or None.

    Raises Absent. With `whole`, those in its folders are there, too. Cost: the trees above the path are read again.
    """
    entry = _entry_at(found, folder, store) if folder else found.root
    if entry is None or entry.kind != DIRECTORY:
        raise _no_entry(found, folder)
    above, read = os.fsencode(f"{folder}/" if folder else ""), store.objects.read_tree
    if whole:
        some = _walk_on(entry.digest, read, above, after)
    else:
        start = after.rpartition(b"/")[2] + b"\0" if after else b""
        some = ((above + one.name, one) for one in folder_page(entry.digest, read, start, _PAGE + 1))
    page = list(islice(some, _PAGE + 1))
    return [_told(*one) for one in page[:_PAGE]], page[_PAGE - 1][0] if len(page) > _PAGE else None


def _walk_on(tree: Digest, read: Read, above: bytes, after: bytes) -> Iterator[tuple[bytes, Entry]]:
    """What `walk` gives behind a path. Folders that lie before it aren't read."""
    reached = after.split(b"/")

    def is_ahead(folder: bytes) -> bool:
        names = folder.split(b"/")[:-1]
        return names >= reached[: len(names)]

    for path, entry in walk(tree, read, above, is_ahead if after else None):
        if not after or path.split(b"/") > reached:
            yield path, entry


async def paths_info(asker: Asker) -> Response:
    """Some files and folders. Those that aren't there are left out."""
    body = await body_of(asker.request, MOST_ASKED)
    try:
        form = parse_qs(body.decode(), max_num_fields=_MOST_PATHS + 1)
    except ValueError as error:
        raise InvalidValue(f"this is not a form with at most {_MOST_PATHS} paths") from error

    def found(store: Store) -> Response:
        version = _version(asker, store)
        paths = [path.rstrip("/") for path in form.get("paths", [])]
        entries = ((path, _entry_at(version, path, store)) for path in paths)
        some = [_told(path.encode(), entry) for path, entry in entries if entry is not None]
        return _json([_expanded(version, one) for one in some] if _is_true(form.get("expand", [""])[0]) else some)

    return await _answered(asker, found)


def _listed(found: Version, store: Store) -> Iterator[_Told]:
    return (_told(path, entry) for path, entry in walk(found.tree, store.objects.read_tree))


def _told(path: bytes, entry: Entry) -> _Told:
    """A file or folder, as the hub lists it."""
    oid = _NO_OBJECT if entry.kind == REFERENCE else entry.digest.hex()
    kind, size = ("directory", 0) if entry.kind == DIRECTORY else ("file", entry.size or 0)
    return {"type": kind, "oid": oid, "size": size, "path": path.decode("utf-8", "surrogateescape")}


def _expanded(found: Version, told: _Told) -> _Told:
    """A file or folder with the version, in place of the hub's last commit."""
    return told | {"lastCommit": {"id": commit_of(found.id), "title": found.name, "date": _time(found)}}


def _time(found: Version) -> str:
    made = datetime.fromtimestamp(found.version["created"] // 10**9, UTC)
    return f"{made:%Y-%m-%dT%H:%M:%S}.000Z"


# -- the bytes of a file --


async def head(asker: Asker) -> Response:
    """What there is to say of a file: its digest and size, and the commit."""

    def found(store: Store) -> Response:
        version, entry = _file(asker, store)
        told = _headers(version, entry) | {"accept-ranges": "bytes", "content-length": str(entry.size)}
        return Response(headers=told, media_type=BYTES)

    return await _answered(asker, found)


async def file(asker: Asker) -> Response:
    """A file, or a range of it. It is in a version that the token may read: no other way leads to its bytes."""

    def found(store: Store) -> Response:
        version, entry = _file(asker, store)
        headers = _headers(version, entry)
        if entry.size >= LARGE:
            return given(opened(store, entry.digest), asker.request, asker.parts.proxied, headers)
        part = part_asked(asker.request, entry.size)
        data = store.objects.read(BLOB, entry.digest)[part.start : part.start + part.length]
        return Response(data, part.status, headers | part.headers, BYTES)

    return await _answered(asker, found)


def _headers(found: Version, entry: Entry) -> dict[str, str]:
    name = quote(printable(entry.name), safe="")
    return {
        "etag": f'"{entry.digest.hex()}"',
        "x-repo-commit": commit_of(found.id),
        "content-disposition": f"attachment; filename*=UTF-8''{name}; filename=\"{name}\";",
        "content-security-policy": FILES,
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }


# -- answers --


async def _answered(asker: Asker, found: Callable[[Store], Response]) -> Response:
    def ask() -> Response:
        with asker.parts.served.store() as store:
            return found(store)

    return await anyio.to_thread.run_sync(ask)


def _json(value: Any, headers: dict[str, str] | None = None) -> Response:
    """JSON in ASCII: the name of a file need not be valid Unicode."""
    return Response(json.dumps(value), headers=headers, media_type="application/json")


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in ("1", "true")


def _link(request: Request, cursor: bytes) -> dict[str, str]:
    """The header with the address of the next page, to which clients send their token: plain http only on this host."""
    host = request.headers.get("host", "")
    plain = request.scope["scheme"] == "http" and is_own_name(host.encode("latin-1"))
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    asked = urlencode([*query, ("cursor", cursor.decode("latin-1"))])
    path = request.scope["raw_path"].decode("latin-1")
    return {"link": f'<{"http" if plain else "https"}://{host}{path}?{asked}>; rel="next"'}


def told(error: ArtstoreError) -> Response:
    """The answer that tells an error, with the hub's name of it."""
    response = _said(error)
    if isinstance(error, Refused):
        response.headers["x-error-code"] = "GatedRepo"
    if isinstance(error, Absent):
        response.headers["x-error-code"] = error.code
        if error.commit is not None:
            response.headers["x-repo-commit"] = error.commit
    return response


def _said(error: ArtstoreError) -> Response:
    response = asking.told(error)
    sentence = f"{error.message}: {error.hint}" if error.hint else error.message
    response.headers["x-error-message"] = _UNKNOWN if response.status_code == 401 else _one_line(sentence)
    return response


def _one_line(text: str) -> str:
    return re.sub(r"[^ -~]", "?", printable(text))


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request for something else that the hub has."""
    if scope["method"] in ("GET", "HEAD"):
        error: ArtstoreError = NotFound("this server has nothing like it at this address")
    else:
        error = Refused("this server is only read in this way", hint="`artstore push` sends versions to it")
    await _said(error)(scope, receive, send)


def _of_kind(kind: str) -> Iterator[Operation]:
    repo = f"/api/{kind}/{{project}}/{{name}}"
    yield Operation("GET", repo, Role.READER, info)
    yield Operation("GET", f"{repo}/revision/{{revision:path}}", Role.READER, info)
    yield Operation("GET", f"{repo}/refs", Role.READER, refs)
    yield Operation("GET", f"{repo}/tree/{{revision}}", Role.READER, tree)
    yield Operation("GET", f"{repo}/tree/{{revision}}/{{path:path}}", Role.READER, tree)
    yield Operation("POST", f"{repo}/paths-info/{{revision:path}}", Role.READER, paths_info)
    files = f"{'/datasets' if kind == 'datasets' else ''}/{{project}}/{{name}}/resolve/{{revision}}/{{path:path}}"
    yield Operation("HEAD", files, Role.READER, head)
    yield Operation("GET", files, Role.READER, file, "download")


OPERATIONS = [
    Operation("GET", "/api/whoami-v2", Role.VIEWER, whoami),
    *(operation for kind in KINDS for operation in _of_kind(kind)),
]
"""What is answered in the hub's shape: the matrix of roles in the guide and in the tests is made from this table."""
