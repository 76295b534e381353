"""Notes of a remote: copies of its logs, and which changes of ours never have to be sent to it.

All of it may be deleted: it is fetched again. Only the notes which remote is the upstream of a collection are
lost then.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple, NoReturn

from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.changes import LogEntry
from artstore.domain.codec import MAX_JSON, encode_json
from artstore.domain.collection import Path
from artstore.domain.digest import plain_digest
from artstore.domain.names import file_name_of, printable
from artstore.errors import ArtstoreError, Damage, DamagedLog, StorageError
from artstore.store.logs import Log, entry_path, last_number, last_of, number_of, numbers_below
from artstore.store.refs import Refs

FOLDER = "remotes"
_AT_ONCE = 4096
"""Entries that are asked for together. Not all are in memory at once: the remote decides how large they are."""


class InStep(NamedTuple):
    """A note that two logs of a collection were in step: there was nothing to send, or both held the same changes."""

    ours: int
    """number of the newest entry of our log"""
    our_digest: str
    theirs: int
    """number of the newest entry of the remote's log"""
    their_digest: str
    settled: int
    """number of our changes that were settled with the remote"""
    entity: str
    """of the collection"""
    project: str
    name: str


class Mirror:
    """Copies of a remote's logs. They have the paths that the logs have at the remote."""

    restates = False

    def __init__(self, storage: FolderStorage, root: str) -> None:
        self.root = f"{storage.root}/{root}"
        self.local = storage.local
        self._storage = storage
        self._prefix = root

    def path(self, path: str) -> str:
        """The path of a copy in our storage."""
        return f"{self._prefix}/{path}"

    def names(self, folder: str) -> list[str]:
        return self._storage.names(self.path(folder))

    def paths(self, folder: str) -> list[str]:
        return [path.removeprefix(f"{self._prefix}/") for path in self._storage.paths(self.path(folder))]

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        return self._storage.read(self.path(path), offset, length)

    def size(self, path: str) -> int | None:
        return self._storage.size(self.path(path))

    def create(self, path: str, data: bytes) -> bool:
        return self._storage.create(self.path(path), data)

    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None:
        self._storage.replace(self.path(path), data, sync=sync)

    def make_durable(self, folder: str) -> None:
        """Do nothing: copies need not be durable."""

    def remove(self, path: str) -> bool:
        return self._storage.remove(self.path(path))


class NotedRuns(NamedTuple):
    """How far the logs of runs were sent to a remote, or from it."""

    collections: str | None
    """digest of the receiver's collections at that time"""
    told: dict[str, int]
    """by folder of a run's log, the number of the last entry that was sent"""
    unrelated: dict[str, int]
    """by folder of a run's log, the number of its last entry, for runs that made and used none of the versions in those
    collections. They are looked at again when the collections change.
    """


class Tracking:
    """The notes of one remote, in `remotes/<name>/`.

    They are copies of the remote's logs at the same paths, `settled.json` beside each, and JSON files about all
    of them.
    """

    def __init__(self, storage: FolderStorage, name: str) -> None:
        self.storage = storage
        self.name = name
        self._root = f"{FOLDER}/{file_name_of(name)}"
        self.mirror = Mirror(storage, self._root)

    def forget(self) -> None:
        """Remove all notes of the remote."""
        self.storage.remove_folder(self._root)

    # -- the id of the repository --

    def id(self) -> str | None:
        """The id that the repository at the remote's place had when it was last opened. None if it never was."""
        return self._text("id")

    def scope(self) -> str | None:
        """A digest of what could be seen of the remote when it was last opened; None if that was everything."""
        return self._text("scope")

    def _text(self, key: str) -> str | None:
        value = self._load("id.json").get(key)
        return value if isinstance(value, str) else None

    def set_id(self, id: str, scope: str | None = None) -> None:
        """Note the id of the repository at the remote's place, and a digest of what can be seen of it."""
        self._save("id.json", {"id": id} if scope is None else {"id": id, "scope": scope})

    # -- logs --

    def logs(self) -> dict[str, int]:
        """The number of the newest entry of each copied log of a collection, by its folder."""
        return {folder: max(numbers) for folder, numbers in numbers_below(self.mirror, ["refs"]).items()}

    def has(self, folder: str) -> bool:
        """Whether there is a copy of a log."""
        return self.mirror.size(entry_path(folder, 1)) is not None

    def fetch(
        self, there: Storage, wanted: dict[str, Sequence[int]], refused: dict[str, ArtstoreError] | None = None
    ) -> set[str]:
        """Copy new entries of the remote's logs.

        Args:
            there: The storage of the remote.
            wanted: The numbers of all entries that each log has there, by its folder: see `heads`.
            refused: If a log can't be copied, its error is added here, by its folder. With None it is raised.

        Returns:
            The folders of the logs under whose names the collections were before, if a new entry is a rename.

        Raises:
            DamagedLog: A log is shorter than it was, has a gap, or doesn't continue our copy.
        """
        # 1. Find the entries that our copies lack.
        missing: dict[str, Sequence[int]] = {}
        for folder, numbers in wanted.items():
            with _alone(folder, refused):
                if new := self._missing(there, folder, numbers):
                    missing[folder] = new
        # 2. Copy them, several with each request. If one can't be read, those of each log apart.
        known = refused if refused is not None else {}
        entries = ((folder, n) for folder, new in missing.items() for n in new if folder not in known)
        while some := list(islice(entries, _AT_ONCE)):
            try:
                self._copy(there, some)
            except (Damage, StorageError) as error:
                if refused is None or (there.distant and isinstance(error, StorageError)):
                    raise
                for folder, apart in groupby(some, key=itemgetter(0)):
                    with _alone(folder, refused):
                        self._copy(there, list(apart))
        # 3. Read the new entries: each must name the digest of the one before it.
        sources: set[str] = set()
        for folder, new in missing.items():
            if folder not in known:
                with _alone(folder, refused):
                    sources |= self._checked(folder, new[0])
        return sources

    def _missing(self, there: Storage, folder: str, numbers: Sequence[int]) -> Sequence[int]:
        """The numbers of the entries that our copy of a log lacks, of those that it has at the remote."""
        have, last = self._last(folder), last_of(numbers)
        if have > last and there.size(entry_path(folder, have)) is not None:
            return []  # after the listing, another process copied a newer entry
        if have > last:
            raise DamagedLog(
                f"{printable(folder)} at remote '{self.name}' was rolled back: it ended with entry {have}, now with {last}",
                hint="an older copy of it was restored; to accept it: `artstore remote rm`, then `artstore remote add`",
            )
        if isinstance(numbers, range):  # a server says how many there are
            return range(have + 1, last + 1)
        new = sorted(number for number in numbers if number > have)
        if new and last - have != len(new):
            self._incomplete(folder, next(n for n, there_is in enumerate(new, have + 1) if n != there_is))
        return new

    def _copy(self, there: Storage, entries: list[tuple[str, int]]) -> None:
        """Copy some entries, each of a log with this number."""
        try:
            paths = [entry_path(folder, number) for folder, number in entries]
            for path, entry in zip(paths, there.read_each(paths, MAX_JSON + 1), strict=True):
                self.mirror.replace(path, entry)
        except FileNotFoundError:
            self._incomplete(*entries[-1])

    def gone(self, there: Storage) -> list[str]:
        """Which logs the remote doesn't have any more as they were when they were last seen, in words.

        Cost: a listing of its logs, and one small file for each log.
        """
        found, now = [], numbers_below(there, ["refs", "runs"])
        for folder, numbers in sorted(numbers_below(self.mirror, ["refs", "runs"]).items()):
            log, last = f"{printable(folder)} at remote '{self.name}'", max(numbers)
            try:
                seen = Log(self.mirror, folder).read(last)
                if folder not in now:
                    found.append(f"{log} is not there any more")
                elif max(now[folder]) < last:
                    found.append(f"{log} was rolled back: it ended with entry {last}, now with {max(now[folder])}")
                elif plain_digest(there.read(entry_path(folder, last))).hex() != seen.digest:
                    found.append(f"{log} was rewritten: its entry {last} is another one than before")
            except (FileNotFoundError, DamagedLog, StorageError):
                continue  # a damaged copy of ours, or what the check of this log finds
        return found

    def _last(self, folder: str) -> int:
        """The number of the newest copied entry. If that copy is damaged, as after a power cut, drop all of the log."""
        have = last_number(self.mirror.names(folder))
        try:
            if have:
                Log(self.mirror, folder).read(have)
        except DamagedLog:
            self._drop(folder)
            return 0
        return have

    def drop_logs(self) -> None:
        """Remove all copies of logs, so that they are copied anew. What is settled and which remote is followed stays."""
        for folder in numbers_below(self.mirror, ["refs", "runs"]):
            self._drop(folder)

    def _drop(self, folder: str) -> None:
        """Remove all copied entries of a log, so that they are copied again."""
        for name in self.mirror.names(folder):
            if number_of(name) or name.endswith(".checkpoint"):
                self.mirror.remove(f"{folder}/{name}")

    def _incomplete(self, folder: str, number: int) -> NoReturn:
        """Raise the error for a missing entry."""
        hint = "if a sync is still copying files there, try again later; nothing was changed here"
        raise DamagedLog(f"entry {number} of {printable(folder)} is missing at remote '{self.name}'", hint=hint)

    def _checked(self, folder: str, first: int) -> set[str]:
        """Read the copied entries of a log from number `first` on, and check them.

        Returns the folders of the logs under whose names the collection was before. Raises DamagedLog, with all copies
        of the log dropped.
        """
        log = Log(self.mirror, folder)
        try:
            before = log.read(first - 1).digest if first > 1 else None
            sources = _renames(log.later(first - 1, before), "moved from")
        except DamagedLog as error:
            self._drop(folder)
            hint = "its history was rewritten: find out who changed it; to accept it, run the same command again"
            raise DamagedLog(f"remote '{self.name}': {error}", hint=hint) from error
        return sources

    def renames(self, folder: str) -> set[str]:
        """The folders of the logs under which a copied collection was before, or is now. Raises DamagedLog.

        Cost: the copy is read.
        """
        return _renames(Log(self.mirror, folder).later(0, None), "moved from", "moved to")

    # -- changes that are settled: they never have to be sent --

    def settled(self, folder: str) -> set[str]:
        """Ids of our changes that are settled with the remote, also with an earlier log of this name."""
        ids = self._load(f"{folder}/settled.json").get("settled")
        return {id for id in ids if isinstance(id, str)} if isinstance(ids, list) else set()

    def settled_with(self, folder: str, began: str | None) -> set[str]:
        """Ids of our changes that never have to be sent to one log of the remote.

        `began` is the digest of the first entry of that log. If the collection was deleted and made again there, it has
        a new log: to that nothing was sent yet, and nothing is settled with it.
        """
        noted = self._load(f"{folder}/settled.json").get("log", began)  # older notes don't name the log
        return self.settled(folder) if began is not None and noted == began else set()

    def settled_now(self, there: Refs, path: Path) -> set[str]:
        """Ids of our changes that never have to be sent to the log that the collection has at the remote now.

        `there` are the remote's logs. If nothing is settled, the log isn't read.
        """
        return self.settled_with(path.folder, there.began(path)) if self.settled(path.folder) else set()

    def settle(self, folder: str, ids: set[str], began: str | None) -> None:
        """Note that changes never have to be sent to the log whose first entry has the digest `began`."""
        known = self.settled_with(folder, began)
        if ids - known:
            self._save(f"{folder}/settled.json", {"settled": sorted(known | ids), "log": began})

    def noted_runs(self, verb: str) -> "NotedRuns":
        """How far runs were sent. `verb` is "pushed" or "pulled"."""
        noted = self._load(f"runs-{verb}.json")
        refs, runs = noted.get("refs"), noted.get("runs")
        numbers = {f: n for f, n in runs.items() if type(n) is int} if isinstance(runs, dict) else {}
        told = {folder: number for folder, number in numbers.items() if number >= 0}
        unrelated = {folder: -number for folder, number in numbers.items() if number < 0}
        return NotedRuns(refs if isinstance(refs, str) else None, told, unrelated)

    def note_runs(self, verb: str, noted: "NotedRuns") -> None:
        """Note how far runs were sent. In the file, the numbers of unrelated runs are negative."""
        numbers = noted.told | {folder: -number for folder, number in noted.unrelated.items()}
        self._save(f"runs-{verb}.json", {"refs": noted.collections, "runs": numbers}, sync=False)

    def in_step(self, verb: str) -> dict[str, InStep]:
        """The notes of one kind, by the folders of the logs.

        The kinds: a "push" or "pull" had nothing to send; or both logs held the "same" changes.
        """
        noted = self._load(f"{verb}.json").items()
        return {folder: InStep(*values) for folder, values in noted if _is_note(values)}

    def note_in_step(self, verb: str, found: dict[str, InStep]) -> None:
        """Add notes of one kind. Cost: writing one small file, or nothing if they are known."""
        known = self.in_step(verb)
        if known | found != known:
            self._save(f"{verb}.json", known | found, sync=False)

    def move_notes(self, old: str, new: str) -> None:
        """After a rename, move the notes of a collection: its settled changes, and whether this is its upstream."""
        if ids := self.settled(old):
            log = self._load(f"{old}/settled.json").get("log")
            named = {"log": log} if isinstance(log, str) else {}
            self._save(f"{new}/settled.json", {"settled": sorted(ids), **named})
        if self.follows(old):
            self.follow(new)

    # -- which remote a collection follows --

    def follows(self, folder: str) -> bool:
        """Whether this is the upstream of a collection."""
        return self.storage.size(f"{self._root}/{folder}/upstream") is not None

    def follow(self, folder: str) -> None:
        """Make this the upstream of a collection: the remote whose version numbers are final. The note is durable."""
        self.storage.create(f"{self._root}/{folder}/upstream", b"")

    def _load(self, path: str) -> dict[str, Any]:
        try:
            value = json.loads(self.storage.read(f"{self._root}/{path}"))
        except (FileNotFoundError, ValueError, RecursionError, StorageError):
            return {}
        return value if isinstance(value, dict) else {}

    def _save(self, path: str, value: dict[str, Any], *, sync: bool = True) -> None:
        self.storage.replace(f"{self._root}/{path}", encode_json(value), sync=sync)


def _renames(entries: Iterable[LogEntry], *kinds: str) -> set[str]:
    """The folders of the logs that changes of these kinds name."""
    changes = [change for entry in entries for change in entry.changes if change["kind"] in kinds]
    named = [[str(change.get(part, "")) for part in ("entity", "project", "name")] for change in changes]
    return {"refs/" + "/".join(map(file_name_of, parts)) for parts in named}


def _is_note(values: Any) -> bool:
    return type(values) is list and [type(value) for value in values] == [int, str, int, str, int, str, str, str]


@contextmanager
def _alone(folder: str, refused: dict[str, ArtstoreError] | None) -> Iterator[None]:
    """Add an error in the block to `refused`, as that of one log. With None it is raised."""
    try:
        yield
    except (Damage, StorageError) as error:
        if refused is None:
            raise
        refused[folder] = error
