"""Links outlive their sources: after deletion, at remotes, under gc, and in races."""

import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.domain.properties import Properties
from artstore.errors import ArtstoreError, Conflict, InvalidValue, MissingObject, NotFound
from artstore.operations.changing import changes
from artstore.repository import Repository
from tests.support.artifacts import again, draft, log
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.links import CHURN, LONG, edit, linked, model, repository, specs
from tests.support.marks import mostly_long
from tests.support.reader import Reader
from tests.support.together import begun, content, ended, in_threads

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
        assert cli("prune", "model", "--keep", "last:1", "--force", cwd=here).code == 0
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
    source.delete(delete_aliases=True)
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


@pytest.mark.parametrize("seconds", mostly_long([1.0, 4.0], 1.0))
def test_linking_unlinking_deleting_and_collecting_at_once_leave_every_link_whole(here: Path, seconds: float) -> None:
    model("0")
    repository().set_aliases("model:v0", ("best",))
    root = str(here / ".artifacts")
    workers = [_link, _link, _unlink, _delete_and_save, _delete_and_save, _collect]
    assert ended(begun(*[(work, root, seconds) for work in workers])) == [0] * len(workers)
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
    model(metadata={"k": 1})
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
        repository().delete("model:v0", delete_aliases=force)
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


def test_a_link_names_its_source_by_the_number_that_a_pull_gave_it_even_when_it_is_deleted(
    here: Path, tmp_path: Path
) -> None:
    with Repository.init(str(tmp_path / "bob/.artifacts")) as bob:
        bob.remotes.add("nas", str(tmp_path / "nas"), make=True)
        bob.put(str(make_tree(tmp_path / "theirs", {"f": "theirs"})), "model", type="model")
        bob.push("nas")
    link = linked("mine")[1]
    repository().remotes.add("nas", str(tmp_path / "nas"))
    repository().pull("nas")
    names = (link.source_name, link.source_version, link.source_qualified_name)
    assert names == ("model:v1", "v1", "local/uncategorized/model:v1")
    repository().delete("model:v1", delete_aliases=True)
    assert (link.source_name, link.source_version, link.source_qualified_name) == names
    assert link.source_artifact.name == "model:v1"
