"""Runs on their way: pushed and pulled with the versions that they made and used, as far as the other side lacks them."""

from collections.abc import Callable

from artstore.backends.storage import FolderStorage, LogStorage
from artstore.domain.changes import portions
from artstore.domain.codec import encode_json
from artstore.domain.digest import plain_digest
from artstore.domain.reconcile import told
from artstore.domain.run import RunState
from artstore.errors import Conflict
from artstore.progress import Monitor
from artstore.store.logs import LOST_RACES, Log, last_number
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs
from artstore.store.runs import Runs
from artstore.store.transaction import Transaction
from artstore.sync.notes import Tracking
from artstore.sync.place import Remote
from artstore.sync.transfer import Transfer


def _digest(heads: dict[str, int]) -> str:
    return plain_digest(encode_json(heads)).hex()


class RunExchange:
    """The runs' part of one operation between a repository here and a remote of its."""

    def __init__(
        self,
        runs: Runs,
        objects: ObjectStore,
        storage: FolderStorage,
        remote: Remote,
        tracking: Tracking,
        *,
        identity: Callable[[], tuple[str | None, str | None]],
        jobs: int,
        monitor: Monitor,
    ) -> None:
        self._runs = runs
        self._objects = objects
        self._storage = storage
        self._remote = remote
        self._tracking = tracking
        self._runs_there = Runs(tracking.mirror, identity=identity)
        self._identity = identity
        self._jobs = jobs
        self._monitor = monitor

    def push(self, refs: Refs, *, lone: bool) -> int:
        """Push runs that made or used what the remote has by `refs`, and with `lone` those that made and used nothing;
        how many had something new.
        """
        heads = {folder: last_number(self._storage.names(folder)) for folder in self._runs.paths()}
        if not heads:
            return 0
        collections = _digest(self._tracking.logs())
        states, noted = self._due("pushed", heads, self._runs, refs, collections, lone=lone)
        count = self._tell_all(states, self._objects, self._remote.objects, self._storage)
        if noted is not None:
            self._tracking.note_runs("pushed", collections, noted)
        return count

    def pull(self, refs: Refs, *, lone: bool) -> int:
        """The other way round: those that made or used what is here by `refs`."""
        numbers = self._tracking.heads(self._remote.storage, ["runs"])
        self._tracking.fetch(self._remote.storage, numbers)
        heads = {folder: max(some) for folder, some in numbers.items()}
        if not heads:
            return 0
        collections = _digest({folder: last_number(self._storage.names(folder)) for folder in refs.paths()})
        states, noted = self._due("pulled", heads, self._runs_there, refs, collections, lone=lone)
        count = self._tell_all(states, self._remote.objects, self._objects, self._tracking.mirror)
        if noted is not None:
            self._tracking.note_runs("pulled", collections, noted)
        return count

    def _due(
        self, verb: str, heads: dict[str, int], runs: Runs, refs: Refs, collections: str, *, lone: bool
    ) -> tuple[list[RunState], dict[str, int] | None]:
        """Runs whose logs (folder → last number) have something to tell, and what is to be noted of all when that is new: how
        far they were told, or as a negative number, how far they had nothing to do with these `collections`, whose digest
        that is.
        """
        before, known = self._tracking.noted_runs(verb)
        due, noted = list[RunState](), dict(known)
        ids: set[str] | None = None
        for folder, last in heads.items():
            if last == noted.get(folder) or (-last == noted.get(folder) and collections == before):
                continue
            ids = {id for path in refs.paths() for id in refs.read_folder(path).versions} if ids is None else ids
            state = runs.read_folder(folder)
            edges = state.used.keys() | state.logged.keys()
            if ids & edges or (lone and not edges):
                due.append(state)
                noted[folder] = last
            elif edges:
                noted[folder] = -last
        is_new = noted != known or (collections != before and any(number < 0 for number in noted.values()))
        return due, noted if is_new else None

    def _tell_all(self, states: list[RunState], source: ObjectStore, target: ObjectStore, logs: LogStorage) -> int:
        """Append what another place lacks of runs' logs (as they stand in `logs`), the sealed parts of their histories
        first; how many had something new.
        """
        blobs = [blob for state in states for blob in state.blobs()]
        if not blobs:
            return sum(self._tell(logs, target.storage, state) for state in states)
        with Transaction(target) as tx:
            transfer = Transfer(source, tx, self._objects, jobs=self._jobs, monitor=self._monitor)
            transfer.send(transfer.plan([], blobs))
            tx.publish()
            count = sum(self._tell(logs, target.storage, state) for state in states)
            tx.ensure()
        return count

    def _tell(self, source: LogStorage, target: LogStorage, state: RunState) -> bool:
        """Append the changes of a run's log that another lacks."""
        folder = state.path.folder
        mine = Log(source, folder)
        ours = told(entry for entry in mine.entries(mine.listing()) if entry.number <= state.number)  # what was sent
        for _ in range(LOST_RACES):
            log = Log(target, folder)
            entries = list(log.entries(log.listing()))
            known = {change["change"] for entry in entries for change in entry.changes}
            missing = [change for change in ours if change["change"] not in known]
            if not missing:
                return False
            head, prev = (entries[-1].number, entries[-1].digest) if entries else (0, None)
            host, user = self._identity()
            for some in portions(missing):
                entry = log.append(head, prev, some, host=host, user=user)
                if entry is None:
                    break
                head, prev = entry.number, entry.digest
            else:
                return True
        raise Conflict(f"run {state.path} changes faster than this could be added", hint="run the same command again")
