"""Fixtures of the tests of automations."""

from pathlib import Path

import pytest

from artstore.repository import Repository


@pytest.fixture
def home(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an empty repository, whose user's settings and logs lie beside it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Repository.init(str(here / ".artifacts")).close()
    return here
