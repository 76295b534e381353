"""The kill matrix in short: every command, killed at some of its calls."""

from pathlib import Path

import pytest

from tests.guarantees.faults import strace
from tests.guarantees.faults.commands import COMMANDS
from tests.guarantees.faults.kill import kills
from tests.guarantees.faults.packed_commands import COMMANDS as PACKED
from tests.support.marks import mostly_long

pytestmark = pytest.mark.skipif(strace.missing() is not None, reason=str(strace.missing()))

_EVERY = {"put-large": 180, "push": 90, "push-again": 140, "pull": 90, "clone": 90}


@pytest.mark.parametrize("command", mostly_long(COMMANDS, "put-second"))
def test_a_kill_at_any_call_loses_nothing(command: str, tmp_path: Path) -> None:
    outcomes = list(kills([command], tmp_path, _EVERY.get(command, 24)))
    assert any(outcome.reached for outcome in outcomes)
    assert [(str(outcome.fault), outcome.findings) for outcome in outcomes if outcome.findings] == []


@pytest.mark.long
@pytest.mark.parametrize("command", PACKED)
def test_a_kill_at_any_call_loses_nothing_that_is_packed(command: str, tmp_path: Path) -> None:
    outcomes = list(kills([command], tmp_path, 30))
    assert any(outcome.reached for outcome in outcomes)
    assert [(str(outcome.fault), outcome.findings) for outcome in outcomes if outcome.findings] == []


@pytest.mark.long
@pytest.mark.parametrize(("command", "every"), [("serve-push-again", 90), ("token-create", 6), ("token-revoke", 6)])
def test_a_kill_at_any_call_of_a_server_loses_nothing_that_it_acknowledged(
    command: str, every: int, tmp_path: Path
) -> None:
    """A client's push, and the commands that change tokens. The whole matrix has pushes and pulls of other kinds."""
    outcomes = list(kills([command], tmp_path, every, changes=True))
    assert any(outcome.reached for outcome in outcomes)
    assert [(str(outcome.fault), outcome.findings) for outcome in outcomes if outcome.findings] == []
