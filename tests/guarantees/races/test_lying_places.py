"""Places that can't be remotes: what they promise isn't so, or changes between two looks."""

import errno
import os
from pathlib import Path

import pytest

import artstore as wandb
from artstore.backends.storage import FolderStorage
from artstore.errors import (
    InvalidValue,
    Refused,
    StorageError,
    storage_error,
)
from artstore.operations.saving.draft import Draft
from artstore.repository import Repository
from artstore.sync import place as remote
from artstore.view import view_of
from tests.support.artifacts import draft, log
from tests.support.folders import make_tree

LARGE = b"0123456789abcdef" * (1 << 17)  # 2 MiB


class Lying(FolderStorage):
    """A place that is not what a remote has to be, in one way."""

    fault = ""

    def create(self, path: str, data: bytes) -> bool:
        if self.fault in ("EACCES", "EIO"):
            number = getattr(errno, self.fault)
            raise storage_error(error := OSError(number, os.strerror(number)), "write") from error
        return super().create(path, data) or self.fault == "replaces"

    def read(self, path: str, offset: int = 0, length: int | None = None, *, own: bool = False) -> bytes:
        found = super().read(path, offset, length, own=own)
        return found[::-1] if self.fault == "reads" else found

    def below(self, folder: str) -> list[tuple[str, int]]:
        return [] if self.fault == "lists" else super().below(folder)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("replaces", "lets a second writer replace"),
        ("reads", "does not return the bytes"),
        ("lists", "does not list a file that"),
    ],
)
def test_a_place_that_lies_is_no_remote(repo: Repository, fault: str, reason: str) -> None:
    storage = Lying(repo.root)
    storage.fault = fault
    with pytest.raises(InvalidValue, match=reason):
        remote.probe(storage)


def test_a_place_that_one_may_only_read_can_be_a_remote(repo: Repository) -> None:
    storage = Lying(repo.root)
    storage.fault = "EACCES"
    assert not remote.probe(storage)
    storage.fault = "EIO"
    with pytest.raises(StorageError, match="input/output error"):
        remote.probe(storage)


def test_a_remote_that_is_there_is_not_made_again(repo: Repository, tmp_path: Path) -> None:
    here = FolderStorage(repo.root)
    for _ in range(2):
        remote.make_remote(str(tmp_path / "nas"), here)
    make_tree(tmp_path / "full", {"mine": "1"})
    with pytest.raises(Refused, match="is not empty, and is not a repository"):
        remote.make_remote(str(tmp_path / "full"), here)


def test_nothing_is_drafted_or_changed_at_a_place_that_is_only_looked_at(here: Path, tmp_path: Path) -> None:
    log(draft())
    with Repository(str(here / ".artifacts")) as repository:
        repository.remotes.add("nas", str(tmp_path / "nas"), make=True)
        repository.push()
    url = (tmp_path / "nas").as_uri()
    with (
        view_of(url, FolderStorage(str(here / ".artifacts"))) as view,
        pytest.raises(InvalidValue, match="is a remote: save in a repository, and push"),
    ):
        Draft(view.objects, view.refs)
    artifact = wandb.Api(repository=url).artifact("data")
    assert artifact.name == "data:v0" and wandb.Api(repository=url).artifact("data").size == 1
    with pytest.raises(Refused, match="can only be read from here, not changed"):
        artifact.delete(delete_aliases=True)
