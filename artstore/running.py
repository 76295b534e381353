"""A run that is being recorded, as W&B users know it: config, summary, its artifacts, and its end."""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from artstore import recording
from artstore.artifact import Artifact, PathLike
from artstore.errors import Conflict, InvalidType, InvalidValue, NoActiveRun
from artstore.handles import opened
from artstore.html import definition_rows, page
from artstore.listing import Listing
from artstore.metadata import recorded
from artstore.names import name_from
from artstore.record import RunRecord
from artstore.recording import Recording
from artstore.runs import RunPath
from artstore.settings import download_folder, root_to_create


class Values(MutableMapping[str, Any]):
    """A run's config or summary: keys are attributes too; `changed` is told after each change."""

    def __init__(self, values: dict[str, Any], changed: Callable[[dict[str, Any]], None], *, fixed: bool) -> None:
        """`fixed` values can't be given another value, unless `update(…, allow_val_change=True)` says so."""
        vars(self).update(_values=dict(values), _changed=changed, _fixed=fixed)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._changed(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, key: str) -> Any:
        try:
            return vars(self)["_values"][key]
        except KeyError:
            raise AttributeError(f"there is no value '{key}'") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def update(self, values: Any = (), allow_val_change: bool | None = None, /, **more: Any) -> None:
        """Set several: a dict, an argparse Namespace, pairs. Written before this returns, as JSON values."""
        allow = more.pop("allow_val_change", allow_val_change)
        new = {**as_dict_of(values), **more}
        new = {str(key): recorded(value) for key, value in new.items()}
        if self._fixed and not allow:
            for key, value in new.items():
                if key in self._values and self._values[key] != value:
                    raise Conflict(
                        f"config '{key}' is {self._values[key]!r} already; it can't become {value!r}",
                        hint="config.update({…}, allow_val_change=True) changes it",
                    )
        self._values.update(new)
        self._changed(self._values)

    def setdefaults(self, values: Any) -> dict[str, Any]:
        self.update({key: value for key, value in as_dict_of(values).items() if key not in self._values})
        return self.as_dict()

    def as_dict(self) -> dict[str, Any]:
        return dict(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


def as_dict_of(values: Any) -> dict[str, Any]:
    if values is None:
        return {}
    if isinstance(values, argparse.Namespace):
        return dict(vars(values))
    if isinstance(values, str):
        with open(values, encoding="utf-8") as file:
            return dict(json.load(file))
    return dict(values)


class Run:
    """The execution that is recorded: its inputs, outputs, config and end. Made by `init`."""

    def __init__(self, run: Recording | None, config: dict[str, Any], *, allow_val_change: bool = False) -> None:
        """`run` is None in mode "disabled": then nothing is recorded, and `log_artifact` keeps nothing."""
        self._recording = run
        self._ended = False
        self._step = 0
        self._pid = os.getpid()
        self._error = _last_error()
        self._offered = RunPath("", "", "disabled")
        state = run.state() if run is not None else None
        self._name, self._notes, self._tags = (state.name, state.notes, state.tags) if state else ("", None, [])
        self._start = state.started if state else ""
        self.group = state.group if state else None
        self.job_type = state.job_type if state else None
        self.resumed = state is not None and state.number > 1
        known = state.config if state is not None else config
        self._config = Values(known, lambda values: self._write("config", values), fixed=not allow_val_change)
        self._summary = Values(state.summary if state else {}, lambda values: None, fixed=False)

    def _write(self, kind: str, values: dict[str, Any]) -> None:
        if self._recording is not None:
            self._recording.set_values(kind, values)

    # -- what it is called --

    @property
    def id(self) -> str:
        return self._path.id

    @property
    def _path(self) -> RunPath:
        return self._recording.path if self._recording is not None else self._offered

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
        self._name = name
        self._label()

    @property
    def notes(self) -> str | None:
        return self._notes

    @notes.setter
    def notes(self, notes: str | None) -> None:
        self._notes = notes
        self._label()

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self._tags)

    @tags.setter
    def tags(self, tags: tuple[str, ...] | list[str]) -> None:
        self._tags = list(tags)
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
        """The last value of each metric; written when the run ends, or logs an artifact."""
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

    # -- artifacts --

    def use_artifact(
        self,
        artifact_or_name: str | Artifact,
        type: str | None = None,
        aliases: list[str] | str | None = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Record that this run reads a version, named by a spec (in the run's project, unless it says another) or given
        as an Artifact. A draft is logged first, unless a live version has its content already. Once or often: one edge.
        Raises NotFound, and ValueError when it has another type.
        """
        self._refuse_ended("use_artifact")
        if isinstance(artifact_or_name, str):
            root = self._recording.root if self._recording is not None else root_to_create()
            home = self._recording.home if self._recording is not None else None
            artifact = Artifact.of(root, opened(root).find(artifact_or_name, home))
        elif isinstance(artifact_or_name, Artifact):
            artifact = artifact_or_name
        else:
            raise InvalidType(
                f"a {artifact_or_name.__class__.__name__} can't be used: give a name such as 'data:latest', or an Artifact"
            )
        if type is not None and not artifact.is_draft() and type != artifact.type:
            raise Conflict(f"Supplied type {type} does not match type {artifact.type} of artifact {artifact.name}")
        if self._recording is not None:
            artifact.use_in(self._recording, aliases, use_as)
        return artifact

    def log_artifact(
        self,
        artifact_or_path: Artifact | PathLike,
        name: str | None = None,
        type: str | None = None,
        aliases: list[str] | str | None = None,
        tags: list[str] | None = None,
    ) -> Artifact:
        """Log an artifact as output of this run; safe on disk when this returns. A file or folder becomes an artifact
        `run-<id>-<its name>` of type `unspecified`, unless `name` and `type` say otherwise.
        """
        self._refuse_ended("log_artifact")
        artifact = self._wrapped(artifact_or_path, name, type)
        if self._recording is None:
            artifact.finalize()
            return artifact
        artifact.log_to(self._recording, aliases, tags)
        self._write("summary", self._summary.as_dict())
        return artifact

    def _wrapped(self, given: Artifact | PathLike, name: str | None, type: str | None) -> Artifact:
        if isinstance(given, Artifact):
            return given
        if not isinstance(given, str | os.PathLike):
            raise InvalidType(
                f"a {given.__class__.__name__} can't be logged: give an Artifact, or the path of a file or folder"
            )
        path = os.fspath(given)
        artifact = Artifact(
            name or name_from(f"run-{self.id}-{os.path.basename(os.path.abspath(path))}"), type or "unspecified"
        )
        if os.path.isdir(path):
            artifact.add_dir(path)
        elif os.path.lexists(path):
            artifact.add_file(path)
        else:
            raise InvalidValue(f"there is no file or folder '{path}' to log")
        return artifact

    def used_artifacts(self, per_page: int | None = None) -> Listing[Artifact]:
        return self._record().used_artifacts()

    def logged_artifacts(self, per_page: int | None = None) -> Listing[Artifact]:
        return self._record().logged_artifacts()

    def _record(self) -> RunRecord[Artifact]:
        if self._recording is None:
            raise Conflict("a disabled run records nothing", hint="start it without mode='disabled'")
        return RunRecord(self._recording.root, self._recording.state(), Artifact.of)

    # -- metrics, end --

    def log(
        self, data: dict[str, Any], step: int | None = None, commit: bool | None = None, sync: bool | None = None
    ) -> None:
        """Keep the last value of each metric in `summary`; the steps before are not kept."""
        self._refuse_ended("log")
        if not isinstance(data, dict):
            raise InvalidType(f"log takes a dict of metrics, not a {data.__class__.__name__}")
        self._summary.update(data)
        self._step = self._step + 1 if step is None else step

    def _refuse_ended(self, verb: str) -> None:
        if self._ended:
            raise Conflict(f"run {self.id} is finished: it can't {verb}", hint=f"init(id='{self.id}') goes on with it")

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run: finished with exit code 0 (or None), else failed. Once; safe to call again."""
        if self._ended:
            return
        self._ended = True
        if _active is self:
            set_active(None)
        if self._recording is not None:
            self._write("summary", self._summary.as_dict())
            self._recording.finish(exit_code or 0)

    def end_at_exit(self) -> None:
        """What the interpreter's end means: failed when an exception was printed since the run began."""
        if os.getpid() == self._pid:
            self.finish(0 if _last_error() is self._error else 1)

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

    def define_metric(self, *_: Any, **__: Any) -> None:
        """Accepted as W&B's; every metric is kept in the same way."""

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


def require_run(what: str) -> Run:
    if _active is None:
        raise NoActiveRun(f"there is no active run: call init() before {what}")
    return _active


def _last_error() -> BaseException | None:
    """The exception that the interpreter printed last, before it ends or in a notebook's cell."""
    return getattr(sys, "last_value", None)
