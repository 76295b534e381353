"""Metrics of a run as curves: what a chart draws of them, thinned out so that no extreme and no end is lost."""

import math
from collections.abc import Set
from typing import Any, NamedTuple

from artstore.domain.metadata import as_number
from artstore.domain.summaries import chosen_for

_BUCKETS = 250
"""A longer metric has at least this many buckets of equally many points, and fewer than twice as many."""
_STRETCHES = 5
"""The most stretches of a metric that are marked because they aren't finite: the first ones, and the last."""

SECONDS = "seconds"
"""The axis of metrics that are drawn over the time of the run."""

Point = tuple[float, float]
"""The place of a value, which is a step or what another metric was then; and the value."""


class _Stretch(NamedTuple):
    """Consecutive points of a metric with the same value that is not finite."""

    value: float
    first: float
    last: float


class _Bucket(NamedTuple):
    """Consecutive points of a metric: its smallest, largest and last one, and the last that is not finite."""

    low: Point | None
    high: Point | None
    last: Point | None
    gap: Point | None

    def joined(self, later: "_Bucket") -> "_Bucket":
        """This bucket and a later one as one bucket."""
        lows = [point for point in (self.low, later.low) if point is not None]
        highs = [point for point in (self.high, later.high) if point is not None]
        return _Bucket(
            min(lows, key=_value, default=None), max(highs, key=_value, default=None), later.last or self.last,
            later.gap or self.gap,
        )  # fmt: skip

    def points(self) -> list[Point]:
        """The points to draw, in the order of their steps."""
        return sorted({point[0]: point for point in self if point is not None}.values())


def _value(point: Point) -> float:
    return point[1]


class Curve:
    """The points of one metric, thinned out while they are added. Memory: what is drawn.

    Of each bucket the smallest, the largest and the last point are drawn, each at its own step. That is the line of
    all points, as far as a chart of a few hundred pixels can show it (M4, Jugel et al., VLDB 2014).
    """

    def __init__(self, axis: str | None = None) -> None:
        """Begin without points, whose places are steps, or values of the metric `axis`."""
        self.axis = axis
        self._buckets: list[_Bucket] = []
        self._points = 0
        self._size = 1
        """points in a bucket"""
        self._stretches: list[_Stretch] = []
        self._unmarked = 0
        """stretches between the marked ones"""
        self._was_finite = True

    def add(self, step: float, value: float) -> None:
        """Add the next point."""
        point: Point = step, value
        finite = math.isfinite(value)
        bucket = _Bucket(point, point, point, None) if finite else _Bucket(None, None, None, point)
        if self._points % self._size:
            self._buckets[-1] = self._buckets[-1].joined(bucket)
        else:
            self._buckets.append(bucket)
        self._points += 1
        if self._points == 2 * _BUCKETS * self._size:
            pairs = zip(self._buckets[::2], self._buckets[1::2], strict=True)
            self._buckets = [first.joined(second) for first, second in pairs]
            self._size *= 2
        if not finite:
            self._add_to_stretches(step, value)
        self._was_finite = finite

    def _add_to_stretches(self, step: float, value: float) -> None:
        last = self._stretches[-1] if self._stretches else None
        if last is not None and not self._was_finite and str(last.value) == str(value):
            self._stretches[-1] = last._replace(last=step)
            return
        if len(self._stretches) == _STRETCHES:
            del self._stretches[-1]
            self._unmarked += 1
        self._stretches.append(_Stretch(value, step, step))

    def plain(self) -> dict[str, Any]:
        """What a chart draws: steps, values (None where there is no finite one), and marks with their texts."""
        points = [point for bucket in self._buckets for point in bucket.points()]
        if self.axis is not None:  # which may go back, or stay as it is for several steps
            points = sorted(dict(points).items())
        return {
            **({} if self.axis is None else {"axis": self.axis}),
            "steps": [step for step, _ in points],
            "values": [value if math.isfinite(value) else None for _, value in points],
            "marks": [{"step": stretch.first, "text": self._text(stretch)} for stretch in self._stretches],
            "unmarked": self._unmarked,
        }

    def _text(self, stretch: _Stretch) -> str:
        name = "NaN" if math.isnan(stretch.value) else "Infinity" if stretch.value > 0 else "-Infinity"
        if not self._was_finite and stretch is self._stretches[-1]:
            return f"{name} from {self.axis or 'step'} {_shown(stretch.first)}"
        if stretch.first == stretch.last:
            return f"{name} at {self.axis or 'step'} {_shown(stretch.first)}"
        return f"{name} in {self.axis or 'steps'} {_shown(stretch.first)} to {_shown(stretch.last)}"


def _shown(place: float) -> str:
    return f"{int(place) if place == int(place) else place:,}"


class Curves(dict[str, Curve]):
    """The curves of a run, by the names of the metrics."""

    def __init__(self, axes: dict[str, str], over: str = "", in_steps: Set[str] = frozenset()) -> None:
        """`axes` has the metric over which others are drawn, by their names or patterns. All others have steps.

        If `over` is `step` or `time`, all have steps, or the seconds since the run began. Those named by `in_steps`
        have steps.
        """
        super().__init__()
        self._in_time = over == "time"
        self._axes = {} if over else axes
        self._axis_of: dict[str, str | None] = dict.fromkeys(in_steps)
        self._places: dict[str, float] = {}
        """the last value of each metric over which others are drawn"""

    def add_row(self, row: dict[str, Any]) -> None:
        """Add the numbers in a row of the run's history."""
        numbers = {key: number for key, value in row.items() if (number := number_of(key, value)) is not None}
        for name in set(self._axes.values()) & numbers.keys():
            if math.isfinite(numbers[name]):
                self._places[name] = numbers[name]
        if self._in_time and (seconds := number_of("runtime", row.get("_runtime"))) is not None:
            self._places[SECONDS] = seconds
        for key, number in numbers.items():
            axis = self._axis(key)
            if axis is None or axis not in self._places:
                self.setdefault(key, Curve()).add(row["_step"], number)
                continue
            if key not in self or self[key].axis is None:  # points from before have no place on this axis
                self[key] = Curve(axis)
            self[key].add(self._places[axis], number)

    def _axis(self, key: str) -> str | None:
        if key not in self._axis_of and self._in_time:
            return SECONDS
        if key not in self._axis_of:
            others = {pattern: axis for pattern, axis in self._axes.items() if axis != key}
            self._axis_of[key] = chosen_for(key, others)
        return self._axis_of[key]


def number_of(key: str, logged: Any) -> float | None:
    """A value of a row as a number; None if it isn't one, or isn't the user's."""
    value = as_number(logged)
    if key.startswith("_") or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf if value > 0 else -math.inf
