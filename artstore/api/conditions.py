"""Conditions of automations: what an event's fields or a run's metrics must be for an action to start."""

import math
from typing import Any, NamedTuple

from artstore.errors import InvalidType, InvalidValue
from artstore.operations.automation.metrics import ANY, CHANGE, DECREASE, INCREASE, ZSCORE


class FilterExpr:
    """A condition on events. Combine conditions with `&`, `|` and `~`."""

    def __init__(self, condition: dict[str, Any]) -> None:
        self.condition = condition

    def __and__(self, other: "FilterExpr | MetricFilter") -> Any:
        if isinstance(other, MetricFilter):
            return other & self
        return FilterExpr({"$and": [self.condition, other.condition]})

    def __or__(self, other: "FilterExpr") -> "FilterExpr":
        return FilterExpr({"$or": [self.condition, other.condition]})

    def __invert__(self) -> "FilterExpr":
        return FilterExpr({"$not": self.condition})

    def __repr__(self) -> str:
        return f"FilterExpr({self.condition})"


class Field:
    """A field of an event. Comparing it with a value makes a condition."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _is(self, operator: str, value: Any) -> FilterExpr:
        return FilterExpr({self._name: {operator: value}})

    def matches_regex(self, pattern: str) -> FilterExpr:
        """The field matches a regular expression."""
        return self._is("$regex", pattern)

    def contains(self, text: str) -> FilterExpr:
        """The field, or one item of a list, contains a text."""
        return self._is("$contains", text)

    def exists(self, exists: bool = True) -> FilterExpr:
        """The event has this field, or with False it doesn't."""
        return self._is("$exists", exists)

    def in_(self, values: Any) -> FilterExpr:
        """The field is one of these values."""
        return self._is("$in", list(values))

    def not_in(self, values: Any) -> FilterExpr:
        """The field is none of these values."""
        return self._is("$nin", list(values))

    def eq(self, value: Any) -> FilterExpr:
        """The field equals a value."""
        return self._is("$eq", value)

    def ne(self, value: Any) -> FilterExpr:
        """The field doesn't equal a value."""
        return self._is("$ne", value)

    def gt(self, value: Any) -> FilterExpr:
        """The field is greater than a value."""
        return self._is("$gt", value)

    def gte(self, value: Any) -> FilterExpr:
        """The field is greater than a value, or equal to it."""
        return self._is("$gte", value)

    def lt(self, value: Any) -> FilterExpr:
        """The field is less than a value."""
        return self._is("$lt", value)

    def lte(self, value: Any) -> FilterExpr:
        """The field is less than a value, or equal to it."""
        return self._is("$lte", value)

    __gt__, __ge__, __lt__, __le__ = gt, gte, lt, lte
    __eq__, __ne__ = eq, ne  # type: ignore[assignment]  # they make conditions, as W&B's do
    __hash__ = None  # type: ignore[assignment]


class ArtifactEvent:
    """The fields of an artifact's event, to filter by."""

    alias, tag, name, type = Field("alias"), Field("tag"), Field("collection"), Field("type")

    @staticmethod
    def metadata(key: str) -> Field:
        """A value of the version's metadata. `a.b` is the key `b` of the dict `a`."""
        return Field(f"metadata.{key}")


class MetricFilter(NamedTuple):
    """A threshold for a metric of a run. `&` adds a condition on the run."""

    metric: dict[str, Any]
    run: FilterExpr | None = None

    def __and__(self, other: FilterExpr) -> "MetricFilter":
        return self._replace(run=other if self.run is None else self.run & other)


def checked_window(window: Any) -> int:
    """The number of values in a window. Raises InvalidValue."""
    if not isinstance(window, int) or window < 1:
        raise InvalidValue(f"a window must be a number of values, 1 or more, not {window!r}")
    return window


class AggregatedTwice(InvalidValue, AttributeError):
    """An aggregate of a metric has no aggregates, for which W&B raises an AttributeError."""


class Metric:
    """A metric, or an aggregate of its last values. Comparing it with a threshold makes a filter."""

    def __init__(self, name: str, agg: str | None = None, window: int = 1) -> None:
        self._name, self._agg, self._window = name, agg, checked_window(window)

    def avg(self, window: int) -> "Metric":
        """The mean of the last `window` values."""
        return self._aggregate("mean", window)

    mean = average = avg

    def max(self, window: int) -> "Metric":
        """The largest of the last `window` values."""
        return self._aggregate("max", window)

    def min(self, window: int) -> "Metric":
        """The smallest of the last `window` values."""
        return self._aggregate("min", window)

    def _aggregate(self, agg: str, window: int) -> "Metric":
        if self._agg is not None:
            raise AggregatedTwice(
                f"metric '{self._name}' is an aggregate already: {self._agg} of {self._window} values"
            )
        return Metric(self._name, agg, window)

    def changes_by(
        self, *, diff: float | None = None, frac: float | None = None, _dir: str = ANY
    ) -> "MetricChangeFilter":
        """The metric changes by a difference, or by a fraction of what it was.

        An aggregate of the last values is compared with that of as many values before them.
        """
        if (diff is None) == (frac is None):
            raise InvalidValue("Must provide exactly one of `frac` or `diff`")
        kind, amount = ("RELATIVE", frac) if diff is None else ("ABSOLUTE", diff)
        return MetricChangeFilter(self._name, kind, _dir, amount, self._agg, self._window)  # type: ignore[arg-type]

    def increases_by(self, *, diff: float | None = None, frac: float | None = None) -> "MetricChangeFilter":
        """The metric increases by a difference, or by a fraction of what it was."""
        return self.changes_by(diff=diff, frac=frac, _dir=INCREASE)

    def decreases_by(self, *, diff: float | None = None, frac: float | None = None) -> "MetricChangeFilter":
        """The metric decreases by a difference, or by a fraction of what it was."""
        return self.changes_by(diff=diff, frac=frac, _dir=DECREASE)

    def zscore(self, window: int) -> "ZScore":
        """By how many standard deviations a value differs from the mean of the `window` values before it."""
        return ZScore(self._name, window)

    def _passes(self, cmp: str, threshold: float) -> MetricFilter:
        return MetricThresholdFilter(self._name, cmp, threshold, self._agg, self._window)

    def gt(self, threshold: float) -> MetricFilter:
        """The metric is greater than a threshold."""
        return self._passes("$gt", threshold)

    def gte(self, threshold: float) -> MetricFilter:
        """The metric is greater than a threshold, or equal to it."""
        return self._passes("$gte", threshold)

    def lt(self, threshold: float) -> MetricFilter:
        """The metric is less than a threshold."""
        return self._passes("$lt", threshold)

    def lte(self, threshold: float) -> MetricFilter:
        """The metric is less than a threshold, or equal to it."""
        return self._passes("$lte", threshold)

    __gt__, __ge__, __lt__, __le__ = gt, gte, lt, lte


def _checked_threshold(threshold: Any) -> Any:
    """The threshold. Raises InvalidType if it isn't a number, InvalidValue if it isn't finite."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise InvalidType(f"a threshold must be a number, not {threshold!r}")
    if not math.isfinite(threshold):
        raise InvalidValue(f"a threshold must be finite, not {threshold}")
    return threshold


def _positive(threshold: Any) -> Any:
    if _checked_threshold(threshold) <= 0:
        raise InvalidValue(f"Expected positive threshold, got: {threshold}")
    return threshold


class ZScore:
    """By how many standard deviations a metric differs from the mean of its last values. Compare it with a number."""

    def __init__(self, name: str, window: int, *, absolute: bool = False) -> None:
        self._name, self._window, self._absolute = name, checked_window(window), absolute

    def abs(self) -> "ZScore":
        """The same, in both directions."""
        return ZScore(self._name, self._window, absolute=True)

    __abs__ = abs

    def gt(self, threshold: float) -> MetricFilter:
        """The z-score is greater than a threshold, which is positive."""
        direction = ANY if self._absolute else INCREASE
        return MetricZScoreFilter(self._name, self._window, _positive(threshold), direction)

    def lt(self, threshold: float) -> MetricFilter:
        """The z-score is less than a threshold, which is negative."""
        if self._absolute:
            raise InvalidValue("the size of a z-score is compared by > only")
        return MetricZScoreFilter(self._name, self._window, _positive(-_checked_threshold(threshold)), DECREASE)

    gte, lte = gt, lt
    __gt__, __ge__, __lt__, __le__ = gt, gt, lt, lt


class MetricThresholdFilter(MetricFilter):
    """A threshold for a metric: what `RunEvent.metric("loss").avg(5) < 0.1` makes."""

    def __new__(
        cls, name: str, cmp: str, threshold: float, agg: Any = None, window: int = 1
    ) -> "MetricThresholdFilter":
        """Compare the metric, or an aggregate of its last values (`max`, `min` or `mean`), by `>`, `>=`, `<` or `<=`."""
        told = {"name": name, "agg": _aggregate_named(agg), "window": checked_window(window)}
        sign = _SIGNS.get(str(cmp).strip(), cmp)
        if sign not in _SIGNS.values():
            raise InvalidValue(f"a metric is compared by {', '.join(_SIGNS)}, not {cmp!r:.80}")
        return super().__new__(cls, {**told, "cmp": sign, "threshold": _checked_threshold(threshold)})


class MetricChangeFilter(MetricFilter):
    """A change of a metric: what `RunEvent.metric("loss").changes_by(diff=0.1)` makes."""

    def __new__(
        cls, name: str, change_type: str, change_dir: str, threshold: float, agg: Any = None, window: int = 1,
        prior_window: int | None = None,
    ) -> "MetricChangeFilter":  # fmt: skip
        """Compare the last values with those before them: `ABSOLUTE` or `RELATIVE`; `INCREASE`, `DECREASE` or `ANY`."""
        agg = _aggregate_named(agg)
        window = checked_window(window) if agg else 1
        relative = str(getattr(change_type, "value", change_type)).upper().startswith("REL")
        told = {"kind": CHANGE, "name": name, "agg": agg, "window": window, "relative": relative}
        prior = checked_window(prior_window or window) if agg else 1
        return super().__new__(
            cls, {**told, "prior": prior, "direction": _direction(change_dir), "threshold": _positive(threshold)}
        )


class MetricZScoreFilter(MetricFilter):
    """A value of a metric that is unlike those before it: what `RunEvent.metric("loss").zscore(30) > 3` makes."""

    def __new__(
        cls, name: str, window: int = 30, threshold: float = 3.0, change_dir: str = ANY
    ) -> "MetricZScoreFilter":
        """Compare a value with the mean and the standard deviation of the last values: `INCREASE`, `DECREASE`, `ANY`."""
        told = {"kind": ZSCORE, "name": name, "agg": None, "window": checked_window(window)}
        return super().__new__(cls, {**told, "direction": _direction(change_dir), "threshold": _positive(threshold)})


_SIGNS = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}


def _aggregate_named(agg: Any) -> str | None:
    if agg is None:
        return None
    name = str(getattr(agg, "value", agg)).lower()
    name = {"avg": "mean", "average": "mean"}.get(name, name)
    if name not in ("max", "min", "mean"):
        raise InvalidValue(f"an aggregate is max, min or mean, not {agg!r:.80}")
    return name


def _direction(given: Any) -> str:
    name = str(getattr(given, "value", given)).lower()
    name = {"inc": INCREASE, "dec": DECREASE}.get(name, name)
    if name not in (ANY, INCREASE, DECREASE):
        raise InvalidValue(f"a direction is {INCREASE}, {DECREASE} or {ANY}, not {given!r:.80}")
    return name


class RunStateFilter(FilterExpr):
    """A condition on the state of a run: what `RunEvent.state.in_([…])` makes."""

    def __init__(self, states: Any) -> None:
        """Choose the states, such as `finished`: a list of them, or one."""
        named = [states] if isinstance(states, str) else list(states)
        super().__init__({"state": {"$in": [str(getattr(each, "value", each)).lower() for each in named]}})


class RunEvent:
    """The fields of a run's event, to filter by."""

    name, state = Field("display_name"), Field("state")

    @staticmethod
    def metric(name: str) -> Metric:
        """A metric of the run."""
        return Metric(name)
