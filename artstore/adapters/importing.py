"""Parts that all importers share: recording runs, and saving versions.

An importer yields what it imported, and what it could not import with a reason. It may run again: it skips what it has
imported before. The extra `import` reads YAML files.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from artstore.api.recording import version_fields
from artstore.backends.owner import this_process
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import Path
from artstore.domain.metadata import recorded
from artstore.domain.names import name_from
from artstore.domain.properties import Properties
from artstore.domain.run import FAILED, FINISHED, RUNNING, RunPath, RunState
from artstore.errors import ArtstoreError, Conflict
from artstore.operations.finding.lookup import Version
from artstore.operations.saving.draft import Draft, Saved
from artstore.repository import Repository
from artstore.store.metrics import SEAL_AT, HistoryWriter, MetricRow
from artstore.store.runfiles import StagedFiles

_NUMBER = re.compile(r"v\d+")
MALFORMED = (
    ArtstoreError, OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip
"""Errors that a damaged or forged file of another tool can cause. That item is skipped, with `reason`."""


class Taken(NamedTuple):
    """Something that is here now."""

    kind: str
    """version or run"""
    name: str
    """what it is called here"""
    source: str
    """what it was called in the other tool"""
    new: bool
    """whether it was imported now; False if it was already here"""


class Left(NamedTuple):
    """Something that could not be imported."""

    source: str
    reason: str

    @classmethod
    def of(cls, source: str, error: BaseException) -> "Left":
        """What an error kept from being imported, with the error as the reason."""
        if isinstance(error, ArtstoreError):
            return cls(source, str(error))
        if isinstance(error, OSError) and error.strerror:
            return cls(source, f"{error.filename or 'it'} can't be read: {error.strerror.lower()}")
        return cls(source, f"it is not in its tool's format ({type(error).__name__}: {error})")


class ForeignRun(NamedTuple):
    """A run as another tool recorded it. Times are in ISO 8601, UTC."""

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


def value_of(text: str) -> Any:
    """The number or boolean in a parameter that was stored as text; any other text stays."""
    if text in ("True", "False"):
        return text == "True"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, int | float) and value == value and abs(value) != float("inf") else text


def alias_from(text: str) -> str:
    """An alias from the name of a tag or stage.

    Names that mean something else as an alias, such as `v1`, get a prefix.
    """
    alias = name_from(text)
    return f"tag-{alias}" if _NUMBER.fullmatch(alias) or alias.casefold() == "latest" else alias


# -- runs --


class Recorder:
    """Records a run with its original times. Close it with `end`."""

    def __init__(self, repository: Repository, path: RunPath, told: ForeignRun) -> None:
        """Start the record of a run."""
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
        here = repository.objects.here
        assert here is not None, "a run is recorded in a repository here"
        self._history = HistoryWriter(here, path.folder, named=named)
        self._files = StagedFiles(here, path.folder, named=named)

    def log(self, rows: Iterable[MetricRow]) -> None:
        """Add rows to its history, each with `_step`."""
        for row in rows:
            self._history.append(row)
            if self._history.bytes >= SEAL_AT:
                self._history.end()
                self._repository.seal(self.state, lambda now: [])

    def add_file(self, path: str, data: bytes) -> None:
        """Add one of its files. Raises InvalidValue for a path that isn't valid."""
        self._files.add(path, data)

    def edge(self, kind: str, found: Version) -> None:
        """Record that it `used` or `logged` a version."""
        more = {"as": None} if kind == "used" else {}
        change = self._change(kind, **version_fields(found), **more)
        self._repository.record(self.state, lambda now: [] if found.id in getattr(now, kind) else [change])

    def end(self) -> None:
        """Record the summary, the rest of the history, and the end if the run has ended."""
        told = self._told
        changes = [self._change("summary", set=recorded(told.summary), remove=[])]
        if told.finished:
            state = FAILED if told.exit_code else FINISHED
            changes.append(self._change("finish", at=told.ended, state=state, code=told.exit_code))
        self._history.end()
        self._files.end()
        self._repository.seal(self.state, lambda now: changes)

    def _change(self, kind: str, *, at: str | None = None, **fields: Any) -> Change:
        by = {"host": self._told.host, "time": at or self._told.started, "user": self._told.user}
        return {**new_change(kind, **fields), "by": by}


def recorder(repository: Repository, path: RunPath, told: ForeignRun) -> Recorder | None:
    """A recorder for a run; None if the run is already here.

    A run that an interrupted import left open is deleted and recorded again. Raises Conflict if it is being
    recorded now.
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
    """A time in seconds since 1970, as logs store times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# -- reading and saving --


def saved(
    repository: Repository, draft: Draft, path: Path, about: dict[str, dict[str, Any]], *, type: str | None,
    aliases: Iterable[str] = (), run: str | None = None, properties: Properties | None = None,
) -> Saved:  # fmt: skip
    """Save a version, and record in one field of its metadata where it came from.

    If the content is already here, its metadata and description stay. It only gets those aliases that no version has.
    """
    taken = repository.refs.read(path).aliases
    new = tuple(alias for alias in aliases if alias not in taken)
    done = draft.save(path, type=type, run=run, reuse="any", properties=Properties(aliases=new))
    repository.automations.changes_made()
    spec = f"{path}@{done.id}"
    if not about.keys() & repository.find(spec).version.get("metadata", {}).keys():
        properties = properties or Properties()
        repository.edit(spec, properties._replace(metadata={**(properties.metadata or {}), **about}))
    return done
