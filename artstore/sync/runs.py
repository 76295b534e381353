"""Runs on their way: pushed and pulled with the versions that they made and used, as far as the other side lacks them."""

from artstore.backends.storage import LogStorage
from artstore.domain.changes import Change
from artstore.domain.codec import encode_json
from artstore.domain.digest import plain_digest
from artstore.domain.reconcile import told
from artstore.domain.run import RunState
from artstore.progress import Monitor
from artstore.store.logs import Log, last_number
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs
from artstore.store.runs import Runs
from artstore.store.store import Store
from artstore.store.transaction import Transaction
from artstore.sync.notes import Tracking
from artstore.sync.transfer import Transfer


def _digest(heads: dict[str, int]) -> str:
    return plain_digest(encode_json(heads)).hex()


class RunExchange:
    """The runs' part of one operation between a repository here and a remote of its."""

    def __init__(self, here: Store, remote: Store, tracking: Tracking, *, jobs: int, monitor: Monitor) -> None:
        self._here = here
        self._remote = remote
        self._tracking = tracking
        self._there = here.runs.of_copies(tracking.mirror)
        """the remote's runs, as they were last seen"""
        self._jobs = jobs
        self._monitor = monitor

    def push(self, refs: Refs, *, lone: bool) -> int:
        """Push runs that made or used what the remote has by `refs`, and with `lone` those that made and used nothing;
        how many had something new.
        """
        heads = {folder: last_number(self._here.storage.names(folder)) for folder in self._here.runs.paths()}
        if not heads:
            return 0
        collections = _digest(self._tracking.logs())
        states, noted = self._due("pushed", heads, self._here.runs, refs, collections, lone=lone)
        count = self._tell_all(states, self._here.objects, self._remote.objects, self._here.storage, self._remote.runs)
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
        collections = _digest({folder: last_number(self._here.storage.names(folder)) for folder in refs.paths()})
        states, noted = self._due("pulled", heads, self._there, refs, collections, lone=lone)
        count = self._tell_all(states, self._remote.objects, self._here.objects, self._tracking.mirror, self._here.runs)
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

    def _tell_all(
        self, states: list[RunState], source: ObjectStore, target: ObjectStore, logs: LogStorage, there: Runs
    ) -> int:
        """Append what another place lacks of runs' logs (as they stand in `logs`), the sealed parts of their histories
        first; how many had something new.
        """
        blobs = [blob for state in states for blob in state.blobs()]
        if not blobs:
            return sum(there.tell(state.path, _changes(logs, state)) for state in states)
        with Transaction(target) as tx:
            transfer = Transfer(source, tx, self._here.objects, jobs=self._jobs, monitor=self._monitor)
            transfer.send(transfer.plan([], blobs))
            tx.publish()
            count = sum(there.tell(state.path, _changes(logs, state)) for state in states)
            tx.ensure()
        return count


def _changes(logs: LogStorage, state: RunState) -> list[Change]:
    """The changes of a run's log, up to the state that was sent."""
    log = Log(logs, state.path.folder)
    return told(entry for entry in log.entries(log.listing()) if entry.number <= state.number)
