"""Objects as they are given to readers: only those that are reached through what the token may read."""

from collections.abc import Iterator
from operator import itemgetter
from typing import Any, BinaryIO, NamedTuple, Protocol, runtime_checkable

from artstore.domain.collection import State, VersionState, is_live
from artstore.domain.digest import BLOB, KIND_NAMES, Digest, from_hex, short
from artstore.domain.partial import told_collection, without_files
from artstore.domain.roles import Role
from artstore.domain.wire import MOST_OBJECTS
from artstore.errors import InvalidValue, MissingObject, NotFound
from artstore.server.access import REFS, Access, LogPlace, log_place
from artstore.server.logs import Logs
from artstore.server.reach import Digests, long_properties
from artstore.server.served import Served
from artstore.store.packs import Row
from artstore.store.paths import blob_path
from artstore.store.reading import read_rows
from artstore.store.store import Store

_MOST_VERSIONS = 100_000
SECONDS = 60
"""How long an address of a bucket is valid. A token that is revoked meanwhile doesn't end it."""
_PART = 256 << 10
"""Bytes of a pack that are in memory for one client."""
_NAMED = 5
"""Versions that one record of the audit names."""


class Objects:
    """The objects of the served repository, as the holder of a token gets them."""

    def __init__(self, served: Served, logs: Logs) -> None:
        self._served = served
        self._logs = logs

    def reached(self, store: Store, access: Access, through: Any) -> list[Digests]:
        """The sets of digests that are reached through some logs and versions: see PROTOCOL.md.

        Raises InvalidValue, or NotFound and Refused for what the token may not read.
        """
        found: list[Digests] = []
        versions: dict[str, VersionState] = {}
        for folder, ids in _checked(through):
            place = log_place(folder)
            if ids:
                self._require_read(store, access, place)
                versions |= _live(self._served.collection(store, folder), ids)
            elif place.top == REFS:
                access.require(Role.VIEWER, place.entity, place.project)
                state = self._served.collection(store, folder)
                told = state if access.sees_all else told_collection(state, access.sees)
                reads = access.reads(place.entity, place.project)
                found.append(long_properties(told if reads else without_files(told)))
            else:
                access.require(Role.READER, place.entity, place.project)
                found.append(self._served.reach.of_run(store.objects, store.runs.read_folder(folder)))
        if versions:
            found.append(self._served.reach.of_versions(store.objects, list(versions.values())))
        return found

    def named(self, store: Store, through: Any) -> tuple[str | None, str | None]:
        """(project, names) of the versions and runs through which objects are asked for, for the audit.

        A version is named with its aliases. (None, None) if only long properties are asked for.
        """
        project, names = None, []
        for folder, ids in _checked(through):
            place = log_place(folder)
            if not ids and place.top == REFS:
                continue
            project = project or f"{place.entity}/{place.project}"
            state = self._served.collection(store, folder) if ids else None
            for id in ids:
                names.append(called(state, id) if state is not None else folder)
            names += [] if ids else [f"run {place.name}"]
        more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return project, ", ".join(names[:_NAMED]) + more if names else None

    def _require_read(self, store: Store, access: Access, place: LogPlace) -> None:
        if place.top != REFS:
            raise InvalidValue("only collections have versions")
        self._logs.require(store, access, place.folder)

    def given(self, access: Access, through: Any, digests: list[Any]) -> Iterator[list[Any]]:
        """Frames with the objects of these digests that are reached; one without bytes for any other.

        A handle is borrowed for one part at a time: between two parts the client may take its time.
        """
        if len(digests) > MOST_OBJECTS:
            raise InvalidValue(f"{len(digests)} objects in one request: at most {MOST_OBJECTS} are given")
        asked = dict.fromkeys(map(_digest, digests))
        with self._served.store() as store:
            reached = self.reached(store, access, through)
            wanted = [digest for digest in asked if any(digest in some for some in reached)]
            places, elsewhere = store.objects.packs.locate_many(wanted)
        given = set(wanted)
        yield from ([0, digest, None] for digest in asked if digest not in given)
        for place in _parts(places):
            with self._served.store(refresh=False) as store:
                rows = list(read_rows(store.objects.packs, [place]))
            yield from ([row.kind, row.digest, data] for row, data in rows if data is not None)
            elsewhere += [row.digest for row, data in rows if data is None]
        if not elsewhere:
            return
        with self._served.store() as store:
            large = store.objects.large.readable(set(elsewhere))
        for digest in elsewhere:
            if digest in large:
                yield [BLOB, digest, large[digest]]
                continue
            with self._served.store() as store:
                found = _read(store, digest)
            yield [*found]

    def blob(self, store: Store, access: Access, folder: str, id: str | None, digest: str) -> "Blob":
        """A large blob. Raises NotFound if it isn't reached through that version or run."""
        found = _digest(digest)
        if not any(found in some for some in self.reached(store, access, [[folder, [id] if id else []]])):
            raise NotFound(f"there is no blob {digest[:12]} in what was named")
        return opened(store, found)


class Blob(NamedTuple):
    """A large blob that may be given: as an open file, or as an address."""

    size: int
    file: BinaryIO | None = None
    path: str = ""
    """where it is in the repository"""
    address: str | None = None


@runtime_checkable
class Signing(Protocol):
    """A storage that can make addresses from which anybody can read a file for a while."""

    def address(self, path: str, seconds: int) -> str | None:
        """Such an address of a stored file, or None."""


def opened(store: Store, digest: Digest) -> Blob:
    """A large blob, which was reached through something that may be read."""
    size = store.objects.large.readable({digest}).get(digest)
    if size is None:
        raise MissingObject(f"blob {short(digest)} is missing at the server")
    if (address := _address(store, digest)) is not None:
        return Blob(size, address=address)
    content = store.objects.large.open(digest, size)
    return Blob(size, content.as_file(), content.path)


def _address(store: Store, digest: Digest) -> str | None:
    """An address of a large blob; None if the repository is a folder, or the blob is not a file of its own."""
    try:
        return store.storage.address(blob_path(digest), SECONDS) if isinstance(store.storage, Signing) else None
    except FileNotFoundError:
        return None


def _parts(places: list[tuple[str, list[Row]]]) -> Iterator[tuple[str, list[Row]]]:
    """The rows of packs in parts of few bytes, with what lies between them: a part is in memory for each client."""
    for pack, rows in places:
        part: list[Row] = []
        for row in sorted(rows, key=itemgetter(3)):
            if part and row.offset + row.length - part[0].offset > _PART:
                yield pack, part
                part = []
            part.append(row)
        if part:
            yield pack, part


def _read(store: Store, digest: Digest) -> tuple[int, Digest, bytes]:
    """An object that no pack of the last listing has whole: from another copy, or from the trash."""
    missing: MissingObject | None = None
    for kind in KIND_NAMES:
        try:
            return kind, digest, store.objects.read(kind, digest)
        except MissingObject as error:
            missing = error
    assert missing is not None
    raise missing


def _checked(through: Any) -> Iterator[tuple[str, list[str]]]:
    if type(through) is not list:
        raise InvalidValue("the request has no list 'through'")
    count = 0
    for item in through:
        if not (type(item) is list and len(item) == 2 and type(item[0]) is str and type(item[1]) is list):
            raise InvalidValue("'through' is not a list of logs with ids of versions")
        if not all(type(id) is str for id in item[1]):
            raise InvalidValue("an id in 'through' is not text")
        if (count := count + 1 + len(item[1])) > _MOST_VERSIONS:
            raise InvalidValue(f"more than {_MOST_VERSIONS} versions in 'through'")
        yield item[0], item[1]


def called(state: State, id: str) -> str:
    """A version with its aliases, for the audit: `model:v2 (prod)`."""
    version = state.versions.get(id)
    if version is None:
        return f"{state.path.name}, a version that is not there"
    aliases = [alias for alias, of in state.aliases.items() if of == id]
    return f"{state.path.name}:v{version['number']}" + (f" ({', '.join(aliases)})" if aliases else "")


def _live(state: State, ids: list[str]) -> dict[str, VersionState]:
    found = {}
    for id in ids:
        version = state.versions.get(id)
        if not is_live(version):
            raise NotFound(f"there is no version {id[:12]} in {state.path}")
        found[id] = version
    return found


def _digest(text: Any) -> Digest:
    if type(text) is not str:
        raise InvalidValue("a digest is 64 lower-case hex digits")
    return from_hex(text)
