"""Fixtures of the tests of plots."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(here: Path) -> None:
    """Nothing of these tests is stored elsewhere."""
