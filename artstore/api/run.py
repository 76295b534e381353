"""Run: a run that is being recorded, with its config, summary, artifacts and metrics."""

import atexit
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from artstore.api.artifact import Artifact
from artstore.api.contents import PathLike, Texts
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
"""Seconds of logging after which the summary is written, so that a killed run has one."""


MODEL, CODE = "model", "code"


class Run:
    """A run that is being recorded: its inputs, outputs, config, metrics and end. `init` makes it."""

    def __init__(
        self, run: Recording | None, path: RunPath, config: dict[str, Any], *, allow_val_change: bool, group: str | None
    ) -> None:
        """Wrap a recording. `run` is None in mode `disabled`; then nothing is recorded."""
        self._recording = run
        self._path = path
        self._ended = False
        self._pid = os.getpid()
        self._error = _last_error()
        self._flushed = time.monotonic()
        state = run.state() if run is not None else RunState(path)
        self._name, self._notes, self._tags = state.name or path.id, state.notes, state.tags
        self._start = state.started
        self.group = state.group if run is not None else group
        """the group, for runs that belong together"""
        self.job_type = state.job_type
        """what kind of work the run does"""
        self.resumed = state.number > 1
        """whether the run existed before it was started here"""
        self._steps, self._summaries = Steps(run, state), Summaries()
        known, fixed = state.config if run is not None else config, not allow_val_change
        self._config = Values(known, lambda set, gone: self._write("config", set, gone), fixed=fixed, used=self._use_as)
        self._unwritten: dict[str, Any] = {}
        self._summary = Values(state.summary, self._set_summary, fixed=False)

    def _write(self, kind: str, values: dict[str, Any], removed: list[str]) -> None:
        self._refuse_ended(kind)
        if self._recording is not None:
            self._recording.set_values(kind, values, removed)

    def _use_as(self, key: str, artifact: Artifact) -> dict[str, Any]:
        """Use an artifact that is a config value, and return what is recorded for it, as W&B does."""
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

    # -- names --

    @property
    def id(self) -> str:
        """The run's id."""
        return self._path.id

    @property
    def entity(self) -> str:
        """The run's entity."""
        return self._path.entity

    @property
    def project(self) -> str:
        """The run's project."""
        return self._path.project

    @property
    def path(self) -> str:
        """The full name: `entity/project/id`."""
        return str(self._path)

    @property
    def name(self) -> str:
        """The name shown to people, which may be assigned."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = checked_text("name", name)
        self._label()

    @property
    def notes(self) -> str | None:
        """A text for people, which may be assigned."""
        return self._notes

    @notes.setter
    def notes(self, notes: str | None) -> None:
        self._notes = None if notes is None else checked_text("notes", notes)
        self._label()

    @property
    def tags(self) -> tuple[str, ...]:
        """The run's tags, which may be assigned."""
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
        """The hyperparameters. Each change is written at once."""
        return self._config

    @property
    def summary(self) -> Values:
        """The last value of each metric.

        It is written every ten seconds of logging, with each artifact, and at the end.
        """
        return self._summary

    @property
    def dir(self) -> str:
        """A folder for the run's own files, made when it is first asked for. Its files aren't saved."""
        folder = os.path.abspath(download_folder(f"run-{self.id}"))
        os.makedirs(folder, exist_ok=True)
        return folder

    @property
    def url(self) -> str | None:
        """A `file://` URL of the run's log; None for a disabled run."""
        return None if self._recording is None else f"file://{self._recording.root}/{self._path.folder}"

    def get_url(self) -> str | None:
        """A `file://` URL of the run's log; None for a disabled run."""
        return self.url

    @property
    def step(self) -> int:
        """The number of the current step."""
        return self._steps.current

    @property
    def start_time(self) -> str:
        """When the run was started: ISO 8601, UTC."""
        return self._start

    @property
    def disabled(self) -> bool:
        """Whether nothing is recorded."""
        return self._recording is None

    @property
    def offline(self) -> bool:
        """Always True: there is no server."""
        return True

    # -- inputs and outputs --

    def use_artifact(
        self,
        artifact_or_name: str | Artifact,
        type: str | None = None,
        aliases: Texts = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Record that this run reads a version. A second call for the same version changes nothing.

        Args:
            artifact_or_name: An Artifact, or a name in the run's project: `[[entity/]project/]name[:alias | :vN |
                @digest]`. A draft is logged first, unless a live version has the same content.
            type: The type that it must have.
            aliases: Aliases to add to the version.
            use_as: The role in which the run uses it, for W&B's scripts.

        Returns:
            The version.

        Raises:
            NotFound: If there is no such version (also a ValueError).
            Conflict: If it has another type (also a ValueError).
            NoActiveRun: If the run has ended.

        Example:
            >>> with wandb.init(project="digits") as run:
            ...     images = run.use_artifact("images:latest", type="dataset")
            >>> images.download()
            '.../artifacts/images-v0'
        """
        self._refuse_ended("use_artifact")
        if isinstance(artifact_or_name, str):
            root = self._recording.root if self._recording is not None else root_to_create()
            artifact = Artifact.of(root, opened(root).find(artifact_or_name, self._path[:2]))
        elif isinstance(artifact_or_name, Artifact):
            artifact = artifact_or_name
        else:
            given = artifact_or_name.__class__.__name__
            raise InvalidType(f"use_artifact needs an Artifact or a name such as 'data:latest', not {given}")
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
        aliases: Texts = None,
        tags: list[str] | None = None,
    ) -> Artifact:
        """Log an artifact as an output of this run. It is safe on disk when this returns.

        Content that the latest version has makes no new version. Then that version gets the aliases, tags and metadata.

        Args:
            artifact_or_path: An Artifact, or a file, folder or URI.
            name: The name for a path; by default `run-<id>-<its name>`.
            type: The type for a path; by default `unspecified`.
            aliases: Aliases for the version.
            tags: Tags for the version.

        Returns:
            The artifact, which is now a version.

        Raises:
            Conflict: If the collection has another type.
            InvalidValue: If a path doesn't exist, or an alias or tag breaks a rule.
            NoActiveRun: If the run has ended.

        Example:
            >>> with wandb.init(project="digits") as run:
            ...     images = wandb.Artifact("images", type="dataset")
            ...     images.add_dir("data")
            ...     images = run.log_artifact(images, aliases=["raw"])
            >>> images.name, images.aliases
            ('images:v1', ['latest', 'raw'])
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
        """List the live versions that it used, in the order in which it did. `per_page` changes nothing."""
        return self._record().used_artifacts()

    def logged_artifacts(self, per_page: int | None = None) -> Artifacts:
        """List the live versions that it logged, in the order in which it did. `per_page` changes nothing."""
        return self._record().logged_artifacts()

    def _record(self) -> RunRecord:
        if self._recording is None:  # disabled, so the record is empty
            return RunRecord("", RunState(self._path))
        return RunRecord(self._recording.root, self._recording.state())

    # -- versions that several processes build --

    def upsert_artifact(
        self,
        artifact_or_path: Artifact | PathLike,
        name: str | None = None,
        type: str | None = None,
        aliases: Texts = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Add files to a version that several processes build together. They are safe on disk when this returns.

        `finish_artifact` makes the version. A second call with the same files changes nothing.

        Args:
            artifact_or_path: An Artifact, or a file, folder or URI.
            name: The name for a path; by default `run-<id>-<its name>`.
            type: The type for a path; by default `unspecified`.
            aliases: Accepted as in W&B; give them to `finish_artifact`.
            distributed_id: The id that the processes share; by default the run's group.

        Returns:
            The artifact, to which nothing more can be added.

        Raises:
            Conflict: If another process added other content at one of the paths. The message names both writers.
            InvalidType: If there is no id and no group.

        Example:
            >>> for number in (0, 1):  # in life, two processes
            ...     with wandb.init(project="digits", group="night") as run:
            ...         part = wandb.Artifact("scans", type="dataset")
            ...         _ = part.add_file(f"data/images/{number + 1}.png")
            ...         _ = run.upsert_artifact(part)
            >>> with wandb.init(project="digits", group="night") as run:
            ...     scans = run.finish_artifact(wandb.Artifact("scans", type="dataset"))
            >>> scans.name, scans.file_count
            ('scans:v0', 2)
        """
        return self._upserted("upsert", artifact_or_path, name, type, aliases, distributed_id)

    def finish_artifact(
        self,
        artifact_or_path: Artifact | PathLike,
        name: str | None = None,
        type: str | None = None,
        aliases: Texts = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Make a version from all files that were added under an id, and from this artifact.

        Files that are added under the id later start another version.

        Args:
            artifact_or_path: An Artifact, which may be empty, or a file, folder or URI. Its description and metadata
                are the version's.
            name: The name for a path; by default `run-<id>-<its name>`.
            type: The type for a path; by default `unspecified`.
            aliases: Aliases for the version.
            distributed_id: The id that the processes share; by default the run's group.

        Returns:
            The artifact, which is now a version.

        Raises:
            Conflict: If another process added other content at one of the paths.
            InvalidType: If there is no id and no group.

        Example:
            >>> with wandb.init(project="digits", group="night") as run:
            ...     _ = run.upsert_artifact("data/labels.csv", "all", "dataset")
            ...     whole = run.finish_artifact("data/images", "all", "dataset", aliases=["raw"])
            >>> list(whole.manifest.entries)
            ['1.png', '2.png', 'labels.csv']
        """
        return self._upserted("finish", artifact_or_path, name, type, aliases, distributed_id)

    def _upserted(
        self, verb: str, given: Artifact | PathLike, name: str | None, type: str | None, aliases: Texts, id: str | None
    ) -> Artifact:
        self._refuse_ended(f"{verb}_artifact")
        id = id or self.group
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

    def link_artifact(self, artifact: Artifact, target_path: str, aliases: Texts = None) -> Artifact | None:
        """Link a version into another collection, such as a registry's. A draft is logged first.

        Args:
            artifact: The version or draft.
            target_path: The target, `[[entity/]project/]name`.
            aliases: Aliases for the link.

        Returns:
            The link: an artifact with its own number and aliases. None in a disabled run.

        Raises:
            Conflict: If the target has another type, or holds versions of its own instead of links.

        Example:
            >>> with wandb.init(project="digits") as run:
            ...     model = run.use_artifact("model:latest")
            ...     link = run.link_artifact(model, "registry-models/digits", aliases=["prod"])
            >>> link.qualified_name, link.source_name
            ('local/registry-models/digits:v0', 'model:v0')
        """
        self._refuse_ended("link_artifact")
        if not isinstance(artifact, Artifact):
            raise InvalidType(f"link_artifact needs an Artifact, not {artifact.__class__.__name__}")
        if self._recording is None:
            return None
        if artifact.is_draft():
            self.log_artifact(artifact)
        return artifact.link(target_path, aliases)

    # -- models --

    def log_model(self, path: PathLike, name: str | None = None, aliases: Texts = None) -> None:
        """Log a file or folder as an artifact of type `model`.

        Args:
            path: The file or folder.
            name: The artifact's name; by default `run-<id>-<the path's name>`.
            aliases: Aliases for the version.

        Example:
            >>> folder = wandb.Api().artifact("digits/model:latest").download()
            >>> with wandb.init(project="digits") as run:
            ...     run.log_model(folder, "net", aliases=["best"])
            >>> wandb.Api().artifact("digits/net:best").type
            'model'
        """
        self.log_artifact(path, name, MODEL, aliases)

    def use_model(self, name: str) -> str:
        """Use a model and download it.

        Args:
            name: `[[entity/]project/]name[:alias | :vN | @digest]`, of an artifact whose type contains `model`.

        Returns:
            The path of its only file, or of its folder.

        Raises:
            InvalidValue: If the artifact isn't a model (also an AssertionError).

        Example:
            >>> with wandb.init(project="digits") as run:
            ...     run.use_model("model:latest")
            '.../artifacts/model-v0/weights.bin'
        """
        artifact = self.use_artifact(name)
        if MODEL not in artifact.type:
            kind = f"'{artifact.name}' is a '{artifact.type}'"
            raise _NotAModel(f"You can only use this method for 'model' artifacts; {kind}")
        folder = artifact.download()
        entries = list(artifact.manifest.entries)
        return os.path.join(folder, entries[0]) if len(entries) == 1 else folder

    def link_model(
        self, path: PathLike, registered_model_name: str, name: str | None = None, aliases: Texts = None
    ) -> Artifact | None:
        """Log a file or folder as a model, and link it into the project `model-registry`, as W&B does.

        Args:
            path: The file or folder. If the latest version of `name` has this content, that version is linked.
            registered_model_name: The collection in `model-registry`.
            name: The artifact's name; by default `run-<id>-<the path's name>`.
            aliases: Aliases for the link.

        Returns:
            The link. None in a disabled run.

        Example:
            >>> folder = wandb.Api().artifact("digits/model:latest").download()
            >>> with wandb.init(project="digits") as run:
            ...     link = run.link_model(folder, "digits", "model")
            >>> link.qualified_name, link.source_name
            ('local/model-registry/digits:v0', 'model:v0')
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
        """Log the source files of a folder as an artifact of type `code`.

        Args:
            root: The folder.
            name: The artifact's name; by default `source-<project>-<the folder's name>`.
            include_fn: `include_fn(path)` or `include_fn(path, root)` chooses files. By default these are `*.py`,
                `requirements.txt`, `Dockerfile` and `pyproject.toml`.
            exclude_fn: The same, for files to leave out.

        Returns:
            The artifact. None if there are no such files.

        Example:
            >>> import pathlib
            >>> _ = pathlib.Path("train.py").write_text("import artstore as wandb")
            >>> with wandb.init(project="digits") as run:
            ...     code = run.log_code()
            >>> list(code.manifest.entries)
            ['train.py']
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
        for key, value in written.items():  # a value that was set meanwhile waits for the next flush
            if self._unwritten.get(key) is value:
                del self._unwritten[key]

    def log(
        self, data: dict[str, Any], step: int | None = None, commit: bool | None = None, sync: bool | None = None
    ) -> None:
        """Add metrics to the run's history, and the last value of each to `summary`. Cost: one short `write`.

        Each call is a step of its own, unless `step` or `commit` is given. A step that has ended can't get more
        metrics; they are dropped with a warning. A Table is logged as an artifact `run-<id>-<key>` of type `run_table`.

        Args:
            data: The metrics by name.
            step: The step they belong to.
            commit: False to add more to this step later.
            sync: Accepted as in W&B; it changes nothing.

        Raises:
            InvalidType: If `data` isn't a dict of names and values (a TypeError).
            NoActiveRun: If the run has ended.

        Example:
            >>> with wandb.init(project="digits") as run:
            ...     for loss in (0.5, 0.25):
            ...         run.log({"loss": loss})
            >>> run.summary["loss"], run.step
            (0.25, 2)
        """
        self._refuse_ended("log")
        if not isinstance(data, dict):
            raise InvalidType(f"log needs a dict of metrics, not {data.__class__.__name__}")
        if strange := [key for key in data if not isinstance(key, str)]:
            raise InvalidType(f"a metric's name must be text, not {strange[0]!r}")
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
        """The value to record for a metric. A table is logged as an artifact first."""
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
        """Choose what the summary keeps of a metric, instead of its last value.

        Args:
            name: The metric, or a pattern such as `val/*`.
            step_metric: Accepted as in W&B; it changes nothing.
            step_sync: Accepted as in W&B; it changes nothing.
            hidden: Accepted as in W&B; it changes nothing.
            summary: One or several of `min`, `max`, `mean`, `first` and `last`, separated by commas, or `none`. The
                summary is then a dict of these. `best` means `max` or `min`, as `goal` says.
            goal: `maximize` or `minimize`, for `best`.
            overwrite: Accepted as in W&B; it changes nothing.

        Raises:
            InvalidValue: If `summary` has another word.

        Example:
            >>> with wandb.init(project="digits") as run:
            ...     run.define_metric("loss", summary="min,last")
            ...     for loss in (0.5, 0.25, 0.3):
            ...         run.log({"loss": loss})
            >>> run.summary["loss"]
            {'min': 0.25, 'last': 0.3}
        """
        if summary == "best":
            summary = "max" if goal == "maximize" else "min"
        if summary is not None and summary != "copy":
            self._summaries.define(name, summary)

    def _refuse_ended(self, verb: str) -> None:
        if self._ended:
            raise NoActiveRun(
                f"run {self.id} is finished: it can't record {verb}", hint=f"init(id='{self.id}') continues it"
            )

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run: finished if the exit code is 0 or None, else failed. Later calls change nothing."""
        if self._ended:
            return
        if os.getpid() != self._pid:  # a forked child leaves its parent's run alone
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
        """End the run as the interpreter ends.

        It failed if an exception was printed since the run was started, or if `sys.exit` got another code than 0.
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

    # -- W&B's other methods: accepted, but without effect --

    def watch(self, *_: Any, **__: Any) -> None:
        """Accepted as in W&B: gradients aren't recorded."""

    unwatch = mark_preempting = status = watch

    def alert(self, title: str, text: str = "", *_: Any, **__: Any) -> None:
        """Only warns: artstore sends no alerts."""
        warnings.warn(f"{title}: {text} (artstore sends no alerts)", stacklevel=2)

    def save(self, *_: Any, **__: Any) -> None:
        """Only warns: artstore doesn't store a run's files."""
        warnings.warn("artstore doesn't store a run's files; log_artifact() stores a file", stacklevel=2)


class _NotAModel(InvalidValue, AssertionError):
    """The artifact isn't a model, for which W&B raises an AssertionError."""


def _last_error() -> BaseException | None:
    """The exception that the interpreter printed last, before it ends or in a notebook's cell."""
    return getattr(sys, "last_value", None)
