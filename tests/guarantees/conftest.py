"""Fixtures of the tests of guarantees."""

import tarfile
from pathlib import Path

import pytest

from tests.guarantees.golden.make import HERE
from tests.guarantees.golden.names import NAMES


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All repositories, by name and place."""
    found = {}
    for name in NAMES:
        folder = tmp_path_factory.mktemp(name)
        with tarfile.open(HERE / f"{name}.tar.gz") as tar:
            tar.extractall(folder, filter="tar")
        found |= {f"{name} {root.name}": root for root in folder.iterdir()}
    return found
