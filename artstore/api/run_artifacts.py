"""What a run reads and writes: it uses, logs and links artifacts, its models and its code."""

import os
from collections.abc import Callable
from typing import Any

from artstore.api.artifact import Artifact
from artstore.api.contents import PathLike
from artstore.api.handles import opened
from artstore.api.listing import Artifacts
from artstore.api.recording import Recording
from artstore.api.runs import RunRecord
from artstore.backends.references import is_known, scheme_of
from artstore.backends.storage import is_url
from artstore.domain.names import name_from
from artstore.domain.run import RunPath, RunState
from artstore.errors import Conflict, InvalidType, InvalidValue
from artstore.store.settings import root_to_create

MODEL, CODE = "model", "code"


class RunArtifacts:
    """The half of a `Run` that deals with artifacts."""

    _recording: Recording | None
    _path: RunPath
    group: str | None

    def _refuse_ended(self, verb: str) -> None:
        raise NotImplementedError

    def _flush(self) -> None:
        raise NotImplementedError

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
        artifact = self._wrapped(artifact_or_path, name, type)
        if self._recording is None:
            artifact.discard()
            return artifact
        artifact.log_to(self._recording, aliases, tags)
        self._flush()
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
            name or name_from(f"run-{self._path.id}-{os.path.basename(os.path.abspath(path))}"), type or "unspecified"
        )
        if os.path.isdir(path):
            artifact.add_dir(path)
        elif os.path.lexists(path):
            artifact.add_file(path)
        elif is_url(path) and is_known(scheme_of(path)):
            artifact.add_reference(path)
        else:
            raise InvalidValue(f"there is no file or folder '{path}' to log")
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
        artifact = self._wrapped(given, name, type)
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
        for path in sorted(_source_files(folder)):
            if _says(include_fn or _is_source, path, folder) and not (exclude_fn and _says(exclude_fn, path, folder)):
                artifact.add_file(path, os.path.relpath(path, folder))
        if not artifact.size and not list(artifact.manifest.entries):
            artifact.discard()
            return None
        return self.log_artifact(artifact)


class _NotAModel(InvalidValue, AssertionError):
    """W&B asserts."""


def _source_files(folder: str) -> list[str]:
    """All files, but for what version control and environments keep in folders of theirs."""
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".") and f not in ("wandb", "artifacts", "__pycache__")]
        folders[:] = [f for f in folders if not os.path.isfile(os.path.join(where, f, "pyvenv.cfg"))]
        found += [os.path.join(where, name) for name in names if os.path.isfile(os.path.join(where, name))]
    return found


def _is_source(path: str, _: str) -> bool:
    return path.endswith(".py") or os.path.basename(path) in ("requirements.txt", "Dockerfile", "pyproject.toml")


def _says(choose: Callable[..., bool], path: str, root: str) -> bool:
    """W&B's functions take the path, and the root if they want it."""
    import inspect

    parameters: Any = inspect.signature(choose).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    several = len(positional) > 1 or any(p.kind == p.VAR_POSITIONAL for p in positional)
    return bool(choose(path, root) if several else choose(path))
