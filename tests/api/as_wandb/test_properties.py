"""What an artifact says of itself, and what it refuses, as W&B's does."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import ArtifactFinalizedError, ArtifactNotLoggedError, Conflict, InvalidValue
from tests.support.artifacts import again, draft, log
from tests.support.links import linked, model


def test_the_ttl_of_a_draft_is_there_once_it_is_given(here: Path) -> None:
    artifact = draft()
    with pytest.raises(ArtifactNotLoggedError):
        _ = artifact.ttl
    artifact.ttl = None
    assert artifact.ttl is None
    artifact.ttl = datetime.timedelta(days=1)
    assert artifact.ttl == datetime.timedelta(days=1)
    artifact.ttl = wandb.ArtifactTTL.INHERIT
    with pytest.raises(ArtifactNotLoggedError):
        _ = artifact.ttl
    assert log(artifact).ttl is None and isinstance(wandb.ArtifactTTL.INHERIT, wandb.ArtifactTTL)
    with pytest.raises(ValueError, match="Artifact TTL Duration has to be positive. ttl: -1.0"):
        artifact.ttl = datetime.timedelta(seconds=-1)


def test_a_links_ttl_is_given_to_its_source(here: Path) -> None:
    source, link = linked()
    with pytest.raises(ValueError, match="Cannot set TTL for link artifact"):
        link.ttl = datetime.timedelta(days=1)
    source.ttl = datetime.timedelta(days=1)
    source.save()
    assert again("registry-models/churn").ttl == datetime.timedelta(days=1)


def test_an_artifact_knows_the_step_of_its_run_before_it(here: Path) -> None:
    with wandb.init() as run:
        first = run.log_artifact(draft("first"))
        for loss in range(3):
            run.log({"loss": loss})
        second = run.log_artifact(draft("second"))
        run.log({"loss": 9})
    own = draft("own")
    own.save()
    assert (first.history_step, second.history_step, own.history_step) == (None, 2, None)
    with wandb.Repository(".artifacts") as repository:
        repository.put(str(here / "artifacts" if (here / "artifacts").exists() else _folder(here)), "put")
    assert again("put").history_step is None
    run_of_it = wandb.Api().run(run.path)
    run_of_it.delete()
    assert again("second").history_step is None


def _folder(here: Path) -> Path:
    (here / "in").mkdir()
    (here / "in/f").write_text("1")
    return here / "in"


def test_a_link_knows_when_it_was_made_and_a_version_its_digests(here: Path) -> None:
    source = model()
    link = source.link("registry-models/churn", aliases=["a"])
    assert link.linked_at is not None and link.linked_at[:10] == source.created_at[:10]
    assert again("registry-models/churn").linked_at == link.linked_at and source.linked_at is None
    assert source.digest_algorithm == wandb.Artifact("x", digest_algorithm="XXH128").digest_algorithm == "BLAKE3"


@pytest.mark.parametrize(
    ("name", "type"), [("a", "job"), ("run-1-t", "run_table"), ("source-p-x", "code"), ("a", "wandb-history")]
)
def test_wandbs_own_types_are_refused(here: Path, name: str, type: str) -> None:
    with pytest.raises(ValueError, match=f"Artifact type '{type}' is reserved for internal use"):
        wandb.Artifact(name, type)
    with wandb.init() as run, pytest.raises(ValueError, match="is reserved"):
        run.log_artifact(__file__, name, type)
    collection = model(name=name).collection
    collection.type = type
    with pytest.raises(ValueError, match=f"Failed to save artifact collection '{name}': Artifact type '{type}' is res"):
        collection.save()
    assert again(name).type == "model"


def test_the_librarys_own_types_are_free_under_other_names_and_are_its_own(here: Path) -> None:
    assert wandb.Artifact("mine", "code").type == "code" and wandb.Artifact("t", "run_table").type == "run_table"
    (here / "train.py").write_text("1")
    with wandb.init(project="p", id="r") as run:
        code = run.log_code()
        run.log({"t": wandb.Table(columns=["a"], data=[[1]])})
    assert code is not None and (code.name, code.type) == (f"source-p-{here.name}:v0", "code")
    table = wandb.Api().artifact("p/run-r-t")
    assert (table.type, table.new_draft().type) == ("run_table", "run_table")
    collection = table.collection
    collection.type = "dataset"
    with pytest.raises(ValueError, match="'run_table' is an internal type and cannot be changed"):
        collection.save()


@pytest.mark.parametrize("region", ["", "  ", 1])
def test_a_storage_region_is_a_text(here: Path, region: Any) -> None:
    with pytest.raises(ValueError, match="storage_region"):
        wandb.Artifact("a", storage_region=region)
    assert wandb.Artifact("a", storage_region="coreweave-us").name == "a"


def test_a_draft_of_another_projects_version_is_not_moved(here: Path) -> None:
    with wandb.init(project="one", entity="me") as run:
        version = run.log_artifact(draft())
    for home, what in (({"project": "two", "entity": "me"}, "exists in project 'one'"), ({"project": "one", "entity": "local"}, "is owned by entity 'me'")):  # fmt: skip
        with wandb.init(**home) as run:
            moves: list[Callable[[], Any]] = [
                version.new_draft().save,
                lambda run=run: run.log_artifact(version.new_draft()),
            ]
            for move in moves:
                with pytest.raises(ValueError, match=f"Artifact data {what}.*; it can't be moved to"):
                    move()
    new = version.new_draft()
    new.metadata = {"k": 1}
    new.save()
    assert new.qualified_name == "me/one/data:v1" or new.qualified_name == "me/one/data:v0"


def test_the_newest_version_is_deleted_only_with_its_alias(here: Path) -> None:
    first, newest = log(draft("data", "1")), log(draft("data", "2"))
    with pytest.raises(ValueError, match="data:v1 has the alias 'latest'"):
        newest.delete()
    first.delete()
    newest.delete(delete_aliases=True)
    assert newest.state == first.state == "DELETED" and not wandb.Api().artifact_exists("data")


def test_a_run_that_is_deleted_with_its_artifacts_takes_the_newest_too(here: Path) -> None:
    with wandb.init() as run:
        run.log_artifact(draft("plain"))
        run.log_artifact(draft("held"), aliases=["best"])
    wandb.Api().run(run.path).delete(delete_artifacts=True)
    assert wandb.Api().artifact_exists("held") and not wandb.Api().artifact_exists("plain")


def test_a_run_links_into_its_own_project_and_an_artifact_into_the_default_one(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wandb.init(project="p", entity="team") as run:
        link = run.link_artifact(draft(), "portfolio")
        other = run.link_artifact(link, "elsewhere/portfolio") if link else None
        registered = run.link_artifact(draft("net"), "wandb-registry-model/net")
    assert link is not None and link.qualified_name == "team/p/portfolio:v0"
    assert other is not None and other.qualified_name == "team/elsewhere/portfolio:v0"
    assert registered is not None and registered.qualified_name == "team/registry-model/net:v0"
    assert link.source_artifact.link("alone").qualified_name == "team/uncategorized/alone:v0"
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    assert link.source_artifact.link("alone").qualified_name == "team/mine/alone:v0"
    assert link.link("x/y/z").qualified_name == "x/y/z:v0"


def test_a_collection_of_links_keeps_its_type(here: Path) -> None:
    source, link = linked()
    with pytest.raises(ValueError, match="Type can only be changed if the artifact collection is a sequence"):
        link.collection.type = "dataset"
    with pytest.raises(ValueError, match="Artifact collection needs to be a sequence"):
        link.collection.change_type("dataset")
    collection = source.collection
    collection.change_type("dataset")
    assert again("model").type == "dataset"


def test_an_empty_description_is_none(here: Path) -> None:
    artifact = log(draft(description=""))
    assert artifact.description is None
    artifact.description = "x"
    artifact.save()
    artifact.description = None
    artifact.save()
    assert again().description is None
    assert isinstance(artifact, wandb.Artifact) and not issubclass(InvalidValue, (Conflict, ArtifactFinalizedError))
