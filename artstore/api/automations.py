"""Automations in Python, shaped like W&B's: an event, `>>`, and an action.

An automation belongs to the user who makes it, for this repository at its current path. It isn't stored in the
repository. A command or webhook runs in a process of its own; `CallPython` calls a function of this process, as long as
it runs.

Example:
    >>> from artstore.automations import ArtifactEvent, OnAddArtifactAlias, RunCommand, SendWebhook
    >>> from artstore.automations import OnRunMetric, RunEvent
    >>> promoted = OnAddArtifactAlias(filter=ArtifactEvent.alias == "prod") >> RunCommand(["./deploy.sh"])
    >>> wandb.Api().create_automation(promoted, name="deploy").enabled
    True
    >>> learnt = OnRunMetric(filter=RunEvent.metric("loss").avg(5) < 0.1)
    >>> wandb.Api().create_automation(learnt >> SendWebhook("https://example.org/learnt"), name="tell").name
    'tell'
"""

import datetime
import enum
import os
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from artstore.api.collections import ArtifactCollection, Project
from artstore.api.conditions import (
    ArtifactEvent,
    FilterExpr,
    MetricChangeFilter,
    MetricFilter,
    MetricThresholdFilter,
    MetricZScoreFilter,
    RunEvent,
    RunStateFilter,
)
from artstore.api.registries import Registry
from artstore.domain.names import REGISTRY
from artstore.errors import InvalidType, InvalidValue, UnsupportedError
from artstore.operations.automation.events import Event, EventType
from artstore.operations.automation.rules import COMMAND, NOTHING, WEBHOOK, Rule

__all__ = [
    "ActionType", "ArtifactCollectionScope", "ArtifactEvent", "Automation", "CallPython", "DoNothing", "EntityScope",
    "EventType", "MetricChangeFilter", "MetricThresholdFilter", "MetricZScoreFilter", "NewAutomation", "OnAddArtifactAlias",
    "OnAddArtifactTag", "OnAddCollectionTag", "OnCreateArtifact", "OnDeleteArtifact", "OnLinkArtifact",
    "OnRemoveArtifactAlias", "OnRemoveArtifactTag", "OnRemoveCollectionTag", "OnRunMetric", "OnRunState",
    "OnUnlinkArtifact", "ProjectScope", "RegistryScope", "RunCommand", "RunEvent", "RunStateFilter", "ScopeType",
    "SendNotification", "SendWebhook", "WebhookIntegration",
]  # fmt: skip


# -- actions -------------------------------------------------------------------------------------


class ActionType(enum.StrEnum):
    """The kind of an action."""

    NO_OP = "NO_OP"
    GENERIC_WEBHOOK = "GENERIC_WEBHOOK"
    COMMAND = "COMMAND"


class Action:
    """What an automation does. `action_type.name` is its kind."""

    kind = NOTHING

    def told(self) -> dict[str, Any]:
        """The action as a rule stores it."""
        return {"kind": self.kind}

    @property
    def action_type(self) -> ActionType:
        """The kind of the action."""
        return {COMMAND: ActionType.COMMAND, WEBHOOK: ActionType.GENERIC_WEBHOOK}.get(self.kind, ActionType.NO_OP)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Action) and self.told() == other.told()

    def __hash__(self) -> int:
        return hash(self.kind)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.told()}>"


class DoNothing(Action):
    """Do nothing, to try out an event."""


class RunCommand(Action):
    """Run a program, without a shell.

    It gets the event as JSON on standard input and in variables `ARTSTORE_EVENT…`.
    """

    kind = COMMAND

    def __init__(self, argv: list[str]) -> None:
        """Choose the program and its arguments. Raises InvalidType if `argv` is one text."""
        if isinstance(argv, str):
            raise InvalidType("a command must be a list (program and arguments), because it runs without a shell")
        self.argv = [os.fspath(argument) for argument in argv]

    def told(self) -> dict[str, Any]:
        """The action as a rule stores it."""
        return {"kind": self.kind, "argv": self.argv}


class WebhookIntegration(NamedTuple):
    """A web address with a name, as W&B's settings store it."""

    name: str
    url_endpoint: str
    secret_env: str | None = None
    token_env: str | None = None


class SendWebhook(Action):
    """POST JSON to a web address.

    It is the event, or `payload`. In the texts of a payload, `${artifact_collection_name}`, `${artifact_metadata.KEY}`,
    `${alias}` and other fields are filled in.
    """

    kind = WEBHOOK

    def __init__(
        self, url: str, payload: Any = None, *, secret_env: str | None = None, token_env: str | None = None
    ) -> None:
        """Choose the address. With a secret or a token, no redirect is followed.

        Args:
            url: The address.
            payload: A JSON value to post instead of the event.
            secret_env: The environment variable with the secret that signs the body (`X-Wandb-Signature`: HMAC-SHA256
                in hex).
            token_env: The environment variable with the token for `Authorization: Bearer`.
        """
        self.url, self.payload, self.secret_env, self.token_env = url, payload, secret_env, token_env

    @classmethod
    def from_integration(cls, integration: WebhookIntegration, *, payload: Any = None) -> "SendWebhook":
        """A webhook to an integration's address, with its secret and token."""
        return cls(
            integration.url_endpoint, payload, secret_env=integration.secret_env, token_env=integration.token_env
        )

    def told(self) -> dict[str, Any]:
        """The action as a rule stores it."""
        return {
            "kind": self.kind, "url": self.url, "payload": self.payload, "secret_env": self.secret_env,
            "token_env": self.token_env,
        }  # fmt: skip


class SendNotification(Action):
    """W&B's message to Slack, which artstore refuses to make."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Refused: artstore sends no messages.

        Raises:
            UnsupportedError: Always.
        """
        _no_messages()

    @classmethod
    def from_integration(cls, integration: Any = None, **_: Any) -> NoReturn:
        """Refused, as making one is.

        Raises:
            UnsupportedError: Always.
        """
        _no_messages()


def _no_messages() -> NoReturn:
    raise UnsupportedError(
        "artstore sends no messages to Slack", hint="SendWebhook posts to an address, such as a webhook of Slack's"
    )


class CallPython(Action):
    """Call a function of this process with the event, a dict, in a thread of its own. It ends with the process."""

    def __init__(self, function: Callable[[Event], Any]) -> None:
        if not callable(function):
            raise InvalidType(f"CallPython takes a function, not {function!r}")
        self.function = function


# -- events --------------------------------------------------------------------------------------


class NewAutomation(NamedTuple):
    """An event and an action, for `Api().create_automation`."""

    event: "OnEvent"
    action: Action
    name: str | None = None
    description: str | None = None
    enabled: bool | None = None

    @property
    def scope(self) -> Any:
        """The event's scope."""
        return self.event.scope


class OnEvent:
    """An event of one kind that triggers an automation.

    `scope` is an ArtifactCollection, a Registry, a Project, or None for the whole repository. `filter` is a condition.
    """

    event_type: EventType

    def __init__(self, scope: Any = None, filter: Any = None) -> None:
        self.scope = scope
        self.filter = filter
        self.told()

    def told(self) -> dict[str, Any]:
        """The event as a rule stores it. Raises InvalidType if the scope or filter isn't valid."""
        return {
            "event": self.event_type.value, "scope": _scope(self.scope), "filter": _condition(self.filter), "metric": None,
        }  # fmt: skip

    def then(self, action: Action) -> NewAutomation:
        """Combine the event with an action. `event >> action` does the same."""
        if not isinstance(action, Action):
            raise InvalidType(f"Expected a valid action, got: {type(action).__name__!r}")
        return NewAutomation(self, action)

    __rshift__ = then


class OnCreateArtifact(OnEvent):
    """A version is made."""

    event_type = EventType.CREATE_ARTIFACT


class OnLinkArtifact(OnEvent):
    """A version is linked."""

    event_type = EventType.LINK_ARTIFACT


class OnUnlinkArtifact(OnEvent):
    """A link is removed."""

    event_type = EventType.UNLINK_ARTIFACT


class OnDeleteArtifact(OnEvent):
    """A version is deleted."""

    event_type = EventType.DELETE_ARTIFACT


class OnAddArtifactAlias(OnEvent):
    """A version gets an alias."""

    event_type = EventType.ADD_ARTIFACT_ALIAS


class OnRemoveArtifactAlias(OnEvent):
    """A version loses an alias."""

    event_type = EventType.REMOVE_ARTIFACT_ALIAS


class OnAddArtifactTag(OnEvent):
    """A version gets a tag."""

    event_type = EventType.ADD_ARTIFACT_TAG


class OnRemoveArtifactTag(OnEvent):
    """A version loses a tag."""

    event_type = EventType.REMOVE_ARTIFACT_TAG


class OnAddCollectionTag(OnEvent):
    """A collection gets a tag."""

    event_type = EventType.ADD_COLLECTION_TAG


class OnRemoveCollectionTag(OnEvent):
    """A collection loses a tag."""

    event_type = EventType.REMOVE_COLLECTION_TAG


class OnRunState(OnEvent):
    """A run's state changes."""

    event_type = EventType.RUN_STATE


class OnRunMetric(OnEvent):
    """A metric passes a threshold, once in a run: `filter=RunEvent.metric("loss").avg(5) < 0.1`."""

    event_type = EventType.RUN_METRIC_THRESHOLD

    def told(self) -> dict[str, Any]:
        """The event as a rule stores it. Raises InvalidType if there is no threshold."""
        if not isinstance(self.filter, MetricFilter):
            raise InvalidType("OnRunMetric needs a threshold or a change: filter=RunEvent.metric('loss') < 0.1")
        run = self.filter.run.condition if self.filter.run is not None else {}
        return {
            "event": self.event_type.value, "scope": _scope(self.scope), "filter": run, "metric": self.filter.metric,
        }  # fmt: skip


def _condition(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, FilterExpr):
        return given.condition
    if isinstance(given, dict):
        return given
    raise InvalidType(f"a filter must be a condition such as ArtifactEvent.alias.eq('prod'), not {given!r:.80}")


def _scope(scope: Any) -> dict[str, Any]:
    if scope is None:
        return {}
    if isinstance(scope, ArtifactCollection):
        return {"entity": scope.entity, "project": scope.project, "collection": scope.name}
    if isinstance(scope, Project | Registry):
        return {"entity": scope.path[0], "project": scope.path[1]}
    if isinstance(scope, Scope):
        return dict(scope.told)
    raise InvalidType(f"a scope must be an ArtifactCollection, Registry, Project or None, not {scope!r:.80}")


# -- saved automations -------------------------------------------------------------------------------


class ScopeType(enum.StrEnum):
    """The kind of a scope."""

    PROJECT = "PROJECT"
    ARTIFACT_COLLECTION = "ARTIFACT_COLLECTION"
    ENTITY = "ENTITY"


class Scope:
    """The scope of a saved automation."""

    scope_type: ScopeType

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told

    @property
    def name(self) -> str | None:
        """The name of the collection or project; None for the whole repository."""
        name: str | None = self.told.get("collection") or self.told.get("project")
        return name

    def __repr__(self) -> str:
        return f"<Scope {'/'.join(self.told.values()) or 'all'}>"


class ArtifactCollectionScope(Scope):
    """A collection."""

    scope_type = ScopeType.ARTIFACT_COLLECTION


class ProjectScope(Scope):
    """A project."""

    scope_type = ScopeType.PROJECT


class RegistryScope(Scope):
    """A registry."""

    scope_type = ScopeType.PROJECT


class EntityScope(Scope):
    """An entity, or the whole repository."""

    scope_type = ScopeType.ENTITY


def _scope_of(told: dict[str, Any]) -> Scope:
    """The scope that a rule has."""
    if "collection" in told:
        return ArtifactCollectionScope(told)
    if "project" in told:
        return (RegistryScope if told["project"].startswith(REGISTRY) else ProjectScope)(told)
    return EntityScope(told)


class SavedEvent(NamedTuple):
    """The event of a saved automation."""

    event_type: EventType
    filter: dict[str, Any]


class Automation:
    """A saved automation. Edit its name, description, enabled or action, and pass it to `Api().update_automation`."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.id: str = rule["id"]
        self.name: str = rule["name"]
        self.description: str | None = rule["description"]
        self.enabled: bool = rule["enabled"]
        self.created_at: str = rule["created"]
        self.updated_at: str | None = rule["updated"]
        self.scope = _scope_of(rule["scope"])
        self.event = SavedEvent(EventType(rule["event"]), rule["filter"])
        self.action = _action_of(rule["action"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Automation) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Automation {self.name}: {self.event.event_type.name} {self.scope} >> {self.action}>"


def _action_of(told: dict[str, Any]) -> Action:
    if told["kind"] == COMMAND:
        return RunCommand(told["argv"])
    if told["kind"] == WEBHOOK:
        return SendWebhook(
            told["url"], told.get("payload"), secret_env=told.get("secret_env"), token_env=told.get("token_env")
        )
    return DoNothing()


def new_rule(made: NewAutomation, *, name: str | None, description: str | None, enabled: bool | None) -> Rule:
    """The rule of a new automation. Raises InvalidValue if it has no name."""
    name = name if name is not None else made.name
    if name is None:
        raise InvalidValue("an automation needs a name", hint="create_automation(event >> action, name='…')")
    enabled = enabled if enabled is not None else made.enabled
    return {
        "id": os.urandom(8).hex(), "name": name, "description": description or made.description,
        "enabled": True if enabled is None else enabled, **made.event.told(), "action": made.action.told(),
        "created": _now(), "updated": None,
    }  # fmt: skip


def changed_rule(automation: Automation, **changes: Any) -> Rule:
    """The rule of an automation, with the edits of its attributes and with other changes. Raises InvalidType."""
    rule = automation.rule | {
        "name": automation.name, "description": automation.description, "enabled": automation.enabled,
        "action": automation.action.told(), "updated": _now(),
    }  # fmt: skip
    if (action := changes.pop("action", None)) is not None:
        if not isinstance(action, Action):
            raise InvalidType(f"Expected a valid action, got: {type(action).__name__!r}")
        rule["action"] = action.told()
    if (event := changes.pop("event", None)) is not None:
        if not isinstance(event, OnEvent):
            raise InvalidType(f"Expected a valid event, got: {type(event).__name__!r}")
        rule |= event.told()
    if "scope" in changes and (scope := changes.pop("scope")) is not None:
        rule["scope"] = _scope(scope)
    if unknown := changes.keys() - {"name", "description", "enabled"}:
        raise InvalidType(f"an automation has no '{min(unknown)}'")
    return rule | {key: value for key, value in changes.items() if value is not None}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
