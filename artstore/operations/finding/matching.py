"""Matching versions, collections and runs with filters: the fields that a filter may name, and their values."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from artstore.domain.collection import State
from artstore.domain.filters import Asked, Count, Fields, Time, fields_of, matches
from artstore.domain.run import RunPath, RunState
from artstore.domain.wording import moment
from artstore.errors import Damage
from artstore.operations.finding.lookup import Lookup, Version
from artstore.store.metrics import whole_summary
from artstore.store.sides import AnyStore

Filter = Mapping[str, Any]


def fitting_versions(
    lookup: Lookup, states: Iterable[State], condition: Filter | None, asked: Asked | None = None
) -> list[Version]:
    """The live versions of collections that fit a filter, by collection and number. `asked` explains an empty answer.

    Fields: name, version, type, aliases (alias), tags (tag), metadata.KEY, description, created_at, updated_at, size,
    file_count, digest, id, run, project, entity. Raises InvalidValue for an invalid filter.
    """
    if condition in (None, {}):
        return [Version(state, version) for state in states for version in state.live()]
    matches(condition, _version_value(dict.fromkeys(_VERSION_FIELDS)))  # raises, even if there is no version
    found = []
    for state in states:
        named = state.all_aliases()
        for version in state.live():
            one = Version(state, version)
            given = lookup, one, named.get(one.id, [])
            fields = {name: partial(value, *given) for name, value in _VERSION_FIELDS.items()}
            if matches(condition, _version_value(fields, asked=asked)):
                found.append(one)
    return found


_VERSION_FIELDS: dict[str, Callable[[Lookup, Version, list[str]], Any]] = {
    "name": lambda lookup, one, aliases: one.state.path.name,
    "version": lambda lookup, one, aliases: f"v{one.number}",
    "type": lambda lookup, one, aliases: one.state.type,
    "aliases": lambda lookup, one, aliases: aliases,
    "tags": lambda lookup, one, aliases: lookup.said_of(one).get("tags", []),
    "metadata": lambda lookup, one, aliases: lookup.properties(one)[1],
    "description": lambda lookup, one, aliases: lookup.properties(one)[0],
    "created_at": lambda lookup, one, aliases: Time(moment(one.version["created"])),
    "updated_at": lambda lookup, one, aliases: Time(one.version["updated"]),
    "size": lambda lookup, one, aliases: Count(one.version["size"]),
    "file_count": lambda lookup, one, aliases: Count(one.version["files"]),
    "digest": lambda lookup, one, aliases: one.version["digest"],
    "id": lambda lookup, one, aliases: one.id,
    "run": lambda lookup, one, aliases: one.version["run"],
    "project": lambda lookup, one, aliases: one.state.path.project,
    "entity": lambda lookup, one, aliases: one.state.path.entity,
}
"""The fields of a version, each from how to look things up, the version, and its aliases."""


def _version_value(values: Mapping[str, Any], asked: Asked | None = None) -> Fields:
    return fields_of(values, ("metadata",), {"alias": "aliases", "tag": "tags", "createdAt": "created_at"}, asked)


def fits_collection(state: State, condition: Filter | None) -> bool:
    """Whether a collection fits a filter.

    Fields: name, project, type, tags (tag), aliases (alias), description, created_at, updated_at, and size, which is
    that of the latest version.
    """
    if condition in (None, {}):
        return True
    first = min((version["created"] for version in state.versions.values()), default=None)
    values = {
        "name": state.path.name, "project": state.path.project, "entity": state.path.entity, "type": state.type,
        "tags": state.tags, "aliases": [alias for names in state.all_aliases().values() for alias in names],
        "description": state.description, "created_at": None if first is None else Time(moment(first)),
        "size": Count(state.latest["size"]) if state.latest else None,
        "updated_at": Time(max((version["updated"] for version in state.versions.values()), default="")) or None,
    }  # fmt: skip
    also = {"alias": "aliases", "tag": "tags", "createdAt": "created_at", "updatedAt": "updated_at"}
    return matches(condition, fields_of(values, (), also))


def fits_registry(
    names: list[str], state: State, created: int | None, updated: str | None, condition: Filter | None
) -> bool:
    """Whether a registry fits a filter. Fields: name (one of `names`), description, created_at, updated_at."""
    if condition in (None, {}):
        return True
    created_at = None if created is None else Time(moment(created))
    values = {
        "name": names, "description": state.description, "created_at": created_at,
        "updated_at": None if updated is None else Time(updated),
    }  # fmt: skip
    return matches(condition, fields_of(values, (), {"createdAt": "created_at", "updatedAt": "updated_at"}))


def run_fields(
    state: RunState, status: str, summary: Callable[[], Mapping[str, Any]] | None = None
) -> Mapping[str, Any]:
    """The fields of a run, by the names that filters and orders may use. The summary is the recorded one if not given."""
    return {
        "name": state.path.id, "display_name": state.name, "state": status, "group": state.group,
        "job_type": state.job_type, "tags": state.tags, "username": state.user, "host": state.host,
        "created_at": Time(state.started), "heartbeat_at": Time(state.seen), "config": state.parameters,
        "summary_metrics": summary or state.summary, "notes": state.notes, "project": state.path.project,
        "entity": state.path.entity,
    }  # fmt: skip


class RunFields:
    """The fields of runs. The summary of one that hasn't ended is read from its history, once, if it is asked for."""

    def __init__(self, store: AnyStore) -> None:
        self.runs = store.runs
        self._store = store
        self._read: dict[RunPath, dict[str, Any]] = {}

    def __call__(self, state: RunState) -> Mapping[str, Any]:
        """The fields of a run."""
        return run_fields(state, self.runs.status(state), partial(self.summary, state))

    def summary(self, state: RunState) -> dict[str, Any]:
        """The summary of a run."""
        if state.finished is not None:
            return state.summary
        if state.path not in self._read:
            self._read[state.path] = whole_summary(self._store, state)
        return self._read[state.path]


RUN_DICTS = ("config", "summary_metrics")
RUN_NAMES = {
    "id": "name", "displayName": "display_name", "jobType": "job_type", "createdAt": "created_at", "user": "username",
    "summary": "summary_metrics", "tag": "tags", "heartbeatAt": "heartbeat_at",
}  # fmt: skip


def fitting_runs(
    fields: RunFields,
    condition: Filter | None,
    entity: str | None = None,
    project: str | None = None,
    *,
    damaged: list[Damage] | None = None,
    asked: Asked | None = None,
) -> list[RunState]:
    """The runs that fit a filter, in the order of `Runs.all`. `asked` explains an empty answer.

    Fields: name (the id), display_name, state, config.KEY, summary_metrics.KEY, tags, group, job_type, username, host,
    created_at, heartbeat_at, notes. W&B's spellings (jobType, createdAt, …) work, too. Raises InvalidValue for an
    invalid filter.
    """

    def fits(found: Mapping[str, Any], asked: Asked | None = asked) -> bool:
        return condition is None or matches(condition, run_value(found, asked=asked))

    fits(run_fields(RunState(RunPath("", "", "")), ""), None)
    return fields.runs.all(entity, project, wanted=lambda state: fits(fields(state)), damaged=damaged)


run_value = partial(fields_of, dicts=RUN_DICTS, also=RUN_NAMES)
