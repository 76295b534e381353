"""Registries as in W&B: their names, properties, orders and filters, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.registries import Registry
from tests.support.artifacts import draft, log
from tests.support.links import model, specs


def names(found: Any) -> list[str]:
    return [one.name for one in found]


def test_a_registry_is_the_first_thing_that_is_made(here: Path) -> None:
    assert wandb.Api().create_registry("models", "organization").full_name == "registry-models"
    assert (here / ".artifacts").is_dir() and names(wandb.Api().registries()) == ["models"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Registry name cannot be empty"), ("wandb-registry-", "Registry name cannot be empty"),
        ("a" * 114, "Invalid registry name 'a{114}', must be 113 characters or less"), ("a/b", "is not allowed"),
    ],
)  # fmt: skip
def test_names_that_wandb_can_not_have_are_refused(here: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wandb.Api().create_registry(name)
    assert names([wandb.Api().create_registry("a" * 113)]) == ["a" * 113]


def test_a_registry_that_exists_is_not_made_again(here: Path) -> None:
    wandb.Api().create_registry("models")
    with pytest.raises(ValueError, match="Registry 'models' already exists in organization 'local', please use a diff"):
        wandb.Api().create_registry("models")


def test_a_deleted_registry_is_refused_by_all_that_asks_for_it(here: Path) -> None:
    registry = wandb.Api().create_registry("models", description="ours")
    model().link("registry-models/net")
    registry.delete()
    for verb in ("load", "save", "delete"):
        with pytest.raises(ValueError, match=f"Failed to {verb} registry 'models' in organization 'local'"):
            getattr(registry, verb)()
    with pytest.raises(ValueError, match="Failed to load registry 'models' in organization 'local': there is none"):
        wandb.Api().registry("models")
    assert wandb.Api().create_registry("models").description is None


def test_a_registry_that_takes_all_types_is_told_so_before_it_is_given_some(here: Path) -> None:
    registry = wandb.Api().create_registry("models")
    model().link("registry-models/net")
    assert registry.allow_all_artifact_types and registry.load().artifact_types == ["model"]
    registry.artifact_types.append("dataset")
    with pytest.raises(ValueError, match="Cannot update artifact types when `allows_all_artifact_types` is True"):
        registry.save()
    registry.allow_all_artifact_types = False
    registry.save()
    again = wandb.Api().registry("models")
    assert not again.allow_all_artifact_types and again.artifact_types == ["model", "dataset"]
    with pytest.raises(ValueError, match="does not accept artifacts of type 'text'"):
        log(draft("notes", type="text")).link("registry-models/notes")
    again.allow_all_artifact_types = True
    again.save()
    assert log(draft("notes", type="text")).link("registry-models/notes").type == "text"
    assert wandb.Api().create_registry("closed", artifact_types=["model"]).allow_all_artifact_types is False


def test_a_registry_gets_another_name_description_and_visibility(here: Path) -> None:
    registry = wandb.Api().create_registry("models", "restricted", description="ours", artifact_types=["model"])
    link = model().link("registry-models/net", ["prod"])
    registry.name, registry.description, registry.visibility = "nets", "theirs", "organization"
    with pytest.raises(ValueError, match="Invalid visibility 'public'. Expected one of: organization, restricted"):
        registry.visibility = "public"
    registry.save()
    assert (registry.name, registry.full_name, registry.visibility) == ("nets", "registry-nets", "organization")
    assert (registry.description, registry.artifact_types) == ("theirs", ["model"])
    assert registry.updated_at is not None and registry.updated_at[:19] >= (registry.created_at or "")[:19]
    assert names(wandb.Api().registries()) == ["nets"]
    assert link.qualified_name == "local/registry-nets/net:v0"
    assert wandb.Api().artifact("registry-models/net:prod").qualified_name == "local/registry-nets/net:v0"
    wandb.Api().create_registry("taken")
    registry.name = "taken"
    with pytest.raises(ValueError, match="exists"):
        registry.save()


@pytest.fixture
def several(here: Path) -> list[Registry]:
    """Three registries, made in the order b, c, a; b and a have a collection with links to versions of two sizes."""
    made = [wandb.Api().create_registry(name, description=name * 2) for name in "bca"]
    small, large = model("1"), log(draft("model", "22222", type="model"))
    large.link("registry-b/y")
    small.link("registry-b/x")
    small.link("registry-a/z")
    large.link("registry-a/z")
    return made


@pytest.mark.parametrize(
    ("order", "found"), [(None, "abc"), ("name", "abc"), ("-name", "cba"), ("+name", "abc"), ("-updated_at", "acb")]
)
def test_registries_come_in_an_order(several: list[Registry], order: str | None, found: str) -> None:
    registries = wandb.Api().registries(order=order)
    if order != "-updated_at":
        assert "".join(names(registries)) == found
    assert sorted(names(wandb.Api().registries(order="created_at"))) == ["a", "b", "c"]


@pytest.mark.parametrize("order", ["size", "+", "--name", "name desc", "id"])
def test_an_order_that_is_none_is_an_error_everywhere(several: list[Registry], order: str) -> None:
    api = wandb.Api()
    asked: list[Any] = [
        api.registries, api.registry("a").collections, api.registries().collections, api.artifact_collections,
        api.artifact_type("model").collections, api.project("uncategorized").collections,
    ]  # fmt: skip
    for ask in asked:
        with pytest.raises(ValueError, match="Invalid order (string|field)"):
            ask(order=order)
    for ask in (api.registry("a").versions, api.registries().versions, api.registries().collections().versions):
        with pytest.raises(ValueError, match="Invalid order (string|field)"):
            ask(order="best")


def test_what_is_in_registries_that_have_an_order_comes_in_it(several: list[Registry]) -> None:
    api = wandb.Api()
    down = api.registries(order="-name")
    assert names(down.collections()) == ["x", "y", "z"]
    assert names(down.collections(order="-name")) == ["y", "x", "z"]
    assert names(api.registries().collections(order="-name")) == ["z", "y", "x"]
    assert specs(down.versions(order="-artifact_size")) == [
        "registry-b/y:v0", "registry-b/x:v0", "registry-a/z:v1", "registry-a/z:v0",
    ]  # fmt: skip
    assert specs(api.registries().versions(order="-linked_at")) == [
        "registry-a/z:v1", "registry-a/z:v0", "registry-b/x:v0", "registry-b/y:v0",
    ]  # fmt: skip
    by_collection = api.registry("b").collections(order="-name").versions(order="created_at")
    assert specs(by_collection) == ["registry-b/y:v0", "registry-b/x:v0"]
    for refused in (down.collections, down.versions, api.registries().collections(order="name").versions):
        with pytest.raises(ValueError, match="start='1' is not supported when querying"):
            refused(start="1")


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"name": "a"}, ["a"]), ({"name": "wandb-registry-a"}, ["a"]), ({"name": "registry-a"}, ["a"]),
        ({"name": {"$ne": "wandb-registry-a"}}, ["b", "c"]), ({"name": {"$in": ["wandb-registry-b", "c"]}}, ["b", "c"]),
        ({"name": {"$regex": "registry-[ab]$"}}, ["a", "b"]), ({"$not": {"name": "a"}}, ["b", "c"]),
        ({"description": "cc"}, ["c"]), ({"updated_at": {"$gte": "2020-01-01"}}, ["a", "b", "c"]),
    ],
)  # fmt: skip
def test_registries_are_found_by_their_full_names_too(
    several: list[Registry], filter: dict[str, Any], found: list[str]
) -> None:
    assert names(wandb.Api().registries(filter=filter)) == found


def test_collections_are_found_by_when_they_changed(several: list[Registry]) -> None:
    found = wandb.Api().registries().collections(filter={"updated_at": {"$gte": "2020-01-01"}})
    assert names(found) == ["z", "x", "y"] and all(one.updated_at for one in found)
    assert names(wandb.Api().registry("a").collections(filter={"updated_at": {"$lt": "2020-01-01"}})) == []


def test_types_and_names_are_checked_when_a_registry_is_saved(here: Path) -> None:
    registry = wandb.Api().create_registry("models", artifact_types=["model"])
    registry.artifact_types.append("data/set")
    assert registry.artifact_types.draft == ("data/set",)
    with pytest.raises(ValueError, match="Artifact types must not contain any of the following characters: '/', ':'"):
        registry.save()
    registry.load().artifact_types.append("dataset")
    registry.save()
    assert (registry.artifact_types, registry.artifact_types.draft) == (["model", "dataset"], ())
    registry.name = "p" * 200
    with pytest.raises(ValueError, match="must be 113 characters or less"):
        registry.save()
    for wrong, text in (("a:b", "Invalid project/registry name 'a:b'"), ("", "Registry name cannot be empty")):
        with pytest.raises(ValueError, match=text):
            wandb.Api().create_registry(wrong)
    with pytest.raises(ValueError, match="Artifact types must not contain"):
        wandb.Api().create_registry("other", artifact_types=["::///"])
