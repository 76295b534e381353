"""Whether a repository is whole, by the package and by the independent reader."""

from pathlib import Path

from artstore.repository import Repository
from tests.support.reader import Reader


def check(root: Path) -> None:
    """fsck by the package and by the independent reader: both find nothing."""
    with Repository(str(root)) as repository:
        assert repository.fsck().problems == []
    assert Reader(str(root)).check() == []
