"""The rules of automations: a user's own, kept in their configuration folder, for repositories at the places where they
allowed them. Nothing of it lies in a repository, and none of it travels.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from artstore.errors import Conflict, InvalidValue, NotFound, storage_error, translated
from artstore.events import Event, EventType, in_scope
from artstore.files import replace_file
from artstore.filters import fields_of, matches
from artstore.hints import near
from artstore.names import printable
from artstore.owner import this_process
from artstore.settings import config_folder

Rule = dict[str, Any]
"""id, name, description, enabled, event, scope, filter, metric (of RUN_METRIC_THRESHOLD), action, created, updated."""

COMMAND, WEBHOOK, NOTHING = "command", "webhook", "nothing"
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "$gt": lambda a, b: a > b, "$gte": lambda a, b: a >= b, "$lt": lambda a, b: a < b, "$lte": lambda a, b: a <= b,
}  # fmt: skip


class Place(NamedTuple):
    """A repository, and where it lies."""

    id: str
    root: str


def rules_path() -> str:
    return os.path.join(config_folder(), "automations.json")


def _load() -> dict[str, Any]:
    path = rules_path()
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise storage_error(error, f"read {printable(path)}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{printable(path)} is not JSON: {error}", hint="mend or remove it") from error
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise InvalidValue(f"{printable(path)} holds no automations", hint="mend or remove it")
    return value


@contextmanager
def _changing(place: Place) -> Iterator[dict[str, Any]]:
    """What is kept of a repository, to be changed and written; one process at a time."""
    import filelock

    path = rules_path()
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
    """A repository's rules, wherever it lies; the first made first."""
    return list(_load().get(place.id, {}).get("automations", ()))


def rules_for(place: Place) -> tuple[list[Rule], bool]:
    """(rules that may fire, whether there are others that nobody was asked about here)."""
    own = _load().get(place.id)
    if own is None:
        return [], False
    enabled = [rule for rule in own["automations"] if rule["enabled"]]
    if place.root in own["paths"]:
        return enabled, False
    return [], bool(enabled) and place.root not in own["refused"]


def decide(place: Place, allowed: bool) -> None:
    """Note whether a repository's automations may fire where it lies."""
    with _changing(place) as own:
        for key, chosen in (("paths", allowed), ("refused", not allowed)):
            own[key] = sorted({*own[key], place.root} if chosen else {*own[key]} - {place.root})


def find_rule(place: Place, name: str) -> Rule:
    """By name, or id. Raises NotFound with near names."""
    rules = all_rules(place)
    found = next((rule for rule in rules if name in (rule["name"], rule["id"])), None)
    if found is None:
        hint = near(name, [rule["name"] for rule in rules])
        raise NotFound(f"No automations found: there is none named '{printable(name)}'", hint=hint)
    return found


def save_rule(place: Place, rule: Rule, *, new: bool) -> None:
    """Add a rule, or write one anew; whoever makes one allows those of this repository where it lies. Raises Conflict for
    a name that is taken, NotFound for one that is gone.
    """
    check_rule(rule)
    with _changing(place) as own:
        others = [other for other in own["automations"] if other["id"] != rule["id"]]
        if any(other["name"] == rule["name"] for other in others):
            raise Conflict(f"Automation '{rule['name']}' exists. Unable to create another with the same name.")
        if not new and len(others) == len(own["automations"]):
            raise NotFound(f"Automation '{rule['name']}' not found. Unable to edit it.")
        own["automations"] = [*others, rule]
        own["paths"] = sorted({*own["paths"], place.root})
        own["refused"] = [path for path in own["refused"] if path != place.root]


def delete_rule(place: Place, name: str) -> Rule:
    """Raises NotFound."""
    rule = find_rule(place, name)
    with _changing(place) as own:
        own["automations"] = [other for other in own["automations"] if other["id"] != rule["id"]]
    return rule


def check_rule(rule: Rule) -> None:
    """Raises InvalidValue for what could never fire."""
    if not isinstance(rule["name"], str) or not 1 <= len(rule["name"]) <= 128 or not rule["name"].isprintable():
        raise InvalidValue(f"an automation's name is 1 to 128 printable characters, not {rule['name']!r:.140}")
    if rule["event"] not in EventType.__members__:
        raise InvalidValue(f"there is no event '{rule['event']}'", hint=f"there are {', '.join(EventType.__members__)}")
    action = rule["action"]
    if action["kind"] == COMMAND and (not action["argv"] or not all(isinstance(a, str) for a in action["argv"])):
        raise InvalidValue("a command is a list of texts: the program and its arguments")
    if action["kind"] == WEBHOOK and not str(action["url"]).lower().startswith(("http://", "https://")):
        raise InvalidValue(f"'{printable(str(action['url']))}' is no web address: http://… or https://… is")
    metric = rule.get("metric")
    if (rule["event"] == EventType.RUN_METRIC_THRESHOLD.value) != (metric is not None):
        raise InvalidValue("RUN_METRIC_THRESHOLD needs a metric and a threshold, and no other event takes one")
    if metric is not None and metric["cmp"] not in _COMPARE:
        raise InvalidValue(f"a metric is compared by {', '.join(_COMPARE)}, not '{metric['cmp']}'")
    matches(rule["filter"], lambda field: None)


def fires(rule: Rule, event: Event) -> bool:
    """Whether an event is what a rule waits for. Fields that filters know are the event's own."""
    if (
        rule["event"] != event["event"]
        or not in_scope(event, rule["scope"])
        or event.get("rule", rule["id"]) != rule["id"]
    ):
        return False
    names = {"name": "collection"} if "collection" in event else {}
    fields = {**dict.fromkeys(("alias", "tag", "version", "type", "metadata", "state", "run")), **event}
    try:
        return matches(rule["filter"], fields_of(fields, ("metadata",), names))
    except InvalidValue:
        return False  # it asks for a field that this event has not


class MetricWatch:
    """One rule over a metric of one run: fires once, when the last values' aggregate passes the threshold."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.metric: str = rule["metric"]["name"]
        self._values: list[float] = []

    def sees(self, value: Any) -> float | None:
        """The aggregate that passes the threshold with this value; else None."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        asked = self.rule["metric"]
        self._values = [*self._values, value][-asked["window"] :]
        if len(self._values) < asked["window"]:
            return None
        chosen = {"max": max(self._values), "min": min(self._values), "mean": sum(self._values) / len(self._values)}
        now = chosen.get(asked["agg"] or "", self._values[-1])
        return now if _COMPARE[asked["cmp"]](now, asked["threshold"]) else None
