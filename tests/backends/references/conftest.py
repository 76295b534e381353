"""Fixtures of the tests of references."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from artstore.repository import Repository
from tests.support.forge import Forger
from tests.support.web import Web, web_server


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks a web server, or fetches, again hardly waits."""
    monkeypatch.setattr("artstore.backends.references.http._WAITS", (0.01, 0.02))
    monkeypatch.setattr("artstore.operations.restoring.fetching._WAITS", (0.01, 0.02))


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


@pytest.fixture
def forged(root: Path, tmp_path: Path) -> Callable[..., Repository]:
    """A repository whose version `bad` has these entries, as a remote's owner could make it; it was pulled."""

    def forge(*entries: Any) -> Repository:
        remote = tmp_path / "remote"
        Repository.init(str(remote)).close()
        forger = Forger(remote)
        size = sum(entry[2] or 0 for entry in entries)
        forger.version("bad", forger.tree(*entries), size, len(entries))
        with Repository.init(str(root)) as repository:
            repository.remotes.add("origin", str(remote))
            repository.pull()
        return Repository(str(root))

    return forge
