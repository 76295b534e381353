"""Values of runs by name (`state`, `config.lr`, or a metric such as `val/acc`), and runs in the order of a value."""

import math
from collections.abc import Callable
from typing import Any

from artstore.domain.filters import ABSENT
from artstore.domain.metadata import as_number
from artstore.domain.names import printable
from artstore.domain.run import RunPath, RunState
from artstore.domain.wording import near
from artstore.errors import InvalidValue
from artstore.operations.finding.matching import RUN_DICTS, RUN_NAMES, RunFields, run_fields, run_value

Column = Callable[[RunState], Any]
"""The value of a run; ABSENT if it has none."""
_KEPT = ("min", "max", "mean", "last", "first")
"""What a summary may keep of a metric instead of its last value."""


def column(name: str, states: list[RunState], values: RunFields) -> Column:
    """The column of runs that has a name: a field, as in filters, or a key of the summary or config alone.

    Raises InvalidValue if none of these runs has such a value.
    """
    if not name:
        raise InvalidValue("a value of runs has no name", hint="such as created_at, config.lr or loss")
    head = name.partition(".")[0]
    fields = run_fields(RunState(RunPath("", "", "")), "")
    names = [name] if RUN_NAMES.get(head, head) in fields else [f"{kind}.{name}" for kind in reversed(RUN_DICTS)]
    columns = [_of_field(field, values) for field in names]
    is_plain = RUN_NAMES.get(name, name) in fields.keys() - set(RUN_DICTS)
    for one in columns:
        if is_plain or not states or any(one(state) is not ABSENT for state in states):
            return one
    keys = dict.fromkeys(key for state in states for key in (*values.summary(state), *state.parameters))
    raise InvalidValue(f"no run has a value '{printable(name)}'", hint=near(name.split(".", 1)[-1], keys))


def _of_field(field: str, values: RunFields) -> Column:
    run_value(run_fields(RunState(RunPath("", "", "")), ""))(field)  # raises for what can't be a field
    return lambda state: run_value(values(state))(field)


def ordered(states: list[RunState], order: str, values: RunFields) -> list[RunState]:
    """Runs in the order of a column, whose name has a `+` or `-` (descending) in front. Runs without it come last.

    Where the summary keeps several values of a metric, the smallest counts, or if descending the largest.
    """
    descending = order.startswith("-")
    value = column(order.removeprefix("+").removeprefix("-").removesuffix(".value"), states, values)
    keyed = [(_comparable(value(state), descending), state) for state in states]
    found = [(key, state) for key, state in keyed if key is not None]
    found.sort(key=lambda pair: (isinstance(pair[0], str), pair[0]), reverse=descending)
    return [state for _, state in found] + [state for key, state in keyed if key is None]


def _comparable(value: Any, descending: bool) -> str | float | None:
    if isinstance(value, dict):
        kept = [as_number(value[kind]) for kind in _KEPT if kind in value]
        numbers = [number for number in kept if isinstance(number, int | float) and not math.isnan(number)]
        return (max if descending else min)(numbers, default=None)
    value = as_number(value)
    if not isinstance(value, str | int | float) or (isinstance(value, float) and math.isnan(value)):
        return None
    return value
