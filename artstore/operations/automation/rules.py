"""The rules of automations. They are the user's own, in the user's configuration folder.

Rules of a repository only fire at places where the user allowed them. They are never stored in a repository,
nor pushed.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from artstore.backends.files import is_own, replace_file
from artstore.backends.owner import this_process
from artstore.domain.filters import fields_of, matches
from artstore.domain.names import printable
from artstore.domain.wording import near
from artstore.errors import Conflict, InvalidValue, NotFound, storage_error, translated
from artstore.operations.automation.events import Event, EventType, in_scope
from artstore.operations.automation.metrics import check_metric
from artstore.store.settings import rules_path

Rule = dict[str, Any]
"""The fields of a rule: id, name, description, enabled, event, scope, filter, metric (only for RUN_METRIC_THRESHOLD),
action, created, updated.
"""

COMMAND, WEBHOOK, NOTHING = "command", "webhook", "nothing"


class Place(NamedTuple):
    """A repository at its present place."""

    id: str
    """of the repository"""
    root: str
    """path of its folder"""


def _load() -> dict[str, Any]:
    """Read the file of rules: by the id of a repository, its rules, and the places where they are allowed or refused.

    Raises InvalidValue if other users could have written the file, or if it is invalid.
    """
    path = rules_path()
    try:
        with open(path, encoding="utf-8") as file:
            if not is_own(os.fstat(file.fileno())):
                hint = "make sure that you own it, and `chmod 600` it"
                raise InvalidValue(f"{printable(path)} can be written by other users: nothing in it is run", hint=hint)
            value = json.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise storage_error(error, f"read {printable(path)}") from error
    except InvalidValue:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{printable(path)} is not JSON: {error}", hint="mend or remove it") from None
    try:
        for own in value.values():
            for rule in own["automations"]:
                check_rule(rule)
                if not rule.keys() >= _RULE:
                    raise ValueError("a rule lacks a field")
            if not all(isinstance(place, str) for place in [*own["paths"], *own["refused"]]):
                raise ValueError("a place is not a string")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidValue(f"{printable(path)} has an invalid automation: {error}", hint="mend or remove it") from None
    found: dict[str, Any] = value
    return found


_RULE = frozenset(("id", "name", "description", "enabled", "event", "scope", "filter", "action", "created", "updated"))


@contextmanager
def _changing(place: Place) -> Iterator[dict[str, Any]]:
    """Read the rules of a repository, yield them to be changed, then write them. One process at a time, by a lock."""
    import filelock

    path = os.path.realpath(rules_path())  # the file may be a symlink, as with dotfiles that are kept elsewhere
    with translated(f"write {printable(path)}"):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with filelock.FileLock(f"{path}.lock", timeout=30):
            known = _load()
            own = known.setdefault(place.id, {"paths": [], "refused": [], "automations": []})
            yield own
            text = json.dumps(known, indent=2) + "\n"
            replace_file(path, text.encode(), f"{path}.{this_process()}", sync=True)
            os.chmod(path, 0o600)


def all_rules(place: Place) -> list[Rule]:
    """All rules of a repository, in the order in which they were made, whether they are allowed at this place or not."""
    return list(_load().get(place.id, {}).get("automations", ()))


def rules_for(place: Place) -> tuple[list[Rule], bool]:
    """The rules that may fire at a place, and whether there are rules about which the user wasn't asked yet."""
    own = _load().get(place.id)
    if own is None:
        return [], False
    enabled = [rule for rule in own["automations"] if rule["enabled"]]
    if place.root in own["paths"]:
        return enabled, False
    return [], bool(enabled) and place.root not in own["refused"]


def decide(place: Place, allowed: bool) -> None:
    """Note whether the rules of a repository may fire at its present place."""
    with _changing(place) as own:
        _decide(own, place, allowed)


def _decide(own: dict[str, Any], place: Place, allowed: bool) -> None:
    for key, chosen in (("paths", allowed), ("refused", not allowed)):
        own[key] = sorted({*own[key], place.root} if chosen else {*own[key]} - {place.root})


def find_rule(place: Place, name: str) -> Rule:
    """The rule with a name or id. Raises NotFound, with similar names in the hint."""
    rules = all_rules(place)
    found = next((rule for rule in rules if name in (rule["name"], rule["id"])), None)
    if found is None:
        hint = near(name, [rule["name"] for rule in rules])
        raise NotFound(f"No automations found: there is none named '{printable(name)}'", hint=hint)
    return found


def save_rule(place: Place, rule: Rule, *, new: bool) -> None:
    """Replace a rule, or add a `new` one. Adding a rule allows the rules of the repository at its present place.

    Raises InvalidValue, Conflict if another rule has its name, NotFound if the rule to replace was deleted.
    """
    check_rule(rule)
    with _changing(place) as own:
        there = own["automations"]
        if any(other["name"] == rule["name"] for other in there if other["id"] != rule["id"]):
            raise Conflict(f"Automation '{rule['name']}' exists. Unable to create another with the same name.")
        if any(other["id"] == rule["id"] for other in there):
            own["automations"] = [rule if other["id"] == rule["id"] else other for other in there]
        elif new:
            own["automations"] = [*there, rule]
            _decide(own, place, True)
        else:
            raise NotFound(f"Automation '{rule['name']}' not found. Unable to edit it.")


def follow_rename(place: Place, before: dict[str, str], after: dict[str, str]) -> None:
    """Change the scope of all rules that have the scope `before`."""
    if any(rule["scope"] == before for rule in all_rules(place)):
        with _changing(place) as own:
            for rule in own["automations"]:
                if rule["scope"] == before:
                    rule["scope"] = after


def delete_rule(place: Place, name: str) -> Rule:
    """Delete the rule with a name or id, and return it. Raises NotFound."""
    rule = find_rule(place, name)
    with _changing(place) as own:
        own["automations"] = [other for other in own["automations"] if other["id"] != rule["id"]]
    return rule


def check_rule(rule: Rule) -> None:
    """Raise InvalidValue for a rule that is invalid, or could never fire."""
    if not isinstance(rule["name"], str) or not 1 <= len(rule["name"]) <= 128 or not rule["name"].isprintable():
        raise InvalidValue(f"an automation's name is 1 to 128 printable characters, not {rule['name']!r:.140}")
    if rule["event"] not in EventType.__members__:
        hint = f"use one of {', '.join(EventType.__members__)}"
        raise InvalidValue(f"there is no event '{rule['event']}'", hint=hint)
    action = rule["action"]
    if action["kind"] not in (COMMAND, WEBHOOK, NOTHING):
        raise InvalidValue(f"there is no action '{printable(str(action['kind']))}'")
    if action["kind"] == COMMAND and (not action["argv"] or not all(isinstance(a, str) for a in action["argv"])):
        hint = "such as 'deploy.sh --now'"
        raise InvalidValue("a command must be a list of strings: the program and its arguments", hint=hint)
    if action["kind"] == WEBHOOK:
        parts = urlsplit(str(action["url"]))
        if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
            raise InvalidValue(f"'{printable(str(action['url']))}' is not a web address: use http://… or https://…")
        if "@" in parts.netloc:
            message = f"the web address of {parts.hostname} holds a password, which would be kept in a file"
            raise InvalidValue(message, hint="name a variable of the environment that holds it: token_env, secret_env")
    metric = rule.get("metric")
    if (rule["event"] == EventType.RUN_METRIC_THRESHOLD.value) != (metric is not None):
        raise InvalidValue("RUN_METRIC_THRESHOLD needs a metric and a threshold, and no other event takes one")
    if metric is not None:
        check_metric(metric)
    matches(rule["filter"], _asked(dict.fromkeys(_RUN_SAYS if rule["event"].startswith("RUN_") else _ARTIFACT_SAYS)))


_ARTIFACT_SAYS = (
    "entity", "project", "collection", "type", "version", "spec", "id", "digest", "size", "metadata", "tags", "aliases",
    "alias", "tag", "user", "host",
)  # fmt: skip
_RUN_SAYS = (
    "entity", "project", "run", "name", "display_name", "group", "job_type", "tags", "state", "metric", "value", "user",
    "host",
)  # fmt: skip


def _asked(values: dict[str, Any]) -> Any:
    return fields_of(values, ("metadata",), {"name": "collection"} if "collection" in values else {})


def fires(rule: Rule, event: Event) -> bool:
    """Whether a rule waits for an event: its type, scope and filter fit. The fields of filters are those of the event."""
    same = rule["event"] == event["event"] and event.get("rule", rule["id"]) == rule["id"]
    if not same or not in_scope(event, rule["scope"]):
        return False
    says = _RUN_SAYS if "run" in event else _ARTIFACT_SAYS
    return matches(rule["filter"], _asked({**dict.fromkeys(says), **event}))
