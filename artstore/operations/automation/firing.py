"""Firing automations: finding the user's rules that wait for an event, and starting their actions in a new process."""

import copy
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from artstore.backends.background import start
from artstore.backends.callers import warn_caller
from artstore.backends.homes import state_folder
from artstore.domain.collection import Path
from artstore.domain.names import printable
from artstore.errors import ArtstoreError, Conflict
from artstore.operations.automation import rules
from artstore.operations.automation.events import Event, in_scope
from artstore.operations.automation.metrics import MetricWatch
from artstore.operations.automation.rules import Place, Rule
from artstore.store.settings import automation_depth

DEEPEST = 3
"""An automation's command may set off another automation, and so on. This many in a row are allowed: more look like
a loop.
"""
_CALLED: list[tuple[Place, Rule, Callable[[Event], Any]]] = []
"""Rules that exist only in this process. Their action is a function."""


class AutomationWarning(UserWarning):
    """Some automations did not fire."""


def call(place: Place, rule: Rule, function: Callable[[Event], Any]) -> None:
    """Add a rule whose action is a function of this process. It exists until the process ends.

    Raises Conflict if another rule has its name.
    """
    rules.check_rule(rule)
    if any(other["name"] == rule["name"] for other in [*called(place), *rules.all_rules(place)]):
        raise Conflict(f"Automation '{rule['name']}' exists. Unable to create another with the same name.")
    _CALLED.append((place, rule, function))


def replace(place: Place, rule: Rule) -> bool:
    """Replace a rule of this process by one with the same id. Returns False if there is none."""
    for number, (where, old, function) in enumerate(_CALLED):
        if where.id == place.id and old["id"] == rule["id"]:
            _CALLED[number] = where, rule, function
            return True
    return False


def follow(place: Place, old: Path, new: Path) -> None:
    """After a rename, change the scopes of rules for the old name to the new one."""
    before, after = ({"entity": p.entity, "project": p.project, "collection": p.name} for p in (old, new))
    for where, rule, _ in _CALLED:
        if where.id == place.id and rule["scope"] == before:
            rule["scope"] = after
    try:
        rules.follow_rename(place, before, after)
    except (ArtstoreError, OSError) as error:
        warn_caller(f"automations for {old} still have its old name: {error}", AutomationWarning)


def waiting_for_metrics(place: Place, run: dict[str, str]) -> list[MetricWatch]:
    """The rules that wait for a metric of a run, except those that the run set off before."""
    try:
        enabled = [*rules.rules_for(place)[0], *(rule for rule in called(place) if rule["enabled"])]
        waiting = [rule for rule in enabled if rule.get("metric") and in_scope(run, rule["scope"])]
        done = _set_off_by(run) if waiting else set()
        return [MetricWatch(rule) for rule in waiting if rule["id"] not in done]
    except (ArtstoreError, OSError) as error:
        warn_caller(f"no automation was set off: {error}", AutomationWarning)
        return []


def _passed_path() -> str:
    return os.path.join(state_folder(), "metrics-passed")


def _set_off_by(run: dict[str, str]) -> set[str]:
    """The ids of the rules for metrics that a run set off, in this process or before it was resumed."""
    ending = f" {run['entity']}/{run['project']}/{run['run']}"
    try:
        with open(_passed_path(), encoding="utf-8") as lines:
            return {line.partition(" ")[0] for line in lines if line.rstrip("\n").endswith(ending)}
    except FileNotFoundError:
        return set()


def _note_passed(event: Event) -> None:
    """Note that a run set off a rule for a metric."""
    path = _passed_path()
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{event['rule']} {event['entity']}/{event['project']}/{event['run']}\n")


def forget(place: Place, id: str) -> None:
    """Remove a rule of this process."""
    _CALLED[:] = [one for one in _CALLED if (one[0].id, one[1]["id"]) != (place.id, id)]


def called(place: Place) -> list[Rule]:
    """The rules of this process for a repository."""
    return [rule for where, rule, _ in _CALLED if where.id == place.id]


def fire(place: Place, events: list[Event], ask: Callable[[str], bool | None]) -> None:
    """Start the actions of all rules that wait for these events.

    Never raises, and never waits for an action: the changes are made already. If the user has not allowed the
    repository's automations at this place, `ask` asks them, once. If it returns None, no rule fires, and there is
    a warning.
    """
    try:
        # 1. Note events of metrics: a run sets off such a rule once.
        for event in events:
            if "rule" in event:
                _note_passed(event)
        # 2. Call functions of this process, each in a thread.
        for where, rule, function in list(_CALLED):
            for event in events:
                if where.id == place.id and rule["enabled"] and rules.fires(rule, event):
                    _begin(rule, function, event)
        # 3. Start one process for all other actions.
        allowed, unasked = rules.rules_for(place)
        if unasked:
            allowed = _asked(place, ask)
        jobs = [[rule, event] for event in events for rule in allowed if rules.fires(rule, event)]
        jobs = [job for job in jobs if job[0]["action"]["kind"] != rules.NOTHING]
        if jobs:
            _start(place, jobs)
    except Exception as error:  # of any kind: the changes are made already
        warn_caller(f"no automation was set off: {error}", AutomationWarning)


def _asked(place: Place, ask: Callable[[str], bool | None]) -> list[Rule]:
    """Ask the user whether rules may fire at this place, and note the answer. Returns the rules that may."""
    answer = ask(f"this repository has automations of yours, made when it was elsewhere; run them at {place.root}?")
    if answer is None:
        message = f"automations of this repository were not allowed at {printable(place.root)}, so none is set off"
        warn_caller(f"{message}: `artstore automation allow` allows them", AutomationWarning)
        return []
    rules.decide(place, answer)
    return rules.rules_for(place)[0]


_depth = threading.local()
"""`now` is the number of functions that set off one another in a row, in the thread of the last one."""


def _begin(rule: Rule, function: Callable[[Event], Any], event: Event) -> None:
    """Call a function in a thread. Raises ArtstoreError if it looks like a loop."""
    depth = getattr(_depth, "now", 0)
    if depth >= DEEPEST:
        raise ArtstoreError(f"{DEEPEST} automations have set off one another already; it looks like a loop")
    arguments = (rule, function, copy.deepcopy(event), depth + 1)
    threading.Thread(target=_call, args=arguments, name=f"automation {rule['name']}", daemon=True).start()


def _call(rule: Rule, function: Callable[[Event], Any], event: Event, depth: int) -> None:
    from artstore.operations.automation.worker import note

    started, _depth.now = time.monotonic(), depth
    try:
        function(event)
        outcome = "ok"
    except BaseException as error:  # of any kind: it is noted as the outcome
        outcome = f"{type(error).__name__}: {error}"
    note(rule, event, outcome, time.monotonic() - started, "")


def _start(place: Place, jobs: list[list[Any]]) -> None:
    """Start a process that carries out jobs, and outlives this process. Cost: one file, and one process."""
    depth = automation_depth()
    if depth >= DEEPEST:
        raise ArtstoreError(f"{DEEPEST} automations have set off one another already; it looks like a loop")
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps({"root": place.root, "jobs": jobs, "depth": depth + 1}).encode())
        file.flush()
        file.seek(0)
        start("artstore.operations.automation.worker", [], file.fileno(), os.environ)
