"""Steps of a run: the row of metrics that is being put together, and what the summary keeps of metrics."""

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
    """The current step, and its row, which is written to the run's history when the step is over."""

    def __init__(self, run: Recording | None, state: RunState | None) -> None:
        """Without a run rows go nowhere. Of a run that is resumed, `state` says which steps it has."""
        self._recording = run
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._row: dict[str, Any] = {}
        self._began = time.time()
        self.current = 0
        if state is not None and state.history:
            self.current = 1 + max(part["last"] for part in state.history.values())

    @contextmanager
    def locked(self) -> Iterator[None]:
        if os.getpid() != self._pid:  # a fork may have left the lock held by a thread that is not here
            self._lock, self._pid, self._row = threading.RLock(), os.getpid(), {}  # the step is its parent's
        with self._lock:
            yield

    def go_to(self, step: int) -> bool:
        """Go on to a step, if it isn't the current one; False when it is over."""
        if step > self.current:
            self.write()
            self.current = step
        return step == self.current

    def add(self, values: dict[str, Any]) -> None:
        self._row.update(values)

    def end(self) -> None:
        """Go on to the next step."""
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
    """What the summary keeps of which metrics; of those that nobody spoke of, the last value."""

    def __init__(self) -> None:
        self._asked: dict[str, SummaryOf] = {}

    def define(self, pattern: str, asked: str) -> None:
        self._asked[pattern] = SummaryOf(asked)

    def of(self, values: dict[str, Any]) -> dict[str, Any]:
        """What these values change in the summary."""
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
    """What a summary keeps of metrics: the least, greatest, mean, first or last value, or nothing."""

    def __init__(self, asked: str) -> None:
        """`asked` is a list with commas. Raises InvalidValue."""
        self._kept = [part.strip().lower() for part in asked.split(",")]
        if unknown := [part for part in self._kept if part not in _KEPT]:
            raise InvalidValue(f"summary '{unknown[0]}' is not one of {', '.join(_KEPT)}")
        self._counts: dict[str, int] = {}
        self._values: dict[str, dict[str, Any]] = {}

    def told(self, key: str, value: Any) -> dict[str, Any] | None:
        """The summary of a metric after another value; None when nothing is kept."""
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
