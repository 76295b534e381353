"""A run that is being recorded, as W&B users know it: config, summary, its artifacts, and its end."""

import atexit
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, NoReturn

from artstore.api import recording
from artstore.api.artifact import Artifact
from artstore.api.media import without_media
from artstore.api.recording import Recording
from artstore.api.run_artifacts import RunArtifacts
from artstore.api.tables.table import Table
from artstore.api.values import SummaryOf, Values, checked_step, checked_text, checked_texts, plain_values
from artstore.domain.html import definition_rows, page
from artstore.domain.names import name_from
from artstore.domain.run import RunPath
from artstore.errors import InvalidType, NoActiveRun
from artstore.store.settings import download_folder

_FLUSH_AFTER = 10.0
"""Seconds of logging after which the summary is written, so that a killed run leaves one."""


class Run(RunArtifacts):
    """The execution that is recorded: its inputs, outputs, config and end. Made by `init`."""

    def __init__(
        self,
        run: Recording | None,
        path: RunPath,
        config: dict[str, Any],
        *,
        allow_val_change: bool = False,
        group: str | None = None,
    ) -> None:
        """`run` is None in mode "disabled": then nothing is recorded, and `log_artifact` keeps nothing."""
        self._recording = run
        self._path = path
        self._ended = False
        self._lock = threading.RLock()
        self._step = 0
        self._row: dict[str, Any] = {}
        self._began = time.time()
        self._summaries: dict[str, SummaryOf] = {}
        self._pid = self._forked = os.getpid()
        self._error = _last_error()
        self._flushed = time.monotonic()
        state = run.state() if run is not None else None
        self._name, self._notes, self._tags = (state.name, state.notes, state.tags) if state else (path.id, None, [])
        self._start = state.started if state else ""
        self.group = state.group if state else group
        self.job_type = state.job_type if state else None
        self.resumed = state is not None and state.number > 1
        if state is not None and state.history:
            self._step = 1 + max(part["last"] for part in state.history.values())
        known = state.config if state is not None else config
        fixed = not allow_val_change
        self._config = Values(known, lambda set, gone: self._write("config", set, gone), fixed=fixed, used=self._use_as)
        self._unwritten: dict[str, Any] = {}
        self._summary = Values(state.summary if state else {}, self._set_summary, fixed=False)

    def _write(self, kind: str, values: dict[str, Any], removed: list[str]) -> None:
        self._refuse_ended(kind)
        if self._recording is not None:
            self._recording.set_values(kind, values, removed)

    def _use_as(self, key: str, artifact: Artifact) -> dict[str, Any]:
        """An artifact that is a value of config: used, and told as W&B does."""
        used = self.use_artifact(artifact, use_as=key)
        told = {"_type": "artifactVersion", "_version": "v0", "usedAs": key}
        if self._recording is None:
            return told
        return told | {"id": used.id, "version": used.version, "sequenceName": used.name.partition(":")[0]}

    def _set_summary(self, values: dict[str, Any], removed: list[str]) -> None:
        self._refuse_ended("summary")
        self._unwritten.update(values)
        for key in removed:
            self._unwritten.pop(key, None)
            self._write("summary", {}, removed)

    # -- what it is called --

    @property
    def id(self) -> str:
        return self._path.id

    @property
    def entity(self) -> str:
        return self._path.entity

    @property
    def project(self) -> str:
        return self._path.project

    @property
    def path(self) -> str:
        """entity/project/id"""
        return str(self._path)

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = checked_text("name", name)
        self._label()

    @property
    def notes(self) -> str | None:
        return self._notes

    @notes.setter
    def notes(self, notes: str | None) -> None:
        self._notes = None if notes is None else checked_text("notes", notes)
        self._label()

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self._tags)

    @tags.setter
    def tags(self, tags: tuple[str, ...] | list[str]) -> None:
        self._tags = checked_texts(tags)
        self._label()

    def _label(self) -> None:
        if self._recording is not None:
            self._recording.label(self._name, self._notes, self._tags)

    @property
    def config(self) -> Values:
        """Hyperparameters; written as they are set."""
        return self._config

    @property
    def summary(self) -> Values:
        """The last value of each metric; written every ten seconds of logging, with each artifact, and at the end."""
        return self._summary

    @property
    def dir(self) -> str:
        """A folder for the run's own files, made when first asked for. Nothing in it is saved by itself."""
        folder = os.path.abspath(download_folder(f"run-{self.id}"))
        os.makedirs(folder, exist_ok=True)
        return folder

    @property
    def url(self) -> str | None:
        return None if self._recording is None else f"file://{self._recording.root}/{self._path.folder}"

    def get_url(self) -> str | None:
        return self.url

    @property
    def step(self) -> int:
        return self._step

    @property
    def start_time(self) -> str:
        """ISO 8601, UTC"""
        return self._start

    @property
    def disabled(self) -> bool:
        return self._recording is None

    @property
    def offline(self) -> bool:
        return True

    # -- metrics, end --

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        written = dict(self._unwritten)
        self._write("summary", written, [])
        for key, value in written.items():  # what was set meanwhile waits for the next time
            if self._unwritten.get(key) is value:
                del self._unwritten[key]

    def log(
        self, data: dict[str, Any], step: int | None = None, commit: bool | None = None, sync: bool | None = None
    ) -> None:
        """Add metrics to the run's history, and the last value of each to `summary`.

        Each call is a step of its own, unless `step` says which one, or `commit=False` that more is to come. A step that is
        over takes nothing more: what is logged to one is left out with a warning. A Table is logged as an artifact
        `run-<id>-<key>` of type `run_table`. Cost: one short write.
        """
        self._refuse_ended("log")
        if not isinstance(data, dict):
            raise InvalidType(f"log takes a dict of metrics, not a {data.__class__.__name__}")
        if strange := [key for key in data if not isinstance(key, str)]:
            raise InvalidType(f"the name of a metric is text, not {strange[0]!r}")
        number = None if step is None else checked_step(step)
        values = plain_values(without_media({key: self._logged_table(key, value) for key, value in data.items()}))
        with self._locked():
            if number is not None and number != self._step:
                if number < self._step:
                    warnings.warn(
                        f"step {number} is over, the current one is {self._step}: {', '.join(data)} is left out",
                        stacklevel=2,
                    )
                    return
                self._commit()
                self._step = number
            self._row.update(values)
            self._summarise(values)
            if commit or (commit is None and number is None):
                self._commit()
                self._step += 1
            if time.monotonic() - self._flushed > _FLUSH_AFTER:
                self._flush()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if os.getpid() != self._forked:  # a fork may have left the lock held by a thread that is not here
            self._lock, self._forked, self._row = threading.RLock(), os.getpid(), {}  # the step is its parent's
        with self._lock:
            yield

    def _commit(self) -> None:
        """Write the row of the current step, if it has one."""
        row, self._row = self._row, {}
        row.pop("_step", None)
        if row and self._recording is not None:
            now = time.time()
            self._recording.log({"_step": self._step, "_runtime": now - self._began, "_timestamp": now, **row})

    def _logged_table(self, key: str, value: Any) -> Any:
        """A metric's value as it can be recorded: a table as the artifact that it becomes."""
        if not isinstance(value, Table):
            return value
        artifact = Artifact(name_from(f"run-{self.id}-{key}"), "run_table")
        entry = artifact.add(value, key)
        self.log_artifact(artifact)
        where = None if self._recording is None else entry.ref_url()
        return {"_type": "table-file", "artifact_path": where, "ncols": len(value.columns), "nrows": len(value)}

    def _summarise(self, values: dict[str, Any]) -> None:
        """Bring the summary up to date, as `define_metric` asked."""
        if not self._summaries:
            self._summary.update(values)
            return
        for key, value in values.items():
            chosen = self._summaries.get(key) or next(
                (found for pattern, found in self._summaries.items() if fnmatchcase(key, pattern)), None
            )
            if chosen is None:
                self._summary[key] = value
            elif (now := chosen.told(key, value)) is not None:
                self._summary[key] = now

    def define_metric(
        self,
        name: str,
        step_metric: str | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
    ) -> None:
        """Say what the summary keeps of a metric (or of all that match `name`, such as `val/*`): `summary` is a list with
        commas of min, max, mean, first, last, or `none`; the summary is then a dict of these. The rest is accepted as W&B's
        and changes nothing.
        """
        if summary == "best":
            summary = "max" if goal == "maximize" else "min"
        if summary is not None and summary != "copy":
            self._summaries[name] = SummaryOf(summary)

    def _refuse_ended(self, verb: str) -> None:
        if self._ended:
            raise NoActiveRun(
                f"run {self.id} is finished: {verb} comes too late", hint=f"init(id='{self.id}') goes on with it"
            )

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run: finished with exit code 0 (or None), else failed. Once; safe to call again."""
        if self._ended:
            return
        if os.getpid() != self._pid:  # a forked child lets go of its parent's run
            if _active is self:
                recording.scratch = None  # its parent's, too
                set_active(None)
            return
        if self._recording is not None:
            with self._lock:
                self._commit()
                summary = dict(self._unwritten)
            self._recording.finish(int(exit_code or 0), summary)
        self._ended = True
        atexit.unregister(self.end_at_exit)
        if _active is self:
            set_active(None)

    def end_at_exit(self) -> None:
        """What the interpreter's end means: failed when an exception was printed since the run began, or `sys.exit` was
        given another code than 0.
        """
        self.finish(_exit_code or (0 if _last_error() is self._error else 1))

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        ended_well = error is None or (isinstance(error, SystemExit) and not error.code)
        self.finish(0 if ended_well else 1)

    def __repr__(self) -> str:
        return f"<Run {self.path}>"

    def _repr_html_(self) -> str:
        if self._recording is not None:
            return self._record()._repr_html_()
        return page("run (disabled)", definition_rows([]))

    # -- W&B's furniture: accepted, for these have nothing to do here --

    def watch(self, *_: Any, **__: Any) -> None:
        """Accepted as W&B's; gradients are not recorded."""

    unwatch = mark_preempting = status = watch

    def alert(self, title: str, text: str = "", *_: Any, **__: Any) -> None:
        warnings.warn(f"{title}: {text} (artstore sends no alerts)", stacklevel=2)

    def save(self, *_: Any, **__: Any) -> None:
        warnings.warn("artstore keeps no files of a run; log_artifact() keeps a file", stacklevel=2)


_active: Run | None = None


def active_run() -> Run | None:
    """The run that was started last and has not ended."""
    return _active


def set_active(run: Run | None) -> None:
    global _active
    _active = run
    recording.active = run._recording if run is not None else None
    if recording.scratch is not None:
        shutil.rmtree(recording.scratch, ignore_errors=True)
        recording.scratch = None
    if run is not None and run.disabled:
        recording.scratch = tempfile.mkdtemp(prefix="artstore-disabled-")
    global _exit_code
    _exit_code = 0
    sys.exit = _noting_exit if run is not None else _exit


_exit = sys.exit
_exit_code = 0


def _noting_exit(code: Any = None, /) -> NoReturn:
    """`sys.exit`, noting the code for the run's end: at exit nobody can ask for it any more."""
    global _exit_code
    _exit_code = int(code) if isinstance(code, int) else 0 if code is None else 1
    _exit(code)


def require_run(what: str) -> Run:
    if _active is None:
        raise NoActiveRun(f"there is no active run: call init() before {what}")
    return _active


def _last_error() -> BaseException | None:
    """The exception that the interpreter printed last, before it ends or in a notebook's cell."""
    return getattr(sys, "last_value", None)
