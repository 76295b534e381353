"""A metric that was defined: what `define_metric` returns."""

from typing import NamedTuple


class DefinedMetric(NamedTuple):
    """A metric, or those of a pattern, as they were defined."""

    name: str
    step_metric: str | None = None
    step_sync: bool | None = None
    hidden: bool | None = None
    summary: tuple[str, ...] | None = None
