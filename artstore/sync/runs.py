"""Runs in an exchange: a push or pull also sends the runs that made or used the versions which the receiver has."""

from functools import partial
from typing import NamedTuple
from urllib.parse import unquote

from artstore.backends.storage import LogStorage
from artstore.domain.changes import Change
from artstore.domain.codec import encode_json
from artstore.domain.digest import plain_digest
from artstore.domain.names import printable
from artstore.domain.reconcile import told
from artstore.domain.run import RunState
from artstore.domain.selection import Selection
from artstore.errors import (
    ArtstoreError,
    Conflict,
    Damage,
    DamagedLog,
    InvalidValue,
    NotFound,
    Refused,
    UnsupportedFormat,
)
from artstore.progress import Monitor
from artstore.store.logs import Log, last_number, last_of
from artstore.store.refs import Refs
from artstore.store.runs import Runs
from artstore.store.sides import AnyStore, Receiver
from artstore.store.store import Store
from artstore.sync.notes import NotedRuns, Tracking
from artstore.sync.transfer import NOTHING, Transfer


class RefusedRun(NamedTuple):
    """A run that could not be sent."""

    path: str
    problem: ArtstoreError


class SentRuns(NamedTuple):
    """The result of a push or pull for runs."""

    runs: int = 0
    """number of runs that had new changes"""
    refused: tuple[RefusedRun, ...] = ()


def _digest(heads: dict[str, int]) -> str:
    return plain_digest(encode_json(heads)).hex()


class RunExchange:
    """The part of an exchange that sends runs."""

    def __init__(
        self, here: Store, remote: AnyStore, tracking: Tracking, *, selection: Selection, jobs: int, monitor: Monitor
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

    def push(self, refs: Refs, *, lone: bool) -> SentRuns:
        """Push runs that made or used versions which the remote has. One that can't be pushed is refused.

        Args:
            refs: The collections of the remote.
            lone: Also push runs that made and used no version.
        """
        numbers = {folder: last_number(self._here.storage.names(folder)) for folder in self._here.runs.paths()}
        heads = {folder: last for folder, last in numbers.items() if last}
        if not heads:
            return SentRuns()
        collections = _digest(self._tracking.logs())
        before = self._tracking.noted_runs("pushed")
        refused: dict[str, ArtstoreError] = {}
        states, noted = self._due(heads, before, self._here.runs, refs, collections, refused, lone=lone)
        sides = _Sides(self._here, self._remote, self._here.storage, self._remote.runs)
        return self._sent("pushed", self._tell_all(states, sides, refused), before, noted, refused)

    def pull(self, refs: Refs, *, lone: bool) -> SentRuns:
        """Pull runs that made or used versions which are here. One that can't be pulled is refused.

        Args:
            refs: The collections here.
            lone: Also pull runs that made and used no version.
        """
        numbers = self._remote.heads(["runs"])
        refused: dict[str, ArtstoreError] = {}
        self._tracking.fetch(self._remote.storage, numbers, refused)
        heads = {folder: last_of(some) for folder, some in numbers.items() if folder not in refused}
        if not numbers:
            return SentRuns()
        collections = _digest({folder: last_number(self._here.storage.names(folder)) for folder in refs.paths()})
        before = self._tracking.noted_runs("pulled")
        states, noted = self._due(heads, before, self._there, refs, collections, refused, lone=lone)
        sides = _Sides(self._remote, self._here, self._tracking.mirror, self._here.runs)
        return self._sent("pulled", self._tell_all(states, sides, refused), before, noted, refused)

    def _due(
        self, heads: dict[str, int], before: NotedRuns, runs: Runs, refs: Refs, collections: str,
        refused: dict[str, ArtstoreError], *, lone: bool,
    ) -> tuple[list[RunState], NotedRuns]:  # fmt: skip
        """The runs whose logs have grown since the notes `before`, and the new notes.

        Args:
            heads: The number of the newest entry of each run's log, by its folder.
            runs: The runs of the sender.
            refs: The collections of the receiver.
            collections: The digest of the logs of `refs`. If it is another one than in the notes, unrelated runs are
                looked at again.
            refused: The error of a run that can't be read is added here, by its folder.
            lone: Also send runs that made and used no version.
        """
        due, told, unrelated = list[RunState](), dict(before.told), dict(before.unrelated)
        ids: set[str] | None = None
        for folder, last in heads.items():
            if last == told.get(folder) or (last == unrelated.get(folder) and collections == before.collections):
                continue
            ids = {id for path in refs.paths() for id in refs.read_folder(path).versions} if ids is None else ids
            try:
                state = _read(runs, folder)
            except ArtstoreError as error:
                refused[folder] = error
                continue
            edges = state.used.keys() | state.logged.keys()
            if ids & edges or (lone and not edges):
                due.append(state)
                told[folder] = last
                unrelated.pop(folder, None)
            elif edges:
                unrelated[folder] = last
                told.pop(folder, None)
        return due, NotedRuns(collections, told, unrelated)

    def _sent(
        self, verb: str, count: int, before: NotedRuns, now: NotedRuns, refused: dict[str, ArtstoreError]
    ) -> SentRuns:
        """The result. Writes the new notes, if they can save work later; for refused runs the notes stay as they were."""
        told = {f: n for f, n in now.told.items() if f not in refused}
        told |= {f: n for f, n in before.told.items() if f in refused}
        if (told, now.unrelated) != before[1:] or (now.unrelated and now.collections != before.collections):
            self._tracking.note_runs(verb, now._replace(told=told))
        return SentRuns(count, tuple(RefusedRun(_name(folder), refused[folder]) for folder in sorted(refused)))

    def _tell_all(self, states: list[RunState], sides: "_Sides", refused: dict[str, ArtstoreError]) -> int:
        """Send runs: first their histories and files, then the changes of their logs. Returns how many had
        new changes. The error of a run that can't be sent is added to `refused`.
        """
        if not any(state.blobs() or state.folders() for state in states):
            return sum(sides.tell(state, refused) for state in states)
        with sides.target.transaction() as tx:
            whole = self._send(states, sides, tx, refused)
            with self._monitor.waiting():
                tx.publish(partial(self._monitor.advance, 0))
            count = sum(sides.tell(state, refused) for state in whole)
            tx.ensure()
        return count

    def _send(
        self, states: list[RunState], sides: "_Sides", tx: Receiver, refused: dict[str, ArtstoreError]
    ) -> list[RunState]:
        """Send the histories and files of runs. Returns the runs of which all was sent.

        If some objects are damaged or missing, those of each run are sent apart.
        """
        blobs = [blob for state in states for blob in state.blobs()]
        folders = [folder for state in states for folder in state.folders()]
        near = self._here.objects
        for state in states:
            for side in (sides.source, sides.target):
                side.objects.through(state.path.folder, ())
        transfer = Transfer(
            sides.source.objects, tx, near, selection=self._selection, jobs=self._jobs, monitor=self._monitor
        )
        try:
            transfer.send(transfer.plan([], blobs, folders))
            return states
        except (Damage, NotFound, Refused) as error:
            if len(states) > 1:
                return [whole for state in states for whole in self._send([state], sides, tx, refused)]
            refused[states[0].path.folder] = error
            return []


class _Sides(NamedTuple):
    """What a run is sent from and to."""

    source: AnyStore
    """the sender"""
    target: AnyStore
    """the receiver"""
    logs: LogStorage
    """the storage that has the logs of the sender, or copies of them"""
    there: Runs
    """the runs of the receiver"""

    def tell(self, state: RunState, refused: dict[str, ArtstoreError]) -> bool:
        """Append the changes that the receiver's log of a run lacks. Returns whether there were any."""
        try:
            return self.there.tell(state, _changes(self.logs, state))
        except (Conflict, Damage, InvalidValue, NotFound, Refused, UnsupportedFormat) as error:
            refused[state.path.folder] = error
            return False


def _read(runs: Runs, folder: str) -> RunState:
    """The state of a run. Raises DamagedLog if its log is in the folder of another run."""
    state = runs.read_folder(folder)
    if state.path.folder != folder:
        raise DamagedLog(f"the log in {printable(folder)} belongs to run {printable(str(state.path))}")
    return state


def _name(folder: str) -> str:
    """The path of a run whose log is in a folder, as it can be known without the log."""
    return "/".join(map(unquote, folder.split("/")[1:]))


def _changes(logs: LogStorage, state: RunState) -> list[Change]:
    """The changes of a run's log, up to the entry of `state`."""
    log = Log(logs, state.path.folder)
    return told(entry for entry in log.entries(log.listing()) if entry.number <= state.number)
