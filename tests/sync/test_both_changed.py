"""Both sides changed a collection: numbers, aliases, edits, deletions and names after a push and a pull."""

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from artstore.api.query import Api
from artstore.backends.storage import FolderStorage
from artstore.domain.properties import Properties
from artstore.errors import Conflict, InvalidValue, NotFound
from artstore.operations.finding.lookup import RenumberedWarning
from artstore.repository import Repository
from artstore.store.logs import CHECKPOINT_EVERY
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.exchange import FILES, only, outcomes, put, refs_of, says

# -- numbers and what both changed ---------------------------------------------------------------


def both_make_v1(anna: Repository, bob: Repository) -> tuple[str, str]:
    """The ids of two versions `a:v1`: hers, which is pushed, and his."""
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    theirs = put(anna, "a", {"f": "hers"})
    anna.push()
    return theirs, put(bob, "a", {"f": "his"})


def test_versions_of_ours_move_behind_theirs_and_every_old_number_is_told(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    theirs = put(anna, "a", {"f": "hers"})
    anna.push()
    first, second = put(bob, "a", {"f": "his 1"}, aliases=("his",)), put(bob, "a", {"f": "his 2"})
    refused = bob.push()
    ((moved),) = refused.refused
    assert str(moved.problem) == "a:v1 is another version at the remote than here"
    assert (
        isinstance(moved.problem, Conflict) and "pull" in str(moved.problem.hint) and "nas" in str(moved.problem.hint)
    )
    moved = only(bob.pull())
    assert moved.renumbered == ((1, 2), (2, 3)) and moved.versions == ("a:v1",)
    assert {id: n for id, n in says(bob)["versions"].items() if n} == {theirs: 1, first: 2, second: 3}
    assert bob.find("a:his").version["number"] == 2
    with pytest.warns(
        RenumberedWarning, match="a:v1 was renumbered by a pull: it is v2 now, and v1 is another version"
    ):
        assert bob.find("a:v1").version["id"] == theirs
    assert only(bob.push()).versions == ("a:v2", "a:v3")
    anna.pull()
    assert says(anna) == says(bob) == says(nas)


def test_a_number_that_a_pull_gave_to_another_version_changes_neither(
    anna: Repository, bob: Repository, cli: Cli, nas: Path
) -> None:
    theirs, ours = both_make_v1(anna, bob)
    bob.pull()
    before = says(bob)
    for command in (
        ("rm", "a:v1"), ("rm", "a:v1", "--force"), ("mv", "a:v1", "b"), ("cp", "a:v1", "b"), ("alias", "a:v1", "prod"),
        ("tag", "a:v1", "good"), ("edit", "a:v1", "--ttl", "1d"), ("edit", "a:v1", "--set", "x=1"),
        ("link", "a:v1", "reg/a"), ("unlink", "a:v1"), ("lock", "a:v1"),
    ):  # fmt: skip
        told = cli(*command, cwd=Path(bob.root).parent)
        assert told.code == 5 and told.err == (
            "error: a:v1 is another version since a pull: the one that had this number is v2 now\n"
            f"hint: a@{theirs[:12]} names the one that has it now, a@{ours[:12]} the other one\n"
        )
    assert not (Path(bob.root).parent / "artstore.lock").exists() and [*bob.collections("local", "reg")] == []
    assert says(bob) == before and set(before["live"]) > {theirs, ours}
    bob.set_aliases("a:v2", ("prod",))
    bob.set_aliases("a:v2", remove=("prod",))
    bob.delete("a:v2")
    assert ours not in says(bob)["live"] and theirs in says(bob)["live"]
    bob.delete(f"a@{theirs[:12]}")
    assert theirs not in says(bob)["live"]
    bob.delete("a:v0")


def test_an_artifact_found_by_a_number_of_another_version_before_a_pull_is_not_changed_in_python(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    theirs, ours = both_make_v1(anna, bob)
    api = Api(repository=bob.root)
    early = api.artifact("a:v1")
    bob.pull()
    with pytest.warns(RenumberedWarning):
        late = api.artifact("a:v1")
    late.ttl = timedelta(days=1)
    for change in (
        late.save,
        late.delete,
        partial(late.delete, delete_aliases=True),
        late.unlink,
        partial(late.link, "reg/a"),
    ):
        with pytest.raises(Conflict, match="a:v1 is another version since a pull") as refused:
            change()
        assert refused.value.hint == f"a@{theirs[:12]} names the one that has it now, a@{ours[:12]} the other one"
    assert theirs in says(bob)["live"] and bob.find("a").id == ours
    early.delete(delete_aliases=True)
    assert ours not in says(bob)["live"] and theirs in says(bob)["live"]
    api.artifact(f"a@{theirs[:12]}").delete(delete_aliases=True)
    assert theirs not in says(bob)["live"]


def test_an_old_number_that_nobody_took_leads_to_the_version_that_had_it(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    for n in range(3):
        put(anna, "a", {"f": f"hers {n}"})
    anna.push("nas", ["a:v0"])
    anna.push("nas", ["a:v2"])
    ours = [put(bob, "a", {"f": "his 0"}), put(bob, "a", {"f": "his 1"})]
    assert only(bob.pull()).renumbered == ((0, 3), (1, 4))
    with pytest.warns(RenumberedWarning, match="a:v1 was renumbered by a pull: it is v4 now"):
        assert bob.find("a:v1").version["id"] == ours[1], "a script's a:v1 goes on to mean what it meant"
    with pytest.warns(RenumberedWarning, match="is v3 now, and v0 is another version"):
        assert bob.find("a:v0").version["id"] == anna.find("a:v0").version["id"]


def test_a_refused_collection_does_not_keep_the_others_back(anna: Repository, bob: Repository) -> None:
    put(anna, "a", {"f": "hers"})
    anna.push()
    put(bob, "a", {"f": "his"})
    put(bob, "b", {"f": "his"})
    done = bob.push()
    assert outcomes(done) == {"a": "refused", "b": "moved"}
    assert outcomes(anna.pull()) == {"a": "up to date", "b": "moved"}


def test_an_alias_that_both_moved_stays_as_it_is_there_and_ours_is_told_once(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    for n in range(3):
        put(anna, "a", {"f": str(n)})
    anna.set_aliases("a:v0", ("prod",))
    anna.push()
    bob.pull()
    anna.set_aliases("a:v1", ("prod",))
    anna.push()
    bob.set_aliases("a:v2", ("prod",))
    moved = only(bob.push())
    assert moved.declined == ("alias 'prod': theirs stays (v1)",) and moved.outcome == "up to date"
    assert only(bob.push()).declined == ()
    assert says(nas)["aliases"] == {"prod": 1} and says(bob)["aliases"] == {"prod": 2}
    assert only(bob.pull()).declined == ()
    assert says(bob) == says(nas) == says(anna)


def test_what_a_push_declined_reads_as_there_after_a_pull_though_no_log_has_moved_since_the_last_one(
    anna: Repository, bob: Repository
) -> None:
    put(anna, "a", FILES)
    put(anna, "a", {"f": "2"})
    anna.push()
    bob.pull()
    bob.delete("a:v0")
    anna.set_aliases("a:v0", ("x",))
    anna.push()
    for _ in range(2):
        bob.pull()
    assert only(bob.push()).declined == ("v0 is not deleted: an alias holds it there",)
    bob.pull()
    assert says(bob) == says(anna)


def test_a_push_of_all_reads_the_newest_entry_of_what_was_level_and_has_not_moved(
    anna: Repository, bob: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        put(anna, name, FILES)
    for _ in range(2):
        anna.push()
        bob.pull()
    put(anna, "b", {"f": "2"})
    read: list[str] = []
    reading = FolderStorage.read

    def noting(storage: FolderStorage, path: str, *args: int) -> bytes:
        read.append(path)
        return reading(storage, path, *args)

    with monkeypatch.context() as noted:
        noted.setattr(FolderStorage, "read", noting)
        assert outcomes(anna.push()) == {"a": "up to date", "b": "moved"}
    ours = [path for path in read if path.startswith("refs/") and path.endswith(".json")]
    assert [path for path in ours if path.split("/")[3] == "a"] == ["refs/local/uncategorized/a/00000001.json"]
    assert outcomes(bob.pull()) == {"a": "up to date", "b": "moved"}
    assert outcomes(bob.push()) == {"a": "up to date", "b": "up to date"}
    assert says(bob, "b") == says(anna, "b")


def test_a_push_and_a_pull_of_a_long_log_read_what_came_since_the_last_checkpoint(
    anna: Repository, bob: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(anna, "a", FILES)
    for n in range(2 * CHECKPOINT_EVERY):
        anna.set_tags("a:v0", (f"t{n}",))
    anna.push()
    bob.pull()
    put(anna, "a", {"f": "2"})
    reading = FolderStorage.read

    def entries_read(act: Callable[[], object]) -> int:
        """Entries of a collection's log that are read, here, in our copies of the remote's and there."""
        read: list[str] = []

        def noting(storage: FolderStorage, path: str, *args: int) -> bytes:
            read.append(path)
            return reading(storage, path, *args)

        with monkeypatch.context() as noted:
            noted.setattr(FolderStorage, "read", noting)
            act()
        return sum("refs/" in path and path.endswith(".json") for path in read)

    assert entries_read(anna.push) < 25
    assert entries_read(bob.pull) < 25
    assert bob.find("a").version["id"] == anna.find("a").version["id"]
    assert outcomes(anna.push()) == outcomes(bob.pull()) == {"a": "up to date"}


def test_a_log_that_was_put_back_to_an_older_one_and_goes_on_otherwise_is_not_taken_for_the_same(
    anna: Repository, bob: Repository, tmp_path: Path
) -> None:
    """Entries of an older backup of refs/, and as many new ones as were lost: what was noted of their numbers isn't true."""
    put(anna, "a", FILES)
    shutil.copytree(os.path.join(anna.storage.root, "refs"), tmp_path / "backup")
    anna.set_tags("a:v0", ("lost",))
    anna.push()
    shutil.rmtree(os.path.join(anna.storage.root, "refs"))
    shutil.copytree(tmp_path / "backup", os.path.join(anna.storage.root, "refs"))
    put(anna, "a", {"f": "new"})
    assert outcomes(anna.push()) == {"a": "moved"}
    anna.pull()
    bob.pull()
    assert says(bob) == says(anna) and bob.find("a").version["number"] == 1
    assert bob.find("a:v0").version["tags"] == ["lost"]


def test_edits_of_different_things_on_both_sides_all_survive(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"}, metadata={"k": 1})
    anna.push()
    bob.pull()
    anna.edit("a", Properties(metadata={"hers": "x" * 9000}, tags=("hers",), aliases=("hers",)))
    bob.edit("a", Properties(metadata={"his": "y" * 9000}, tags=("his",), aliases=("his",), description="z" * 9000))
    anna.push()
    bob.pull()
    bob.push()
    anna.pull()
    assert says(bob) == says(nas) == says(anna)
    description, metadata = anna.properties(anna.find("a"))
    assert metadata == {"k": 1, "hers": "x" * 9000, "his": "y" * 9000} and description == "z" * 9000


def test_long_values_that_are_told_later_than_their_version_come_along(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    anna.edit("a", Properties(metadata={"k": "x" * 9000}, description="d" * 9000))
    assert anna.push().objects == 2
    assert bob.pull().objects == 2
    assert bob.properties(bob.find("a")) == ("d" * 9000, {"k": "x" * 9000})


def test_true_and_one_are_two_values_for_a_push(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"}, metadata={"k": 1})
    anna.push()
    bob.pull()
    anna.edit("a", Properties(metadata={"k": True}))
    anna.push()
    bob.pull()
    assert bob.properties(bob.find("a"))[1]["k"] is True


def test_a_deletion_and_the_deletion_of_a_collection_arrive(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"})
    put(anna, "a", {"f": "1"})
    put(anna, "b", {"f": "2"})
    anna.push()
    bob.pull()
    anna.delete("a:v0")
    anna.delete_collection("b")
    anna.push()
    bob.pull()
    assert [state.path.name for state in bob.collections()] == ["a"]
    with pytest.raises(NotFound, match="a:v0 was deleted"):
        bob.find("a:v0")
    anna.undelete_collection("b")
    anna.push()
    bob.pull()
    assert says(bob, "b") == says(nas, "b") == says(anna, "b")


def test_who_made_a_version_is_kept_on_the_way(
    anna: Repository, bob: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    put(anna, "a", {"f": "0"})
    made = anna.find("a").version
    monkeypatch.setenv("LOGNAME", "bob")
    anna.push()
    bob.pull()
    found = bob.find("a").version
    assert found["user"] == "anna" and found == made
    (entry,) = bob.history("a")
    assert entry.user == "bob", "the entry says who pulled"


def test_two_remotes_get_the_same_and_the_first_one_decides_the_numbers(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    anna.remotes.add("backup", str(tmp_path / "backup"), make=True)
    put(anna, "a", FILES)
    anna.push("nas")
    assert only(anna.push("backup")).versions == ("a:v0",)
    bob.pull()
    put(bob, "a", {"f": "his"})
    bob.push()
    ours = put(anna, "a", {"f": "hers"})
    anna.push("backup")
    assert only(anna.pull("nas")).renumbered == ((1, 2),)
    anna.push("nas")
    assert says(nas) == says(anna)
    before = refs_of(anna)
    done = anna.pull("backup")
    assert [str(moved.problem) for moved in done.refused] == ["a:v1 is another version at the remote than here"], (
        "backup has it as v1: a number that is there is final"
    )
    assert "cp" in str(done.refused[0].problem.hint)  # type: ignore[union-attr]
    assert refs_of(anna) == before and says(tmp_path / "backup")["versions"][ours] == 1
    check(tmp_path / "backup")


def test_a_refused_push_to_what_is_not_the_upstream_gives_no_hint_that_fails(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path
) -> None:
    anna.remotes.add("backup", str(tmp_path / "backup"), make=True)
    put(anna, "a", {"f": "0"})
    anna.push("nas")
    put(anna, "a", {"f": "hers"})
    anna.push("backup")
    bob.pull()
    put(bob, "a", {"f": "his"})
    bob.push()
    anna.pull("nas")
    (moved,) = anna.push("backup").refused
    assert "pull" not in str(moved.problem and moved.problem.hint), "a pull from there is refused"


def test_which_remote_is_meant_is_asked_when_there_are_several(anna: Repository, tmp_path: Path) -> None:
    anna.remotes.add("backup", str(tmp_path / "backup"), make=True)
    with pytest.raises(InvalidValue, match="there are several remotes: nas, backup"):
        anna.push()
    anna.remotes.add("origin", str(tmp_path / "origin"), make=True)
    assert anna.push().remote == "origin"
    with (
        pytest.raises(NotFound, match="this repository has no remote"),
        Repository.init(str(tmp_path / "x/.artifacts")) as x,
    ):
        x.push()


# -- renames -------------------------------------------------------------------------------------


def test_a_collection_renamed_before_its_first_push_is_there_under_its_new_name(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "old", {"f": "0"}, aliases=("x",))
    anna.rename("old", "new")
    put(anna, "new", {"f": "1"})
    assert outcomes(anna.push()) == {"new": "moved"}
    bob.pull()
    assert says(bob, "new") == says(nas, "new") == says(anna, "new")
    assert outcomes(anna.push()) == {"new": "up to date"} and outcomes(bob.pull()) == {"new": "up to date"}


def test_a_collection_renamed_after_a_push_goes_on_under_its_new_name(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "old", {"f": "0"})
    anna.push()
    bob.pull()
    anna.rename("old", "new")
    put(anna, "new", {"f": "1"})
    anna.push()
    anna.pull()
    assert says(nas, "new") == says(anna, "new")
    put(bob, "old", {"f": "his"})
    bob.push()
    assert not bob.pull().refused
    with pytest.warns(RenumberedWarning, match="is v2 now, and v1 is another version"):
        assert bob.find("new:v1").version["id"] == anna.find("new:v1").version["id"]
    before = anna.find("new:v1").version["id"]
    anna.pull()
    assert anna.find("new:v1").version["id"] == before, "a number that was pushed is final"


def test_a_collection_renamed_there_can_be_followed_with_the_command_of_the_hint(anna: Repository, nas: Path) -> None:
    put(anna, "old", {"f": "0"})
    anna.push()
    with Repository(str(nas)) as there:
        there.rename("old", "new")
    put(anna, "old", {"f": "1"})
    (moved,) = anna.push().refused
    assert "old was renamed to local/uncategorized/new at remote 'nas'" in str(moved.problem)
    assert "mv" in str(moved.problem and moved.problem.hint)
    anna.rename("old", "new")
    assert only(anna.push()).versions == ("new:v1",)
    assert only(anna.pull()).outcome == "up to date"
    assert says(nas, "new") == says(anna, "new")


def test_a_collection_renamed_there_can_be_followed_after_a_pull_too(anna: Repository, nas: Path) -> None:
    put(anna, "old", {"f": "0"})
    anna.push()
    with Repository(str(nas)) as there:
        there.rename("old", "new")
    put(anna, "old", {"f": "mine"})
    anna.pull()
    done = anna.push()
    for _moved in done.refused:
        anna.rename("old", "new")  # what the hint says
    anna.push()
    assert [v["number"] for v in anna.collection("new").live()] == [0, 1]


def test_a_name_in_another_case_at_the_remote_is_refused(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "Model", {"f": "0"})
    anna.push()
    put(bob, "model", {"f": "1"})
    (moved,) = bob.push().refused
    assert "differs only in case from local/uncategorized/Model" in str(moved.problem)
    done = bob.pull()
    assert [type(moved.problem) for moved in done.refused] == [Conflict]


def test_a_rename_at_the_remote_is_no_change_of_the_type(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    anna.rename("a", "b")
    anna.push()
    bob.edit_collection("a", type="model")
    assert only(bob.pull()).declined == ()
    bob.push()
    anna.pull()
    types = [repository.refs.read(repository.path_of("b")[0]).type for repository in (anna, bob)]
    assert types == ["model", "model"] and says(anna) == says(bob) == says(nas)
