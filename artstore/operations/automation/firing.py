"""Firing automations: an event meets the rules of its user, and what these ask for is done by a process of its own."""

import copy
import json
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

from artstore.domain.collection import Path
from artstore.domain.names import printable
from artstore.errors import ArtstoreError, Conflict
from artstore.operations.automation.events import Event, in_scope
from artstore.operations.automation.rules import (
    NOTHING,
    MetricWatch,
    Place,
    Rule,
    all_rules,
    check_rule,
    decide,
    fires,
    follow_rename,
    rules_for,
)
from artstore.store.settings import automation_depth, state_folder

DEEPEST = 3
"""Automations that one another's commands may set off, before it is taken for a circle."""
_CALLED: list[tuple[Place, Rule, Callable[[Event], Any]]] = []
"""Rules of this process alone, whose action is a function of it."""


class AutomationWarning(UserWarning):
    """Automations that did not fire."""


def call(place: Place, rule: Rule, function: Callable[[Event], Any]) -> None:
    """Let a function of this process be a rule's action, until the process ends. Raises Conflict for a name that is
    taken.
    """
    check_rule(rule)
    if any(other["name"] == rule["name"] for other in [*called(place), *all_rules(place)]):
        raise Conflict(f"Automation '{rule['name']}' exists. Unable to create another with the same name.")
    _CALLED.append((place, rule, function))


def replace(place: Place, rule: Rule) -> bool:
    """Give a rule of this process another form; False when it is none."""
    for number, (where, old, function) in enumerate(_CALLED):
        if where.id == place.id and old["id"] == rule["id"]:
            _CALLED[number] = where, rule, function
            return True
    return False


def follow(place: Place, old: Path, new: Path) -> None:
    """Let rules about a collection that this user renamed go on with its new name."""
    before, after = ({"entity": p.entity, "project": p.project, "collection": p.name} for p in (old, new))
    for where, rule, _ in _CALLED:
        if where.id == place.id and rule["scope"] == before:
            rule["scope"] = after
    try:
        follow_rename(place, before, after)
    except (ArtstoreError, OSError) as error:
        warnings.warn(f"automations about {old} wait for that name still: {error}", AutomationWarning, stacklevel=4)


def waiting_for_metrics(place: Place, run: dict[str, str]) -> list[MetricWatch]:
    """What rules wait for of the metrics of a run, but those that it set off before."""
    try:
        rules = [*rules_for(place)[0], *(rule for rule in called(place) if rule["enabled"])]
        waiting = [rule for rule in rules if rule.get("metric") and in_scope(run, rule["scope"])]
        done = _set_off_by(run) if waiting else set()
        return [MetricWatch(rule) for rule in waiting if rule["id"] not in done]
    except (ArtstoreError, OSError) as error:
        warnings.warn(f"no automation was set off: {error}", AutomationWarning, stacklevel=4)
        return []


def _passed_path() -> str:
    return os.path.join(state_folder(), "metrics-passed")


def _set_off_by(run: dict[str, str]) -> set[str]:
    """Ids of the rules over metrics that a run set off, in this process or before it was resumed."""
    ending = f" {run['entity']}/{run['project']}/{run['run']}"
    try:
        with open(_passed_path(), encoding="utf-8") as lines:
            return {line.partition(" ")[0] for line in lines if line.rstrip("\n").endswith(ending)}
    except FileNotFoundError:
        return set()


def _note_passed(event: Event) -> None:
    path = _passed_path()
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{event['rule']} {event['entity']}/{event['project']}/{event['run']}\n")


def forget(place: Place, id: str) -> None:
    _CALLED[:] = [one for one in _CALLED if (one[0].id, one[1]["id"]) != (place.id, id)]


def called(place: Place) -> list[Rule]:
    return [rule for where, rule, _ in _CALLED if where.id == place.id]


def fire(place: Place, events: list[Event], ask: Callable[[str], bool | None]) -> None:
    """Set off what waits for these events. Never raises, never waits for an action: a change that was made was made.

    At a place where nobody allowed the repository's automations the user is asked, once; where nobody answers nothing
    fires, and a warning says so.
    """
    try:
        for event in events:
            if "rule" in event:
                _note_passed(event)
        for where, rule, function in list(_CALLED):
            for event in events:
                if where.id == place.id and rule["enabled"] and fires(rule, event):
                    _begin(rule, function, event)
        rules, unasked = rules_for(place)
        if unasked:
            rules = _asked(place, ask)
        jobs = [[rule, event] for event in events for rule in rules if fires(rule, event)]
        jobs = [job for job in jobs if job[0]["action"]["kind"] != NOTHING]
        if jobs:
            _start(place, jobs)
    except Exception as error:  # whatever it is: the change that set it off was made
        warnings.warn(f"no automation was set off: {error}", AutomationWarning, stacklevel=3)


def _asked(place: Place, ask: Callable[[str], bool | None]) -> list[Rule]:
    answer = ask(f"this repository has automations of yours, made where it lay before; run them at {place.root}?")
    if answer is None:
        warnings.warn(
            f"automations of this repository were not allowed at {printable(place.root)}, so none is set off: "
            "`artstore automation allow` allows them",
            AutomationWarning,
            stacklevel=4,
        )
        return []
    decide(place, answer)
    return rules_for(place)[0]


_depth = threading.local()
"""How many functions have set off one another, in each thread of theirs."""


def _begin(rule: Rule, function: Callable[[Event], Any], event: Event) -> None:
    depth = getattr(_depth, "now", 0)
    if depth >= DEEPEST:
        raise ArtstoreError(f"{DEEPEST} automations have set off one another already; it looks like a circle")
    threading.Thread(target=_call, args=(rule, function, copy.deepcopy(event), depth + 1), daemon=True).start()


def _call(rule: Rule, function: Callable[[Event], Any], event: Event, depth: int) -> None:
    from artstore.operations.automation.worker import note

    started, _depth.now = time.monotonic(), depth
    try:
        function(event)
        outcome = "ok"
    except BaseException as error:  # whatever it is, it is the function's own affair
        outcome = f"{type(error).__name__}: {error}"
    note(rule, event, outcome, time.monotonic() - started, "")


def _start(place: Place, jobs: list[list[Any]]) -> None:
    """Hand the jobs to a process that goes on without this one. Cost: one file, one process started."""
    depth = automation_depth()
    if depth >= DEEPEST:
        raise ArtstoreError(f"{DEEPEST} automations have set off one another already; it looks like a circle")
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps({"root": place.root, "jobs": jobs, "depth": depth + 1}).encode())
        file.flush()
        file.seek(0)
        _spawn(file.fileno())


def _spawn(stdin: int) -> None:
    """By a shell that puts it into the background and ends: it is no child of this process, and leaves no zombie. `-P`:
    nothing is imported from the working folder. (A shell gives what is in the background no input: hence 3.)
    """
    root = sys.modules[__name__.partition(".")[0]].__path__[0]
    program = "import sys; sys.path.append(sys.argv[1]); from artstore.operations.automation.worker import main; main()"
    command = [
        "/bin/sh",
        "-c",
        '{ "$@" <&3 3<&- & } 3<&0',
        "sh",
        sys.executable,
        "-P",
        "-c",
        program,
        os.path.dirname(root),
    ]
    actions: list[Any] = [(os.POSIX_SPAWN_DUP2, stdin, 0)]
    actions += [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    try:
        shell = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
    except NotImplementedError:  # a C library without setsid there
        shell = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setpgroup=0)
    try:
        os.waitpid(shell, 0)
    except ChildProcessError:
        pass  # who ignores SIGCHLD has no children to wait for
