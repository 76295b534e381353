"""Runs in an exchange: a push or pull also sends the runs that made or used the versions which the receiver has."""

from artstore.backends.storage import LogStorage
from artstore.domain.changes import Change
from artstore.domain.codec import encode_json
from artstore.domain.digest import plain_digest
from artstore.domain.reconcile import told
from artstore.domain.run import RunState
from artstore.domain.selection import Selection
from artstore.progress import Monitor
from artstore.store.logs import Log, last_number
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs
from artstore.store.runs import Runs
from artstore.store.store import Store
from artstore.store.transaction import Transaction
from artstore.sync.notes import NotedRuns, Tracking
from artstore.sync.transfer import NOTHING, Transfer


def _digest(heads: dict[str, int]) -> str:
    return plain_digest(encode_json(heads)).hex()


class RunExchange:
    """The part of an exchange that sends runs."""

    def __init__(
        self, here: Store, remote: Store, tracking: Tracking, *, selection: Selection, jobs: int, monitor: Monitor
    ) -> None:
        """Prepare an exchange. Unless the selection is everything, the blobs of runs' files stay where they are."""
        self._here = here
        self._remote = remote
        self._tracking = tracking
        self._there = here.runs.of_copies(tracking.mirror)
        """the remote's runs, as they were last seen"""
        self._selection = selection if selection.everything else NOTHING
        self._jobs = jobs
        self._monitor = monitor

    def push(self, refs: Refs, *, lone: bool) -> int:
        """Push runs that made or used versions which the remote has. Returns how many had new changes.

        Args:
            refs: The collections of the remote.
            lone: Also push runs that made and used no version.
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
        """Pull runs that made or used versions which are here. Returns how many had new changes.

        Args:
            refs: The collections here.
            lone: Also pull runs that made and used no version.
        """
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
        """The runs whose logs have grown since the notes `before`, and the new notes.

        Args:
            heads: The number of the newest entry of each run's log, by its folder.
            runs: The runs of the sender.
            refs: The collections of the receiver.
            collections: The digest of the logs of `refs`. If it is another one than in the notes, unrelated runs are
                looked at again.
            lone: Also send runs that made and used no version.
        """
        due, told, unrelated = list[RunState](), dict(before.told), dict(before.unrelated)
        ids: set[str] | None = None
        for folder, last in heads.items():
            if last == told.get(folder) or (last == unrelated.get(folder) and collections == before.collections):
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
        """Write the new notes, if they can save work later."""
        if now[1:] != before[1:] or (now.unrelated and now.collections != before.collections):
            self._tracking.note_runs(verb, now)

    def _tell_all(
        self, states: list[RunState], source: ObjectStore, target: ObjectStore, logs: LogStorage, there: Runs
    ) -> int:
        """Send runs: first their histories and files, then the changes of their logs. Returns how many had
        new changes.

        Args:
            source: The objects of the sender.
            target: The objects of the receiver.
            logs: The storage that has the logs of the sender, or copies of them.
            there: The runs of the receiver.
        """
        blobs = [blob for state in states for blob in state.blobs()]
        folders = [folder for state in states for folder in state.folders()]
        if not blobs and not folders:
            return sum(there.tell(state.path, _changes(logs, state)) for state in states)
        with Transaction(target) as tx:
            near = self._here.objects
            transfer = Transfer(source, tx, near, selection=self._selection, jobs=self._jobs, monitor=self._monitor)
            transfer.send(transfer.plan([], blobs, folders))
            tx.publish()
            count = sum(there.tell(state.path, _changes(logs, state)) for state in states)
            tx.ensure()
        return count


def _changes(logs: LogStorage, state: RunState) -> list[Change]:
    """The changes of a run's log, up to the entry of `state`."""
    log = Log(logs, state.path.folder)
    return told(entry for entry in log.entries(log.listing()) if entry.number <= state.number)
