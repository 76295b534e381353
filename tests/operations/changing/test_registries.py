"""Registries: found under any spelling, listed, deleted."""

import json
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import Conflict, NotFound
from artstore.repository import Repository
from tests.support.artifacts import again, draft, log
from tests.support.commands import Cli
from tests.support.links import CHURN, edit, linked, model, repository, specs
from tests.support.together import content


def test_wandb_registry_is_registry_in_the_api(here: Path) -> None:
    api = wandb.Api()
    source = model()
    link = source.link("wandb-registry-models/churn", ["staging"])
    assert (link.project, link.qualified_name) == ("registry-models", "local/registry-models/churn:v0")
    for prefix in ("registry-models", "wandb-registry-models", "local/wandb-registry-models"):
        assert api.artifact(f"{prefix}/churn:staging").id == link.id
        assert api.artifact(f"{prefix}/churn@{link.digest[:12]}").id == link.id
        assert api.artifact_exists(f"{prefix}/churn:v0")
        assert api.artifact_collection("model", f"{prefix}/churn").name == "churn"
        assert len(api.artifacts("model", f"{prefix}/churn")) == 1
    for project in ("registry-models", "wandb-registry-models"):
        assert [one.name for one in api.artifact_collections(project)] == ["churn"]
        assert [one.name for one in api.project(project).collections()] == ["churn"]
    for name in ("models", "registry-models", "wandb-registry-models"):
        assert api.registry(name).full_name == "registry-models"
    with wandb.init() as run:
        assert run.use_artifact("wandb-registry-models/churn:staging").name == "churn:v0"
        assert run.link_artifact(source, "wandb-registry-models/churn").name == "churn:v0"


@pytest.mark.parametrize("name", ["new", "registry-new", "wandb-registry-new"])
def test_a_registry_made_under_any_spelling_is_found_under_all(here: Path, name: str) -> None:
    api = wandb.Api()
    model()
    api.create_registry(name)
    assert [one.name for one in api.registries()] == ["new"]
    for spelled in ("new", "registry-new", "wandb-registry-new"):
        assert api.registry(spelled).full_name == "registry-new"


@pytest.mark.parametrize("name", ["new", "registry-new", "wandb-registry-new"])
def test_a_registry_made_by_a_command_under_any_spelling_is_found_under_all(here: Path, cli: Cli, name: str) -> None:
    model()
    assert json.loads(cli("registry", "create", name, "--json", cwd=here).out) == {"registry": "registry-new"}
    for spelled in ("new", "registry-new", "wandb-registry-new"):
        assert cli("registry", "ls", spelled, cwd=here).code == 0
    assert cli("registry", "rm", "wandb-registry-new", cwd=here).code == 0
    assert json.loads(cli("registry", "ls", "--json", cwd=here).out) == []


def test_wandb_registry_is_registry_for_every_command(here: Path, cli: Cli) -> None:
    model(metadata={"acc": 0.5})

    def told(*args: str) -> Any:
        done = cli(*args, "--json", cwd=here)
        assert done.code == 0, done
        return json.loads(done.out)

    made = told("link", "model:v0", "wandb-registry-models/churn", "-a", "staging")
    assert made == {
        "spec": "local/registry-models/churn:v0",
        "source": "local/uncategorized/model:v0",
        "aliases": ["latest", "staging"],
    }
    for prefix in ("registry-models", "wandb-registry-models"):
        assert told("show", f"{prefix}/churn:staging")["source"] == "local/uncategorized/model:v0"
        assert [one["spec"] for one in told("log", f"{prefix}/churn")] == ["local/registry-models/churn:v0"]
        assert [one["collection"] for one in told("ls", f"{prefix}/")] == ["local/registry-models/churn"]
        assert [one["collection"] for one in told("ls", "--project", prefix)] == ["local/registry-models/churn"]
        assert len(told("ls", f"{prefix}/", "--where", "metadata.acc=0.5")) == 1
        assert cli("get", f"{prefix}/churn:v0", "--root", f"out-{prefix}", cwd=here).code == 0
        assert (here / f"out-{prefix}" / "f").read_text() == "1"
        assert cli("alias", f"{prefix}/churn:v0", prefix, cwd=here).code == 0
    told("unlink", "wandb-registry-models/churn:v0")
    assert told("ls", "registry-models/", "--where", "version=v0") == []


def test_an_empty_registry_exists_and_one_that_is_not_there_does_not(here: Path, cli: Cli) -> None:
    api = wandb.Api()
    model()
    with pytest.raises(NotFound):
        api.registry("nothing")
    made = api.create_registry("empty", description="what it is for", artifact_types=["model"])
    assert (made.name, list(made.artifact_types), made.allow_all_artifact_types) == ("empty", ["model"], False)
    assert [one.name for one in api.registries()] == ["empty"]
    assert (len(made.collections()), len(made.versions())) == (0, 0)
    assert api.registry("empty").description == "what it is for"
    with pytest.raises(ValueError, match="exists"):
        api.create_registry("empty")
    rows = json.loads(cli("registry", "ls", "--json", cwd=here).out)
    assert [(row["name"], row["collections"], row["types"]) for row in rows] == [("empty", 0, ["model"])]
    assert [one.name for one in api.artifact_collections("registry-empty")] == []
    api.registry("empty").delete()
    assert len(api.registries()) == 0
    again = api.create_registry("empty")
    assert (again.description, list(again.artifact_types)) == (None, [])


def test_a_registry_takes_only_the_types_that_it_names_and_types_can_be_added(here: Path) -> None:
    api = wandb.Api()
    source, data = model(), log(draft("set", type="dataset"))
    registry = api.create_registry("models", artifact_types=["model"])
    with pytest.raises(Conflict, match="does not accept artifacts of type 'dataset'"):
        data.link("registry-models/set")
    assert len(registry.collections()) == 0
    source.link(CHURN)
    registry.artifact_types.append("dataset")
    with pytest.raises(ValueError):
        registry.artifact_types.remove("model")
    registry.save()
    assert list(api.registry("models").artifact_types) == ["model", "dataset"]
    assert data.link("registry-models/set").name == "set:v0"
    with pytest.raises(ValueError):
        api.create_registry("bad", artifact_types=["artstore-x"])
    with pytest.raises(ValueError):
        api.create_registry("bad", visibility="everybody")


@pytest.mark.parametrize("there", [False, True], ids=["before the registry was described", "after"])
def test_the_record_of_a_registry_can_not_be_linked_over(here: Path, there: bool) -> None:
    source, _ = linked()
    if there:
        wandb.Api().registry("models").save()
    with pytest.raises(ValueError):
        source.link("registry-models/.registry")
    assert [one.name for one in wandb.Api().registry("models").collections()] == ["churn"]


def test_collections_and_versions_of_registries_are_listed_by_filter_and_order(here: Path) -> None:
    api = wandb.Api()
    for number, name in enumerate(("a", "b")):
        for text in "12":
            source = model(f"{name} {text}", f"model-{name}", metadata={"acc": float(text) + number})
            source.link(f"registry-{name}s/{name}-models", ["best"] if text == "2" else [])
    edit(again("registry-as/a-models:v0"), tags=["good"])
    collection = api.artifact_collection("model", "registry-bs/b-models")
    collection.tags, collection.description = ["shipped"], "of b"
    collection.save()
    assert [one.name for one in api.registries()] == ["as", "bs"]
    assert [one.name for one in api.registries(order="-name")] == ["bs", "as"]
    assert [one.name for one in api.registries(filter={"name": {"$regex": "^b"}})] == ["bs"]
    assert [one.name for one in api.registries().collections({"tag": "shipped"})] == ["b-models"]
    assert [one.name for one in api.registries().collections({"description": {"$contains": "of"}})] == ["b-models"]
    assert [one.name for one in api.registries().collections(order="-name")] == ["b-models", "a-models"]
    assert specs(api.registries().versions({"alias": "best"})) == ["registry-as/a-models:v1", "registry-bs/b-models:v1"]
    assert specs(api.registry("as").versions({"tag": "good"})) == ["registry-as/a-models:v0"]
    assert specs(api.registries().versions({"metadata.acc": {"$gte": 2}})) == [
        "registry-as/a-models:v1", "registry-bs/b-models:v0", "registry-bs/b-models:v1",
    ]  # fmt: skip
    assert specs(api.registry("bs").collections().versions({"version": "v0"})) == ["registry-bs/b-models:v0"]
    with pytest.raises(ValueError):
        api.registry("as").versions({"nothing": 1})
    with pytest.raises(ValueError):
        api.registry("as").collections(order="colour")


def test_a_registry_that_is_deleted_takes_its_links_and_leaves_the_sources(here: Path, cli: Cli) -> None:
    source, _ = linked()
    refused = cli("registry", "rm", "models", cwd=here)
    assert refused.code != 0 and "has 1 link" in refused.err
    assert cli("registry", "rm", "models", "--force", cwd=here).code == 0
    repository().gc(now=True)
    assert content(again("model")) == {"f": b"1"} and again("model").linked_artifacts == []
    assert not wandb.Api().artifact_exists(CHURN) and len(wandb.Api().registries()) == 0
    assert source.link(CHURN).source_name == "model:v0"


def test_metadata_of_a_registry_that_goes_from_1_to_true_is_changed(repo: Repository) -> None:
    for value in (1, True, 1.0):
        state = repo.edit_registry("local", "registry-models", metadata={"k": value})
        assert type(state.metadata["k"]) is type(value)


def test_the_list_of_links_names_a_deleted_source_as_it_is_called_today(here: Path, cli: Cli) -> None:
    source, _ = linked()
    repository().rename("model", "train/net")
    source.delete(delete_aliases=True)
    rows = json.loads(cli("registry", "ls", "models", "--json", cwd=here).out)
    assert [row["source"] for row in rows] == ["train/net:v0 (deleted)"]
