"""What this process records: the active run. Its inputs, outputs, config and end are appended to its log at once."""

import os
import secrets
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NoReturn

from artstore.api.handles import opened
from artstore.backends.callers import warn_caller
from artstore.backends.git import NO_CODE, Code
from artstore.backends.owner import this_process
from artstore.backends.storage import FolderStorage
from artstore.domain.changes import Change, new_change
from artstore.domain.charts import with_charts, with_metric
from artstore.domain.codec import encode_json, same_json
from artstore.domain.collection import Path
from artstore.domain.metadata import as_number
from artstore.domain.names import as_project, check_project, printable
from artstore.domain.redaction import Mask, redacted_arguments
from artstore.domain.run import FAILED, FINISHED, RunPath, RunState
from artstore.errors import Conflict, InvalidValue, NoActiveRun, NoEntry, NotFound
from artstore.operations.automation.events import metric_event
from artstore.operations.automation.metrics import MetricWatch
from artstore.operations.finding.lookup import Home, Version
from artstore.operations.saving.sealing import seal
from artstore.repository import Repository
from artstore.store.metrics import SEAL_AT, HistoryWriter, MetricRow, last_row
from artstore.store.runfiles import StagedFiles
from artstore.store.settings import DOWNLOADS, FOLDER, find_root, root_to_create
from artstore.store.variables import is_disabled, secret_values

if TYPE_CHECKING:
    from artstore.api.run import Run

_LONGEST = 4 << 20
"""The most bytes of JSON of one value of config or summary, and of all in a change. Longer ones are dropped."""
_SEAL_FILES_AT, _MOST_STAGED = 64 << 20, 1000
"""Bytes and number of files after which a run's files are sealed, so that they are in the store before it ends."""
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class NoRun(NotFound, InvalidValue):
    """There is no run to continue, for which W&B raises a UsageError."""


class RunThere(Conflict, InvalidValue):
    """There is a run already, for which W&B raises a UsageError."""


class Recording:
    """A run that was started here.

    Any thread may append to its log, and so may a forked child; the log decides the order. A signal handler may append
    while this thread does: it acts on a state of its own, as another process would.
    """

    def __init__(self, root: str, state: RunState, watched: list[MetricWatch]) -> None:
        """Record a run that was started. `watched` are the metrics that this user's automations wait for."""
        self.root = root
        self._watched = watched
        self.path = state.path
        self._state = state
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._depth, self._holder, self._ended = 0, 0, False
        self._history: HistoryWriter | None = None
        self._staged: StagedFiles | None = None
        self._growing: StagedFiles | None = None
        self._resumed = state.number > 1
        self.ignored: tuple[str, ...] = ()  # patterns of paths that are left out of the run's files

    @property
    def folder(self) -> str:
        """The folder of the run's log."""
        return f"{self.root}/{self.path.folder}"

    @property
    def host(self) -> str | None:
        """The host's name; None if names aren't recorded."""
        return self.repository.settings.identity()[0]

    @property
    def repository(self) -> Repository:
        """This thread's handle of the run's repository."""
        return opened(self.root)

    @property
    def _storage(self) -> FolderStorage:
        storage = self.repository.objects.here
        assert storage is not None, "a run is recorded in a repository here"
        return storage

    @property
    def _named(self) -> bool:
        """Whether names of files may contain this host's name."""
        return self.repository.settings.identity()[0] is not None

    @property
    def home(self) -> Home:
        """The run's entity and project."""
        return self.path.entity, self.path.project

    def state(self) -> RunState:
        """The run's state, read again."""
        return self.repository.runs.find(self.path)

    def check_place(self, artifact: str, root: str) -> None:
        """Raises InvalidValue if an artifact is in another repository than this run."""
        if os.path.realpath(root) != os.path.realpath(self.root):
            raise InvalidValue(
                f"artifact '{artifact}' is in repository {printable(root)}, but the run is in {printable(self.root)}",
                hint="make artifacts after init(), in one repository",
            )

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal handler asks, while its thread appends: other threads can't append before it returns."""
        return self._holder == threading.get_ident() and os.getpid() == self._pid

    @contextmanager
    def _locked(self) -> Iterator[RunState]:
        """Hold the lock. Yields the state to which may be appended."""
        if os.getpid() != self._pid:  # a thread of the parent may have held the lock at the fork
            self._lock, self._pid, self._depth = threading.RLock(), os.getpid(), 0
            self._history = self._staged = self._growing = None  # the open file and folders belong to the parent
        with self._lock:
            self._depth += 1
            self._holder = threading.get_ident()
            try:
                yield self._state if self._depth == 1 else self.state()
            finally:
                self._depth -= 1
                self._holder = self._holder if self._depth else 0

    def _append(self, build: Callable[[RunState], list[Change]]) -> None:
        """Append to the run's log. Only entries that this process hasn't read yet are read."""
        with self._locked() as state:
            self.repository.record(state, build)

    def log(self, row: MetricRow) -> None:
        """Add a row to the run's history. When this returns, the operating system has it. Cost: one short `write`.

        Every few megabytes, the rows are sealed into a blob.
        """
        with self._locked() as state:
            if self._history is None:
                self._history = HistoryWriter(self._storage, self.path.folder, named=self._named)
            self._history.append(row)
            if self._watched:
                self._watch(row)
            if self._history.bytes >= SEAL_AT or self._ended:  # a signal handler may have ended the run just now
                self._seal(state)

    def runtime_before(self, state: RunState) -> float:
        """The seconds that the run had lasted when it last logged, before it was continued."""
        before = last_row(self.repository.objects, state).get("_runtime")
        return float(before) if isinstance(before, int | float) else 0.0

    def add_file(self, path: str, source: bytes | str) -> None:
        """Add a file to the run's files: these bytes, or a copy of a local file.

        When this returns, the operating system has it. Some files later, they are sealed into trees. A file replaces an
        earlier one at the same path. One that the run ignores is left out.

        Raises:
            InvalidValue: If the path isn't valid.
        """
        if any(fnmatchcase(path, pattern) for pattern in self.ignored):
            return
        with self._locked() as state:
            if self._staged is None:
                self._staged = StagedFiles(self._storage, self.path.folder, named=self._named)
            self._staged.add(path, source)
            if self._staged.bytes >= _SEAL_FILES_AT or self._staged.count >= _MOST_STAGED or self._ended:
                self._seal(state)

    def growing_file(self, path: str) -> str:
        """Where on this host to write a file of the run that grows until the run ends, such as its console output.

        If the run was continued, the file begins with what it held before.
        """
        with self._locked() as state:
            if self._growing is None:
                self._growing = StagedFiles(self._storage, self.path.folder, named=self._named)
            local = self._growing.local(path)
            if self._resumed and not os.path.exists(local):
                with suppress(NoEntry), self.repository.open_run_file(state, path) as before, open(local, "xb") as file:
                    shutil.copyfileobj(before, file)
            return local

    def _watch(self, row: MetricRow) -> None:
        """Announce an event for each watched metric that passes its threshold. Each threshold fires once."""
        for watch in [watch for watch in self._watched if watch.metric in row]:
            value = watch.sees(as_number(row[watch.metric]))
            if value is not None and watch in self._watched:
                self._watched.remove(watch)
                event = metric_event(self._state, watch.metric, value, watch.rule["id"])
                self.repository.automations.announce([event])

    def seal(self) -> None:
        """Store what was recorded so far of the run's history and files, so that a power cut can't lose it."""
        with self._locked() as state:
            self._seal(state)

    def _seal(
        self, state: RunState, more: Callable[[RunState], list[Change]] = lambda state: [], *, last: bool = False
    ) -> None:
        if self._history is not None:
            self._history.end()
        if self._staged is not None:
            self._staged.end()
        growing = None if self._growing is None or last else self._growing.name
        self.repository.seal(state, more, growing=growing, last=last)

    def used(self, found: Version, use_as: str | None = None) -> None:
        """Record that the run read a version. A second call for the same version changes nothing."""
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
        """Set and remove keys of `config` or `summary`. Other keys stay, because another process may have set them."""
        self._append(lambda state: values_set(state, kind, values, removed))

    def draw(self, kind: str, charts: dict[str, dict[str, Any]]) -> None:
        """Record in the config, below `_wandb` as W&B does, how tables that the run logs are drawn.

        `charts` has the spec of each chart by its key. `kind` is `visualize` or `viz`, by the function that made them.
        """

        self._append(lambda state: values_set(state, "config", with_charts(state.config, kind, charts), []))

    def draw_metric(self, name: str, over: str | None, hidden: bool | None) -> None:
        """Record in the config how a metric, or those of a pattern, are drawn: see `with_metric`."""
        self._append(lambda state: values_set(state, "config", with_metric(state.config, name, over, hidden), []))

    def define(self, metric: str, kept: list[str]) -> None:
        """Record what the summary keeps of a metric, so that a killed run has the same summary."""

        def build(state: RunState) -> list[Change]:
            return [] if state.defined.get(metric) == kept else [new_change("define", metric=metric, keep=kept)]

        self._append(build)

    def label(self, name: str | None, notes: str | None, tags: list[str]) -> None:
        """Record the run's name, notes and tags."""

        def build(state: RunState) -> list[Change]:
            same = (state.name, state.notes, state.tags) == (name or self.path.id, notes, tags)
            return [] if same else [new_change("label", name=name, notes=notes, tags=tags)]

        self._append(build)

    def finish(self, code: int, summary: dict[str, Any]) -> None:
        """Record the end: finished if the exit code is 0, else failed. Later calls change nothing.

        The end, the rest of the history and the summary are one entry of the log.
        """

        def build(state: RunState) -> list[Change]:
            end = new_change("finish", state=FAILED if code else FINISHED, code=code)
            return [*values_set(state, "summary", summary, []), *([] if state.finished else [end])]

        with self._locked() as state:
            self._ended = True
            self._seal(state, build, last=True)
        for path in {Path.named_by(edge) for edge in state.logged.values()}:
            self.repository.retain(self.repository.refs.read(path))  # what this run made was kept while it ran


def start(
    root: str, *, entity: str | None = None, project: str | None = None, id: str | None = None, name: str | None = None,
    job_type: str | None = None, group: str | None = None, tags: list[str] | None = None, notes: str | None = None,
    config: dict[str, Any] | None = None, resume: str | None = None, code: Code = NO_CODE,
) -> Recording:  # fmt: skip
    """Record a new run, or continue the one that has this id.

    Args:
        root: The repository, which is made if there is none.
        entity: The run's entity.
        project: The run's project.
        id: The run's id; by default a random one.
        name: The name shown to people; by default the id.
        job_type: What kind of work the run does.
        group: Runs that belong together.
        tags: The run's tags.
        notes: A text for people.
        config: The first values of config.
        resume: `never` refuses an id that exists; `must` refuses one that doesn't.
        code: What git says of the code.

    Raises:
        Conflict: If the run exists, and `resume` is `never`.
        NotFound: If it doesn't exist, and `resume` is `must`.
        InvalidValue: If a name, id or `resume` breaks a rule.
    """
    if resume not in (None, "allow", "must", "never", "auto"):
        raise InvalidValue(f"resume '{resume}' is not one of allow, must, never, auto")
    Repository.init(root).close()
    repository = opened(root)
    path = RunPath(
        check_project(entity or repository.settings.entity, "entity"),
        as_project(project or repository.settings.project),
        check_project(id or new_id(), "run id"),
    )
    begun = new_change(
        "start", entity=path.entity, project=path.project, run=path.id, job_type=job_type, group=group,
        owner=str(this_process(named=repository.settings.identity()[0] is not None)),
        command=list(map(Mask(secret_values()), redacted_arguments(map(_text, sys.argv)))), git=code.state,
    )  # fmt: skip

    def build(state: RunState) -> list[Change]:
        there = state.number and state.deleted is None
        if there:
            begun["job_type"], begun["group"] = job_type or state.job_type, group or state.group
        if there and resume == "never":
            raise RunThere(f"run {path} exists already", hint="choose another id, or resume='allow'")
        if not there and resume == "must":
            raise NoRun(f"there is no run {path} to resume", hint="resume='allow' starts one")
        changes = [begun]
        if (name, notes, tags) != (None, None, None):
            old = state if there else RunState(path)
            label = {"name": name or old.name or None, "notes": notes or old.notes, "tags": tags or old.tags}
            changes.append(new_change("label", **label))
        return [*changes, *values_set(RunState(path), "config", config or {}, [])]

    state = repository.runs.read(path)
    repository.record(state, build)
    seal(repository.objects, repository.runs, state)  # the history that a killed process of this run left open
    return Recording(root, state, repository.automations.metric_watches(path))


class Session:
    """What this process records at present: the runs that haven't ended, and the folder for drafts of a disabled run."""

    def __init__(self) -> None:
        self.run: Run | None = None
        """the run on which the functions of the module act, until it ends"""
        self._active: list[tuple[Run, Recording]] = []
        self.exit_code = 0
        """the code that `sys.exit` got while a run was active"""
        self._scratch: str | None = None

    @property
    def active(self) -> "list[Run]":
        """The runs that this process started and that haven't ended, the newest last."""
        return [run for run, _ in list(self._active) if run.is_of_this_process]

    @property
    def recording(self) -> Recording | None:
        """The newest run that hasn't ended, in which `save` of an artifact and other calls record; None without one."""
        return self._active[-1][1] if self._active else None

    def recording_of(self, root: str, path: RunPath) -> Recording | None:
        """The recording of a run of a repository, if it hasn't ended."""
        return next((one for _, one in list(self._active) if (one.root, one.path) == (root, path)), None)

    def begin(self, run: "Run", recording: Recording, *, beside: bool = False) -> None:
        """Record a run, on which the functions of the module act from now on, unless it is `beside` the others.

        A forked child that begins a run leaves those of its parent alone.
        """
        for one in list(self._active):
            if not one[0].is_of_this_process:
                self._active.remove(one)
        self._active.append((run, recording))
        if not beside:
            self.run = run
        sys.exit = self._noting_exit

    def end(self, run: object) -> None:
        """Record a run no more."""
        for one in list(self._active):
            if one[0] is run:
                with suppress(ValueError):  # another thread ends it, too
                    self._active.remove(one)
        if self.run is run:
            self.run = None
        if not self._active:
            self.exit_code = 0
            sys.exit = _exit

    def disabled_id(self) -> str:
        """The id of the next disabled run. No two runs of the process share one: they would share a config."""
        return "disabled" if self._scratch is None else f"disabled-{new_id()}"

    def scratch(self) -> str:
        """The repository of this process's disabled runs, below a temporary folder that is removed when it ends."""
        if self._scratch is None:
            self._scratch = os.path.realpath(tempfile.mkdtemp(prefix="artstore-disabled-"))
            weakref.finalize(self, _remove_in, os.getpid(), self._scratch)
            DOWNLOADS[os.path.join(self._scratch, FOLDER)] = os.path.join(self._scratch, "artifacts")
        return os.path.join(self._scratch, FOLDER)

    def _noting_exit(self, code: Any = None, /) -> NoReturn:
        """`sys.exit`, which notes the code for the run's end, because nobody can ask for it at exit."""
        self.exit_code = int(code) if isinstance(code, int) else 0 if code is None else 1
        _exit(code)

    def require(self, what: str) -> "Run":
        """The run on which the functions of the module act. Raises NoActiveRun, which says `what` needs one."""
        if self.run is None:
            raise NoActiveRun(f"there is no active run: call init() before {what}")
        return self.run

    def place(self, start: str | None = None) -> str:
        """The repository to use: the active run's, the one that is found, or the one that would be made."""
        if self.recording is not None:
            return self.recording.root
        return self.scratch() if is_disabled() else root_to_create(start)

    def lasting_place(self) -> str:
        """The repository that `Api()` reads: of a disabled run, the one that is found."""
        disabled = self._active[-1][0].disabled if self._active else is_disabled()
        return (find_root() if disabled else None) or self.place()

    @contextmanager
    def current(self, options: dict[str, Any]) -> Iterator[Recording]:
        """The active run's recording. Without a run, one of job type `auto` is recorded for the block, as in W&B.

        `options` are of the run that is recorded, and named as those of `start`.
        """
        if self.recording is not None:
            yield self.recording
            return
        own = start(self.place(), **{"job_type": "auto", **options})
        try:
            yield own
        except BaseException:
            own.finish(1, {})
            raise
        own.finish(0, {})


def _remove_in(process: int, folder: str) -> None:
    """Remove a folder, unless this is a forked child of the process that made it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


_exit = sys.exit
session = Session()


def values_set(state: RunState, kind: str, values: dict[str, Any], removed: list[str]) -> list[Change]:
    """The changes that set and remove keys of `config` or `summary`.

    Keys that already have these values are left out.
    """
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
            warn_caller(f"dropped {kind} '{key}': {length} bytes of JSON, more than {_LONGEST}")
            continue
        if some and size + length > _LONGEST:
            some, size = {}, 0
            found.append(new_change(kind, set=some, remove=[]))
        some[key] = value
        size += length
    return found if found[0]["set"] or gone else []


def version_fields(found: Version) -> dict[str, Any]:
    """The fields that a run's log records of a version."""
    fields = ("id", "number", "digest", "size", "created")
    kept = {key: value for key, value in found.version.items() if key in fields}
    return found.state.path.fields() | {"type": found.state.type} | kept


def new_id(length: int = 8) -> str:
    """A random run id: eight letters and digits, as W&B's."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _text(argument: str) -> str:
    return argument.encode("utf-8", "backslashreplace").decode()
