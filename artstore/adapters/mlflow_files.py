"""MLflow's stores: what is in one, as values, and the store of files (`mlruns/` with `meta.yaml`)."""

import os
from typing import Any, NamedTuple, Protocol

from artstore.adapters.confining import Source
from artstore.domain.names import printable
from artstore.domain.plain import loaded
from artstore.errors import Damage, NotFound

FINISHED, FAILED, KILLED = 3, 4, 5
"""RunStatus of MLflow's service.proto."""
STORED_IN = ("mlruns", "mlartifacts")
"""Folders in which MLflow puts artifacts: a client, and a server."""


class StoredRun(NamedTuple):
    """A run of MLflow. Times are in milliseconds since 1970."""

    name: str | None
    deleted: bool
    status: int
    start: int
    end: int | None
    user: str | None
    tags: dict[str, str]
    params: dict[str, str]
    points: list[tuple[int, int, str, float]]
    """(step, milliseconds, metric, value)"""
    artifacts: str | None
    """the folder of its artifacts: "" if it has none, None if it is not in this store"""
    artifact_uri: str


class Registered(NamedTuple):
    """A registered model."""

    name: str
    description: str | None
    aliases: dict[str, str]
    """version number by alias"""
    versions: list[int]


class ModelVersion(NamedTuple):
    """A version of a registered model."""

    source: str
    description: str | None
    stage: str | None
    tags: dict[str, str]


class Store(Protocol):
    """A store of MLflow. Its methods raise what a damaged or forged store can cause (`importing.MALFORMED`)."""

    source: Source

    def experiments(self) -> list[str]:
        """The keys of the experiments, in order."""

    def experiment(self, key: str) -> tuple[str, bool]:
        """The name of an experiment, and whether it is deleted."""

    def runs(self, experiment: str) -> list[str]:
        """The ids of an experiment's runs."""

    def run(self, experiment: str, id: str) -> StoredRun:
        """A run."""

    def models(self, experiment: str) -> list[str]:
        """The ids of the models that runs of an experiment logged."""

    def model(self, experiment: str, id: str) -> tuple[str, str]:
        """The name of a logged model, and the folder of its files. Raises NotFound if they are not here."""

    def registry(self) -> list[str]:
        """The keys of the registered models."""

    def registered(self, key: str) -> Registered:
        """A registered model."""

    def version(self, key: str, number: int) -> ModelVersion:
        """A version of a registered model."""

    def files_of(self, version: ModelVersion) -> tuple[str, str] | None:
        """The folder of a model version's files, and the name of the experiment that made them, if they are here."""


class FileStore:
    """A store of files: a folder for each experiment, run and model. A key is a folder's name."""

    def __init__(self, root: str, source: Source) -> None:
        self.source = source
        self._root = root

    def experiments(self) -> list[str]:
        names = sorted(set(os.listdir(self._root)) - {"models", ".trash"})
        return [name for name in names if os.path.isfile(os.path.join(self._root, name, "meta.yaml"))]

    def experiment(self, key: str) -> tuple[str, bool]:
        meta = self._meta(key)
        return str(meta.get("name", key)), meta.get("lifecycle_stage") == "deleted"

    def runs(self, experiment: str) -> list[str]:
        above = os.path.join(self._root, experiment)
        return [id for id in sorted(os.listdir(above)) if os.path.isfile(os.path.join(above, id, "meta.yaml"))]

    def run(self, experiment: str, id: str) -> StoredRun:
        folder, meta = os.path.join(self._root, experiment, id), self._meta(experiment, id)
        points = []
        for name, text in self.source.texts(os.path.join(folder, "metrics")).items():
            for line in filter(None, text.splitlines()):  # `milliseconds value step`
                milliseconds, value, step, *_ = [*line.split(), "0"]
                points.append((int(step), int(milliseconds), name, float(value)))
        artifacts = os.path.join(folder, "artifacts")
        return StoredRun(
            name=meta.get("run_name"), deleted=meta.get("lifecycle_stage") == "deleted", status=int(meta["status"]),
            start=int(meta["start_time"]), end=int(meta["end_time"]) if meta.get("end_time") else None,
            user=meta.get("user_id") or None, tags=self.source.texts(os.path.join(folder, "tags")),
            params=self.source.texts(os.path.join(folder, "params")), points=points,
            artifacts=artifacts if os.path.isdir(artifacts) else None, artifact_uri=str(meta.get("artifact_uri")),
        )  # fmt: skip

    def models(self, experiment: str) -> list[str]:
        return self._names(experiment, "models")

    def model(self, experiment: str, id: str) -> tuple[str, str]:
        meta, place = (
            self._meta(experiment, "models", id),
            os.path.join(self._root, experiment, "models", id, "artifacts"),
        )
        if not os.path.isdir(place):
            raise NotFound("its files are not here")
        return str(meta.get("name") or id), place

    def registry(self) -> list[str]:
        return self._names("models")

    def registered(self, key: str) -> Registered:
        meta, folder = self._meta("models", key), os.path.join(self._root, "models", key)
        aliases = dict(meta.get("aliases") or self.source.texts(os.path.join(folder, "aliases")))
        numbers = sorted(int(name[8:]) for name in os.listdir(folder) if name.startswith("version-"))
        told = {str(alias): str(number).strip() for alias, number in aliases.items()}
        return Registered(str(meta["name"]), meta.get("description"), told, numbers)

    def version(self, key: str, number: int) -> ModelVersion:
        meta, folder = self._meta("models", key, f"version-{number}"), os.path.join(self._root, "models", key)
        stage, source = meta.get("current_stage"), meta.get("storage_location") or meta.get("source") or ""
        tags = self.source.texts(os.path.join(folder, f"version-{number}", "tags"))
        stage = None if stage in (None, "None") else str(stage)
        return ModelVersion(str(source), meta.get("description"), stage, tags)

    def files_of(self, version: ModelVersion) -> tuple[str, str] | None:
        kind, _, inner = version.source.partition(":/")
        id, _, path = inner.partition("/")
        for experiment in os.listdir(self._root):
            below = {"runs": (id, "artifacts", path), "models": ("models", id, "artifacts")}.get(kind, ())
            place = os.path.join(self._root, experiment, *below)
            if id not in ("", ".", "..") and ".." not in path.split("/") and below and os.path.isdir(place):
                return os.path.normpath(place), self.experiment(experiment)[0]
        return None

    def _names(self, *parts: str) -> list[str]:
        folder = os.path.join(self._root, *parts)
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def _meta(self, *parts: str) -> dict[str, Any]:
        """The `meta.yaml` of a folder."""
        path = os.path.join(self._root, *parts, "meta.yaml")
        told = loaded(self.source.small_file(path), printable(path))
        if not isinstance(told, dict):
            raise Damage(f"{printable(path)} is not in MLflow's format")
        return told
