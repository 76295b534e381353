"""Accepting an entry: everything that it says and names is checked before it is stored, as a pull checks it."""

from copy import copy
from datetime import UTC, datetime, timedelta

from artstore.domain import tree as trees
from artstore.domain.changes import Change, LogEntry, new_change
from artstore.domain.collection import ADDS, Path, State, digest_of_state, is_live
from artstore.domain.digest import BLOB, VERSION, Digest, from_hex, short
from artstore.domain.properties import new_blobs
from artstore.domain.roles import Role, fold_with_role
from artstore.domain.run import RunPath, RunState
from artstore.domain.tree import DIRECTORY, PART, REFERENCE, Row
from artstore.domain.version import record_of, version_id
from artstore.errors import ArtstoreError, Conflict, Damage, DamagedLog, InvalidValue, MissingObject, NotFound
from artstore.server.access import REFS, Access, log_place
from artstore.server.logs import Logs
from artstore.server.sending import Sending
from artstore.server.served import Served
from artstore.store.logs import decode_entry, rewritten, with_author

_AHEAD = timedelta(days=1)
"""How far in the future a client's clock may be."""
_MOST_NUMBERS = 1_000_000
"""How many numbers one version may be ahead of the last: numbers of deleted versions aren't used again."""


_FIRST = ("collection", "start")
"""Kinds of changes with which a log begins."""
_MOVES = ("moved from", "moved to", "not moved")
"""Kinds of changes that name another collection. They take the same role there."""


class Stored(Exception):
    """Another entry has the number. `data` is that entry as the client reads it."""

    def __init__(self, data: bytes) -> None:
        super().__init__("another writer was first")
        self.data = data


class Accepting:
    """Accepts the entries that clients send."""

    def __init__(self, served: Served, logs: Logs, protected: tuple[str, ...]) -> None:
        self._served = served
        self._logs = logs
        self._protected = protected

    def accept(self, access: Access, sending: Sending, folder: str, number: int, data: bytes) -> bytes:
        """Store an entry, and return it as the client reads it.

        Raises Stored if another writer was first; NotFound, Refused, InvalidValue, Damage or Conflict, with nothing
        stored, for what the token may not write or artstore wouldn't have.
        """
        place = log_place(folder)
        access.require(Role.WRITER, place.entity, place.project)
        data = with_author(data, number, access.author, f"entry {number} of {place.folder}")
        entry = decode_entry(data, number, f"entry {number} of {place.folder}")
        # 1. It continues the log as it is now.
        refs, runs = sending.store.refs, sending.store.runs
        names = place.entity, place.project, place.name
        state: State | RunState = (
            refs.read_folder(folder, Path(*names)) if place.top == REFS else runs.read_folder(folder, RunPath(*names))
        )
        if number <= state.number:
            raise Stored(self._logs.entry(sending.store, access, folder, number))
        if number != state.number + 1 or entry.prev != self._logs.head(sending.store, access, folder, state.number):
            raise Conflict(f"entry {number} does not continue {place.folder}, which ends with {state.number}")
        # 2. What it says is allowed, makes sense after the log, and names only what may be named.
        _check_clock(entry)
        after = _copied(state)
        least = fold_with_role(after, entry, self._protected)
        access.require(least, place.entity, place.project)
        for change in entry.changes:
            if change["kind"] in _MOVES:
                access.require(least, change["entity"], change["project"])
        if after.path.folder != place.folder:
            raise DamagedLog(f"{after.path} belongs in another log than {place.folder}")
        if not entry.changes or (not state.number and entry.changes[0]["kind"] not in _FIRST):
            raise DamagedLog(f"entry {number} of {place.folder} does not begin as such an entry does")
        if isinstance(after, State):
            self._check_collection(
                access, sending, after, entry, after.next - (state.next if isinstance(state, State) else 0)
            )
        else:
            self._check_run(sending, entry)
        # 3. It is stored, with its author, after everything that it names.
        sending.tx.publish()
        if entry.prev != state.digest:  # the token reads the log in part: its chain is another one
            data = rewritten(data, prev=state.digest)
        stored = refs.accept(folder, state, data) if isinstance(state, State) else runs.accept(folder, state, data)
        if not stored:
            raise Stored(self._logs.entry(sending.store, access, folder, number))
        self._keep(sending, state, entry)
        return self._logs.entry(sending.store, access, folder, number)

    # -- collections --

    def _check_collection(self, access: Access, sending: Sending, after: State, entry: LogEntry, numbers: int) -> None:
        if numbers > _MOST_NUMBERS:
            raise InvalidValue(f"v{after.next - 1} is {numbers} numbers after the last version")
        named = Named(sending)
        for change in entry.changes:
            if change["kind"] in ADDS:
                self._check_version(access, sending, named, after, change)
            elif change["kind"] == "part":
                named.tree((b"", DIRECTORY, change["size"], from_hex(change["tree"]), change["files"]))
            elif change["kind"] == "part extras" and change["blob"]:
                named.blob(from_hex(change["blob"]), None)
            elif change["kind"] == "moved from":
                self._check_move(sending, change)
        for blob in new_blobs(entry.changes):
            named.blob(blob, None)
        named.check()

    def _check_version(self, access: Access, sending: Sending, named: "Named", after: State, change: Change) -> None:
        version = after.versions[change["id"]]
        if version_id(record_of(version, after.type)) != from_hex(change["id"]):
            raise Damage(f"v{change['number']} of {after.path} has another id than its record")
        if change["kind"] == "link":
            self._check_source(access, sending, after, change)
        named.record(from_hex(change["id"]))
        named.tree((b"", DIRECTORY, change["size"], from_hex(change["digest"]), change["files"]))

    def _check_source(self, access: Access, sending: Sending, after: State, change: Change) -> None:
        """A link's source must be a version whose bytes the token may read, with the same tree."""
        source = Path.named_by(change["source"])
        access.require(Role.READER, source.entity, source.project)
        there = self._served.collection(sending.store, source.folder)
        found = there.versions.get(there.taken.get(change["source"]["number"], ""))
        if found is None or not is_live(found) or digest_of_state(found) != from_hex(change["digest"]):
            raise NotFound(f"{source}:v{change['source']['number']} is not the version that {after.path} would link to")

    def _check_move(self, sending: Sending, change: Change) -> None:
        """A collection is renamed from where it is now. What is renamed is that log's, and not anything else's."""
        old = sending.store.refs.read_folder(Path.named_by(change).folder)
        if old.number != change["number"] or old.digest != change["digest"] or not old.exists:
            raise Conflict(f"{old.path} changed while it was renamed", hint="fetch, and rename it again")

    # -- runs --

    def _check_run(self, sending: Sending, entry: LogEntry) -> None:
        named = Named(sending)
        for change in entry.changes:
            if change["kind"] == "history" and change["blob"]:
                named.blob(from_hex(change["blob"]), None)
            elif change["kind"] == "files":
                named.tree((b"", DIRECTORY, change["size"], from_hex(change["tree"]), change["files"]))
        named.check()

    # -- afterwards --

    def _keep(self, sending: Sending, state: State | RunState, entry: LogEntry) -> None:
        """Look again whether everything is there. If a collector took it for good, take back what was added."""
        try:
            sending.tx.ensure()
        except MissingObject as error:
            self._withdraw(sending, state, entry, error)
            raise Conflict(str(error), hint="push again") from error

    def _withdraw(self, sending: Sending, state: State | RunState, entry: LogEntry, error: ArtstoreError) -> None:
        added = [change["id"] for change in entry.changes if change["kind"] in ADDS]
        if not isinstance(state, State) or not added:
            return

        def build(now: State) -> list[Change]:
            live = [id for id in added if is_live(now.versions.get(id))]
            return [new_change("withdraw", id=id, reason=str(error)) for id in live]

        sending.store.refs.change(state.path, build)


class Named:
    """What an entry names: each must have been sent in full, or be reached through what the token may read."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._sizes: dict[Digest, int | None] = {}
        """the blobs that were named, with the size that their trees record"""
        self._trees: set[tuple[Digest, int, int]] = set()

    def record(self, id: Digest) -> None:
        """Name the record of a version. Raises Damage unless it may be named."""
        if self._sending.sent.get(id, (VERSION, 0))[0] != VERSION or not self._sending.may_name(id):
            raise _unsent(f"the record of version {short(id)}")

    def blob(self, digest: Digest, size: int | None) -> None:
        """Name a blob. Raises Damage unless it may be named, or if it is recorded with two sizes."""
        known = self._sizes.setdefault(digest, size)
        if size is not None and known is not None and known != size:
            raise Damage(f"blob {short(digest)} is recorded with {known} bytes, and with {size}")
        self._sizes[digest] = known if size is None else size
        if not self._sending.may_name(digest):
            raise _unsent(f"blob {short(digest)}")

    def tree(self, root: Row) -> None:
        """Name a tree with everything below it. Raises Damage if it isn't one that artstore would write."""
        level = [(b"", root)]
        while level:
            below = []
            for path, row in level:
                key = row[3], row[2], row[4]
                if key not in self._trees and key not in self._sending.checked:
                    self._trees.add(key)
                    below += self._folder(path, row)
            level = below

    def _folder(self, path: bytes, row: Row) -> list[tuple[bytes, Row]]:
        """Check one tree. Returns the folders below it that were sent, each with its path."""
        trees.check_depth(path)
        digest, sent_objects = row[3], self._sending.sent
        sent = digest in sent_objects
        if not sent and not self._sending.may_name(digest):
            raise _unsent(f"tree {short(digest)}")
        entries = trees.decode_tree(self._sending.tx.read_tree(digest), digest)
        if trees.totals(entries) != (row[2], row[4]):
            raise Damage(f"tree {short(digest)} has other totals than its folder records")
        if not path and row[1] == DIRECTORY:
            trees.check_root(entries)
        below: list[tuple[bytes, Row]] = []
        if sent:  # else it was checked when it was sent, with everything below it
            if entries and entries[0][1] == PART:
                trees.read_folder(digest, self._sending.tx.read_tree)
            for entry in entries:
                if entry[1] in (DIRECTORY, PART):
                    below.append((path + entry[0] + b"/" if entry[1] == DIRECTORY else path, entry))
                elif entry[1] != REFERENCE and sent_objects.get(entry[3]) != (BLOB, entry[2]):
                    self.blob(entry[3], entry[2])  # one that was sent, with this size, is right
        return below

    def check(self) -> None:
        """Raise Damage if a blob has another size than its tree records, or isn't a blob. Last: then all is checked."""
        relied = []
        for digest, size in self._sizes.items():
            kind, actual = self._sending.sent.get(digest, (None, None))
            if kind is None:
                relied.append(digest)
            elif kind != BLOB or (size is not None and actual != size):
                raise Damage(f"blob {short(digest)} has other bytes than are recorded")
        sizes = self._sending.rely(relied)
        for digest in relied:
            if digest not in sizes or self._sizes[digest] not in (None, sizes[digest]):
                raise Damage(f"blob {short(digest)} has another size than is recorded, or is gone or damaged here")
        self._sending.checked |= self._trees


def _copied(state: State | RunState) -> State | RunState:
    """A copy of a state that can be folded further."""
    if isinstance(state, State):
        return state.copy()
    after = RunState(state.path)
    vars(after).update({key: copy(value) for key, value in vars(state).items()})
    return after


def _unsent(what: str) -> Damage:
    return Damage(f"{what} is named, and was neither sent nor is in a version that this token may read")


def _check_clock(entry: LogEntry) -> None:
    """Raise InvalidValue if an entry claims to be from the future: ttl and retention go by its time."""
    try:
        claimed = datetime.fromisoformat(entry.time)
    except ValueError as error:
        raise InvalidValue(f"'{entry.time[:40]}' is not a time") from error
    if claimed.tzinfo is None or claimed > datetime.now(UTC) + _AHEAD:
        raise InvalidValue(f"the entry is from {entry.time[:40]}, which is in the future", hint="set this host's clock")
