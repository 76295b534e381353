"""Run: a run that is being recorded, with its config, summary, artifacts and metrics."""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, overload

from artstore.api.active import ActiveRun
from artstore.api.artifact import Artifact
from artstore.api.configs import artifact_in
from artstore.api.files import PathLike, Texts
from artstore.api.handles import opened
from artstore.api.listing import Artifacts
from artstore.api.models import MODEL, NotAModel, check_model, type_of_models
from artstore.api.recording import Recording
from artstore.api.runs import RunRecord
from artstore.api.sources import artifact_of, is_source, source_files
from artstore.api.values import ArtifactValues, checked_step, plain_values
from artstore.backends.callers import warn_caller
from artstore.domain.html import definition_rows, page
from artstore.domain.names import name_from, parse_spec
from artstore.errors import Conflict, InvalidType, NotFound
from artstore.operations.finding.lookup import Version
from artstore.store.settings import find_root

if TYPE_CHECKING:
    from artstore.api.background import SaveFuture

_FLUSH_AFTER = 10.0
"""Seconds of logging after which the summary is written, so that a killed run has one."""
CODE = "code"


class Run(ActiveRun):
    """A run that is being recorded: its inputs, outputs, config, metrics and end. `init` makes it."""

    def __init__(self, run: Recording, **options: Any) -> None:
        """Wrap a recording, with the options of `ActiveRun`."""
        used = ArtifactValues(lambda value: artifact_in(value, self._found, run.root), self._use_as)
        super().__init__(run, used=used, stored=self._stored_in_summary, added=self._add_to_step, **options)

    def _use_as(self, key: str, artifact: Artifact) -> dict[str, Any]:
        """Use an artifact that is a config value, and return what is recorded for it, as W&B does."""
        used = self.use_artifact(artifact, use_as=key)
        return used.json_encode() | {"usedAs": None}

    def _add_to_step(self, values: dict[str, Any]) -> None:
        self.log(values, commit=False)

    def _leaves_alone(self, artifact: Artifact) -> bool:
        """Whether this run is disabled, and must not change an artifact that is in a lasting repository."""
        return self._disabled and not artifact.is_in(self._recording.root)

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
            root, found = self._found(artifact_or_name)
            artifact = Artifact.of(root, found, parse_spec(artifact_or_name).number)
        elif isinstance(artifact_or_name, Artifact):
            artifact = artifact_or_name
        else:
            given = artifact_or_name.__class__.__name__
            raise InvalidType(f"use_artifact needs an Artifact or a name such as 'data:latest', not {given}")
        if type is not None and not artifact.is_draft() and type != artifact.type:
            raise Conflict(f"Supplied type {type} does not match type {artifact.type} of artifact {artifact.name}")
        if not self._leaves_alone(artifact):
            artifact.use_in(self._recording, aliases, use_as)
        return artifact

    def _found(self, name: str) -> tuple[str, Version]:
        """The repository and the version that a name means. A disabled run looks at what it logged first."""
        root = self._recording.root
        try:
            return root, opened(root).find(name, self._path[:2])
        except NotFound:
            if not self._disabled or (lasting := find_root()) is None:
                raise
        return lasting, opened(lasting).find(name, self._path[:2])

    @overload
    def log_artifact(
        self,
        artifact_or_path: Artifact | PathLike,
        name: str | None = None,
        type: str | None = None,
        aliases: Texts = None,
        tags: list[str] | None = None,
        background: Literal[False] = False,
    ) -> Artifact: ...

    @overload
    def log_artifact(
        self,
        artifact_or_path: Artifact | PathLike,
        name: str | None = None,
        type: str | None = None,
        aliases: Texts = None,
        tags: list[str] | None = None,
        *,
        background: Literal[True],
    ) -> "SaveFuture": ...

    def log_artifact(
        self,
        artifact_or_path: Artifact | PathLike,
        name: str | None = None,
        type: str | None = None,
        aliases: Texts = None,
        tags: list[str] | None = None,
        background: bool = False,
    ) -> "Artifact | SaveFuture":
        """Log an artifact as an output of this run. It is safe on disk when this returns.

        Content that the latest version has makes no new version. Then that version gets the aliases, tags and metadata.

        Args:
            artifact_or_path: An Artifact, or a file, folder or URI.
            name: The name for a path; by default `run-<id>-<its name>`.
            type: The type for a path; by default `unspecified`.
            aliases: Aliases for the version.
            tags: Tags for the version.
            background: Save in another thread while the training goes on. Saves of one run are made one after another.
                The run's end waits for them, and raises the error of one whose result nobody asked for.

        Returns:
            The artifact, which is now a version; with `background` a future of it (`concurrent.futures.Future`).

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
        if background:
            from artstore.api.background import BackgroundSaves  # loads threads' pools, which few scripts need

            artifact.finalize()
            self._saves = self._saves or BackgroundSaves()
            return self._saves.begin(lambda: self._logged(artifact, aliases, tags))
        return self._logged(artifact, aliases, tags)

    def _logged(self, artifact: Artifact, aliases: Texts, tags: list[str] | None) -> Artifact:
        if self._leaves_alone(artifact):
            artifact.discard()
            return artifact
        artifact.log_to(self._recording, aliases, tags)
        if not self._ended:  # a signal handler may have ended the run while this went on in the background
            self._flush()
        return artifact

    def used_artifacts(self, per_page: int | None = None) -> Artifacts:
        """List the live versions that it used, in the order in which it did. `per_page` changes nothing."""
        return self._record().used_artifacts()

    def logged_artifacts(self, per_page: int | None = None) -> Artifacts:
        """List the live versions that it logged, in the order in which it did. `per_page` changes nothing."""
        return self._record().logged_artifacts()

    def _record(self) -> RunRecord:
        return RunRecord(self._recording.root, self._recording.state())

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
            InvalidValue: If the artifact is incremental.

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
            InvalidValue: If the artifact is incremental.

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
        if self._leaves_alone(artifact):
            artifact.discard()
            return artifact
        artifact.upsert_to(self._recording, id, finish=verb == "finish", aliases=aliases)
        self._flush()
        return artifact

    def link_artifact(self, artifact: Artifact, target_path: str, aliases: Texts = None) -> Artifact | None:
        """Link a version into another collection, such as a registry's. A draft is logged first.

        Args:
            artifact: The version or draft.
            target_path: The target, `[[entity/]project/]name`; by default in the run's project.
            aliases: Aliases for the link.

        Returns:
            The link: an artifact with its own number and aliases. None in a disabled run that didn't log the version.

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
        if self._leaves_alone(artifact):
            return None
        if artifact.is_draft():
            self.log_artifact(artifact)
        return artifact.link_in(self._recording, target_path, aliases)

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
        check_model(artifact.name, artifact.type)
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
            The link.

        Raises:
            InvalidValue: If there is an artifact with this name that isn't a model (also an AssertionError).

        Example:
            >>> folder = wandb.Api().artifact("digits/model:latest").download()
            >>> with wandb.init(project="digits") as run:
            ...     link = run.link_model(folder, "digits", "model")
            >>> link.qualified_name, link.source_name
            ('local/model-registry/digits:v0', 'model:v0')
        """
        if "/" in registered_model_name or ":" in registered_model_name:
            raise NotAModel(
                "Please provide only the name of the registered model. Do not append the entity or project name."
            )
        model = self.log_artifact(path, name, type_of_models(self._recording, name))
        return self.link_artifact(model, f"model-registry/{registered_model_name}", aliases)

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
        own = name or name_from(f"source-{self._path.project}-{os.path.basename(folder)}")
        artifact = Artifact.of_reserved_type(own, CODE)
        for path in source_files(folder, include_fn or is_source, exclude_fn):
            artifact.add_file(path, os.path.relpath(path, folder))
        if not artifact.size and not list(artifact.manifest.entries):
            artifact.discard()
            return None
        return self.log_artifact(artifact)

    def log(
        self, data: dict[str, Any], step: int | None = None, commit: bool | None = None, sync: bool | None = None
    ) -> None:
        """Add metrics to the run's history, and the last value of each to `summary`. Cost: one short `write`.

        Each call is a step of its own, unless `step` or `commit` is given. A step that has ended can't get more
        metrics; they are dropped with a warning. A forked child takes the next steps of the same run, unless it gives
        its own. A signal handler may call this in the middle of any other call. A Table or a pandas DataFrame is logged
        as an artifact `run-<id>-<key>` of type `run_table`. Images, other media and figures become files of the run.

        Args:
            data: The metrics by name. Tuples, sets and arrays become lists; mappings, dataclasses and pydantic models
                become dicts; enums their names, dates their ISO text; any other value without a JSON form, such as
                a path or a duration, its `str()`. Config, summary and an artifact's metadata convert values alike.
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
        values = plain_values(self._with_media_stored(data, self.step if number is None else number))
        with self._steps.locked():
            values = self._summaries.with_steps(values)
            if not self._steps.add(values, number, end=bool(commit or (commit is None and number is None))):
                warn_caller(
                    f"step {number} is before the current step {self._steps.current}: dropped {', '.join(data)}"
                )
                return
            self._summary.update(self._summaries.of(values))
            if time.monotonic() - self._flushed > _FLUSH_AFTER:
                self._flush()

    def _stored_in_summary(self, values: dict[str, Any]) -> dict[str, Any]:
        return self._with_media_stored(values, "summary")

    def _with_media_stored(self, values: dict[str, Any], step: int | str) -> dict[str, Any]:
        """Values of a step, or of the summary, with what is recorded of tables and media instead of these."""
        if all(isinstance(value, int | float | str | None) for value in values.values()):
            return values
        from artstore.api.logged_tables import RunTables
        from artstore.api.media.logged import MediaInRun
        from artstore.api.plots.chart import without_charts

        values, charts = without_charts(values)
        for kind, specs in charts.items():
            self._recording.draw(kind, specs)
        tables = RunTables(self.path, self.log_artifact, self._summary.get)
        return MediaInRun(self._recording.add_file, step, tables.logged).recorded(values)

    def __repr__(self) -> str:
        return f"<Run {self.path}>"

    def _repr_html_(self) -> str:
        return page("run (disabled)", definition_rows([])) if self._disabled else self._record()._repr_html_()
