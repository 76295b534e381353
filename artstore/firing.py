"""Firing automations: an event meets the rules of its user, and what these ask for is done by a process of its own."""

import json
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

from artstore.errors import ArtstoreError
from artstore.events import Event
from artstore.names import printable
from artstore.rules import NOTHING, Place, Rule, decide, fires, rules_for
from artstore.settings import automation_depth

DEEPEST = 3
"""Automations that one another's commands may set off, before it is taken for a circle."""
_CALLED: list[tuple[Place, Rule, Callable[[Event], Any]]] = []
"""Rules of this process alone, whose action is a function of it."""
_helpers: list[int] = []


class AutomationWarning(UserWarning):
    """Automations that did not fire."""


def call(place: Place, rule: Rule, function: Callable[[Event], Any]) -> None:
    """Let a function of this process be a rule's action, until the process ends."""
    _CALLED.append((place, rule, function))


def forget(place: Place, id: str) -> None:
    _CALLED[:] = [one for one in _CALLED if (one[0].id, one[1]["id"]) != (place.id, id)]


def called(place: Place) -> list[Rule]:
    return [rule for where, rule, _ in _CALLED if where.id == place.id]


def fire(place: Place, events: list[Event], ask: Callable[[str], bool] | None) -> None:
    """Set off what waits for these events. Never raises, never waits for an action: a change that was made was made.

    At a place where nobody allowed the repository's automations `ask` does, once; without it nothing fires, and a warning
    says so.
    """
    try:
        for where, rule, function in _CALLED:
            for event in events:
                if where.id == place.id and fires(rule, event):
                    threading.Thread(target=_call, args=(rule, function, event), daemon=True).start()
        rules, unasked = rules_for(place)
        if unasked:
            rules = _asked(place, ask)
        jobs = [[rule, event] for event in events for rule in rules if fires(rule, event)]
        jobs = [job for job in jobs if job[0]["action"]["kind"] != NOTHING]
        if jobs:
            _start(place, jobs)
    except (ArtstoreError, OSError) as error:
        warnings.warn(f"no automation was set off: {error}", AutomationWarning, stacklevel=3)


def _asked(place: Place, ask: Callable[[str], bool] | None) -> list[Rule]:
    if ask is None:
        warnings.warn(
            f"automations of this repository were not allowed at {printable(place.root)}, so none is set off: "
            "`artstore automation allow` allows them",
            AutomationWarning,
            stacklevel=4,
        )
        return []
    decide(place, ask(f"this repository has automations of yours, made where it lay before; run them at {place.root}?"))
    return rules_for(place)[0]


def _call(rule: Rule, function: Callable[[Event], Any], event: Event) -> None:
    from artstore.actor import note

    started = time.monotonic()
    try:
        function(event)
        outcome = "ok"
    except Exception as error:  # whatever it is, it is the function's own affair
        outcome = f"{type(error).__name__}: {error}"
    note(rule, event, outcome, time.monotonic() - started, "")


def _start(place: Place, jobs: list[list[Any]]) -> None:
    """Hand the jobs to a process that goes on without this one. Cost: one file, one process started."""
    depth = automation_depth()
    if depth >= DEEPEST:
        raise ArtstoreError(f"{DEEPEST} automations have set off one another already; it looks like a circle")
    _helpers[:] = [pid for pid in _helpers if not _ended(pid)]
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps({"root": place.root, "jobs": jobs, "depth": depth + 1}).encode())
        file.flush()
        file.seek(0)
        _helpers.append(_spawn(file.fileno()))


def _spawn(stdin: int) -> int:
    """`-P`: nothing is imported from the working folder."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    program = "import sys; sys.path.append(sys.argv[1]); from artstore.actor import main; main()"
    command = [sys.executable, "-P", "-c", program, package]
    actions: list[Any] = [(os.POSIX_SPAWN_DUP2, stdin, 0)]
    actions += [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    try:
        return os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
    except NotImplementedError:  # a C library without setsid there
        return os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setpgroup=0)


def _ended(pid: int) -> bool:
    """Reaps a helper that has ended, so that a long process keeps no zombies."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
