"""Importing from MLflow: runs with params, metrics and artifacts, and logged and registered models."""

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from artstore.adapters import importing
from artstore.adapters.confining import Source
from artstore.adapters.importing import MALFORMED, ForeignRun, Left, Recorder, Taken
from artstore.adapters.mlflow_database import DatabaseStore
from artstore.adapters.mlflow_files import FAILED, FINISHED, KILLED, FileStore, Registered, Store, StoredRun
from artstore.domain.collection import Path
from artstore.domain.metadata import recorded
from artstore.domain.names import REGISTRY, name_from, printable
from artstore.domain.properties import Properties
from artstore.domain.run import RunPath
from artstore.errors import NotFound
from artstore.operations.saving.draft import Saved
from artstore.repository import Repository
from artstore.store.metrics import MetricRow

_BY_HAND = "`artstore put` saves files from elsewhere"
"""A store may come from somebody else, so its files elsewhere aren't fetched, or read from the user's other folders."""
_MODELS = f"{REGISTRY}mlflow"
DATABASE = "mlflow.db"
"""MLflow's default name."""


def import_mlflow(repository: Repository, place: str) -> Iterator[Taken | Left]:
    """Import the stores in a folder: a database `mlflow.db`, and files in it or in its `mlruns`. Or one database.

    An experiment becomes a project, and a run keeps its id. Its artifacts become a version that it logged. A registered
    model becomes a collection of links in the registry `mlflow`. Yields what was imported, and what was not. Raises
    NotFound if there is no store.
    """
    place = os.path.abspath(place)
    database = place if os.path.isfile(place) else os.path.join(place, DATABASE)
    source = Source(os.path.dirname(database))
    files = next((root for root in (place, os.path.join(place, "mlruns")) if _is_store(root)), None)
    if files is None and not os.path.isfile(database):
        hint = "name the folder that has mlflow.db, or the folder `mlruns` of a store of files"
        raise NotFound(f"{printable(place)} is not a store of MLflow's", hint=hint)
    if os.path.isfile(database):
        with closing(DatabaseStore(database, source)) as store:
            yield from _store(repository, store)
    if files is not None:
        yield from _store(repository, FileStore(files, Source(files)))


def _is_store(folder: str) -> bool:
    if not os.path.isdir(folder):
        return False
    return any(os.path.isfile(os.path.join(folder, name, "meta.yaml")) for name in os.listdir(folder))


def _store(repository: Repository, store: Store) -> Iterator[Taken | Left]:
    for key in store.experiments():
        yield from _experiment(repository, store, key)
    for key in store.registry():
        yield from _registered(repository, store, key)


# -- runs --


def _experiment(repository: Repository, store: Store, key: str) -> Iterator[Taken | Left]:
    try:
        name, deleted = store.experiment(key)
    except MALFORMED as error:
        yield Left.of(f"experiment {key}", error)
        return
    if deleted:
        yield Left(f"experiment {name}", "it is deleted in MLflow")
        return
    project = name_from(name)
    for id in store.runs(key):
        try:
            yield from _run(repository, store, project, id, store.run(key, id))
        except MALFORMED as error:
            yield Left.of(f"run {id} of {name}", error)
    for id in store.models(key):
        try:
            yield _logged_model(repository, store, project, id, *store.model(key, id))
        except MALFORMED as error:
            yield Left.of(f"model {id}", error)


def _run(repository: Repository, store: Store, project: str, id: str, run: StoredRun) -> Iterator[Taken | Left]:
    source = f"run {run.name or id}"
    if run.deleted:
        yield Left(source, "it is deleted in MLflow")
        return
    path = RunPath(repository.settings.entity, project, id)
    rows, summary = _metrics(run)
    found = importing.recorder(repository, path, _told(run, summary))
    if found is not None:
        found.log(rows)
        if (artifacts := _artifacts(repository, store, found, id, run)) is not None:
            yield artifacts
        found.end()
    yield Taken("run", str(path), source, found is not None)


def _told(run: StoredRun, summary: dict[str, Any]) -> ForeignRun:
    tags = run.tags
    own = {key: text for key, text in tags.items() if not key.startswith("mlflow.")}
    command = tags.get("mlflow.source.name")
    commit = tags.get("mlflow.source.git.commit")
    return ForeignRun(
        started=importing.iso(run.start / 1000), ended=importing.iso(run.end / 1000) if run.end else None,
        finished=run.status in (FINISHED, FAILED, KILLED), exit_code=0 if run.status == FINISHED else 1,
        name=run.name or tags.get("mlflow.runName"), user=run.user, host=None, job_type=None,
        group=tags.get("mlflow.parentRunId"), notes=tags.get("mlflow.note.content"),
        tags=[f"{key}:{text}" if text else key for key, text in own.items()],
        config={key: importing.value_of(text) for key, text in run.params.items()}, summary=summary,
        command=[command] if command else [], git={"commit": commit, "dirty": False} if commit else None,
    )  # fmt: skip


def _metrics(run: StoredRun) -> tuple[list[MetricRow], dict[str, Any]]:
    """Rows of metrics by step, and the last value of each."""
    rows: list[MetricRow] = []
    for step, milliseconds, name, reached in sorted(run.points, key=lambda point: point[:2]):
        number, moment = max(0, step), milliseconds / 1000
        if not rows or rows[-1]["_step"] != number or name in rows[-1]:
            rows.append({"_step": number, "_timestamp": moment, "_runtime": max(0.0, moment - run.start / 1000)})
        rows[-1][name] = recorded(reached)
    summary: dict[str, Any] = {}
    for row in rows:
        summary |= {key: value for key, value in row.items() if key[0] != "_"}
    return rows, summary


def _artifacts(repository: Repository, store: Store, run: Recorder, id: str, told: StoredRun) -> Taken | Left | None:
    """Save a run's artifacts as a version. None if it has none."""
    source = f"artifacts of run {id}"
    if told.artifacts is None:
        return Left(source, f"they are not in this store, but at {told.artifact_uri}: {_BY_HAND}")
    if not told.artifacts or not os.listdir(told.artifacts):
        return None
    path = Path(run.path.entity, run.path.project, name_from(f"{told.name or id}-artifacts"))
    try:
        done = _save(repository, store, told.artifacts, path, "artifact", {"run": id}, str(run.path))
        run.edge("logged", repository.find(_spec(done)))
    except MALFORMED as error:
        return Left.of(source, error)
    return Taken("version", _spec(done), source, done.is_new)


def _spec(done: Saved) -> str:
    return f"{done.path}:v{done.number}"


def _save(
    repository: Repository, store: Store, place: str, path: Path, type: str, about: dict[str, Any], run: str | None,
    description: str | None = None,
) -> Saved:  # fmt: skip
    with repository.draft() as draft:
        store.source.add_folder(draft, place)
        properties = Properties(description=description or None)
        return importing.saved(repository, draft, path, {"mlflow": about}, type=type, run=run, properties=properties)


# -- models --


def _logged_model(repository: Repository, store: Store, project: str, id: str, name: str, place: str) -> Taken:
    path = Path(repository.settings.entity, project, name_from(name))
    done = _save(repository, store, place, path, "model", {"model": id}, None)
    return Taken("version", _spec(done), f"model {id}", done.is_new)


def _registered(repository: Repository, store: Store, key: str) -> Iterator[Taken | Left]:
    try:
        model = store.registered(key)
        target = Path(repository.settings.entity, _MODELS, name_from(model.name))
    except MALFORMED as error:
        yield Left.of(f"registered model {key}", error)
        return
    for number in model.versions:
        source = f"{model.name} {number}"
        try:
            done = _model_version(repository, store, key, model, number, target)
            yield Taken("version", _spec(done), source, done.is_new)
        except MALFORMED as error:
            yield Left.of(source, error)
    state = repository.refs.read(target)
    if state.exists and not state.description and model.description:
        repository.edit_collection(str(target), description=str(model.description))


def _model_version(
    repository: Repository, store: Store, key: str, model: Registered, number: int, target: Path
) -> Saved:
    """Save a version of a registered model, and link it into the registry."""
    told = store.version(key, number)
    if (found := store.files_of(told)) is None:
        raise NotFound(f"its source {told.source or '(none)'} is not in this store: {_BY_HAND}")
    place, experiment = found
    about: dict[str, Any] = {"model": model.name, "version": number, "source": told.source}
    about |= {"tags": told.tags} if told.tags else {}
    path = Path(repository.settings.entity, name_from(experiment), name_from(model.name))
    taken = repository.refs.read(target).aliases
    done = _save(repository, store, place, path, "model", about, None, description=told.description)
    named = [alias for alias, of in model.aliases.items() if of == str(number)]
    named += [told.stage.lower()] if told.stage else []
    new = tuple(alias for alias in map(importing.alias_from, named) if alias not in taken)
    repository.link(repository.find(_spec(done)), str(target), new)
    return done
