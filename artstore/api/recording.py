"""What this process records: the active run, whose edges, config and end are appended to its log as they happen."""

import os
import secrets
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from artstore.api.handles import opened
from artstore.backends.owner import this_process
from artstore.domain.changes import Change, new_change
from artstore.domain.codec import encode_json, same_json
from artstore.domain.metadata import as_number
from artstore.domain.names import as_project, check_project, printable
from artstore.domain.redaction import redacted_arguments
from artstore.domain.run import FAILED, FINISHED, RunPath, RunState
from artstore.errors import Conflict, InvalidValue, NoActiveRun, NotFound
from artstore.operations.automation.events import metric_event
from artstore.operations.automation.rules import MetricWatch
from artstore.operations.finding.lookup import Home, Version
from artstore.repository import Repository
from artstore.store.metrics import SEAL_AT, HistoryWriter, MetricRow, seal
from artstore.store.settings import root_to_create

if TYPE_CHECKING:
    from artstore.api.run import Run

_LONGEST = 4 << 20
"""Bytes of JSON of a value of config or summary; longer ones are left out, and a change holds no more of several."""
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class Recording:
    """A run that was started here. Any thread, and a forked child, may append: its log decides the order."""

    def __init__(self, root: str, state: RunState, watched: list[MetricWatch]) -> None:
        """`watched` are metrics that automations of this user wait for."""
        self.root = root
        self._watched = watched
        self.path = state.path
        self._state = state
        self._lock, self._pid = threading.Lock(), os.getpid()
        self._history: HistoryWriter | None = None

    @property
    def repository(self) -> Repository:
        return opened(self.root)

    @property
    def home(self) -> Home:
        return self.path.entity, self.path.project

    def state(self) -> RunState:
        return self.repository.runs.find(self.path)

    def check_place(self, artifact: str, root: str) -> None:
        """Raises InvalidValue for an artifact that lies in another repository than this run."""
        if os.path.realpath(root) != os.path.realpath(self.root):
            raise InvalidValue(
                f"artifact '{artifact}' lies in the repository {printable(root)}, the run's is {printable(self.root)}",
                hint="make artifacts after init(), in one repository",
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if os.getpid() != self._pid:  # a fork may have left the lock held by a thread that is not here
            self._lock, self._pid = threading.Lock(), os.getpid()
            self._history = None  # the parent's file is the parent's
        with self._lock:
            yield

    def _append(self, build: Callable[[RunState], list[Change]]) -> None:
        """Append to the run's log; what was folded before is not read again."""
        with self._locked():
            self.repository.record(self._state, build)

    def log(self, row: MetricRow) -> None:
        """Add a row to the run's history: handed to the system when this returns, sealed every few megabytes. Cost: one
        short `write`.
        """
        with self._locked():
            if self._history is None:
                repository = self.repository
                named = repository.settings.identity()[0] is not None
                self._history = HistoryWriter(repository.objects, self.path.folder, named=named)
            self._history.append(row)
            if self._watched:
                self._watch(row)
            if self._history.bytes >= SEAL_AT:
                self._seal()

    def _watch(self, row: MetricRow) -> None:
        """Look whether a metric passes what an automation of this user waits for; each fires once."""
        for watch in [watch for watch in self._watched if watch.metric in row]:
            value = watch.sees(as_number(row[watch.metric]))
            if value is not None:
                self._watched.remove(watch)
                event = metric_event(self._state, watch.metric, value, watch.rule["id"])
                self.repository.automations.announce([event])

    def _seal(self, more: Callable[[RunState], list[Change]] = lambda state: []) -> None:
        if self._history is not None:
            self._history.end()
        self.repository.seal(self._state, more)

    def used(self, found: Version, use_as: str | None = None) -> None:
        """Record that the run read a version; once is enough."""
        self._append_edge("used", found, {"as": use_as})

    def logged(self, found: Version) -> None:
        """Record that the run wrote a version."""
        self._append_edge("logged", found, {})

    def _append_edge(self, kind: str, found: Version, more: dict[str, Any]) -> None:
        fields = version_fields(found)

        def build(state: RunState) -> list[Change]:
            return [] if found.id in getattr(state, kind) else [new_change(kind, **fields, **more)]

        self._append(build)

    def set_values(self, kind: str, values: dict[str, Any], removed: list[str]) -> None:
        """Set and remove keys of `config` or `summary`; others, which another process may have set, stay."""
        self._append(lambda state: _values_set(state, kind, values, removed))

    def label(self, name: str | None, notes: str | None, tags: list[str]) -> None:
        def build(state: RunState) -> list[Change]:
            same = (state.name, state.notes, state.tags) == (name or self.path.id, notes, tags)
            return [] if same else [new_change("label", name=name, notes=notes, tags=tags)]

        self._append(build)

    def finish(self, code: int, summary: dict[str, Any]) -> None:
        """Record the end, in one entry with the rest of the history and the summary: finished with exit code 0, else
        failed. Once; later calls change nothing.
        """

        def build(state: RunState) -> list[Change]:
            end = new_change("finish", state=FAILED if code else FINISHED, code=code)
            return [*_values_set(state, "summary", summary, []), *([] if state.finished else [end])]

        with self._locked():
            self._seal(build)


def start(
    root: str,
    *,
    entity: str | None = None,
    project: str | None = None,
    id: str | None = None,
    name: str | None = None,
    job_type: str | None = None,
    group: str | None = None,
    tags: list[str] | None = None,
    notes: str | None = None,
    config: dict[str, Any] | None = None,
    resume: str | None = None,
) -> Recording:
    """Record a new run, or go on with one of the same id unless `resume` is "never". "must" asks that there be one."""
    if resume not in (None, "allow", "must", "never", "auto"):
        raise InvalidValue(f"resume '{resume}' is not one of allow, must, never, auto")
    Repository.init(root).close()
    repository = opened(root)
    path = RunPath(
        check_project(entity or repository.settings.entity, "entity"),
        as_project(project or repository.settings.project),
        check_project(id or _new_id(), "run id"),
    )
    begun = new_change(
        "start",
        entity=path.entity,
        project=path.project,
        run=path.id,
        job_type=job_type,
        group=group,
        owner=str(this_process(named=repository.settings.identity()[0] is not None)),
        command=redacted_arguments(map(_text, sys.argv)),
        git=_git(),
    )

    def build(state: RunState) -> list[Change]:
        there = state.number and state.deleted is None
        if there:
            begun["job_type"], begun["group"] = job_type or state.job_type, group or state.group
        if there and resume == "never":
            raise Conflict(f"run {path} exists already", hint="leave out its id, or resume='allow'")
        if not there and resume == "must":
            raise NotFound(f"there is no run {path} to resume", hint="resume='allow' begins one")
        changes = [begun]
        if (name, notes, tags) != (None, None, None):
            old = state if there else RunState(path)
            label = {"name": name or old.name or None, "notes": notes or old.notes, "tags": tags or old.tags}
            changes.append(new_change("label", **label))
        return [*changes, *_values_set(RunState(path), "config", config or {}, [])]

    state = repository.runs.read(path)
    repository.record(state, build)
    seal(repository.objects, repository.runs, state)  # what a killed process of this run left open
    return Recording(root, state, repository.automations.metric_watches(path))


class Session:
    """What this process records at present: the active run, and where drafts lie while that is a disabled one."""

    def __init__(self) -> None:
        self.run: Run | None = None
        """the run that was started last and has not ended"""
        self.recording: Recording | None = None
        """what `log_artifact`, `save` and the like record in"""
        self.exit_code = 0
        """what `sys.exit` was given while a run was active"""
        self._scratch: str | None = None

    def begin(self, run: "Run", recording: Recording | None) -> None:
        """Make a run the active one; without a recording it is disabled."""
        self.end()
        self.run, self.recording = run, recording
        if recording is None:
            self._scratch = tempfile.mkdtemp(prefix="artstore-disabled-")
        sys.exit = self._noting_exit

    def end(self, *, forked: bool = False) -> None:
        """No run is active any more. A forked child leaves what is its parent's."""
        if self._scratch is not None and not forked:
            shutil.rmtree(self._scratch, ignore_errors=True)
        self.run = self.recording = self._scratch = None
        self.exit_code = 0
        sys.exit = _exit

    def _noting_exit(self, code: Any = None, /) -> NoReturn:
        """`sys.exit`, noting the code for the run's end: at exit nobody can ask for it any more."""
        self.exit_code = int(code) if isinstance(code, int) else 0 if code is None else 1
        _exit(code)

    def require(self, what: str) -> "Run":
        """The active run. Raises NoActiveRun."""
        if self.run is None:
            raise NoActiveRun(f"there is no active run: call init() before {what}")
        return self.run

    def place(self, start: str | None = None) -> str:
        """The repository to work in: the active run's, the one that is found, else where one would be made."""
        if self.recording is not None:
            return self.recording.root
        return self._scratch or root_to_create(start)

    @contextmanager
    def current(self, entity: str | None, project: str | None) -> Iterator[Recording]:
        """The active run; without one, a run of its own for as long as the block takes (job type `auto`, as W&B's)."""
        if self.recording is not None:
            yield self.recording
            return
        own = start(self.place(), entity=entity, project=project, job_type="auto")
        try:
            yield own
        except BaseException:
            own.finish(1, {})
            raise
        own.finish(0, {})


_exit = sys.exit
session = Session()


def _values_set(state: RunState, kind: str, values: dict[str, Any], removed: list[str]) -> list[Change]:
    """What sets and removes keys of `config` or `summary`, as far as they read otherwise."""
    there: dict[str, Any] = getattr(state, kind)
    new = {key: value for key, value in values.items() if key not in there or not same_json(there[key], value)}
    gone = [key for key in removed if key in there]
    if not new and not gone:
        return []
    some: dict[str, Any] = {}
    found, size = [new_change(kind, set=some, remove=gone)], 0
    for key, value in new.items():
        length = len(encode_json(value))
        if length > _LONGEST:
            warnings.warn(f"{kind} '{key}' is left out: {length} bytes of JSON, at most {_LONGEST}", stacklevel=2)
            continue
        if some and size + length > _LONGEST:
            some, size = {}, 0
            found.append(new_change(kind, set=some, remove=[]))
        some[key] = value
        size += length
    return found if found[0]["set"] or gone else []


def version_fields(found: Version) -> dict[str, Any]:
    """What an edge says of a version."""
    fields = ("id", "number", "digest", "size", "created")
    return (
        found.state.path.fields()
        | {"type": found.state.type}
        | {key: value for key, value in found.version.items() if key in fields}
    )


def _new_id() -> str:
    """Eight letters and digits, as W&B's."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def _text(argument: str) -> str:
    return argument.encode("utf-8", "backslashreplace").decode()


def _git() -> dict[str, Any] | None:
    """Commit and dirty flag of the code that runs here; None outside git, or where it takes longer than two seconds.

    Nothing that the repository's own config or hooks name is run: whoever unpacked it here may not have looked. Its
    filters give nothing, so files that need one may count as changed.
    """
    import subprocess  # 8 ms, and only runs ask

    quiet = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}

    def git(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["git", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=2, env=quiet, check=False)

    try:
        listed = git("config", "--null", "--name-only", "--show-scope", "--get-regexp", r"^filter\.")
        words = listed.stdout.split("\0")
        own = [key for scope, key in zip(words[::2], words[1::2], strict=False) if scope in ("local", "worktree")]
        if listed.returncode > 1 or any("=" in key for key in own):  # 1: none; an old git, or what `-c` can't name
            return None
        inert = [word for key in own for word in ("-c", f"{key}={'false' if key.endswith('.required') else ''}")]
        status = ("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=dirty")
        done = git(*inert, *status)
        done.check_returncode()
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    lines = done.stdout.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), None)
    return {"commit": commit, "dirty": any(not line.startswith("#") for line in lines)}
