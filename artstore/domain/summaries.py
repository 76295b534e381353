"""What a run's summary keeps of each metric: what `define_metric` chose, or the last value."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from artstore.errors import InvalidType, InvalidValue

KEPT = ("min", "max", "mean", "first", "last", "none")
"""What a summary may keep of a metric; with `none` it keeps nothing."""
T = TypeVar("T")


def check_metric(name: Any, texts: dict[str, Any], flags: dict[str, Any]) -> None:
    """Raise InvalidType or InvalidValue for arguments that `define_metric` can't take, by their names."""
    wrong = [(what, given) for what, given in texts.items() if not isinstance(given, str | None)]
    wrong += [(what, given) for what, given in flags.items() if not isinstance(given, bool | None)]
    wrong += [] if isinstance(name, str) else [("name", name)]
    for what, given in wrong:
        raise InvalidType(f"Unhandled define_metric() arg: {what} type: {type(given).__name__}")
    if not name or "*" in name[:-1]:
        raise InvalidValue(f"Unhandled define_metric() arg: name (glob suffixes only): {name}")
    if texts.get("goal") not in (None, "minimize", "maximize"):
        raise InvalidValue(f"Unhandled define_metric() arg: goal: {texts['goal']}")


def kept_of(asked: str) -> list[str]:
    """Parse a choice, which is a list with commas. Raises InvalidValue."""
    kept = [part.strip().lower() for part in asked.split(",")]
    if unknown := [part for part in kept if part not in KEPT]:
        what = f"Unhandled define_metric() arg: summary op: {unknown[0]}"
        raise InvalidValue(what, hint=f"there are {', '.join(KEPT)}")
    return kept


class Summaries:
    """What the summary keeps of each metric: what `define` chose, or the last value."""

    def __init__(self) -> None:
        self._chosen: dict[str, _SummaryOf] = {}
        self._steps: dict[str, str] = {}
        self._last: dict[str, Any] = {}

    def define(self, pattern: str, kept: list[str]) -> None:
        """Choose what to keep of the metrics that match a pattern."""
        self._chosen[pattern] = _SummaryOf(kept)

    def accompany(self, pattern: str, step_metric: str) -> None:
        """Let steps with metrics that match a pattern have the last value of another metric, too."""
        self._steps[pattern] = step_metric

    def with_steps(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values of a step, with the last ones of the metrics that are to accompany them."""
        if not self._steps:
            return values
        self._last |= {key: values[key] for key in self._steps.values() if key in values}
        wanted = {step for key in values if (step := chosen_for(key, self._steps)) in self._last}
        return {step: self._last[step] for step in self._steps.values() if step in wanted} | values

    def of(self, values: dict[str, Any], above: str = "") -> dict[str, Any]:
        """The keys of the summary that these values change. `above` names the dict that the values are in."""
        kept: dict[str, Any] = {}
        for key, value in values.items():
            name = above + key.replace(".", r"\.")
            chosen = chosen_for(name, self._chosen) or (None if above else chosen_for(key, self._chosen))
            if isinstance(value, dict) and value and "_type" not in value and self._chosen.get(name) is None:
                inner = self.of(value, f"{name}.")
                if inner:
                    kept[key] = inner
                continue
            now = value if chosen is None else chosen.told(name, value)
            if chosen is None or now is not None:
                kept[key] = now
        return kept


def chosen_for(name: str, chosen: Mapping[str, T]) -> T | None:
    """What was chosen for a metric: by its name, or by the first pattern that fits."""
    if name in chosen:
        return chosen[name]
    return next((one for pattern, one in chosen.items() if "*" in pattern and fnmatchcase(name, pattern)), None)


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
