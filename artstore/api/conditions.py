"""Conditions of automations: what an event's fields or a run's metrics must be for an action to start."""

import math
from typing import Any, NamedTuple

from artstore.errors import InvalidType, InvalidValue


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


class Metric:
    """A metric, or an aggregate of its last values. Comparing it with a threshold makes a filter."""

    def __init__(self, name: str, agg: str | None = None, window: int = 1) -> None:
        if not isinstance(window, int) or window < 1:
            raise InvalidValue(f"a window must be a number of values, 1 or more, not {window!r}")
        self._name = name
        self._metric = {"name": name, "agg": agg, "window": window}

    def avg(self, window: int) -> "Metric":
        """The mean of the last `window` values."""
        return Metric(self._name, "mean", window)

    mean = avg

    def max(self, window: int) -> "Metric":
        """The largest of the last `window` values."""
        return Metric(self._name, "max", window)

    def min(self, window: int) -> "Metric":
        """The smallest of the last `window` values."""
        return Metric(self._name, "min", window)

    def _passes(self, cmp: str, threshold: float) -> MetricFilter:
        if isinstance(threshold, bool) or not isinstance(threshold, int | float):
            raise InvalidType(f"a threshold must be a number, not {threshold!r}")
        if not math.isfinite(threshold):
            raise InvalidValue(f"a threshold must be finite, not {threshold}")
        return MetricFilter({**self._metric, "cmp": cmp, "threshold": threshold})

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


class RunEvent:
    """The fields of a run's event, to filter by."""

    name, state = Field("display_name"), Field("state")

    @staticmethod
    def metric(name: str) -> Metric:
        """A metric of the run."""
        return Metric(name)
