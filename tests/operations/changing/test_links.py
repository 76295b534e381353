"""Links and registries: a version that stands in a second collection shares what is said of it and outlives its source."""

import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.handles import opened
from artstore.domain.properties import Properties
from artstore.errors import ArtifactNotLoggedError, ArtstoreError, Conflict, InvalidValue, MissingObject, NotFound
from artstore.operations.changing import changes
from artstore.repository import Repository
from tests.conftest import Cli, check
from tests.support.artifacts import again, draft, log, paths, write
from tests.support.reader import Reader
from tests.support.together import begun, content, ended, in_threads

CHURN = "registry-models/churn"
LONG = "long " * 2000
"""Stored as a blob of its own, since it is over 4 KiB."""


def repository() -> Repository:
    return opened(str(Path(".artifacts").absolute()))


def model(text: str = "1", name: str = "model", **more: Any) -> wandb.Artifact:
    return log(draft(name, text, type="model", **more))


def linked(text: str = "1", target: str = CHURN, **more: Any) -> tuple[wandb.Artifact, wandb.Artifact]:
    source = model(text, **more)
    return source, source.link(target)


def edit(artifact: wandb.Artifact, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(artifact, name, value)
    artifact.save()


def specs(artifacts: Any) -> list[str]:
    return [f"{one.project}/{one.name}" for one in artifacts]


# -- numbers and aliases -------------------------------------------------------------------------------------------


def test_links_have_numbers_of_their_own_from_v0_and_aliases_of_their_own(here: Path) -> None:
    for text in "1234":
        model(text)
    first = again("model:v3").link(CHURN, aliases=["staging", "best"])
    second = again("model:v1").link(CHURN, aliases="staging")
    assert (first.name, second.name) == ("churn:v0", "churn:v1")
    assert again(f"{CHURN}:v0").aliases == ["best"]
    assert sorted(again(f"{CHURN}:v1").aliases) == ["latest", "staging"]
    assert again("model:v3").aliases == ["latest"]
    assert again(CHURN).source_qualified_name == "local/uncategorized/model:v1"
    with pytest.raises(NotFound):
        again("model:staging")
    edit(again("model:v1"), aliases=["mine"])
    assert sorted(again(f"{CHURN}:v1").aliases) == ["latest", "staging"]
    with pytest.raises(NotFound):
        again(f"{CHURN}:mine")


@pytest.mark.parametrize("side", ["source", "link"])
def test_tags_metadata_description_and_ttl_edited_on_one_side_show_on_the_other(here: Path, side: str) -> None:
    linked(metadata={"old": 1, "gone": 1}, description="old")
    names = {"source": "model", "link": CHURN}
    day = datetime.timedelta(days=1)
    one = again(names[side])
    del one.metadata["gone"]
    one.metadata["new"], one.metadata["long"] = {"acc": 0.5}, LONG
    edit(one, tags=["t"], description="new " * 2000, ttl=day)
    for name in names.values():
        read = again(name)
        assert read.metadata == {"old": 1, "new": {"acc": 0.5}, "long": LONG}
        assert (read.tags, read.description, read.ttl) == (["t"], "new " * 2000, day)
    assert content(again(CHURN)) == content(again("model"))
    assert again(CHURN).digest == again("model").digest
    repository().gc(now=True)
    assert again(CHURN).metadata["long"] == LONG


def test_edits_on_both_sides_of_different_keys_both_hold(here: Path) -> None:
    linked(metadata={"k": 0})
    source, link = again("model"), again(CHURN)
    source.metadata["source"], link.metadata["link"] = 1, 2
    source.tags, link.tags = ["s"], ["l"]
    source.save()
    link.save()
    for name in ("model", CHURN):
        assert again(name).metadata == {"k": 0, "source": 1, "link": 2}
        assert sorted(again(name).tags) == ["l", "s"]


# -- what is linked ------------------------------------------------------------------------------------------------


def test_a_collection_of_links_takes_one_type(here: Path) -> None:
    linked()
    other = log(draft("set", type="dataset"))
    with pytest.raises(Conflict, match="'churn' already exists with type 'model'"):
        other.link(CHURN)
    assert specs(again("set").linked_artifacts) == []
    assert len(wandb.Api().artifacts("model", CHURN)) == 1


def test_linking_a_draft_logs_it_first(here: Path) -> None:
    made = draft("model", type="model", metadata={"k": 1})
    link = made.link(CHURN, ["best"])
    assert (made.name, link.name, link.source_name) == ("model:v0", "churn:v0", "model:v0")
    with wandb.init(project="train", id="r") as run:
        link = run.link_artifact(draft("other", "2", type="model"), CHURN)
        assert (link.name, link.source_qualified_name) == ("churn:v1", "local/train/other:v0")
        assert specs(run.logged_artifacts()) == ["train/other:v0"]
    with wandb.init(mode="disabled") as run:
        assert run.link_artifact(draft("third", "3", type="model"), CHURN) is None
    assert len(wandb.Api().artifacts("model", CHURN)) == 2


def test_linking_twice_gives_the_same_link_and_adds_aliases(here: Path) -> None:
    source, link = linked()
    twice = source.link(CHURN, ["best"])
    assert (twice.name, sorted(twice.aliases)) == (link.name, ["best", "latest"])
    assert sorted(source.link(CHURN, ["other"]).aliases) == ["best", "latest", "other"]
    assert len(wandb.Api().artifacts("model", CHURN)) == 1
    assert specs(source.linked_artifacts) == ["registry-models/churn:v0"]


def test_a_link_to_a_link_is_one_to_its_source(here: Path) -> None:
    source, link = linked()
    second = link.link("registry-others/again", ["x"])
    assert (second.name, second.source_qualified_name) == ("again:v0", "local/uncategorized/model:v0")
    assert sorted(specs(again("model").linked_artifacts)) == ["registry-models/churn:v0", "registry-others/again:v0"]
    assert link.linked_artifacts == []
    link.unlink()
    assert content(again("registry-others/again:x")) == content(source)


def test_nothing_is_linked_where_versions_are_saved_and_nothing_saved_where_links_are(here: Path) -> None:
    source, link = linked()
    model("2", "own")
    with pytest.raises(Conflict, match="nothing is linked to it"):
        source.link("own")
    with pytest.raises(Conflict, match="own artifact"):
        source.link("model")
    source.link("links")
    for project, name in (("registry-models", "churn"), ("registry-models", "new"), (None, "links")):
        with pytest.raises(Conflict, match="for links: nothing is saved to it"):
            log(draft(name, "3", type="model"), project=project)
    with wandb.init(project="registry-models", group="g") as run, pytest.raises(Conflict, match="for links"):
        run.upsert_artifact(draft("churn", "4", type="model"))
    assert specs(wandb.Api().artifacts("model", "own")) == ["uncategorized/own:v0"]
    assert specs(wandb.Api().artifacts("model", "links")) == ["uncategorized/links:v0"]
    assert not wandb.Api().artifact_collection_exists("registry-models/new")
    assert not link.collection.is_sequence() and source.collection.is_sequence()


@pytest.mark.parametrize("target", ["a/b/c/d", "registry-models/churn:v0", "", "registry-models/", "bad/na:me", "a\nb"])
def test_a_target_that_is_no_collection_is_refused(here: Path, target: str) -> None:
    with pytest.raises(ValueError):
        model().link(target)


@pytest.mark.parametrize("alias", ["v1", "a/b", "", "a" * 129, "f" * 64])
def test_a_link_with_an_alias_that_is_not_allowed_is_not_made(here: Path, alias: str) -> None:
    with pytest.raises(ValueError):
        model().link(CHURN, ["good", alias])
    assert not wandb.Api().artifact_collection_exists(CHURN)


def test_link_and_unlink_of_what_they_are_not_for(here: Path) -> None:
    source = model()
    assert not draft("d").is_link
    with pytest.raises(Conflict, match="not a linked artifact"):
        source.unlink()
    with pytest.raises(ArtifactNotLoggedError):
        draft("d").unlink()
    with wandb.init() as run, pytest.raises(TypeError):
        run.link_artifact("model:v0", CHURN)


# -- registries ----------------------------------------------------------------------------------------------------


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


# -- deleting ------------------------------------------------------------------------------------------------------


def test_a_source_with_links_is_deleted_only_when_asked(here: Path, cli: Cli) -> None:
    source, _ = linked()
    model("2")
    with pytest.raises(Conflict, match="linked to registry-models/churn:v0"):
        source.delete()
    refused = cli("rm", "model:v0", cwd=here)
    assert refused.code != 0 and "registry-models/churn:v0" in refused.err
    assert cli("rm", "model", "--collection", cwd=here).code != 0
    assert again("model:v0").id == source.id
    source.delete(delete_aliases=True)
    with pytest.raises(NotFound):
        again("model:v0")
    assert content(again(CHURN)) == {"f": b"1"}


@pytest.mark.parametrize("way", ["delete", "rm", "collection", "rm --collection", "prune"])
def test_a_link_outlives_its_source_with_all_that_was_said_of_it(here: Path, cli: Cli, way: str) -> None:
    """Also what was said after the link was made, in its log or in blobs."""
    linked(metadata={"old": 1, "gone": 1, "first": LONG}, description="first " * 2000)
    edited = again("model")
    del edited.metadata["gone"]
    edited.metadata |= {"new": [1], "second": LONG + "2", "first": LONG + "1"}
    day = datetime.timedelta(days=400)
    edit(edited, tags=["t"], description="second " * 2000, ttl=day)
    newer = model("2")
    if way == "delete":
        again("model:v0").delete(delete_aliases=True)
    elif way == "rm":
        assert cli("rm", "model:v0", "--force", cwd=here).code == 0
    elif way == "collection":
        newer.collection.delete()
    elif way == "rm --collection":
        assert cli("rm", "model", "--collection", "--force", cwd=here).code == 0
    else:
        assert cli("prune", "model", "--keep-last", "1", "--force", cwd=here).code == 0
    repository().gc(now=True)
    link = again(f"{CHURN}:v0")
    assert link.metadata == {"old": 1, "new": [1], "second": LONG + "2", "first": LONG + "1"}
    assert (link.tags, link.description, link.ttl) == (["t"], "second " * 2000, day)
    assert (Path(link.download("out")) / "f").read_text() == "1"
    assert (link.is_link, link.source_name, link.source_version, link.source_project) == (
        True, "model:v0", "v0", "uncategorized",
    )  # fmt: skip
    tombstone = link.source_artifact
    assert (tombstone.id, tombstone.state) == (link.id, "DELETED")
    shown = json.loads(cli("registry", "ls", "models", "--json", cwd=here).out)
    assert "model:v0" in shown[0]["source"] and "deleted" in shown[0]["source"]
    link.metadata["later"] = LONG + "3"
    edit(link, tags=["t", "later"])
    repository().gc(now=True)
    assert again(CHURN).metadata["later"] == LONG + "3" and again(CHURN).tags == ["t", "later"]


def test_deleting_a_link_only_unlinks(here: Path, cli: Cli) -> None:
    source, link = linked()
    again("model").link("registry-b/one", ["prod"])
    link.delete()
    assert not wandb.Api().artifact_exists(CHURN)
    assert content(again("model")) == {"f": b"1"}
    unlinked = cli("unlink", "registry-b/one:prod", cwd=here)
    assert unlinked.code == 0 and "the linked version stays" in unlinked.out
    assert again("model").linked_artifacts == []
    source.delete()
    refused = cli("unlink", "model:v0", cwd=here)
    assert refused.code != 0


def test_what_was_unlinked_can_be_linked_again_or_undeleted(here: Path, cli: Cli) -> None:
    source, link = linked(metadata={"k": 1})
    link.unlink()
    edit(again("model"), metadata={"k": 2})
    repository().gc(now=True)
    back = source.link(CHURN, ["again"])
    assert back.metadata == {"k": 2} and "again" in back.aliases and content(back) == {"f": b"1"}
    back.unlink()
    assert cli("undelete", f"{CHURN}:{back.version}", cwd=here).code == 0
    assert again(f"{CHURN}:{back.version}").source_name == "model:v0"
    assert specs(again("model").linked_artifacts) == [f"registry-models/{back.name}"]


def test_a_source_that_was_deleted_and_brought_back_is_the_source_again(here: Path) -> None:
    source, _ = linked(metadata={"k": 1})
    source.delete(delete_aliases=True)
    repository().gc(now=True)
    repository().undelete("model:v0")
    edit(again("model"), metadata={"k": 2})
    assert again(CHURN).metadata == {"k": 2}
    assert specs(again("model").linked_artifacts) == ["registry-models/churn:v0"]


def test_a_version_whose_last_link_goes_too_is_freed(here: Path) -> None:
    source, link = linked("x" * 100_000)
    source.delete(delete_aliases=True)
    assert repository().gc(now=True).freed_bytes == 0
    link.unlink()
    assert repository().gc(now=True).freed_bytes > 100_000
    with pytest.raises((MissingObject, NotFound)):
        repository().undelete(f"{CHURN}:v0")


# -- other names ---------------------------------------------------------------------------------------------------


def test_renaming_the_source_or_the_links_keeps_them_together(here: Path, cli: Cli) -> None:
    linked(metadata={"k": 1})
    assert cli("mv", "model", "elsewhere/renamed", cwd=here).code == 0
    edit(again("elsewhere/renamed"), metadata={"k": 2})
    link = again(CHURN)
    assert link.metadata == {"k": 2} and link.source_artifact.qualified_name == "local/elsewhere/renamed:v0"
    assert cli("mv", CHURN, "registry-others/moved", cwd=here).code == 0
    assert specs(again("elsewhere/renamed").linked_artifacts) == ["registry-others/moved:v0"]
    edit(again("registry-others/moved"), metadata={"k": 3})
    assert again("elsewhere/renamed").metadata == {"k": 3}
    with pytest.raises(Conflict):
        again("elsewhere/renamed").delete()


def test_a_link_calls_its_source_by_the_name_that_it_has_now(here: Path, cli: Cli) -> None:
    linked()
    assert cli("mv", "model", "elsewhere/renamed", cwd=here).code == 0
    link = again(CHURN)
    told = (link.source_project, link.source_name, link.source_qualified_name)
    assert told == ("elsewhere", "renamed:v0", "local/elsewhere/renamed:v0")
    shown = json.loads(cli("show", f"{CHURN}:v0", "--json", cwd=here).out)
    assert shown["source"] == "local/elsewhere/renamed:v0"


def test_a_link_follows_its_source_when_the_old_name_is_saved_to_again(here: Path, cli: Cli) -> None:
    linked(metadata={"k": 1})
    assert cli("mv", "model", "renamed", cwd=here).code == 0
    log(draft("model", "another", type="model", metadata={"k": "another"}))
    edit(again("renamed:v0"), metadata={"k": 2})
    assert again(CHURN).metadata == {"k": 2}
    assert again(CHURN).source_artifact.qualified_name == "local/uncategorized/renamed:v0"


def test_moving_a_linked_version_to_another_artifact_leaves_the_link_whole(here: Path, cli: Cli) -> None:
    linked(metadata={"k": 1, "long": LONG})
    model("2")
    edited = again("model:v0")
    edited.metadata |= {"k": 2, "long": LONG + "2"}
    edit(edited, tags=["t"])
    moved = cli("mv", "model:v0", "other", cwd=here)
    repository().gc(now=True)
    link = again(CHURN)
    assert link.metadata == {"k": 2, "long": LONG + "2"} and link.tags == ["t"], moved


def test_a_copy_of_a_link_is_a_version_with_what_the_source_says_now(here: Path, cli: Cli) -> None:
    linked(metadata={"k": 1})
    edit(again("model"), metadata={"k": 2, "long": LONG}, tags=["t"])
    assert cli("cp", f"{CHURN}:v0", "copy", cwd=here).code == 0
    copy = again("copy")
    assert not copy.is_link and content(copy) == {"f": b"1"}
    assert (copy.metadata, copy.tags) == ({"k": 2, "long": LONG}, ["t"])


def test_moving_links_where_versions_are_or_versions_where_links_are_is_refused(here: Path, cli: Cli) -> None:
    linked()
    model("2", "other")
    for old, new in (("other", "registry-models/other"), ("other:v0", CHURN), ("other:v0", "registry-models/new")):
        for verb in ("mv", "cp"):
            done = cli(verb, old, new, cwd=here)
            assert done.code != 0 and "for links" in done.err, (verb, old, new, done)
    assert content(again("other")) == {"f": b"2"}
    assert [one.name for one in wandb.Api().registry("models").collections()] == ["churn"]


def test_a_draft_of_the_next_version_of_a_link_is_one_of_its_source(here: Path) -> None:
    """As W&B does it: nothing is logged to links."""
    _, link = linked(metadata={"k": 1})
    made = link.new_draft()
    log(write(made, g="2"))
    assert (made.qualified_name, paths(made), made.metadata) == (
        "local/uncategorized/model:v1", ["f", "g"], {"k": 1},
    )  # fmt: skip


# -- who uses what -------------------------------------------------------------------------------------------------


def test_a_run_that_uses_a_link_is_told_by_the_source_and_by_the_link(here: Path) -> None:
    linked()
    with wandb.init(id="reader", project="p") as run:
        used = run.use_artifact(f"{CHURN}:latest")
        assert used.name == "churn:v0"
    for name in (CHURN, "model"):
        assert [one.id for one in again(name).used_by()] == ["reader"]
    maker = again("model").logged_by()
    assert maker is not None and again(CHURN).logged_by().id == maker.id


def test_members_that_tell_of_the_source(here: Path) -> None:
    model("0")
    source, link = linked()
    told = (
        link.source_name, link.source_version, link.source_entity, link.source_project, link.source_qualified_name,
        link.source_artifact.id, link.source_collection.name,
    )  # fmt: skip
    assert told == (
        "model:v1", "v1", "local", "uncategorized", "local/uncategorized/model:v1", source.id, "model",
    )  # fmt: skip
    assert (source.source_name, source.source_version, source.is_link) == ("model:v1", "v1", False)
    assert source.source_artifact.id == source.id
    assert (link.name, link.version, link.project, link.collection.name) == (
        "churn:v0", "v0", "registry-models", "churn",
    )  # fmt: skip
    assert (link.id, link.digest, link.size, link.type) == (source.id, source.digest, source.size, "model")


# -- remotes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def nas(tmp_path: Path) -> Any:
    yield tmp_path / "nas"
    if (tmp_path / "nas/format").exists():
        check(tmp_path / "nas")


def clone_of(nas: Path, folder: Path) -> Repository:
    made, _ = Repository.clone(str(nas), str(folder / ".artifacts"))
    return made


def test_a_clone_has_links_with_what_their_sources_say(here: Path, nas: Path, tmp_path: Path) -> None:
    linked(metadata={"k": 1})
    wandb.Api().registry("models").save()
    wandb.Api().create_registry("empty", description="nothing yet")
    edit(again("model"), metadata={"k": 2, "long": LONG}, tags=["t"])
    repository().remotes.add("nas", str(nas), make=True)
    repository().push("nas")
    with clone_of(nas, tmp_path / "clone") as clone:
        found = clone.find(f"{CHURN}:v0")
        assert clone.properties(found)[1] == {"k": 2, "long": LONG}
        assert clone.lookup.source(found).spec == "local/uncategorized/model:v0"
        assert clone.registry("local", "registry-empty").description == "nothing yet"
        clone.edit(f"{CHURN}:v0", Properties(metadata={"k": 3}))
        assert clone.properties(clone.find("model"))[1]["k"] == 3
        clone.push()
    repository().pull("nas")
    assert again(CHURN).metadata["k"] == 3 and again("model").metadata["k"] == 3
    check(tmp_path / "clone/.artifacts")


def test_a_link_that_is_pushed_without_its_source_works_there(here: Path, nas: Path, tmp_path: Path, cli: Cli) -> None:
    linked(metadata={"k": 1, "long": LONG})
    repository().remotes.add("nas", str(nas), make=True)
    repository().push("nas", [CHURN])
    folder = tmp_path / "clone"
    with clone_of(nas, folder) as clone:
        found = clone.find(f"{CHURN}:v0")
        assert clone.properties(found)[1] == {"k": 1, "long": LONG}
        with pytest.raises(NotFound):
            clone.find("model")
    got = cli("get", f"{CHURN}:v0", "--root", "out", cwd=folder)
    assert got.code == 0 and (folder / "out/f").read_text() == "1"
    shown = cli("registry", "ls", "models", cwd=folder)
    assert shown.code == 0 and "model:v0" in shown.out
    check(folder / ".artifacts")


def test_links_and_edits_of_both_sides_meet(here: Path, nas: Path, tmp_path: Path) -> None:
    model(metadata={"k": 0})
    repository().remotes.add("nas", str(nas), make=True)
    repository().push("nas")
    with clone_of(nas, tmp_path / "clone") as clone:
        clone.link(clone.find("model:v0"), CHURN, ("theirs",))
        clone.edit(f"{CHURN}:v0", Properties(metadata={"theirs": 1}))
        clone.push()
        again("model").link(CHURN, ["ours"])
        edit(again(CHURN), metadata={"k": 0, "ours": 1})
        repository().pull("nas")
        repository().push("nas")
        clone.pull()
        for one in (clone, repository()):
            assert [v["number"] for v in one.collection(CHURN).live()] == [0]
            assert sorted(one.collection(CHURN).aliases) == ["ours", "theirs"]
            for name in (CHURN, "model"):
                assert one.properties(one.find(name))[1] == {"k": 0, "ours": 1, "theirs": 1}
    check(tmp_path / "clone/.artifacts")


def test_a_source_that_was_deleted_elsewhere_leaves_links_here_whole(here: Path, nas: Path, tmp_path: Path) -> None:
    """The clone deletes a version that has no link there; here it has one that nobody was told of."""
    model(metadata={"k": 1})
    model("2")
    repository().remotes.add("nas", str(nas), make=True)
    repository().push("nas")
    with clone_of(nas, tmp_path / "clone") as clone:
        clone.delete("model:v0")
        clone.push()
    again("model:v0").link(CHURN)
    edit(again("model:v0"), metadata={"k": 2, "long": LONG}, tags=["t"])
    repository().pull("nas")
    with pytest.raises(NotFound):
        again("model:v0")
    repository().gc(now=True)
    link = again(CHURN)
    assert (link.metadata, link.tags) == ({"k": 2, "long": LONG}, ["t"])
    assert content(link) == {"f": b"1"}


# -- what gc, fsck and the reader see ------------------------------------------------------------------------------


def test_links_are_roots_for_gc_fsck_and_the_reader(here: Path) -> None:
    source, _ = linked("x" * 5000, metadata={"long": LONG})
    source.delete(delete_aliases=True)
    repository().gc(now=True)
    state = Reader(Path(".artifacts")).state("local", "registry-models", "churn")
    assert state["versions"][0]["source"]["name"] == "model" and state["versions"][0]["live"]
    assert len(list(Reader(Path(".artifacts")).files(state["versions"][0]["id"]))) == 1
    assert repository().fsck().versions == 1


@pytest.mark.damaged
def test_fsck_tells_of_a_link_whose_content_is_gone(here: Path) -> None:
    source, _ = linked()
    source.delete(delete_aliases=True)
    for pack in Path(".artifacts/objects/packs").iterdir():
        pack.chmod(0o600)
        pack.unlink()
    with Repository(str(Path(".artifacts").absolute())) as fresh:
        assert any("churn" in problem for problem in fresh.fsck().problems)


# -- at one moment -------------------------------------------------------------------------------------------------


def _until(seconds: float, call: Callable[[int], Any]) -> None:
    """A process's loop: what others did meanwhile may refuse a call, nothing else may go wrong."""
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            call(turn)
        except (Conflict, NotFound, MissingObject):
            pass
        turn += 1


def _link(root: str, seconds: float) -> None:
    with Repository(root) as one:
        _until(seconds, lambda turn: one.link(one.find("model:best"), f"registry-models/churn{turn % 3}", ("x",)))


def _unlink(root: str, seconds: float) -> None:
    with Repository(root) as one:
        _until(seconds, lambda turn: one.unlink(f"registry-models/churn{turn % 3}"))


def _delete_and_save(root: str, seconds: float) -> None:
    def turn_over(turn: int) -> None:
        draft = one.draft()
        with draft:
            draft.add_bytes(f"{turn % 4}".encode() * 3000, "f")
            saved = draft.save(one.path_of("model")[0], type="model", properties=Properties(("best",)))
        one.edit(f"model:v{saved.number}", Properties(metadata={"n": turn, "long": LONG + str(turn)}))
        if saved.number:
            before = one.collection("model").live()[0]
            one.delete(f"model:v{before['number']}", delete_aliases=bool(turn % 2))

    with Repository(root) as one:
        _until(seconds, turn_over)


def _collect(root: str, seconds: float) -> None:
    with Repository(root) as one:
        _until(seconds, lambda _: one.gc(now=True))


def test_linking_unlinking_deleting_and_collecting_at_once_leave_every_link_whole(here: Path) -> None:
    model("0")
    repository().set_aliases("model:v0", ("best",))
    root = str(here / ".artifacts")
    workers = [_link, _link, _unlink, _delete_and_save, _delete_and_save, _collect]
    assert ended(begun(*[(work, root, 4.0) for work in workers])) == [0] * len(workers)
    with Repository(root) as one:
        assert one.fsck().problems == []
        for state in one.collections("local", "registry-models"):
            for version in state.live():
                found = one.find(f"{state.path}:v{version['number']}")
                assert {path for path, _ in one.walk(found.tree)} == {b"f"}
                one.properties(found)
                text = b"".join(one.content(one.entry(found, "f")))
                assert text == b"0" or len(set(text)) == 1


def test_of_a_forced_delete_and_links_at_one_moment_every_link_that_was_made_works(here: Path) -> None:
    for turn in range(8):
        source = model(f"{turn}", f"model{turn}", metadata={"turn": turn})
        name = str(here / ".artifacts")

        def link(name: str, turn: int, target: str) -> str:
            with Repository(name) as one:
                return one.link(one.find(f"model{turn}:v0"), f"registry-race/{target}{turn}").spec

        def delete(source: wandb.Artifact) -> None:
            source.delete(delete_aliases=True)

        results = in_threads((link, name, turn, "a"), (delete, source), (link, name, turn, "b"))
        assert results[1] is None, results
        for result in (results[0], results[2]):
            assert isinstance(result, (str, NotFound)), results
            if isinstance(result, str):
                repository().gc(now=True)
                assert again(result).metadata == {"turn": turn}
                assert content(again(result)) == {"f": f"{turn}".encode()}


@pytest.mark.parametrize("force", [False, True])
def test_a_link_made_while_its_source_is_deleted_loses_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    """Made, and edited by its source, after the deleter looked for links and before the deletion is written."""
    source = model(metadata={"k": 1})
    real, calls = changes.deletion, []

    def deletion(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            with Repository(str(here / ".artifacts")) as other:
                other.link(other.find("model:v0"), CHURN)
                other.edit("model:v0", Properties(metadata={"k": 2, "long": LONG}))
        return real(*args)

    monkeypatch.setattr(changes, "deletion", deletion)
    try:
        source.delete(delete_aliases=force)
    except Conflict:
        assert not force and again("model").metadata["k"] == 2
    repository().gc(now=True)
    assert again(CHURN).metadata == {"k": 2, "long": LONG}
    assert content(again(CHURN)) == {"f": b"1"}


def test_a_failed_link_leaves_no_trace(here: Path) -> None:
    source = model()
    log(draft("set", type="dataset")).link("registry-models/set")
    before = {p: p.read_bytes() for p in Path(".artifacts/refs").rglob("*.json")}
    for target in ("registry-models/set", "model", "registry-models/x:v1"):
        with pytest.raises((ArtstoreError, InvalidValue)):
            source.link(target, ["a"])
    assert {p: p.read_bytes() for p in Path(".artifacts/refs").rglob("*.json")} == before
