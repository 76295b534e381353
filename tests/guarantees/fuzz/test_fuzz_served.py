"""Fuzzing of a served repository in short: recorded requests, changed by chance."""

from pathlib import Path

import pytest

from tests.guarantees.fuzz.served import fuzzed


def test_requests_that_were_changed_by_chance_are_answered_or_refused(here: Path) -> None:
    outcome = fuzzed(here, 200, 1)
    assert outcome.wrong == []
    assert {200, 400, 401, 403, 404} <= {status for _, status in outcome.statuses}


@pytest.mark.long
def test_thousands_of_requests_take_no_more_memory_than_a_few(here: Path) -> None:
    outcome = fuzzed(here, 10_000, 2)
    assert outcome.wrong == []
    assert outcome.grown < 50e6
