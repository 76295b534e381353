"""What is refused with the text and the class of error that scripts of W&B's expect."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import CommError
from tests.support.artifacts import draft, log
from tests.support.folders import make_tree
from tests.support.links import linked


def test_texts_that_scripts_compare_whole_are_wandbs(here: Path) -> None:
    artifact = log(draft())
    texts: dict[str, Callable[[], Any]] = {
        "Aliases must not contain any of the following characters: '/', ':'": lambda: artifact.link("x", ["a:b"]),
        "Instances of wandb.Artifact can only be top level keys in a run's config": lambda: wandb.init(
            config={"data": {"train": artifact}}
        ),
    }
    for text, act in texts.items():
        with pytest.raises(ValueError) as error:
            act()
        assert str(error.value) == text and getattr(error.value, "hint", None)


def test_a_version_that_is_not_a_link_says_how_it_is_deleted(here: Path) -> None:
    source, link = linked()
    link.unlink()
    with pytest.raises(ValueError, match=r"use 'Artifact.delete' instead"):
        source.unlink()


@pytest.mark.parametrize("name", ["nobody/bar/data:v0", "local/bar/data", "bar/data"])
def test_a_project_that_is_not_there_is_named_first(here: Path, name: str) -> None:
    log(draft())
    with pytest.raises(CommError, match="^project 'bar' not found"):
        wandb.Api().artifact(name)


@pytest.mark.parametrize("name", ["a" * 129, "my/data", ""])
def test_a_collection_keeps_its_name_if_another_is_refused(here: Path, name: str) -> None:
    collection = log(draft()).collection
    with pytest.raises(ValueError, match="artifact name"):
        collection.name = name
    assert collection.name == "data"


def test_what_the_server_would_refuse_is_a_comm_error(here: Path) -> None:
    artifact = log(draft())
    record = artifact.logged_by()
    assert record is not None
    refused: list[Callable[[], Any]] = [
        lambda: artifact.collection.change_type("wandb-history"), lambda: record.log_artifact(draft("new")),
        lambda: record.use_artifact(draft("new")), lambda: record.use_artifact("data:v0"),
    ]  # fmt: skip
    for act in refused:
        with pytest.raises(CommError):
            act()


def test_link_model_links_any_type_of_model_and_refuses_others(here: Path) -> None:
    make_tree(here, {"weights": "1"})
    log(draft("net", type="vision-model"))
    log(draft("data", type="dataset"))
    with wandb.init() as run:
        link = run.link_model("weights", "best", "net")
        assert link is not None and (link.type, link.source_name) == ("vision-model", "net:v1")
        with pytest.raises(AssertionError, match="You can only use this method for 'model' artifacts"):
            run.link_model("weights", "best", "data")


def test_a_reference_to_a_folder_leaves_out_the_repository_in_it(here: Path) -> None:
    make_tree(here, {"a": "1", ".git/config": "x", "below/b": "2"})
    log(draft())
    artifact = wandb.Artifact("raw", "dataset")
    assert [entry.path for entry in artifact.add_reference(here.as_uri())] == ["a", "below/b"]
