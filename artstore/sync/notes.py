"""What was last seen of a remote: copies of its logs, and what its collections have settled with ours. Notes, not truth:
all of it may be deleted and is fetched again, but for which remote a collection follows.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.codec import MAX_JSON, encode_json
from artstore.domain.collection import Path
from artstore.domain.names import file_name_of, printable
from artstore.errors import DamagedLog, StorageError
from artstore.store.logs import Log, last_number, number_of
from artstore.store.refs import Refs

FOLDER = "remotes"
_AT_ONCE = 32
"""Entries that are in memory at once, of a size that a remote chooses."""


class InStep(NamedTuple):
    """The newest entries of our log and the remote's, and how many changes were settled, when there was nothing to tell (or
    both held the same); and whose they are.
    """

    ours: int
    our_digest: str
    theirs: int
    their_digest: str
    settled: int
    entity: str
    project: str
    name: str


class Mirror:
    """Copies of a remote's logs, at the paths that they have there."""

    def __init__(self, storage: FolderStorage, root: str) -> None:
        self.root = f"{storage.root}/{root}"
        self.local = storage.local
        self._storage = storage
        self._prefix = root

    def path(self, path: str) -> str:
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

    def settle(self, folder: str) -> None:
        """Copies need not be durable."""

    def remove(self, path: str) -> bool:
        return self._storage.remove(self.path(path))


class NotedRuns(NamedTuple):
    """How far runs were told to a remote, or by it: numbers of entries, by the folders of their logs."""

    collections: str | None
    """digest of the collections' logs as they were then"""
    told: dict[str, int]
    unrelated: dict[str, int]
    """of runs that had made and used nothing in those collections; looked at again when the collections change"""


class Tracking:
    """One remote's notes, in `remotes/<name>/`: its logs by the same paths, and `settled.json` beside each."""

    def __init__(self, storage: FolderStorage, name: str) -> None:
        self.storage = storage
        self.name = name
        self._root = f"{FOLDER}/{file_name_of(name)}"
        self.mirror = Mirror(storage, self._root)

    def forget(self) -> None:
        self.storage.remove_folder(self._root)

    # -- the repository that it is --

    def id(self) -> str | None:
        id = self._load("id.json").get("id")
        return id if isinstance(id, str) else None

    def set_id(self, id: str) -> None:
        self._save("id.json", {"id": id})

    # -- logs --

    def logs(self) -> dict[str, int]:
        """Folder and last number of each collection's log that was seen."""
        return {folder: max(numbers) for folder, numbers in self.heads(self.mirror, ["refs"]).items()}

    def has(self, folder: str) -> bool:
        """Whether there is a copy of a log."""
        return self.mirror.size(_entry(folder, 1)) is not None

    def heads(self, there: Storage | Mirror, folders: Iterable[str]) -> dict[str, list[int]]:
        """Folder and numbers of the entries of each log below these folders, at the remote or of our copies."""
        found: dict[str, list[int]] = {}
        for folder in folders:
            for path in there.paths(folder):
                log, _, name = path.rpartition("/")
                if log.count("/") == 3 and (number := number_of(name)):
                    found.setdefault(log, []).append(number)
        return found

    def fetch(self, there: Storage, wanted: dict[str, list[int]]) -> set[str]:
        """Bring our copies of logs (folder → numbers of the entries there) up to date; the folders of logs that what came
        goes on from. Raises DamagedLog when one is shorter than it was, goes on otherwise, or has a gap.
        """
        missing: list[tuple[str, int]] = []
        for folder, numbers in wanted.items():
            have, last = self._last(folder), max(numbers)
            if have > last and there.size(_entry(folder, have)) is not None:
                continue  # another process of ours has fetched what came after the place was listed
            if have > last:
                raise DamagedLog(
                    f"{printable(folder)} at remote '{self.name}' was rolled back: it ended with entry {have}, now with {last}",
                    hint="somebody restored an older copy of it; `artstore remote rm` and `remote add` accept that",
                )
            new = sorted(number for number in numbers if number > have)
            if new and last - have != len(new):
                self._incomplete(folder, next(n for n, there_is in enumerate(new, have + 1) if n != there_is))
            missing += [(folder, number) for number in new]
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            try:
                data = there.read_many([_entry(folder, number) for folder, number in some], MAX_JSON + 1)
            except FileNotFoundError:
                self._incomplete(*some[-1])
            for (folder, number), entry in zip(some, data, strict=True):
                self.mirror.replace(_entry(folder, number), entry)
        sources: set[str] = set()
        first: dict[str, int] = {}
        for folder, number in missing:
            first.setdefault(folder, number)
        for folder, number in first.items():
            sources |= self._checked(folder, number)
        return sources

    def _last(self, folder: str) -> int:
        """Number of the newest entry of which there is a copy; copies that a power cut has torn are dropped."""
        have = last_number(self.mirror.names(folder))
        try:
            if have:
                Log(self.mirror, folder).read(have)
        except DamagedLog:
            self._drop(folder)
            return 0
        return have

    def _drop(self, folder: str) -> None:
        for name in self.mirror.names(folder):
            if number_of(name):
                self.mirror.remove(f"{folder}/{name}")

    def _incomplete(self, folder: str, number: int) -> NoReturn:
        raise DamagedLog(
            f"entry {number} of {printable(folder)} at remote '{self.name}' is not there",
            hint="if its files are still on their way there (a sync), try again later; nothing was changed here",
        )

    def _checked(self, folder: str, first: int) -> set[str]:
        """Read what is new in a log, from entry `first` on; where it was renamed from."""
        log, sources = Log(self.mirror, folder), set()
        try:
            before = log.read(first - 1).digest if first > 1 else None
            for entry in log.later(first - 1, before):
                for change in entry.changes:
                    if change["kind"] == "moved from":
                        parts = (str(change.get(part, "")) for part in ("entity", "project", "name"))
                        sources.add("refs/" + "/".join(map(file_name_of, parts)))
        except DamagedLog as error:
            self._drop(folder)
            raise DamagedLog(
                f"remote '{self.name}': {error}",
                hint="its history is not the one that was there: find out who changed it; asking again accepts it",
            ) from error
        return sources

    # -- what is settled with a collection --

    def settled(self, folder: str) -> set[str]:
        """Ids of our changes that were settled with the remote, whichever of its logs that was."""
        ids = self._load(f"{folder}/settled.json").get("settled")
        return {id for id in ids if isinstance(id, str)} if isinstance(ids, list) else set()

    def settled_with(self, folder: str, began: str | None) -> set[str]:
        """Ids of our changes that a log of the remote is never told (again): the one whose first entry has the digest
        `began`. Another log that has this name by now was told nothing, so nothing is settled with it.
        """
        noted = self._load(f"{folder}/settled.json").get("log", began)  # older notes don't name the log
        return self.settled(folder) if began is not None and noted == began else set()

    def settled_now(self, there: Refs, path: Path) -> set[str]:
        """As `settled_with` the log that the collection has at the remote (`there`) now. Where nothing is settled, that
        log is not read.
        """
        return self.settled_with(path.folder, there.began(path)) if self.settled(path.folder) else set()

    def settle(self, folder: str, ids: set[str], began: str | None) -> None:
        known = self.settled_with(folder, began)
        if ids - known:
            self._save(f"{folder}/settled.json", {"settled": sorted(known | ids), "log": began})

    def noted_runs(self, verb: str) -> "NotedRuns":
        """How far runs were `pushed` or `pulled`."""
        noted = self._load(f"runs-{verb}.json")
        refs, runs = noted.get("refs"), noted.get("runs")
        numbers = {f: n for f, n in runs.items() if type(n) is int} if isinstance(runs, dict) else {}
        told = {folder: number for folder, number in numbers.items() if number >= 0}
        unrelated = {folder: -number for folder, number in numbers.items() if number < 0}
        return NotedRuns(refs if isinstance(refs, str) else None, told, unrelated)

    def note_runs(self, verb: str, noted: "NotedRuns") -> None:
        """Numbers of unrelated runs stand there as negative ones."""
        numbers = noted.told | {folder: -number for folder, number in noted.unrelated.items()}
        self._save(f"runs-{verb}.json", {"refs": noted.collections, "runs": numbers}, sync=False)

    def in_step(self, verb: str) -> dict[str, InStep]:
        """Collections, by their logs, of which a `push` or `pull` of all had nothing to tell; or that held the `same`."""
        noted = self._load(f"{verb}.json").items()
        return {folder: InStep(*values) for folder, values in noted if _is_note(values)}

    def note_in_step(self, verb: str, found: dict[str, InStep]) -> None:
        """Cost: one small file, or none where that is known."""
        known = self.in_step(verb)
        if known | found != known:
            self._save(f"{verb}.json", known | found, sync=False)

    def move_notes(self, old: str, new: str) -> None:
        """What is settled with a collection, and whether this is its upstream, stays so under another name."""
        if ids := self.settled(old):
            log = self._load(f"{old}/settled.json").get("log")
            named = {"log": log} if isinstance(log, str) else {}
            self._save(f"{new}/settled.json", {"settled": sorted(ids), **named})
        if self.follows(old):
            self.follow(new)

    # -- which remote a collection follows --

    def follows(self, folder: str) -> bool:
        return self.storage.size(f"{self._root}/{folder}/upstream") is not None

    def follow(self, folder: str) -> None:
        """Note, durably, that this is the remote whose numbers are final for a collection."""
        self.storage.create(f"{self._root}/{folder}/upstream", b"")

    def _load(self, path: str) -> dict[str, Any]:
        try:
            value = json.loads(self.storage.read(f"{self._root}/{path}"))
        except (FileNotFoundError, ValueError, RecursionError, StorageError):
            return {}
        return value if isinstance(value, dict) else {}

    def _save(self, path: str, value: dict[str, Any], *, sync: bool = True) -> None:
        self.storage.replace(f"{self._root}/{path}", encode_json(value), sync=sync)


def _is_note(values: Any) -> bool:
    return type(values) is list and [type(value) for value in values] == [int, str, int, str, int, str, str, str]


def _entry(folder: str, number: int) -> str:
    return f"{folder}/{number:08}.json"
