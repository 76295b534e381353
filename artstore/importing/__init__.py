"""Moving in: what other tools stored becomes versions and runs here; the extra `import` reads their files.

An importer yields what it took over and, with a reason, what it could not. It may run again: what is here already is left.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from artstore.errors import Conflict, Damage
from artstore.history import SEAL_AT, HistoryWriter, Row
from artstore.logs import Change, new_change
from artstore.lookup import Found
from artstore.metadata import recorded
from artstore.names import name_from
from artstore.owner import this_process
from artstore.recording import version_fields
from artstore.repository import Repository
from artstore.runs import FAILED, FINISHED, RUNNING, RunPath, RunState

_NUMBER = re.compile(r"v\d+")


class Taken(NamedTuple):
    """Something that is here now."""

    kind: str
    """version, run, alias"""
    name: str
    """what it is called here"""
    source: str
    """what it was called there"""
    new: bool
    """False for what was here already"""


class Left(NamedTuple):
    """Something that was not taken over."""

    source: str
    reason: str


class Told(NamedTuple):
    """A run as another tool tells of it. Times in ISO 8601, UTC."""

    started: str
    ended: str | None
    finished: bool
    exit_code: int
    name: str | None
    user: str | None
    host: str | None
    job_type: str | None
    group: str | None
    notes: str | None
    tags: list[str]
    config: dict[str, Any]
    summary: dict[str, Any]
    command: list[str]
    git: dict[str, Any] | None


def loaded(data: bytes, what: str) -> Any:
    """YAML as plain values: nothing in it is made or run. Raises Damage for what is none."""
    import yaml

    try:
        return yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Damage(f"{what} is not readable as YAML: {error}") from error


def value_of(text: str) -> Any:
    """A parameter that was kept as text: numbers and booleans as what they were."""
    if text in ("True", "False"):
        return text == "True"
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) and value == value and abs(value) != float("inf") else text


def alias_from(text: str) -> str:
    """An alias made of a tag's or stage's name; `v1` would be a number here."""
    alias = name_from(text)
    return f"tag-{alias}" if _NUMBER.fullmatch(alias) or alias == "latest" else alias


# -- runs --


class Recorder:
    """Records a run as it was, at the times when it was. Close it with `end`."""

    def __init__(self, repository: Repository, path: RunPath, told: Told) -> None:
        self.path = path
        self._repository = repository
        self._told = told
        named = repository.settings.identity()[0] is not None
        self.state = repository.runs.read(path)
        start = self._change(
            "start", entity=path.entity, project=path.project, run=path.id, job_type=told.job_type, group=told.group,
            owner=str(this_process(named=named)), command=told.command, git=told.git,
        )  # fmt: skip
        label = self._change("label", name=told.name, notes=told.notes, tags=told.tags)
        config = self._change("config", set=recorded(told.config), remove=[])
        repository.record(self.state, lambda now: [start, label, config])
        self._history = HistoryWriter(repository.objects, path.folder, named=named)

    def log(self, rows: Iterable[Row]) -> None:
        """Add rows of its history, each with `_step`."""
        for row in rows:
            self._history.append(row)
            if self._history.bytes >= SEAL_AT:
                self._history.end()
                self._repository.seal(self.state, lambda now: [])

    def edge(self, kind: str, found: Found) -> None:
        """Record that it `used` or `logged` a version."""
        more = {"as": None} if kind == "used" else {}
        change = self._change(kind, **version_fields(found), **more)
        self._repository.record(self.state, lambda now: [] if found.version["id"] in getattr(now, kind) else [change])

    def end(self) -> None:
        told = self._told
        changes = [self._change("summary", set=recorded(told.summary), remove=[])]
        if told.finished:
            state = FAILED if told.exit_code else FINISHED
            changes.append(self._change("finish", at=told.ended, state=state, code=told.exit_code))
        self._history.end()
        self._repository.seal(self.state, lambda now: changes)

    def _change(self, kind: str, *, at: str | None = None, **fields: Any) -> Change:
        by = {"host": self._told.host, "time": at or self._told.started, "user": self._told.user}
        return {**new_change(kind, **fields), "by": by}


def recorder(repository: Repository, path: RunPath, told: Told) -> Recorder | None:
    """None for a run that is here already; one that an import left open is recorded anew. Raises Conflict for one that is
    being recorded now.
    """
    state: RunState = repository.runs.read(path)
    if state.number and state.deleted is None:
        if state.finished is not None:
            return None
        if repository.runs.status(state) == RUNNING:
            raise Conflict(f"run {path} is being recorded here")
        repository.delete_run(path)
    return Recorder(repository, path, told)


def iso(seconds: float) -> str:
    """A time in seconds since 1970 as logs tell times."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
