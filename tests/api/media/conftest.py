"""Fixtures of the tests of media."""

from pathlib import Path

import pytest

pytest.importorskip("PIL")
pytest.importorskip("numpy")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(here: Path) -> None:
    """Nothing of these tests is stored elsewhere."""
