"""The logs of all runs of a repository, one for each run."""

from collections.abc import Callable
from typing import Any, NamedTuple

from artstore.backends.owner import is_dead, parse
from artstore.backends.storage import LogStorage
from artstore.domain.changes import Change, LogEntry, portions
from artstore.domain.run import CRASHED, KINDS, PLAIN_KEYS, RUNNING, RunPath, RunState, fold, is_plain
from artstore.domain.tree import Entry
from artstore.domain.wording import near
from artstore.errors import Conflict, Damage, DamagedLog, NotFound, StorageError
from artstore.store.logbook import Identity, LogBook, too_busy
from artstore.store.logs import CHECKPOINT_EVERY, LOST_RACES, Log, decode_checkpoint, encode_checkpoint, entry_path

CHECKPOINT = "checkpoint"
"""The name of a run's checkpoint. It is fixed, so that 10,000 ended runs can be read without listing their folders."""
HISTORY = "history."
"""The prefix of the files in a run's folder that hold steps which aren't sealed yet."""
FILES = "files."
"""The prefix of the folders in a run's folder that hold files which aren't sealed yet."""


class RunFile(NamedTuple):
    """A file of a run."""

    path: str
    size: int
    entry: Entry | None
    """in a sealed tree; None if the file isn't sealed yet"""
    staged: str | None
    """where a file is that isn't sealed yet, below the repository; None if it is sealed"""


class Runs(LogBook[RunState]):
    """The logs of all runs of a repository."""

    top, kinds = "runs", KINDS

    def __init__(self, storage: LogStorage, *, identity: Identity, foreign: bool = False) -> None:
        """Others can write `foreign` logs, so their checkpoints are checked."""
        super().__init__(storage, identity=identity, foreign=foreign)
        self.journal: list[tuple[RunState, list[Change]]] = []
        """what `append` did here; whoever needs it takes it out"""

    def of_copies(self, mirror: LogStorage) -> "Runs":
        """The runs of another repository, read from the copies of its logs that are here."""
        return Runs(mirror, identity=self._identity)

    def all(
        self,
        entity: str | None = None,
        project: str | None = None,
        *,
        wanted: Callable[[RunState], bool] = lambda state: True,
        damaged: list[Damage] | None = None,
    ) -> list[RunState]:
        """All `wanted` runs that weren't deleted, the last started first. Memory: only the wanted ones.

        If one can't be read, that is an error; with `damaged` the error is added there and the run left out.
        """
        states = (s for s in self._states(entity, project, damaged) if s.number and s.deleted is None and wanted(s))
        return sorted(states, key=lambda s: (s.started, s.path), reverse=True)

    def read(self, path: RunPath) -> RunState:
        """The run at a path; `number` is 0 if there is none. Raises Conflict if the path differs only in case."""
        state = self.read_folder(path.folder, path)
        if state.number and state.path != path:
            raise Conflict(f"run {path} differs only in case from {state.path}, which exists", hint="use another id")
        return state

    def find(self, path: RunPath) -> RunState:
        """The run at a path. Raises NotFound, with similar ids, if there is none or it was deleted."""
        state = self.read(path)
        if state.deleted is not None:
            raise NotFound(f"run {path} was deleted on {state.deleted[:10]}")
        if not state.number:
            ids = [folder.rpartition("/")[2] for folder in self.paths(path.entity, path.project)]
            hint = near(path.id, ids)
            raise NotFound(f"there is no run '{path.id}' in project {path.entity}/{path.project}", hint=hint)
        return state

    def read_folder(
        self, folder: str, path: RunPath | None = None, *, until: int | None = None, checkpoints: bool = True
    ) -> RunState:
        """The state of a log, from its checkpoint if there is one; with `until`, as of that entry."""
        log = self._log(folder)
        if checkpoints and until is None and (known := self._from_checkpoint(log)) is not None:
            for entry in log.later(known.number, known.digest):
                fold(known, entry)
            return known
        state = RunState(path or RunPath("", "", ""))
        for entry in log.entries(log.listing()):
            fold(state, entry)
            if entry.number == until:
                break
        return state

    def _from_checkpoint(self, log: Log) -> RunState | None:
        """The state in a log's checkpoint, or None if it doesn't belong to this log."""
        plain = self._checkpoint(log.folder)
        try:
            if plain is None or log.read(plain["number"]).digest != plain["digest"]:
                return None
            state = RunState.from_plain(plain)
        except (Damage, StorageError, ValueError, TypeError):
            return None  # a hint only: the entries themselves decide
        return state if state.path.folder == log.folder else None

    def _checkpoint(self, folder: str) -> dict[str, Any] | None:
        """The state in a run's checkpoint, as plain values, or None if there is none, or one of another artstore."""
        try:
            data = self._storage.read(f"{folder}/{CHECKPOINT}")
            plain: dict[str, Any] = decode_checkpoint(data, f"the checkpoint of {folder}", foreign=self._foreign)[2]
        except (FileNotFoundError, Damage, StorageError):
            return None  # a hint only: the entries themselves decide
        if type(plain) is not dict or plain.keys() != PLAIN_KEYS:
            return None
        return plain if not self._foreign or is_plain(plain) else None

    def ended(self, folder: str) -> dict[str, Any] | None:
        """The state of a run as plain values, if its checkpoint has it and no entry came after it; else None.

        That is so for runs that ended. Cost: one small file.
        """
        plain = self._checkpoint(folder)
        if plain is None or self._storage.size(entry_path(folder, plain["number"] + 1)) is not None:
            return None
        return plain

    def append(self, state: RunState, build: Callable[[RunState], list[Change]]) -> None:
        """Bring a state up to date and append the changes that `build` returns for it.

        After a lost race `build` is called again. If it returns no changes, no entry is made. Cost: reads the entries
        that the state lacks, and writes one.
        """
        log = self._log(state.path.folder)
        for _ in range(LOST_RACES):
            for entry in log.later(state.number, state.digest):
                fold(state, entry)
            changes = build(state)
            if not changes:
                return
            self._check(changes, f"run {state.path}")
            if all(self._append(log, state, some) for some in portions(changes)):
                self.journal.append((state, changes))
                return
        raise too_busy(f"run {state.path}")

    def tell(self, theirs: RunState, changes: list[Change]) -> bool:
        """Append those of another place's changes that a run's log here lacks. Returns whether there were any.

        Raises DamagedLog if with them the run would name histories or files that neither place has in its log. Then a
        change there has the id of another one here.

        Args:
            theirs: The run as it is at the other place. What it keeps must be stored here.
            changes: Of the log there.
        """
        path = theirs.path
        log = self._log(path.folder)
        for _ in range(LOST_RACES):
            entries = list(log.entries(log.listing()))
            known = {change["change"] for entry in entries for change in entry.changes}
            missing = [change for change in changes if change["change"] not in known]
            if not missing:
                return False
            _check_sum(entries, missing, theirs)
            head, prev = (entries[-1].number, entries[-1].digest) if entries else (0, None)
            host, user = self._identity()
            for some in portions(missing):
                entry = log.append(head, prev, some, host=host, user=user)
                if entry is None:
                    break
                head, prev = entry.number, entry.digest
            else:
                return True
        raise too_busy(f"run {path}")

    def _fold(self, state: RunState, entry: LogEntry) -> None:
        fold(state, entry)

    def _keep(self, log: Log, state: RunState, changes: int) -> None:
        if state.finished or state.number % CHECKPOINT_EVERY == 0:
            self._save_checkpoint(log, state)

    def _save_checkpoint(self, log: Log, state: RunState) -> None:
        try:
            body = encode_checkpoint(state.number, state.digest or "", state.plain())
            self._storage.replace(f"{log.folder}/{CHECKPOINT}", body, sync=True)
        except StorageError:
            pass  # it only keeps reading cheap

    def open_parts(self, state: RunState) -> list[str]:
        """Paths of the files with steps that aren't sealed.

        The recording process is appending to them, or died before it could seal them.
        """
        return [path for path in self.parts(state) if path.rpartition("/")[2] not in state.history]

    def parts(self, state: RunState) -> list[str]:
        """Paths of all files with steps: those of `open_parts`, and those that were sealed but not removed yet."""
        return self._beside(state, HISTORY)

    def file_folders(self, state: RunState) -> list[str]:
        """Paths of the folders with files: those that aren't sealed yet, and those that weren't removed yet."""
        return self._beside(state, FILES)

    def _beside(self, state: RunState, prefix: str) -> list[str]:
        names = self._storage.names(state.path.folder)
        return sorted(f"{state.path.folder}/{name}" for name in names if name.startswith(prefix))

    def status(self, state: RunState) -> str:
        """finished or failed if its log says so; else running, or crashed if its process is proved dead."""
        return state.finished or (RUNNING if may_live(state.owner, self._storage.local) else CRASHED)


def _check_sum(entries: list[LogEntry], missing: list[Change], theirs: RunState) -> None:
    """Raise DamagedLog unless the entries of a log and the changes that it lacks add up to the same run, which keeps
    only what it keeps at one of both places.
    """
    state = RunState(theirs.path)
    for entry in entries:
        fold(state, entry)
    kept = {*state.blobs(), *state.folders(), *theirs.blobs(), *theirs.folders()}
    fold(state, LogEntry(state.number + 1, "", state.digest, "", None, None, "", missing))
    if state.path.folder != theirs.path.folder or not kept.issuperset([*state.blobs(), *state.folders()]):
        raise DamagedLog(f"the changes of run {theirs.path} repeat ids of other changes, so they can't be added")


def may_live(name: str, local: bool) -> bool:
    """Whether the process with this name may be alive: it isn't proved dead."""
    owner = parse(name)
    return owner is None or not is_dead(owner, local=local)
