"""Where downloads go, as in W&B."""

import os
from pathlib import Path

import pytest

import artstore as wandb
from artstore.errors import InvalidValue
from artstore.repository import Repository
from tests.support.artifacts import again, draft, log, log_files, write
from tests.support.forge import Forger
from tests.support.links import linked


def test_a_download_into_the_folder_that_holds_the_repository_leaves_everything_else_there(here: Path) -> None:
    artifact = log_files({"f": "1", "sub/g": "2"})
    (here / "train.py").write_text("mine")
    before = sorted(os.listdir(here / ".artifacts/refs"))
    assert artifact.download(root=".") == "." and artifact.get_entry("f").download(".") == "./f"
    assert (here / "sub/g").read_text() == "2" and (here / "train.py").read_text() == "mine"
    assert sorted(os.listdir(here / ".artifacts/refs")) == before
    assert again().digest == artifact.digest


@pytest.mark.damaged
def test_a_version_with_a_path_below_the_repositorys_folder_is_refused_there(here: Path) -> None:
    with Repository.init(".artifacts"):
        pass
    forger = Forger(here / ".artifacts")
    config = forger.blob(b"[core]\nentity = evil\n")
    below = forger.tree((b"config", 0, 21, config))
    forger.version("evil", forger.tree((b".artifacts", 2, 21, below, 1)), 21)
    with pytest.raises(InvalidValue, match="'.artifacts' is a protected name"):
        wandb.Api().artifact("evil").download(root=".")
    assert not (here / ".artifacts/config").exists()


def test_checkout_goes_to_a_folder_without_the_version_by_default(here: Path) -> None:
    first = log(write(wandb.Artifact("data"), f="1", old="1"))
    assert first.checkout() == str(here / "artifacts/data")
    assert log(draft("data", "2")).checkout("") == str(here / "artifacts/data")
    assert os.listdir(here / "artifacts/data") == ["f"] and (here / "artifacts/data/f").read_text() == "2"


def test_a_links_default_folder_is_its_sources(here: Path) -> None:
    _, link = linked()
    assert link.name == "churn:v0"
    assert link.download() == str(here / "artifacts/model-v0") and link.verify().files == 1
    assert link.checkout() == str(here / "artifacts/model") and link.file() == str(here / "artifacts/model-v0/f")


def test_an_empty_root_is_the_default_one(here: Path) -> None:
    artifact = log(draft())
    assert artifact.download("") == artifact.download() == str(here / "artifacts/data-v0")
    assert artifact.get_entry("f").download("") == str(here / "artifacts/data-v0/f")
