"""All runs of a repository: each is a log of its own."""

from collections.abc import Callable, Iterator
from typing import Any

from artstore.backends.owner import is_dead, parse
from artstore.backends.storage import LogStorage
from artstore.domain.changes import (
    Change,
    check_change,
    portions,
)
from artstore.domain.hints import near
from artstore.domain.names import file_name_of
from artstore.domain.run import CRASHED, KINDS, PLAIN_KEYS, RUNNING, RunPath, RunState, fold, is_plain
from artstore.errors import (
    Conflict,
    Damage,
    InvalidValue,
    NotFound,
    StorageError,
)
from artstore.store.logs import CHECKPOINT_EVERY, LOST_RACES, Log, decode_checkpoint, encode_checkpoint

CHECKPOINT = "checkpoint"
"""The name of a run's checkpoint: a fixed one, so that 10,000 runs that ended are read without listing a folder."""
HISTORY = "history."
"""What the names of files with steps that are not sealed yet begin with, in a run's folder."""


class Runs:
    """All runs of a repository. Reads take no lock; an append is decided by the exclusive creation of its entry."""

    def __init__(
        self,
        storage: LogStorage,
        *,
        identity: Callable[[], tuple[str | None, str | None]],
        foreign: bool = False,
        told: Callable[[RunState, list[Change]], None] = lambda state, changes: None,
    ) -> None:
        """Of `foreign` ones, which others write, checkpoints are checked. `told` hears of every `append` that was made
        here.
        """
        self._storage = storage
        self._foreign = foreign
        self._identity = identity
        self._told = told

    def paths(self, entity: str | None = None, project: str | None = None) -> Iterator[str]:
        """Folders of all runs' logs (below an entity and project), in order."""
        for e in [file_name_of(entity)] if entity else sorted(self._storage.names("runs")):
            for p in [file_name_of(project)] if project else sorted(self._storage.names(f"runs/{e}")):
                for r in sorted(self._storage.names(f"runs/{e}/{p}")):
                    yield f"runs/{e}/{p}/{r}"

    def all(
        self,
        entity: str | None = None,
        project: str | None = None,
        *,
        wanted: Callable[[RunState], bool] = lambda state: True,
        damaged: list[Damage] | None = None,
    ) -> list[RunState]:
        """Every `wanted` run that was not deleted, the latest started first. One that can't be read is an error, or is told
        in `damaged` and left out. Memory: those that are wanted.
        """
        states = []
        for folder in self.paths(entity, project):
            try:
                state = self.read_folder(folder)
            except Damage as error:
                if damaged is None:
                    raise
                damaged.append(error)
                continue
            if state.number and state.deleted is None and wanted(state):
                states.append(state)
        return sorted(states, key=lambda s: (s.started, s.path), reverse=True)

    def read(self, path: RunPath) -> RunState:
        """The run at a path; `number` is 0 when there is none. Raises Conflict when it is spelled in another case."""
        state = self.read_folder(path.folder, path)
        if state.number and state.path != path:
            raise Conflict(f"run {path} differs only in case from {state.path}, which exists", hint="use another id")
        return state

    def find(self, path: RunPath) -> RunState:
        """As `read`; raises NotFound with near ids, also when it was deleted."""
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
        """Fold a log, from its checkpoint where there is one; `until` stops behind that entry."""
        log = Log(self._storage, folder)
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
        """The state that the checkpoint holds, if that belongs to this log."""
        plain = self._checkpoint(log.folder)
        try:
            if plain is None or log.read(plain["number"]).digest != plain["digest"]:
                return None
            state = RunState.from_plain(plain)
        except (Damage, StorageError, ValueError, TypeError):
            return None  # a hint only: the entries themselves decide
        return state if state.path.folder == log.folder else None

    def _checkpoint(self, folder: str) -> dict[str, Any] | None:
        """The state that a run's checkpoint holds, as plain values; None without one, or one of another artstore."""
        try:
            data = self._storage.read(f"{folder}/{CHECKPOINT}")
            plain: dict[str, Any] = decode_checkpoint(data, f"the checkpoint of {folder}", foreign=self._foreign)[2]
        except (FileNotFoundError, Damage, StorageError):
            return None  # a hint only: the entries themselves decide
        if type(plain) is not dict or plain.keys() != PLAIN_KEYS:
            return None
        return plain if not self._foreign or is_plain(plain) else None

    def ended(self, folder: str) -> dict[str, Any] | None:
        """The state of a run that ended, as plain values, if its checkpoint tells it and nothing came after; else None.
        Cost: one small file.
        """
        plain = self._checkpoint(folder)
        if plain is None or self._storage.size(f"{folder}/{plain['number'] + 1:08}.json") is not None:
            return None
        return plain

    def append(self, state: RunState, build: Callable[[RunState], list[Change]]) -> None:
        """Bring a state up to date and append what `build` makes of it; asked again after a lost race. No changes → no
        entry. Cost: the entries that the state lacks, and one.
        """
        log = Log(self._storage, state.path.folder)
        for _ in range(LOST_RACES):
            for entry in log.later(state.number, state.digest):
                fold(state, entry)
            changes = build(state)
            if not changes:
                return
            for change in changes:
                try:
                    check_change(KINDS, change)
                except ValueError as error:
                    raise InvalidValue(f"a '{change['kind']}' change of run {state.path}: {error}") from error
            host, user = self._identity()
            for some in portions(changes):
                written = log.append(state.number, state.digest, some, host=host, user=user)
                if written is None:
                    break
                fold(state, written)
                if state.finished or written.number % CHECKPOINT_EVERY == 0:
                    self._save_checkpoint(log, state)
            else:
                self._told(state, changes)
                return
        raise Conflict(f"run {state.path} changes faster than this could be added", hint="run the same command again")

    def _save_checkpoint(self, log: Log, state: RunState) -> None:
        try:
            body = encode_checkpoint(state.number, state.digest or "", state.plain())
            self._storage.replace(f"{log.folder}/{CHECKPOINT}", body, sync=True)
        except StorageError:
            pass  # it only keeps reading cheap

    def open_parts(self, state: RunState) -> list[str]:
        """Paths of files with steps that are not sealed: the recording process appends to them, or died before it could
        seal them.
        """
        return [path for path in self.parts(state) if path.rpartition("/")[2] not in state.history]

    def parts(self, state: RunState) -> list[str]:
        """As `open_parts`, with those that were sealed and not removed yet."""
        names = self._storage.names(state.path.folder)
        return sorted(f"{state.path.folder}/{name}" for name in names if name.startswith(HISTORY))

    def status(self, state: RunState) -> str:
        """finished, failed or running as its log says; crashed when its process is proved dead."""
        return state.finished or (RUNNING if may_live(state.owner, self._storage.local) else CRASHED)


def may_live(name: str, local: bool) -> bool:
    """Whether the process of that name isn't proved dead."""
    owner = parse(name)
    return owner is None or not is_dead(owner, local=local)
