"""How a collection stands to its remotes, without asking them, and versions that only a remote has."""

from pathlib import Path

import pytest

from artstore.domain.properties import Properties
from artstore.errors import NotFound
from artstore.repository import Repository
from artstore.sync.remotes import Divergence
from tests.support.exchange import got, put, refs_of


def test_how_a_collection_stands_to_each_remote_is_known_without_asking(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    def apart(repository: Repository) -> list[Divergence]:
        return repository.remotes.apart(repository.collection("a"))

    put(anna, "a", {"f": "0"})
    assert apart(anna) == [], "no remote has heard of it"
    anna.push()
    assert apart(anna) == [Divergence("nas", 0, 0, 0)]
    put(anna, "a", {"f": "1"})
    put(anna, "a", {"f": "2"})
    anna.edit("a:v0", Properties(metadata={"k": 1}))
    assert apart(anna) == [Divergence("nas", 2, 0, 1)]
    bob.pull()
    anna.push()
    assert apart(anna) == [Divergence("nas", 0, 0, 0)] and apart(bob) == [Divergence("nas", 0, 0, 0)]
    bob.fetch()
    assert apart(bob) == [Divergence("nas", 0, 2, 0)]
    put(bob, "a", {"f": "his"})
    assert apart(bob) == [Divergence("nas", 1, 2, 0)], "also while numbers clash"
    aside = nas.rename(tmp_path / "aside")
    assert apart(bob) == [Divergence("nas", 1, 2, 0)]
    aside.rename(nas)
    bob.pull()
    assert apart(bob) == [Divergence("nas", 1, 0, 0)]
    bob.push()
    assert apart(bob) == [Divergence("nas", 0, 0, 0)]


def test_what_only_a_remote_has_is_named_with_the_command_that_gets_it(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", {"f": "0"}, aliases=("prod",))
    put(anna, "p/b", {"f": "0"})
    anna.push()
    with pytest.raises(NotFound, match="there is no artifact 'a'"):
        bob.find("a")
    bob.fetch()
    assert refs_of(bob) == {}, "nothing was taken over"
    for spec, hint in {
        "a": "`artstore pull nas a` gets it",
        "a:prod": "`artstore pull nas a:prod` gets it",
        "a:v0": "`artstore pull nas a:v0` gets it",
        "p/b": "`artstore pull nas p/b` gets it",
        "local/p/b:latest": "`artstore pull nas p/b:latest` gets it",
    }.items():
        with pytest.raises(NotFound, match="is not here, but at remote 'nas'") as caught:
            bob.find(spec)
        assert caught.value.hint == hint
    with pytest.raises(NotFound, match="there is no artifact 'c'"):
        bob.find("c")
    assert [str(path) for path in bob.remotes.only_there("nas")] == ["local/p/b", "local/uncategorized/a"]
    bob.pull("nas", ["a"])
    assert bob.find("a:prod").version["number"] == 0
    put(anna, "a", {"f": "1"})
    anna.push()
    bob.fetch()
    with pytest.raises(NotFound) as caught:
        bob.find("a:v1")
    assert caught.value.hint == "`artstore pull nas a:v1` gets it"


@pytest.mark.parametrize("spec", ["a:v0", "a:prod", "a"])
def test_what_was_deleted_here_and_is_still_at_a_remote_names_undelete_and_not_pull(
    anna: Repository, nas: Path, spec: str
) -> None:
    put(anna, "a", {"f": "0"}, aliases=("prod",))
    anna.push()
    anna.delete("a:v0", delete_aliases=True)
    assert [moved.outcome for moved in anna.pull().collections] == ["up to date"], "a pull doesn't bring it back"
    with pytest.raises(
        NotFound, match=r"a:v0 was deleted here on \d{4}-\d\d-\d\d; remote 'nas' still has it"
    ) as caught:
        anna.find(spec)
    assert caught.value.hint is not None and caught.value.hint.startswith("`artstore undelete a:v0` brings it back")
    assert f"`artstore get --from nas {spec}` gets its files" in caught.value.hint
    anna.undelete("a:v0")
    assert anna.find("a").number == 0


def test_a_deleted_artifact_names_the_command_that_brings_it_back(anna: Repository) -> None:
    put(anna, "big", {"f": "0"})
    anna.delete_collection("big")
    with pytest.raises(NotFound, match=r"artifact 'big' was deleted on \d{4}") as caught:
        anna.find("big")
    assert caught.value.hint is not None and "`artstore undelete big` may bring it back" in caught.value.hint
    anna.undelete_collection("big")
    assert anna.find("big").number == 0


def test_with_auto_fetch_what_a_remote_has_is_pulled_when_it_is_used(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", {"f": "0"}, aliases=("prod",))
    put(anna, "a", {"f": "1"})
    put(anna, "p/b", {"f": "b"})
    anna.push()
    bob.settings.set("core.auto_fetch", "true")
    assert bob.find("a:prod").version["number"] == 0
    assert [version["number"] for version in bob.collection("a").live()] == [0], "only what was asked for"
    assert bob.find("a@" + anna.find("a:v1").version["id"][:12]).version["number"] == 1
    assert got(bob, "p/b") == got(anna, "p/b")
    with pytest.raises(NotFound, match="there is no artifact 'c'"):
        bob.find("c")
    with pytest.raises(NotFound, match="has no version v9"):
        bob.find("a:v9")
    nas.rename(tmp_path / "away")
    with pytest.raises(NotFound, match="there is no artifact 'c'"):
        bob.find("c")
    (tmp_path / "away").rename(nas)
