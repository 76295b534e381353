"""The failure matrix by places in the code, in short: each in one command."""

from pathlib import Path

import pytest

from tests.guarantees.faults.commands import COMMANDS
from tests.guarantees.faults.sites import fails


def test_every_line_by_which_a_change_of_aliases_calls_the_operating_system_may_be_told_no(tmp_path: Path) -> None:
    """Nothing is lost, and what could not be done is told in one sentence."""
    outcomes = list(fails(["alias"], tmp_path, once=True))
    assert len(outcomes) > 30 and sum(outcome.reached for outcome in outcomes) > 0.9 * len(outcomes)
    assert [(str(outcome.fault), outcome.findings) for outcome in outcomes if outcome.findings] == []


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_line_that_calls_the_operating_system_may_be_told_no(tmp_path: Path) -> None:
    """The same of all commands."""
    outcomes = list(fails(list(COMMANDS), tmp_path, once=True))
    assert len(outcomes) > 150 and sum(outcome.reached for outcome in outcomes) > 0.9 * len(outcomes)
    assert [(outcome.command, str(outcome.fault), outcome.findings) for outcome in outcomes if outcome.findings] == []
