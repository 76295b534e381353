"""Which tests the default run leaves out: those marked `long`, each a further case of what another test shows."""

from collections.abc import Iterable
from typing import Any

import pytest

long = pytest.mark.long


def mostly_long(values: Iterable[Any], *kept: Any) -> list[Any]:
    """Values for a parameter, of which the default run takes those that are kept."""
    return [value if value in kept else pytest.param(value, marks=long) for value in values]


def mark_beside_diagonals(items: list[pytest.Item]) -> None:
    """Of a test marked `diagonal("a", "b", …)` the default run takes a part of the product of these parameters: the fewest
    cases in which each value of each occurs, and each pair of values of all but the shortest.
    """
    diagonals = [(item, mark.args) for item in items if (mark := item.get_closest_marker("diagonal"))]
    axes: dict[tuple[str, str], list[Any]] = {}
    for item, names in diagonals:
        for name in names:
            axis = axes.setdefault((_function(item), name), [])
            if _value(item, name) not in axis:
                axis.append(_value(item, name))
    for item, names in diagonals:
        of_test = {name: axes[_function(item), name] for name in names}
        steps = sum(axis.index(_value(item, name)) for name, axis in of_test.items())
        if steps % min(map(len, of_test.values())):
            item.add_marker(long)


def _function(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _value(item: pytest.Item, name: str) -> Any:
    """Of a test's parameter."""
    return item.callspec.params[name]  # type: ignore[attr-defined]
