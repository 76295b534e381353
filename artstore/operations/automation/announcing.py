"""Announcing: reporting the changes of an operation to automations, once they are safe on disk."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from artstore.domain.collection import Path
from artstore.domain.run import RunPath
from artstore.domain.wording import moment
from artstore.errors import ArtstoreError
from artstore.operations.automation.events import Event, events_of, events_of_run, path_of
from artstore.operations.finding.lookup import Lookup
from artstore.store.settings import Settings, rules_path
from artstore.store.store import Store

if TYPE_CHECKING:  # loaded only where there are automations: a save must not fail for an import
    from artstore.operations.automation.metrics import MetricWatch
    from artstore.operations.automation.rules import Place


class Announcer:
    """Reports the changes that were made with one handle to automations. Cost if the user has no automations: a stat."""

    ask: Callable[[str], bool | None] = staticmethod(lambda question: None)
    """Asks the user a yes-or-no question. Returns None if there is nobody to answer."""

    def __init__(self, root: str, store: Store, lookup: Lookup, settings: Settings) -> None:
        self._root = root
        self._store = store
        self._lookup = lookup
        self._settings = settings

    @property
    def place(self) -> Place:
        """The repository and its folder, by which automations know it."""
        from artstore.operations.automation.rules import Place

        return Place(self._store.id, os.path.realpath(self._root))

    def changes_made(self) -> None:
        """Announce the changes of collections in the journal, and empty it."""
        journal = self._store.refs.journal
        made, journal[:] = list(journal), []
        self.announce([event for one in made for event in events_of(*one)])

    def runs_changed(self) -> None:
        """Announce the changes of runs in the journal, and empty it."""
        journal = self._store.runs.journal
        made, journal[:] = list(journal), []
        self.announce([event for one in made for event in events_of_run(*one)])

    def announce(self, events: list[Event]) -> None:
        """Start the automations that wait for these events."""
        if events and _has_automations():
            from artstore.operations.automation.firing import fire

            host, user = self._settings.identity()
            origin: Event = {"time": moment(time.time_ns()), "user": user, "host": host, "repository": self._root}
            fire(self.place, [self._with_metadata(event) | origin for event in events], self.ask)

    def _with_metadata(self, event: Event) -> Event:
        """The event with all metadata of its version. A collection's state only has the digests of long values."""
        if "id" not in event:
            return event
        try:
            found = self._lookup.version(path_of(event), event["id"])
            return {**event, "metadata": self._lookup.properties(found)[1]}
        except ArtstoreError:
            return event

    def metric_watches(self, run: RunPath) -> list[MetricWatch]:
        """The automations that wait for a metric of this run, and that it hasn't started yet."""
        if not _has_automations():
            return []
        from artstore.operations.automation.firing import waiting_for_metrics

        return waiting_for_metrics(self.place, {"entity": run.entity, "project": run.project, "run": run.id})

    def renamed(self, old: Path, new: Path) -> None:
        """Let automations of a collection follow its new name."""
        if _has_automations():
            from artstore.operations.automation.firing import follow

            follow(self.place, old, new)


def _has_automations() -> bool:
    """Whether the user has rules, or this process may have some. Cost: a stat."""
    return is_firing_loaded() or os.path.exists(rules_path())


def is_firing_loaded() -> bool:
    """Whether functions of this process may be actions of automations: registering one loads that module."""
    return "artstore.operations.automation.firing" in sys.modules
