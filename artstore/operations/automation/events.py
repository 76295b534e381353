"""Events: the changes of this process, as automations see them. Pure."""

import enum
from collections.abc import Mapping
from typing import Any, TypedDict

from artstore.domain.changes import Change
from artstore.domain.collection import Path, State, VersionState
from artstore.domain.metadata import recorded
from artstore.domain.names import RESERVED
from artstore.domain.run import RUNNING, RunState


class Event(TypedDict, total=False):
    """A change for which an automation may wait. Actions get it as JSON. Its type decides which fields it has."""

    event: str
    """the name of its type"""
    time: str
    user: str | None
    host: str | None
    repository: str
    entity: str
    project: str
    collection: str
    type: str
    version: str
    """v and the number"""
    spec: str
    id: str
    digest: str
    size: int
    metadata: dict[str, Any]
    tags: list[str]
    aliases: list[str]
    alias: str
    tag: str
    run: str
    name: str
    display_name: str
    group: str | None
    job_type: str | None
    state: str | None
    metric: str | None
    value: Any
    rule: str
    """the id of the rule that the metric set off"""
    test: bool
    """true for an event that didn't happen"""


class EventType(enum.StrEnum):
    """The types of events. The names are W&B's, except for REMOVE_ARTIFACT_ALIAS and DELETE_ARTIFACT, which are
    our own.
    """

    CREATE_ARTIFACT = "CREATE_ARTIFACT"
    LINK_ARTIFACT = "LINK_ARTIFACT"
    UNLINK_ARTIFACT = "UNLINK_ARTIFACT"
    DELETE_ARTIFACT = "DELETE_ARTIFACT"
    ADD_ARTIFACT_ALIAS = "ADD_ARTIFACT_ALIAS"
    REMOVE_ARTIFACT_ALIAS = "REMOVE_ARTIFACT_ALIAS"
    ADD_ARTIFACT_TAG = "ADD_ARTIFACT_TAG"
    REMOVE_ARTIFACT_TAG = "REMOVE_ARTIFACT_TAG"
    ADD_COLLECTION_TAG = "ADD_COLLECTION_TAG"
    REMOVE_COLLECTION_TAG = "REMOVE_COLLECTION_TAG"
    RUN_STATE = "RUN_STATE"
    RUN_METRIC_THRESHOLD = "RUN_METRIC_THRESHOLD"


def events_of(state: State, changes: list[Change], aliases: dict[str, str]) -> list[Event]:
    """The events of changes of a collection, in the order of the changes.

    Args:
        state: Of the collection, after the changes.
        aliases: Of the collection, before the changes.
    """
    if state.type.startswith(RESERVED):
        return []
    said = {change["alias"] for change in changes if change["kind"] == "alias"}
    found: list[Event] = []
    for change in changes:
        kind, version = change["kind"], state.versions.get(change.get("id") or "")
        if kind == "version" and version is not None:
            found.append(_about(EventType.CREATE_ARTIFACT, state, version))
        elif kind in ("link", "undelete") and version is not None:
            linked = "source" in version
            found.append(_about(EventType.LINK_ARTIFACT if linked else EventType.CREATE_ARTIFACT, state, version))
        elif kind == "alias":
            found += _of_alias(state, change)
        elif kind == "tags":
            found += _of_tags(state, change, version)
        elif kind == "delete" and version is not None:
            found.append(_gone(state, version))
        elif kind == "delete collection":
            for alias, id in aliases.items():
                if id in change["ids"] and alias not in said:
                    found += _of_alias(state, {"alias": alias, "old": id, "id": None})
            found += [_gone(state, state.versions[id]) for id in change["ids"] if id in state.versions]
    return found


def _of_alias(state: State, change: Change) -> list[Event]:
    found = []
    for type, id in ((EventType.REMOVE_ARTIFACT_ALIAS, change["old"]), (EventType.ADD_ARTIFACT_ALIAS, change["id"])):
        if (version := state.versions.get(id or "")) is not None:
            found.append(_about(type, state, version) | {"alias": change["alias"]})
    return found


def _of_tags(state: State, change: Change, version: VersionState | None) -> list[Event]:
    what = "COLLECTION" if version is None else "ARTIFACT"
    pairs = [("REMOVE", tag) for tag in change["remove"]] + [("ADD", tag) for tag in change["add"]]
    return [_about(EventType[f"{verb}_{what}_TAG"], state, version) | {"tag": tag} for verb, tag in pairs]


def _gone(state: State, version: VersionState) -> Event:
    linked = "source" in version
    return _about(EventType.UNLINK_ARTIFACT if linked else EventType.DELETE_ARTIFACT, state, version)


def _about(type: EventType, state: State, version: VersionState | None) -> Event:
    entity, project, name = state.path
    event: Event = {"event": type.value, "entity": entity, "project": project, "collection": name, "type": state.type}
    if version is None:
        return event | {"tags": state.tags}
    return event | {
        "version": f"v{version['number']}", "spec": f"{state.path}:v{version['number']}", "id": version["id"],
        "digest": version["digest"], "size": version["size"], "metadata": version.get("metadata", {}),
        "tags": version.get("tags", []), "aliases": state.aliases_of(version["id"]),
    }  # fmt: skip


def events_of_run(state: RunState, changes: list[Change]) -> list[Event]:
    """The events of changes of a run: it began, or ended."""
    states = {"start": RUNNING, "finish": state.finished}
    entered = [states[change["kind"]] for change in changes if change["kind"] in states]
    return [_about_run(EventType.RUN_STATE, state) | {"state": name} for name in entered]


def metric_event(state: RunState, metric: str, value: float, rule: str) -> Event:
    """The event of a metric of a run that passed the threshold of a rule. `rule` is the rule's id."""
    about = _about_run(EventType.RUN_METRIC_THRESHOLD, state)
    return {**about, "metric": metric, "value": recorded(value), "rule": rule}


def _about_run(type: EventType, state: RunState) -> Event:
    return {
        "event": type.value, "entity": state.path.entity, "project": state.path.project, "run": state.path.id,
        "name": state.name, "display_name": state.name, "group": state.group, "job_type": state.job_type, "tags": state.tags,
    }  # fmt: skip


def in_scope(event: Mapping[str, Any], scope: dict[str, Any]) -> bool:
    """Whether an event is in the scope of a rule: it has the entity, project and collection that the scope names."""
    return all(event.get(key) == scope[key] for key in ("entity", "project", "collection") if scope.get(key))


def path_of(event: Event) -> Path:
    """The collection of an event."""
    return Path(event["entity"], event["project"], event["collection"])
