"""Steps of a run: the row of metrics that is being collected, and what the summary keeps of each metric."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from artstore.api.recording import Recording
from artstore.domain.run import RunState
from artstore.errors import InvalidValue


class Steps:
    """The current step and its row, which is written to the run's history when the step ends."""

    def __init__(self, run: Recording | None, state: RunState) -> None:
        """Start at step 0, or after the last step of a resumed run's `state`. Without a run, rows are dropped."""
        self._recording = run
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._row: dict[str, Any] = {}
        self._began = time.time()
        self.current = 1 + max((part["last"] for part in state.history.values()), default=-1)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock."""
        if os.getpid() != self._pid:  # a thread of the parent may have held the lock at the fork
            self._lock, self._pid, self._row = threading.RLock(), os.getpid(), {}  # the step belongs to the parent
        with self._lock:
            yield

    def go_to(self, step: int) -> bool:
        """Make a step the current one. False if it has ended already."""
        if step > self.current:
            self.write()
            self.current = step
        return step == self.current

    def add(self, values: dict[str, Any]) -> None:
        """Add metrics to the current step."""
        self._row.update(values)

    def end(self) -> None:
        """End the current step."""
        self.write()
        self.current += 1

    def write(self) -> None:
        """Write the row of the current step, if it has one."""
        row, self._row = self._row, {}
        row.pop("_step", None)
        if row and self._recording is not None:
            now = time.time()
            self._recording.log({"_step": self.current, "_runtime": now - self._began, "_timestamp": now, **row})


class Summaries:
    """What the summary keeps of each metric: what `define` chose, or the last value."""

    def __init__(self) -> None:
        self._asked: dict[str, SummaryOf] = {}

    def define(self, pattern: str, asked: str) -> None:
        """Choose what to keep of the metrics that match a pattern."""
        self._asked[pattern] = SummaryOf(asked)

    def of(self, values: dict[str, Any]) -> dict[str, Any]:
        """The keys of the summary that these values change."""
        kept = {}
        for key, value in values.items():
            matching = (asked for pattern, asked in self._asked.items() if fnmatchcase(key, pattern))
            chosen = self._asked.get(key) or next(matching, None)
            now = value if chosen is None else chosen.told(key, value)
            if chosen is None or now is not None:
                kept[key] = now
        return kept


_KEPT = ("min", "max", "mean", "first", "last", "none")


class SummaryOf:
    """What the summary keeps of metrics: their smallest, largest, mean, first or last value, or nothing."""

    def __init__(self, asked: str) -> None:
        """Parse a choice, which is a list with commas. Raises InvalidValue."""
        self._kept = [part.strip().lower() for part in asked.split(",")]
        if unknown := [part for part in self._kept if part not in _KEPT]:
            raise InvalidValue(f"summary '{unknown[0]}' is not one of {', '.join(_KEPT)}")
        self._counts: dict[str, int] = {}
        self._values: dict[str, dict[str, Any]] = {}

    def told(self, key: str, value: Any) -> dict[str, Any] | None:
        """A metric's summary after another value; None if nothing is kept."""
        if "none" in self._kept:
            return None
        now = self._values.setdefault(key, {})
        if isinstance(value, int | float):
            count = self._counts[key] = self._counts.get(key, 0) + 1
            now["min"], now["max"] = min(now.get("min", value), value), max(now.get("max", value), value)
            now["mean"] = now.get("mean", 0) + (value - now.get("mean", 0)) / count
        now["last"] = value
        now.setdefault("first", value)
        return {kind: now[kind] for kind in self._kept if kind in now}
