"""What a run's summary keeps of each metric: what `define_metric` chose, or the last value."""

from fnmatch import fnmatchcase
from typing import Any

from artstore.errors import InvalidValue

KEPT = ("min", "max", "mean", "first", "last", "none")
"""What a summary may keep of a metric; with `none` it keeps nothing."""


def kept_of(asked: str) -> list[str]:
    """Parse a choice, which is a list with commas. Raises InvalidValue."""
    kept = [part.strip().lower() for part in asked.split(",")]
    if unknown := [part for part in kept if part not in KEPT]:
        raise InvalidValue(f"summary '{unknown[0]}' is not one of {', '.join(KEPT)}")
    return kept


class Summaries:
    """What the summary keeps of each metric: what `define` chose, or the last value."""

    def __init__(self) -> None:
        self._chosen: dict[str, _SummaryOf] = {}

    def define(self, pattern: str, kept: list[str]) -> None:
        """Choose what to keep of the metrics that match a pattern."""
        self._chosen[pattern] = _SummaryOf(kept)

    def of(self, values: dict[str, Any]) -> dict[str, Any]:
        """The keys of the summary that these values change."""
        kept = {}
        for key, value in values.items():
            matching = (one for pattern, one in self._chosen.items() if fnmatchcase(key, pattern))
            chosen = self._chosen.get(key) or next(matching, None)
            now = value if chosen is None else chosen.told(key, value)
            if chosen is None or now is not None:
                kept[key] = now
        return kept


class _SummaryOf:
    """What the summary keeps of metrics: their smallest, largest, mean, first or last value, or nothing."""

    def __init__(self, kept: list[str]) -> None:
        self._kept = kept
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
