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
from artstore.sync.notes import NotedRuns, Tracking
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
        before = self._tracking.noted_runs("pushed")
        states, noted = self._due(heads, before, self._here.runs, refs, collections, lone=lone)
        count = self._tell_all(states, self._here.objects, self._remote.objects, self._here.storage, self._remote.runs)
        self._note("pushed", before, noted)
        return count

    def pull(self, refs: Refs, *, lone: bool) -> int:
        """The other way round: those that made or used what is here by `refs`."""
        numbers = self._tracking.heads(self._remote.storage, ["runs"])
        self._tracking.fetch(self._remote.storage, numbers)
        heads = {folder: max(some) for folder, some in numbers.items()}
        if not heads:
            return 0
        collections = _digest({folder: last_number(self._here.storage.names(folder)) for folder in refs.paths()})
        before = self._tracking.noted_runs("pulled")
        states, noted = self._due(heads, before, self._there, refs, collections, lone=lone)
        count = self._tell_all(states, self._remote.objects, self._here.objects, self._tracking.mirror, self._here.runs)
        self._note("pulled", before, noted)
        return count

    def _due(
        self, heads: dict[str, int], before: NotedRuns, runs: Runs, refs: Refs, collections: str, *, lone: bool
    ) -> tuple[list[RunState], NotedRuns]:
        """Runs whose logs (folder → last number) have something to tell since `before`, and what is to be noted now.
        `collections` is the digest of the logs of `refs`.
        """
        due, told, unrelated = list[RunState](), dict(before.told), dict(before.unrelated)
        ids: set[str] | None = None
        for folder, last in heads.items():
            still_unrelated = last == unrelated.get(folder) and collections == before.collections
            if last == told.get(folder) or still_unrelated:
                continue
            ids = {id for path in refs.paths() for id in refs.read_folder(path).versions} if ids is None else ids
            state = runs.read_folder(folder)
            edges = state.used.keys() | state.logged.keys()
            if ids & edges or (lone and not edges):
                due.append(state)
                told[folder] = last
                unrelated.pop(folder, None)
            elif edges:
                unrelated[folder] = last
                told.pop(folder, None)
        return due, NotedRuns(collections, told, unrelated)

    def _note(self, verb: str, before: NotedRuns, now: NotedRuns) -> None:
        """Note it if a later look would be spared by it."""
        if now[1:] != before[1:] or (now.unrelated and now.collections != before.collections):
            self._tracking.note_runs(verb, now)

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
