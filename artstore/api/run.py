"""A run that is being recorded, as W&B users know it: config, summary, its artifacts, and its end."""

import atexit
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from artstore.api.artifact import Artifact
from artstore.api.contents import PathLike
from artstore.api.handles import opened
from artstore.api.listing import Artifacts
from artstore.api.media import without_media
from artstore.api.recording import Recording, session
from artstore.api.runs import RunRecord
from artstore.api.sources import artifact_of, is_source, source_files
from artstore.api.steps import Steps, Summaries
from artstore.api.tables.table import Table
from artstore.api.values import Values, checked_step, checked_text, checked_texts, plain_values
from artstore.domain.html import definition_rows, page
from artstore.domain.names import name_from
from artstore.domain.run import RunPath, RunState
from artstore.errors import Conflict, InvalidType, InvalidValue, NoActiveRun
from artstore.store.settings import download_folder, root_to_create

_FLUSH_AFTER = 10.0
"""Seconds of logging after which the summary is written, so that a killed run leaves one."""


MODEL, CODE = "model", "code"


class Run:
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
        self._pid = os.getpid()
        self._error = _last_error()
        self._flushed = time.monotonic()
        state = run.state() if run is not None else None
        self._name, self._notes, self._tags = (state.name, state.notes, state.tags) if state else (path.id, None, [])
        self._start = state.started if state else ""
        self.group = state.group if state else group
        self.job_type = state.job_type if state else None
        self.resumed = state is not None and state.number > 1
        self._steps, self._summaries = Steps(run, state), Summaries()
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
        return self._steps.current

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

    # -- inputs and outputs --

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
            artifact = Artifact.of(root, opened(root).find(artifact_or_name, self._path[:2]))
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
        """Log an artifact as output of this run; safe on disk when this returns. A file, folder or URI becomes an artifact
        `run-<id>-<its name>` of type `unspecified`, unless `name` and `type` say otherwise.
        """
        self._refuse_ended("log_artifact")
        artifact = artifact_of(artifact_or_path, name, type, self.id)
        if self._recording is None:
            artifact.discard()
            return artifact
        artifact.log_to(self._recording, aliases, tags)
        self._flush()
        return artifact

    def used_artifacts(self, per_page: int | None = None) -> Artifacts:
        """Live versions that it used, in the order in which it did."""
        return self._record().used_artifacts()

    def logged_artifacts(self, per_page: int | None = None) -> Artifacts:
        """Live versions that it logged, in the order in which it did."""
        return self._record().logged_artifacts()

    def _record(self) -> RunRecord:
        if self._recording is None:  # disabled: a record of nothing
            return RunRecord("", RunState(self._path))
        return RunRecord(self._recording.root, self._recording.state())

    # -- versions that several processes put together --

    def upsert_artifact(
        self,
        artifact_or_path: Artifact | PathLike,
        name: str | None = None,
        type: str | None = None,
        aliases: list[str] | str | None = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Add files to a version that several processes put together, under `distributed_id` (by default the run's group);
        `finish_artifact` makes it. Safe on disk when this returns; doing it once more changes nothing. `aliases` are for
        `finish_artifact` to give. Raises Conflict, naming both writers, for a path that another has added with other
        content.
        """
        return self._upserted("upsert", artifact_or_path, name, type, aliases, distributed_id)

    def finish_artifact(
        self,
        artifact_or_path: Artifact | PathLike,
        name: str | None = None,
        type: str | None = None,
        aliases: list[str] | str | None = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Make a version of all that was added under `distributed_id`, and of this artifact, which may be empty. Its
        description, metadata and these aliases are the version's. What is added later begins another one.
        """
        return self._upserted("finish", artifact_or_path, name, type, aliases, distributed_id)

    def _upserted(
        self,
        verb: str,
        given: Artifact | PathLike,
        name: str | None,
        type: str | None,
        aliases: list[str] | str | None,
        distributed_id: str | None,
    ) -> Artifact:
        self._refuse_ended(f"{verb}_artifact")
        id = distributed_id or self.group
        if not id:
            raise InvalidType(f"Cannot {verb} artifact unless run is in a group or distributed_id is provided")
        artifact = artifact_of(given, name, type, self.id)
        artifact.distributed_id = id
        if self._recording is None:
            artifact.discard()
            return artifact
        artifact.upsert_to(self._recording, id, finish=verb == "finish", aliases=aliases)
        self._flush()
        return artifact

    # -- links --

    def link_artifact(
        self, artifact: Artifact, target_path: str, aliases: list[str] | str | None = None
    ) -> Artifact | None:
        """Let a version stand in another collection, too, such as `registry-models/churn`; a draft is logged first. The
        link, an artifact with a number and aliases of its own there; None in a disabled run.
        """
        self._refuse_ended("link_artifact")
        if not isinstance(artifact, Artifact):
            raise InvalidType(f"a {artifact.__class__.__name__} can't be linked: an Artifact can")
        if self._recording is None:
            return None
        if artifact.is_draft():
            self.log_artifact(artifact)
        return artifact.link(target_path, aliases)

    # -- models --

    def log_model(self, path: PathLike, name: str | None = None, aliases: list[str] | str | None = None) -> None:
        """Log a file or folder as an artifact of type `model`."""
        self.log_artifact(path, name, MODEL, aliases)

    def use_model(self, name: str) -> str:
        """Use a model and download it: the path of its only file, else of its folder."""
        artifact = self.use_artifact(name)
        if MODEL not in artifact.type:
            raise _NotAModel(
                f"You can only use this method for 'model' artifacts; '{artifact.name}' is a '{artifact.type}'"
            )
        folder = artifact.download()
        entries = list(artifact.manifest.entries)
        return os.path.join(folder, entries[0]) if len(entries) == 1 else folder

    def link_model(
        self,
        path: PathLike,
        registered_model_name: str,
        name: str | None = None,
        aliases: list[str] | str | None = None,
    ) -> Artifact | None:
        """Log a model, unless an artifact of that `name` has this content already, and link it to `registered_model_name` in
        the project `model-registry`, as W&B does.
        """
        if "/" in registered_model_name or ":" in registered_model_name:
            raise _NotAModel(
                "Please provide only the name of the registered model. Do not append the entity or project name."
            )
        model = self.log_artifact(path, name, MODEL)
        return self.link_artifact(model, f"model-registry/{registered_model_name}", aliases)

    # -- code --

    def log_code(
        self,
        root: str | None = ".",
        name: str | None = None,
        include_fn: Callable[..., bool] | None = None,
        exclude_fn: Callable[..., bool] | None = None,
    ) -> Artifact | None:
        """Log the source files below `root` as an artifact of type `code`: what ends in `.py` and requirements.txt, unless
        `include_fn(path, root)` says otherwise, without what `exclude_fn` takes. None when there is none.
        """
        self._refuse_ended("log_code")
        folder = os.path.abspath(root or ".")
        artifact = Artifact(name or name_from(f"source-{self._path.project}-{os.path.basename(folder)}"), CODE)
        for path in source_files(folder, include_fn or is_source, exclude_fn):
            artifact.add_file(path, os.path.relpath(path, folder))
        if not artifact.size and not list(artifact.manifest.entries):
            artifact.discard()
            return None
        return self.log_artifact(artifact)

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
        with self._steps.locked():
            if number is not None and not self._steps.go_to(number):
                warnings.warn(
                    f"step {number} is before the current step {self._steps.current}: dropped {', '.join(data)}",
                    stacklevel=2,
                )
                return
            self._steps.add(values)
            self._summary.update(self._summaries.of(values))
            if commit or (commit is None and number is None):
                self._steps.end()
            if time.monotonic() - self._flushed > _FLUSH_AFTER:
                self._flush()

    def _logged_table(self, key: str, value: Any) -> Any:
        """A metric's value as it can be recorded: a table as the artifact that it becomes."""
        if not isinstance(value, Table):
            return value
        artifact = Artifact(name_from(f"run-{self.id}-{key}"), "run_table")
        entry = artifact.add(value, key)
        self.log_artifact(artifact)
        where = None if self._recording is None else entry.ref_url()
        return {"_type": "table-file", "artifact_path": where, "ncols": len(value.columns), "nrows": len(value)}

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
            self._summaries.define(name, summary)

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
            if session.run is self:
                session.end(forked=True)
            return
        if self._recording is not None:
            with self._steps.locked():
                self._steps.write()
                summary = dict(self._unwritten)
            self._recording.finish(int(exit_code or 0), summary)
        self._ended = True
        atexit.unregister(self.end_at_exit)
        if session.run is self:
            session.end()

    def end_at_exit(self) -> None:
        """What the interpreter's end means: failed when an exception was printed since the run began, or `sys.exit` was
        given another code than 0.
        """
        self.finish(session.exit_code or (0 if _last_error() is self._error else 1))

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


class _NotAModel(InvalidValue, AssertionError):
    """W&B asserts."""


def _last_error() -> BaseException | None:
    """The exception that the interpreter printed last, before it ends or in a notebook's cell."""
    return getattr(sys, "last_value", None)
