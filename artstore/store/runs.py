"""Runs: executions that used and logged versions, each a log of its own; what a run did is the fold of its entries."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from artstore.backends.owner import is_dead, parse
from artstore.backends.storage import LogStorage
from artstore.domain.changes import (
    PLACE,
    Change,
    Entry,
    Good,
    Table,
    anything,
    check_change,
    dict_of,
    is_count,
    is_digest,
    is_json,
    is_record,
    is_text,
    list_of,
    named,
    one_of,
    or_null,
    origin_of,
    portions,
)
from artstore.domain.codec import decode_json, encode_json
from artstore.domain.digest import Digest
from artstore.domain.hints import near
from artstore.domain.names import check_project, file_name_of, printable
from artstore.errors import (
    Conflict,
    Damage,
    DamagedLog,
    InvalidValue,
    NotFound,
    StorageError,
    UnsupportedFormat,
)
from artstore.store.logs import CHECKPOINT_EVERY, LOST_RACES, Log, decode_checkpoint, encode_checkpoint

RUNNING, FINISHED, FAILED, CRASHED = "running", "finished", "failed", "crashed"
CHECKPOINT = "checkpoint"
"""The name of a run's checkpoint: a fixed one, so that 10,000 runs that ended are read without listing a folder."""
HISTORY = "history."
"""What the names of files with steps that are not sealed yet begin with, in a run's folder."""


class RunPath(NamedTuple):
    """Which run: names as users spell them."""

    entity: str
    project: str
    id: str

    def __str__(self) -> str:
        return "/".join(self)

    @property
    def folder(self) -> str:
        return "runs/" + "/".join(file_name_of(part) for part in self)


class RunState:
    """A run as its log tells it; plain values, of which a checkpoint is made. `used` and `logged` name versions by id, with
    what they were called then: they hold nothing.
    """

    def __init__(self, path: RunPath) -> None:
        self.path = path
        self.number = 0
        """of the newest entry folded; 0 for a run that never was"""
        self.digest: str | None = None
        self.name = ""
        self.job_type: str | None = None
        self.group: str | None = None
        self.notes: str | None = None
        self.tags: list[str] = []
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.command: list[str] = []
        self.git: dict[str, Any] | None = None
        self.owner = ""
        """name of the process that recorded last"""
        self.started = self.seen = ""
        """times of the first and the newest entry"""
        self.host: str | None = None
        self.user: str | None = None
        self.finished: str | None = None
        """the state in which it ended"""
        self.exit_code: int | None = None
        self.deleted: str | None = None
        """when it was: its name and edges stay"""
        self.used: dict[str, Change] = {}
        self.logged: dict[str, Change] = {}
        self.history: dict[str, Change] = {}
        """sealed parts of its history, by the names of the files that they were"""

    def blobs(self) -> list[Digest]:
        """Blobs that hold its history: kept as long as the run is."""
        parts = self.history.values() if self.deleted is None else ()
        return [Digest(bytes.fromhex(part["blob"])) for part in parts if part["blob"]]

    def plain(self) -> dict[str, Any]:
        """For a checkpoint. Config and summary may hold floats, which the canonical codec has no form for."""
        values = {**vars(self), "path": list(self.path)}
        return values | {key: encode_json(values[key]) for key in _JSON}

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "RunState":
        state = cls(RunPath(*values["path"]))
        vars(state).update(values, path=state.path)
        for key in _JSON:
            setattr(state, key, decode_json(values[key], f"{key} in a checkpoint"))
        return state


_JSON = ("config", "summary", "git")
_PLAIN_KEYS = vars(RunState(RunPath("", "", ""))).keys()


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
                _fold(known, entry)
            return known
        state = RunState(path or RunPath("", "", ""))
        for entry in log.entries(log.listing()):
            _fold(state, entry)
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
        if type(plain) is not dict or plain.keys() != _PLAIN_KEYS:
            return None
        return plain if not self._foreign or _is_plain(plain) else None

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
                _fold(state, entry)
            changes = build(state)
            if not changes:
                return
            for change in changes:
                try:
                    check_change(FIELDS, change)
                except ValueError as error:
                    raise InvalidValue(f"a '{change['kind']}' change of run {state.path}: {error}") from error
            host, user = self._identity()
            for some in portions(changes):
                written = log.append(state.number, state.digest, some, host=host, user=user)
                if written is None:
                    break
                _fold(state, written)
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


_VERSION: dict[str, Any] = {
    **PLACE,
    "id": is_digest,
    "number": is_count,
    "type": is_text,
    "digest": is_digest,
    "size": is_count,
    "created": is_count,
}


def _is_git(value: Any) -> bool:
    return type(value) is dict and value.keys() == {"commit", "dirty"} and type(value["dirty"]) is bool


def _is_code(value: Any) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


FIELDS: Table = {
    "start": {
        "entity": named(check_project),
        "project": named(check_project),
        "run": named(check_project),
        "job_type": or_null(is_text),
        "group": or_null(is_text),
        "owner": is_text,
        "command": list_of(is_text),
        "git": or_null(_is_git),
    },
    "label": {"name": or_null(is_text), "notes": or_null(is_text), "tags": list_of(is_text)},
    "config": {"set": dict_of(anything), "remove": list_of(is_text)},
    "summary": {"set": dict_of(anything), "remove": list_of(is_text)},
    "used": {**_VERSION, "as": or_null(is_text)},
    "logged": _VERSION,
    "history": {
        "part": is_text,
        "rows": is_count,
        "first": is_count,
        "last": is_count,
        "text": or_null(is_text),
        "blob": or_null(is_digest),
    },
    "finish": {"state": one_of(FINISHED, FAILED), "code": _is_code},
    "delete": {},
}


def _changes_of(kind: str) -> Good:
    """Changes of a kind, by their ids (or parts), as a state keeps them."""
    key = "part" if kind == "history" else "id"

    def good(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for name, change in value.items():
            if type(change) is not dict or change.get("kind") != kind or change.get(key) != name:
                return False
            check_change(FIELDS, change)
        return True

    return good


_is_plain_state = is_record(
    {
        "path": lambda value: type(value) is list and len(value) == 3 and all(map(check_project, value)),
        "number": is_count,
        "digest": is_digest,
        **dict.fromkeys(("name", "owner", "started", "seen"), is_text),
        **dict.fromkeys(("job_type", "group", "notes", "host", "user", "deleted"), or_null(is_text)),
        **dict.fromkeys(("tags", "command"), list_of(is_text)),
        "config": is_json(dict_of(anything)),
        "summary": is_json(dict_of(anything)),
        "git": is_json(or_null(_is_git)),
        "finished": one_of(None, FINISHED, FAILED),
        "exit_code": or_null(_is_code),
        **{kind: _changes_of(kind) for kind in ("used", "logged", "history")},
    }
)


def _is_plain(plain: Any) -> bool:
    """Whether a fold could have made it."""
    try:
        return _is_plain_state(plain)
    except (ValueError, TypeError, Damage):
        return False


def _fold(state: RunState, entry: Entry) -> None:
    """Apply one entry. Raises DamagedLog or UnsupportedFormat as the fold of a collection does."""
    for change in entry.changes:
        kind = change["kind"]
        if kind not in _FOLDS:
            raise UnsupportedFormat(
                f"run {state.path} has a change of kind '{printable(kind)}', which this artstore does not know",
                hint="update artstore",
            )
        try:
            check_change(FIELDS, change)
            _FOLDS[kind](state, entry, change)
        except (KeyError, ValueError) as error:
            what = f"entry {entry.number} of run {printable(str(state.path))}"
            raise DamagedLog(f"{what} has a '{kind}' change that can't be applied: {error}") from error
        state.seen = max(state.seen, origin_of(entry, change)["time"] or "")
    state.number, state.digest = entry.number, entry.digest


def _fold_start(state: RunState, entry: Entry, change: Change) -> None:
    if state.deleted is not None:  # a new run under the id of one that was deleted
        vars(state).update(vars(RunState(state.path)), number=state.number, digest=state.digest)
    state.path = RunPath(change["entity"], change["project"], change["run"])
    state.name = state.name or state.path.id
    by = origin_of(entry, change)
    state.started = state.started or by["time"] or ""
    state.job_type, state.group = change["job_type"], change["group"]
    state.owner, state.command, state.git = change["owner"], change["command"], change["git"]
    state.host, state.user = by["host"], by["user"]
    state.finished = state.exit_code = state.deleted = None


def _fold_label(state: RunState, entry: Entry, change: Change) -> None:
    state.name, state.notes, state.tags = change["name"] or state.path.id, change["notes"], change["tags"]


def _fold_values(state: RunState, entry: Entry, change: Change) -> None:
    values: dict[str, Any] = getattr(state, change["kind"])
    for key in change["remove"]:
        values.pop(key, None)
    values.update(change["set"])


def _fold_edge(state: RunState, entry: Entry, change: Change) -> None:
    edges: dict[str, Change] = getattr(state, change["kind"])
    edges.setdefault(change["id"], change)


def _fold_history(state: RunState, entry: Entry, change: Change) -> None:
    state.history.setdefault(change["part"], change)


def _fold_delete(state: RunState, entry: Entry, change: Change) -> None:
    state.deleted = origin_of(entry, change)["time"]


def _fold_finish(state: RunState, entry: Entry, change: Change) -> None:
    state.finished, state.exit_code = change["state"], change["code"]


_FOLDS: dict[str, Callable[[RunState, Entry, Change], None]] = {
    "start": _fold_start,
    "label": _fold_label,
    "config": _fold_values,
    "summary": _fold_values,
    "used": _fold_edge,
    "logged": _fold_edge,
    "history": _fold_history,
    "finish": _fold_finish,
    "delete": _fold_delete,
}
