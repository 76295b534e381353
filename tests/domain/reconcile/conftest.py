"""Fixtures of the tests of reconciling."""

import pytest

from tests.support.copies import Copy


@pytest.fixture
def two() -> tuple[Copy, Copy, Copy, str, str]:
    """anna and bob, both with v0 and v1 from the remote; the ids of these."""
    anna, bob, remote = Copy("anna"), Copy("bob"), Copy("remote")
    first, second = anna.save(), anna.save()
    anna.push(remote)
    bob.pull(remote)
    return anna, bob, remote, first, second
