"""What a run's config has of how the run is drawn, below `_wandb` as in W&B: charts of tables, and axes of metrics.

- `visualize` and `viz` have the specs of charts of tables, by their keys.
- `m` is a list of metrics. Each has its name (`1`) or pattern (`2`), and perhaps the place in the list, counted
  from 1, of the metric over which it is drawn (`5`). The flags (`6`) tell whether steps have the last value of that
  metric (1), and whether the metric is hidden (2).
"""

from typing import Any

OWN = "_wandb"
"""The key of the config below which W&B records what isn't the user's."""
_METRICS, _NAME, _PATTERN, _AXIS, _FLAGS = "m", "1", "2", "5", "6"
_SYNCED, _HIDDEN = 1, 2


def with_charts(config: dict[str, Any], kind: str, charts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The value of config to set, with more charts of a kind."""
    own = _own(config)
    known = own.get(kind)
    return {OWN: {**own, kind: {**(known if isinstance(known, dict) else {}), **charts}}}


def with_metric(config: dict[str, Any], metric: str, over: str | None, hidden: bool | None) -> dict[str, Any]:
    """The value of config to set, by which a metric, or those of a pattern such as `val/*`, are drawn over another one,
    or not at all. What is None stays as it is.
    """
    own = _own(config)
    defined = [dict(one) for one in _defined(own)]
    place = None if over is None else _place_in(defined, _NAME, over)
    one = defined[_place_in(defined, _PATTERN if "*" in metric else _NAME, metric)]
    flags = set(_flags(one))
    if place is not None:
        one[_AXIS] = place + 1
        flags.add(_SYNCED)
    if hidden is not None:
        flags = flags | {_HIDDEN} if hidden else flags - {_HIDDEN}
    one[_FLAGS] = sorted(flags)
    return {OWN: {**own, _METRICS: defined}}


def hidden_in(config: dict[str, Any]) -> list[str]:
    """The names and patterns of metrics that aren't drawn."""
    named = ((one.get(_NAME) or one.get(_PATTERN), _flags(one)) for one in _defined(_own(config)))
    return [name for name, flags in named if isinstance(name, str) and _HIDDEN in flags]


def axes_of(config: dict[str, Any]) -> dict[str, str]:
    """The metric over which others are drawn, by the names or patterns of these."""
    defined = _defined(_own(config))
    found: dict[str, str] = {}
    for one in defined:
        name, place = one.get(_NAME) or one.get(_PATTERN), one.get(_AXIS)
        if isinstance(name, str) and isinstance(place, int) and 0 < place <= len(defined):
            over = defined[place - 1].get(_NAME)
            if isinstance(over, str) and over != name:
                found[name] = over
    return found


def _own(config: dict[str, Any]) -> dict[str, Any]:
    own = config.get(OWN)
    return own if isinstance(own, dict) else {}


def _defined(own: dict[str, Any]) -> list[dict[str, Any]]:
    defined = own.get(_METRICS)
    return [one if isinstance(one, dict) else {} for one in defined] if isinstance(defined, list) else []


def _flags(one: dict[str, Any]) -> list[int]:
    flags = one.get(_FLAGS)
    return [flag for flag in flags if isinstance(flag, int)] if isinstance(flags, list) else []


def _place_in(defined: list[dict[str, Any]], key: str, name: str) -> int:
    """The place of a metric in a list, to which it is added if it isn't there."""
    for place, one in enumerate(defined):
        if one.get(key) == name:
            return place
    defined.append({key: name})
    return len(defined) - 1
