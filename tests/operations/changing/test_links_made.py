"""Links: what may be linked, their numbers, aliases and names, and who uses what."""

import datetime
import json
from pathlib import Path

import pytest

import artstore as wandb
from artstore.errors import ArtifactNotLoggedError, Conflict, NotFound
from tests.support.artifacts import again, draft, log, paths, write
from tests.support.commands import Cli
from tests.support.links import CHURN, LONG, edit, linked, model, repository, specs
from tests.support.together import content

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
    edit(one, tags=["t"], description="new " * 2000)
    edit(again("model"), ttl=day)
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
    with pytest.raises(Conflict, match="churn already exists with type 'model'"):
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
        run.link_artifact(draft("third", "3", type="model"), CHURN)
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
