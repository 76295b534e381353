"""The failure matrix in short: every command, with a failure at some of its calls."""

from pathlib import Path

import pytest

from tests.guarantees.faults import strace
from tests.guarantees.faults.commands import COMMANDS
from tests.guarantees.faults.fail import fails
from tests.support.marks import mostly_long

pytestmark = pytest.mark.skipif(strace.missing() is not None, reason=str(strace.missing()))


@pytest.mark.parametrize("command", mostly_long(COMMANDS, "rm"))
def test_a_failing_call_loses_nothing_and_is_told_in_one_sentence(command: str, tmp_path: Path) -> None:
    outcomes = list(fails([command], tmp_path, every=499))
    assert any(outcome.reached for outcome in outcomes)
    assert [(str(outcome.fault), outcome.findings) for outcome in outcomes if outcome.findings] == []


@pytest.mark.long
@pytest.mark.parametrize(("command", "every"), [("serve-push", 900), ("token-revoke", 60)])
def test_a_failing_call_of_a_server_loses_nothing_and_its_client_is_told_in_one_sentence(
    command: str, every: int, tmp_path: Path
) -> None:
    outcomes = list(fails([command], tmp_path, every=every))
    assert any(outcome.reached for outcome in outcomes)
    assert [(str(outcome.fault), outcome.findings) for outcome in outcomes if outcome.findings] == []
