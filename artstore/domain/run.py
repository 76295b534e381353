"""Runs: executions that used and logged versions. A run's state is the result of all changes in its log."""

from typing import Any, NamedTuple

from artstore.domain.changes import (
    PLACE,
    Change,
    ChangeKind,
    Fields,
    Good,
    Kinds,
    LogEntry,
    anything,
    apply,
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
)
from artstore.domain.charts import OWN
from artstore.domain.codec import decode_json, encode_json
from artstore.domain.digest import Digest, from_hex
from artstore.domain.names import check_project, file_name_of
from artstore.domain.summaries import KEPT
from artstore.domain.tree import Folder
from artstore.errors import Damage

RUNNING, FINISHED, FAILED, CRASHED = "running", "finished", "failed", "crashed"


class RunPath(NamedTuple):
    """The path of a run, with names as users spell them."""

    entity: str
    project: str
    id: str

    def __str__(self) -> str:
        return "/".join(self)

    @property
    def folder(self) -> str:
        return "runs/" + "/".join(file_name_of(part) for part in self)


class RunState:
    """The state of a run, folded from its log. Its fields are plain values, which are also what a checkpoint holds.

    `used` and `logged` map versions' ids to the changes that recorded them, with the versions' names at that time. They
    don't keep these versions from being collected.
    """

    def __init__(self, path: RunPath) -> None:
        self.path = path
        self.number = 0
        """of the newest entry folded; 0 if there is no such run"""
        self.digest: str | None = None
        self.name = ""
        self.job_type: str | None = None
        self.group: str | None = None
        self.notes: str | None = None
        self.tags: list[str] = []
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.defined: dict[str, list[str]] = {}
        """what the summary keeps of metrics, by their name or pattern"""
        self.command: list[str] = []
        self.git: dict[str, Any] | None = None
        self.owner = ""
        """name of the process that started or resumed it last"""
        self.started = self.seen = ""
        """times of its first and newest entry"""
        self.host: str | None = None
        self.user: str | None = None
        self.author: str | None = None
        """the verified name of the writer that started it first; None if no server was asked"""
        self.finished: str | None = None
        """the state in which it ended: finished or failed; None while it hasn't ended"""
        self.exit_code: int | None = None
        self.deleted: str | None = None
        """when it was deleted; its name and edges stay"""
        self.used: dict[str, Change] = {}
        self.logged: dict[str, Change] = {}
        self.history: dict[str, Change] = {}
        """the sealed parts of its history, by the names of the files that they were made from"""
        self.files: dict[str, Change | None] = {}
        """the sealed parts of its files, by the names of the folders that they were made from; None for one whose files
        are in a later part too
        """

    def blobs(self) -> list[Digest]:
        """The blobs that hold its history. They are kept until the run is deleted."""
        parts = self.history.values() if self.deleted is None else ()
        return [from_hex(part["blob"]) for part in parts if part["blob"]]

    def folders(self) -> list[Folder]:
        """The trees that hold its files, in the order in which they were sealed. They are kept as its history is.

        A file of a later tree replaces one at the same path of an earlier tree.
        """
        parts = self.files.values() if self.deleted is None else ()
        return [Folder(from_hex(part["tree"]), part["size"], part["files"]) for part in parts if part is not None]

    @property
    def parameters(self) -> dict[str, Any]:
        """The config without `_wandb`, where W&B keeps what isn't the user's: how the run's charts are drawn."""
        return {key: value for key, value in self.config.items() if key != OWN}

    def plain(self) -> dict[str, Any]:
        """The state as plain values, for a checkpoint. Config and summary become JSON: the codec can't hold floats."""
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
PLAIN_KEYS = vars(RunState(RunPath("", "", ""))).keys()


def _is_git(value: Any) -> bool:
    return type(value) is dict and value.keys() == {"commit", "dirty"} and type(value["dirty"]) is bool


def _is_code(value: Any) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def fold(state: RunState, entry: LogEntry) -> None:
    """Apply the changes of one entry. Raises DamagedLog or UnsupportedFormat, like a collection's fold."""
    for change in entry.changes:
        apply(KINDS, state, entry, change, f"run {state.path}")
        state.seen = max(state.seen, origin_of(entry, change)["time"] or "")
    state.number, state.digest = entry.number, entry.digest


def _fold_start(state: RunState, entry: LogEntry, change: Change) -> None:
    is_first = state.number == 0 or state.deleted is not None
    if state.deleted is not None:  # a new run with the id of a deleted one
        vars(state).update(vars(RunState(state.path)), number=state.number, digest=state.digest)
    state.path = RunPath(change["entity"], change["project"], change["run"])
    state.name = state.name or state.path.id
    by = origin_of(entry, change)
    state.started = state.started or by["time"] or ""
    state.job_type, state.group = change["job_type"], change["group"]
    state.owner, state.command, state.git = change["owner"], change["command"], change["git"]
    state.host, state.user = by["host"], by["user"]
    if is_first:
        state.author = entry.author
    state.finished = state.exit_code = state.deleted = None


def _fold_label(state: RunState, entry: LogEntry, change: Change) -> None:
    state.name, state.notes, state.tags = change["name"] or state.path.id, change["notes"], change["tags"]


def _fold_values(state: RunState, entry: LogEntry, change: Change) -> None:
    values: dict[str, Any] = getattr(state, change["kind"])
    for key in change["remove"]:
        values.pop(key, None)
    values.update(change["set"])


def _fold_define(state: RunState, entry: LogEntry, change: Change) -> None:
    state.defined[change["metric"]] = change["keep"]


def _fold_edge(state: RunState, entry: LogEntry, change: Change) -> None:
    edges: dict[str, Change] = getattr(state, change["kind"])
    edges.setdefault(change["id"], change)


def _fold_history(state: RunState, entry: LogEntry, change: Change) -> None:
    state.history.setdefault(change["part"], change)


def _fold_files(state: RunState, entry: LogEntry, change: Change) -> None:
    if change["part"] in state.files:
        return
    state.files.update(dict.fromkeys(change["replaces"]))
    state.files[change["part"]] = change


def _fold_delete(state: RunState, entry: LogEntry, change: Change) -> None:
    state.deleted = origin_of(entry, change)["time"]


def _fold_finish(state: RunState, entry: LogEntry, change: Change) -> None:
    state.finished, state.exit_code = change["state"], change["code"]


_VERSION: Fields = {
    **PLACE, "id": is_digest, "number": is_count, "type": is_text, "digest": is_digest, "size": is_count,
    "created": is_count,
}  # fmt: skip
_START: Fields = {
    **dict.fromkeys(("entity", "project", "run"), named(check_project)),
    **dict.fromkeys(("job_type", "group"), or_null(is_text)),
    "owner": is_text, "command": list_of(is_text), "git": or_null(_is_git),
}  # fmt: skip
_PART: Fields = {
    "part": is_text, "rows": is_count, "first": is_count, "last": is_count, "text": or_null(is_text),
    "blob": or_null(is_digest),
}  # fmt: skip
_FILES: Fields = {
    "part": is_text, "tree": is_digest, "size": is_count, "files": is_count, "replaces": list_of(is_text),
}  # fmt: skip
_KEEP = list_of(one_of(*KEPT))
KINDS: Kinds = {
    "start": ChangeKind(_START, _fold_start),
    "label": ChangeKind({"name": or_null(is_text), "notes": or_null(is_text), "tags": list_of(is_text)}, _fold_label),
    "config": ChangeKind({"set": dict_of(anything), "remove": list_of(is_text)}, _fold_values),
    "summary": ChangeKind({"set": dict_of(anything), "remove": list_of(is_text)}, _fold_values),
    "define": ChangeKind({"metric": is_text, "keep": _KEEP}, _fold_define),
    "used": ChangeKind({**_VERSION, "as": or_null(is_text)}, _fold_edge),
    "logged": ChangeKind(_VERSION, _fold_edge),
    "history": ChangeKind(_PART, _fold_history),
    "files": ChangeKind(_FILES, _fold_files),
    "finish": ChangeKind({"state": one_of(FINISHED, FAILED), "code": _is_code}, _fold_finish),
    "delete": ChangeKind({}, _fold_delete),
}


# -- checkpoints --


def _changes_of(kind: str) -> Good:
    """The check for changes of a kind by id (or part), as a state holds them."""
    key = "part" if kind in ("history", "files") else "id"

    def good(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for name, change in value.items():
            if change is None and kind == "files":
                continue
            if type(change) is not dict or change.get("kind") != kind or change.get(key) != name:
                return False
            check_change(KINDS, change)
        return True

    return good


_is_plain_state = is_record(
    {
        "path": lambda value: type(value) is list and len(value) == 3 and all(map(check_project, value)),
        "number": is_count,
        "digest": is_digest,
        **dict.fromkeys(("name", "owner", "started", "seen"), is_text),
        **dict.fromkeys(("job_type", "group", "notes", "host", "user", "author", "deleted"), or_null(is_text)),
        **dict.fromkeys(("tags", "command"), list_of(is_text)),
        "config": is_json(dict_of(anything)),
        "summary": is_json(dict_of(anything)),
        "defined": dict_of(_KEEP),
        "git": is_json(or_null(_is_git)),
        "finished": one_of(None, FINISHED, FAILED),
        "exit_code": or_null(_is_code),
        **{kind: _changes_of(kind) for kind in ("used", "logged", "history", "files")},
    }
)


def is_plain(plain: Any) -> bool:
    """Whether a checkpoint's state can come from a log."""
    try:
        return _is_plain_state(plain)
    except (ValueError, TypeError, Damage):
        return False
