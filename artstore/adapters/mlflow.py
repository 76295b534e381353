"""Importing from MLflow's file store: runs with params, metrics and artifacts, and logged and registered models."""

import os
from collections.abc import Iterator
from typing import Any

from artstore.adapters import importing
from artstore.adapters.importing import MALFORMED, ForeignRun, Left, Recorder, Taken
from artstore.domain.collection import Path
from artstore.domain.metadata import recorded
from artstore.domain.names import REGISTRY, name_from, printable
from artstore.domain.properties import Properties
from artstore.domain.run import RunPath
from artstore.errors import Damage, NotFound
from artstore.operations.saving.draft import Saved
from artstore.repository import Repository
from artstore.store.metrics import MetricRow

_FINISHED, _FAILED, _KILLED = 3, 4, 5
"""RunStatus of MLflow's service.proto."""
_BY_HAND = "`artstore put` saves files from elsewhere"
"""A store may come from somebody else, so its files elsewhere aren't fetched, or read from the user's other folders."""
_MODELS = f"{REGISTRY}mlflow"


def import_mlflow(repository: Repository, folder: str) -> Iterator[Taken | Left]:
    """Import a file store. An experiment becomes a project, and a run keeps its id.

    Its artifacts become a version that it logged. A registered model becomes a collection of links in the registry
    `mlflow`. Yields what was imported, and what was not. Raises NotFound if the folder isn't a file store.
    """
    folder = os.path.abspath(folder)
    root = next((place for place in (folder, os.path.join(folder, "mlruns")) if _is_store(place)), None)
    if root is None:
        raise NotFound(f"{printable(folder)} is not an MLflow file store", hint="name the folder `mlruns`")
    for experiment in sorted(os.listdir(root)):
        if experiment not in ("models", ".trash") and os.path.isfile(os.path.join(root, experiment, "meta.yaml")):
            yield from _experiment(repository, os.path.join(root, experiment))
    for model in _folders(os.path.join(root, "models")):
        yield from _registered(repository, root, model)


def _folders(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))] if os.path.isdir(folder) else []


def _is_store(folder: str) -> bool:
    if not os.path.isdir(folder):
        return False
    return any(os.path.isfile(os.path.join(folder, name, "meta.yaml")) for name in os.listdir(folder))


def _meta(folder: str) -> dict[str, Any]:
    """The `meta.yaml` of a folder. Raises Damage."""
    path = os.path.join(folder, "meta.yaml")
    told = importing.loaded(importing.small_file(path), printable(path))
    if not isinstance(told, dict):
        raise Damage(f"{printable(folder)}/meta.yaml is not in MLflow's format")
    return told


def _text(path: str) -> str:
    return importing.small_file(path).decode("utf-8", "replace")


def _texts(folder: str) -> dict[str, str]:
    """The text of every file below a folder, by path."""
    found = {}
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(place, name)
            found[os.path.relpath(path, folder)] = _text(path)
    return found


# -- runs --


def _experiment(repository: Repository, folder: str) -> Iterator[Taken | Left]:
    try:
        told = _meta(folder)
    except MALFORMED as error:
        yield Left.of(folder, error)
        return
    name = str(told.get("name", os.path.basename(folder)))
    if told.get("lifecycle_stage") == "deleted":
        yield Left(f"experiment {name}", "it is deleted in MLflow")
        return
    project = name_from(name)
    for id in sorted(os.listdir(folder)):
        place = os.path.join(folder, id)
        if os.path.isfile(os.path.join(place, "meta.yaml")):
            try:
                yield from _run(repository, project, place)
            except MALFORMED as error:
                yield Left.of(f"run {id} of {name}", error)
    for model in _folders(os.path.join(folder, "models")):
        yield from _logged_model(repository, project, model)


def _run(repository: Repository, project: str, folder: str) -> Iterator[Taken | Left]:
    meta, id = _meta(folder), os.path.basename(folder)
    source = f"run {meta.get('run_name') or id}"
    if meta.get("lifecycle_stage") == "deleted":
        yield Left(source, "it is deleted in MLflow")
        return
    path = RunPath(repository.settings.entity, project, id)
    tags, params = _texts(os.path.join(folder, "tags")), _texts(os.path.join(folder, "params"))
    rows, summary = _metrics(os.path.join(folder, "metrics"), int(meta["start_time"]) / 1000)
    found = importing.recorder(repository, path, _told(meta, tags, params, summary))
    if found is not None:
        found.log(rows)
        if (artifacts := _artifacts(repository, found, folder, meta)) is not None:
            yield artifacts
        found.end()
    yield Taken("run", str(path), source, found is not None)


def _told(meta: dict[str, Any], tags: dict[str, str], params: dict[str, str], summary: dict[str, Any]) -> ForeignRun:
    status = int(meta["status"])
    own = {key: text for key, text in tags.items() if not key.startswith("mlflow.")}
    command = tags.get("mlflow.source.name")
    commit = tags.get("mlflow.source.git.commit")
    return ForeignRun(
        started=importing.iso(int(meta["start_time"]) / 1000),
        ended=importing.iso(int(meta["end_time"]) / 1000) if meta.get("end_time") else None,
        finished=status in (_FINISHED, _FAILED, _KILLED), exit_code=0 if status == _FINISHED else 1,
        name=meta.get("run_name") or tags.get("mlflow.runName"), user=meta.get("user_id") or None, host=None, job_type=None,
        group=tags.get("mlflow.parentRunId"), notes=tags.get("mlflow.note.content"),
        tags=[f"{key}:{text}" if text else key for key, text in own.items()],
        config={key: importing.value_of(text) for key, text in params.items()}, summary=summary,
        command=[command] if command else [], git={"commit": commit, "dirty": False} if commit else None,
    )  # fmt: skip


def _metrics(folder: str, started: float) -> tuple[list[MetricRow], dict[str, Any]]:
    """Rows of metrics by step, and the last value of each. A line of a file is `milliseconds value step`."""
    points = []
    for name, text in _texts(folder).items():
        for line in filter(None, text.splitlines()):
            milliseconds, value, step, *_ = [*line.split(), "0"]
            points.append((max(0, int(step)), int(milliseconds) / 1000, name, float(value)))
    rows: list[MetricRow] = []
    for number, moment, name, reached in sorted(points, key=lambda point: point[:2]):
        if not rows or rows[-1]["_step"] != number or name in rows[-1]:
            rows.append({"_step": number, "_timestamp": moment, "_runtime": max(0.0, moment - started)})
        rows[-1][name] = recorded(reached)
    summary: dict[str, Any] = {}
    for row in rows:
        summary |= {key: value for key, value in row.items() if key[0] != "_"}
    return rows, summary


def _artifacts(repository: Repository, run: Recorder, folder: str, meta: dict[str, Any]) -> Taken | Left | None:
    """Save a run's artifacts as a version. None if it has none."""
    place, id = os.path.join(folder, "artifacts"), os.path.basename(folder)
    source = f"artifacts of run {id}"
    if not os.path.isdir(place):
        return Left(source, f"they are not in this store, but at {meta.get('artifact_uri')}: {_BY_HAND}")
    if not os.listdir(place):
        return None
    path = Path(run.path.entity, run.path.project, name_from(f"{meta.get('run_name') or id}-artifacts"))
    try:
        done = _save(repository, folder, place, path, "artifact", {"run": id}, str(run.path))
        run.edge("logged", repository.find(_spec(done)))
    except MALFORMED as error:
        return Left.of(source, error)
    return Taken("version", _spec(done), source, done.is_new)


def _spec(done: Saved) -> str:
    return f"{done.path}:v{done.number}"


def _save(
    repository: Repository, root: str, place: str, path: Path, type: str, about: dict[str, Any], run: str | None,
    description: str | None = None,
) -> Saved:  # fmt: skip
    importing.require_inside(place, root)
    with repository.draft() as draft:
        draft.add_folder(place)
        properties = Properties(description=description or None)
        return importing.saved(repository, draft, path, {"mlflow": about}, type=type, run=run, properties=properties)


# -- models --


def _logged_model(repository: Repository, project: str, folder: str) -> Iterator[Taken | Left]:
    id = os.path.basename(folder)
    try:
        meta, place = _meta(folder), os.path.join(folder, "artifacts")
        if not os.path.isdir(place):
            raise NotFound("its files are not here")
        path = Path(repository.settings.entity, project, name_from(str(meta.get("name") or id)))
        done = _save(repository, folder, place, path, "model", {"model": id}, None)
        yield Taken("version", _spec(done), f"model {id}", done.is_new)
    except MALFORMED as error:
        yield Left.of(f"model {id}", error)


def _registered(repository: Repository, root: str, folder: str) -> Iterator[Taken | Left]:
    try:
        meta = _meta(folder)
        name = str(meta["name"])
        aliases = meta.get("aliases") or _texts(os.path.join(folder, "aliases"))
        versions = sorted((v for v in os.listdir(folder) if v.startswith("version-")), key=lambda v: int(v[8:]))
        target = Path(repository.settings.entity, _MODELS, name_from(name))
    except MALFORMED as error:
        yield Left.of(f"registered model {os.path.basename(folder)}", error)
        return
    for version in versions:
        source = f"{name} {version[8:]}"
        try:
            told = _meta(os.path.join(folder, version))
            named = [alias for alias, number in dict(aliases).items() if str(number).strip() == version[8:]]
            stage = told.get("current_stage")
            named += [str(stage).lower()] if stage not in (None, "None") else []
            taken = repository.refs.read(target).aliases
            place, project = _source(root, told)
            about = {"model": name, "version": int(version[8:]), "source": told.get("source")}
            about |= {"tags": tags} if (tags := _texts(os.path.join(folder, version, "tags"))) else {}
            path = Path(repository.settings.entity, project, name_from(name))
            done = _save(repository, root, place, path, "model", about, None, description=told.get("description"))
            new = tuple(alias for alias in map(importing.alias_from, named) if alias not in taken)
            repository.link(repository.find(_spec(done)), str(target), new)
            yield Taken("version", _spec(done), source, done.is_new)
        except MALFORMED as error:
            yield Left.of(source, error)
    state = repository.refs.read(target)
    if state.exists and not state.description and meta.get("description"):
        repository.edit_collection(str(target), description=str(meta["description"]))


def _source(root: str, told: dict[str, Any]) -> tuple[str, str]:
    """The folder of a model version's files, and the project of the run that made them. Raises NotFound."""
    source = str(told.get("storage_location") or told.get("source") or "")
    if source.startswith("runs:/"):
        run, _, inner = source.removeprefix("runs:/").partition("/")
        for experiment in os.listdir(root):
            place = os.path.normpath(os.path.join(root, experiment, run, "artifacts", inner))
            if place.startswith(os.path.join(root, experiment, run, "")) and os.path.isdir(place):
                return place, name_from(str(_meta(os.path.join(root, experiment)).get("name", experiment)))
    if source.startswith("models:/"):
        model = source.removeprefix("models:/").partition("/")[0]
        for experiment in os.listdir(root):
            place = os.path.join(root, experiment, "models", model, "artifacts")
            if "/" not in model and os.path.isdir(place):
                return place, name_from(str(_meta(os.path.join(root, experiment)).get("name", experiment)))
    raise NotFound(f"its source {source or '(none)'} is not in this store: {_BY_HAND}")
