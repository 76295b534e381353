"""Fixtures of the tests of hostile remotes."""

from pathlib import Path

import pytest

from tests.support.hostile_remotes import Two


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)
