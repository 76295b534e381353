"""Fixtures of the tests of runs."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.runs import Script


@pytest.fixture
def started() -> Iterator[Any]:
    """Starts scripts; those that are still there at the end are killed."""
    scripts: list[Script] = []

    def start(code: str) -> Script:
        scripts.append(Script(code))
        return scripts[-1]

    yield start
    for one in scripts:
        one.kill() if one.process.poll() is None else one.end()
