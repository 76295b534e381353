"""Fixtures of the tests of push, pull and clone."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import artstore
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.exchange import Place
from tests.support.servers import SeaweedFS


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Makes repositories by name; all are checked at the end."""
    made: dict[str, Repository] = {}

    def make(name: str, **options: Any) -> Repository:
        if name not in made:
            made[name] = Repository.init(str(tmp_path / name / ".artifacts"), **options)
        return made[name]

    yield make
    for repository in made.values():
        repository.close()
    for name in made:
        check(tmp_path / name / ".artifacts")


@pytest.fixture
def nas(tmp_path: Path) -> Iterator[Path]:
    """Where a shared repository will be; checked at the end if there is one whole."""
    yield tmp_path / "nas"
    if (tmp_path / "nas/format").exists() and not (tmp_path / "unchecked").exists():
        check(tmp_path / "nas")


@pytest.fixture
def anna(place: Place, nas: Path) -> Repository:
    """A repository whose remote `nas` is empty."""
    repository = place("anna")
    repository.remotes.add("nas", str(nas), make=True)
    return repository


@pytest.fixture
def bob(place: Place, anna: Repository, nas: Path) -> Repository:
    """Another, with the same remote."""
    repository = place("bob")
    repository.remotes.add("nas", str(nas))
    return repository


@pytest.fixture
def in_anna(anna: Repository, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Scripts' place beside anna's repository."""
    for name in list(os.environ):
        if name.startswith(("WANDB_", "ARTSTORE_")):
            monkeypatch.delenv(name)
    folder = Path(anna.root).parent
    monkeypatch.chdir(folder)
    yield folder
    artstore.finish()


@pytest.fixture
def bucket_url(server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a new place in a bucket, whose credentials are in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    return f"s3://{server.bucket}/{os.urandom(8).hex()}?endpoint={server.endpoint}&region={server.region}"
