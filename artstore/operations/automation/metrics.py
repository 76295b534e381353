"""What an automation waits for in the values of a metric: a threshold, a change, or a value unlike those before it.

A rule's `metric` has the metric's `name`, a `threshold`, and a `kind`:

- without a kind: `agg` of the last `window` values is compared with the threshold by `cmp`
- `change`: `agg` of the last `window` values differs by the threshold from `agg` of the `prior` values before these, or
  by that share of it (`relative`)
- `zscore`: a value is more standard deviations than the threshold from the mean of the `window` values before it

Of a change and of a z-score, `direction` is `increase`, `decrease` or `any`.
"""

import math
import statistics
from collections.abc import Callable
from typing import Any

from artstore.errors import InvalidValue

CHANGE, ZSCORE = "change", "zscore"
ANY, INCREASE, DECREASE = "any", "increase", "decrease"
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "$gt": lambda a, b: a > b, "$gte": lambda a, b: a >= b, "$lt": lambda a, b: a < b, "$lte": lambda a, b: a <= b,
}  # fmt: skip
_AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "max": max, "min": min, "mean": lambda values: sum(values) / len(values),
}  # fmt: skip


def check_metric(metric: dict[str, Any]) -> None:
    """Raises InvalidValue for a condition that is invalid, KeyError or TypeError for one that lacks something."""
    kind, threshold = metric.get("kind"), metric["threshold"]
    if kind is None and metric["cmp"] not in _COMPARE:
        raise InvalidValue(f"a metric is compared by {', '.join(_COMPARE)}, not '{metric['cmp']}'")
    if not math.isfinite(threshold):
        raise InvalidValue(f"a metric's threshold is a finite number, not {threshold}")
    for what in ("window", "prior") if kind == CHANGE else ("window",):
        if not isinstance(metric[what], int) or metric[what] < 1:
            raise InvalidValue(f"a metric's {what} is a number of values, 1 or more, not {metric[what]!r:.80}")
    if metric["agg"] not in (None, *_AGGREGATES):
        raise InvalidValue(f"a metric's aggregate is {', '.join(_AGGREGATES)}, not {metric['agg']!r:.80}")
    if kind is not None:
        if kind not in (CHANGE, ZSCORE) or metric["direction"] not in (ANY, INCREASE, DECREASE):
            raise InvalidValue(f"a metric's condition is a threshold, {CHANGE} or {ZSCORE}, not '{kind}'")
        if threshold <= 0:
            raise InvalidValue(f"Expected positive threshold, got: {threshold}")


class MetricWatch:
    """Watches a metric of a run for one rule. The rule fires once, when the metric meets the rule's condition."""

    def __init__(self, rule: dict[str, Any]) -> None:
        self.rule = rule
        self.metric: str = rule["metric"]["name"]
        self._values: list[float] = []

    def sees(self, value: Any) -> float | None:
        """Add a value. Returns what the metric is now if that meets the condition, otherwise None."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        asked = self.rule["metric"]
        window, kind = asked["window"], asked.get("kind")
        before = {CHANGE: asked.get("prior", 0), ZSCORE: 1}.get(kind, 0)
        self._values = [*self._values, value][-(window + before) :]
        if len(self._values) < window + before:
            return None
        if kind == ZSCORE:
            return float(value) if _passes(_zscore(self._values), asked, strictly=True) else None
        now = _aggregate(asked, self._values[before:])
        if kind == CHANGE:
            return now if _passes(_change(asked, self._values[:before], now), asked) else None
        return now if _COMPARE[asked["cmp"]](now, asked["threshold"]) else None


def _aggregate(asked: dict[str, Any], values: list[float]) -> float:
    return _AGGREGATES[asked["agg"]](values) if asked["agg"] else values[-1]


def _change(asked: dict[str, Any], before: list[float], now: float) -> float:
    """By how much a metric changed, or by which share of what it was."""
    was = _aggregate(asked, before)
    if not asked["relative"]:
        return now - was
    return (now - was) / abs(was) if was else math.copysign(math.inf, now) if now else 0.0


def _zscore(values: list[float]) -> float:
    """By how many standard deviations the last value differs from the mean of the others."""
    *others, value = values
    if not all(map(math.isfinite, values)) or not (deviation := statistics.pstdev(others)):
        return 0.0
    return (value - statistics.fmean(others)) / deviation


def _passes(change: float, asked: dict[str, Any], *, strictly: bool = False) -> bool:
    size = {ANY: abs(change), INCREASE: change, DECREASE: -change}[asked["direction"]]
    threshold: float = asked["threshold"]
    return size > threshold if strictly else size >= threshold
