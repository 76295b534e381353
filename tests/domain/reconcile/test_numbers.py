"""Numbers of versions, deletions, and single versions that are pushed and pulled."""

from collections.abc import Iterable

import pytest

from artstore.domain.changes import Change, new_change
from artstore.domain.reconcile import told
from artstore.errors import Conflict
from tests.support.copies import Copy, assert_quiet, assert_same, reads


def kinds(changes: Iterable[Change]) -> list[str]:
    return [change["kind"] for change in changes]


# -- numbers -------------------------------------------------------------------------------------


def test_a_push_is_refused_while_a_number_means_two_versions_and_says_which(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, _, _ = two
    anna.save()
    anna.push(remote)
    bob.save()
    before = len(remote.entries)
    with pytest.raises(Conflict, match="^a:v2 is another version at the remote than here$"):
        bob.push(remote)
    assert len(remote.entries) == before


def test_all_versions_that_the_upstream_never_had_move_behind_its_in_their_order(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, first, second = two
    theirs = anna.save()
    anna.push(remote)
    ours = [bob.save() for _ in range(3)]
    bob.alias("mine", ours[1])
    bob.delete(ours[2])
    plan = bob.pull(remote)
    assert plan.renumbered == {2: 3, 3: 4, 4: 5}, "also those whose own number was free"
    assert bob.numbers(first, second, theirs, *ours) == [0, 1, 2, 3, 4, 5]
    assert bob.state.aliases == {"mine": ours[1]}, "what is said of them goes with them"
    bob.push(remote)
    anna.pull(remote)
    assert_same(anna, remote, bob)
    assert_quiet(bob, remote)


def test_versions_are_renumbered_again_when_others_were_faster_again(two: tuple[Copy, Copy, Copy, str, str]) -> None:
    anna, bob, remote, _, _ = two
    ours = [bob.save(), bob.save()]
    for round in range(3):
        anna.save()
        anna.push(remote)
        assert bob.pull(remote).renumbered == {2 + round: 3 + round, 3 + round: 4 + round}
    assert bob.numbers(*ours) == [5, 6]
    assert bob.state.renumbered == {2: ours[0], 3: ours[0], 4: ours[0]}, "each number that the first one had"
    assert not {bob.state.taken[number] for number in (2, 3, 4)} & {*ours}, "these numbers are theirs by now"
    bob.push(remote)
    anna.pull(remote)
    assert_same(anna, remote, bob)


def test_a_number_that_nobody_took_meanwhile_is_kept(two: tuple[Copy, Copy, Copy, str, str]) -> None:
    anna, bob, remote, _, _ = two
    anna.tag(None, "t")
    anna.push(remote)
    ours = bob.save()
    assert bob.pull(remote).renumbered == {} and bob.numbers(ours) == [2]


def test_a_number_of_a_version_that_was_deleted_there_is_taken(two: tuple[Copy, Copy, Copy, str, str]) -> None:
    anna, bob, remote, _, _ = two
    anna.delete(anna.save())
    anna.push(remote)
    bob.save()
    with pytest.raises(Conflict):
        bob.push(remote)
    assert bob.pull(remote).renumbered == {2: 3}
    bob.push(remote)
    assert_same(remote, bob)


def test_a_pull_that_would_renumber_is_refused_from_what_is_not_the_upstream(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, _, _ = two
    anna.save()
    anna.push(remote)
    bob.save()
    before = reads(bob.state)
    with pytest.raises(Conflict, match="^a:v2 is another version at the remote than here$"):
        bob.pull(remote, upstream=False)
    assert reads(bob.state) == before


def test_a_pull_from_what_is_not_the_upstream_takes_versions_whose_numbers_are_free(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, _, _ = two
    theirs = anna.save()
    anna.push(remote)
    assert kinds(bob.pull(remote, upstream=False).changes) == ["version"]
    assert bob.numbers(theirs) == [2]


def test_renumbering_stays_in_the_log_that_made_it(two: tuple[Copy, Copy, Copy, str, str]) -> None:
    anna, bob, remote, _, _ = two
    anna.save()
    anna.push(remote)
    bob.save()
    bob.pull(remote)
    assert kinds(bob.entries[-1].changes)[0] == "renumber"
    assert "renumber" not in kinds(bob.push(remote).changes)
    assert "renumber" not in kinds(change for entry in remote.entries for change in entry.changes)


def test_a_clone_of_a_repository_that_was_renumbered_has_its_numbers(two: tuple[Copy, Copy, Copy, str, str]) -> None:
    anna, bob, remote, _, _ = two
    anna.save()
    anna.push(remote)
    bob.save()
    bob.pull(remote)
    clone = Copy("clone")
    clone.pull(bob)
    assert reads(clone.state) == reads(bob.state)


def test_a_clone_follows_when_its_upstream_is_renumbered(two: tuple[Copy, Copy, Copy, str, str]) -> None:
    anna, bob, remote, _, _ = two
    clone = Copy("clone")
    bobs = bob.save()
    clone.pull(bob)
    own = clone.save()
    anna.save()
    anna.push(remote)
    bob.pull(remote)
    clone.pull(bob)
    assert clone.numbers(bobs, own) == [3, 4]
    clone.push(bob)
    assert_same(bob, clone)


# -- deletion ------------------------------------------------------------------------------------


def test_a_deletion_is_told_with_the_aliases_that_it_took(two: tuple[Copy, Copy, Copy, str, str]) -> None:
    anna, bob, remote, first, _ = two
    anna.alias("prod", first)
    anna.push(remote)
    bob.pull(remote)
    bob.delete(first)
    assert kinds(bob.push(remote).changes) == ["alias", "delete"]
    anna.pull(remote)
    assert_same(anna, remote, bob)
    assert anna.state.aliases == {}


@pytest.mark.parametrize("pull_first", [True, False])
def test_a_version_that_an_alias_holds_there_by_now_is_not_deleted_and_comes_back_here(
    two: tuple[Copy, Copy, Copy, str, str], pull_first: bool
) -> None:
    anna, bob, remote, first, _ = two
    anna.alias("prod", first)
    anna.push(remote)
    bob.delete(first)
    if not pull_first:
        assert bob.push(remote).declined == ["v0 is not deleted: an alias holds it there"]
    bob.pull(remote)
    bob.push(remote)
    bob.pull(remote)
    anna.pull(remote)
    assert_same(anna, remote, bob)
    assert_quiet(bob, remote)
    assert remote.state.aliases == {"prod": first}


def test_a_version_deleted_before_it_was_ever_pushed_takes_its_number_along(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, _, _ = two
    anna.delete(anna.save())
    assert anna.push(remote).versions == [], "its objects need not go"
    assert remote.state.next == 3
    assert bob.pull(remote).versions == []
    assert_same(anna, remote, bob)


def test_the_deletion_of_a_collection_spares_what_others_added_meanwhile(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, _first, _second = two
    anna.tag(None, "kept")
    added = anna.save()
    anna.push(remote)
    bob.remove()
    bob.push(remote)
    assert [version["id"] for version in remote.state.live()] == [added] and remote.state.tags == ["kept"]
    bob.pull(remote)
    anna.pull(remote)
    assert_same(anna, remote, bob)
    assert_quiet(bob, remote)


def test_a_deletion_of_the_whole_spares_our_versions_that_the_remote_never_had(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, _first, _second = two
    anna.remove()
    anna.push(remote)
    ours = bob.save()
    bob.pull(remote)
    assert [version["id"] for version in bob.state.live()] == [ours] and bob.state.exists
    bob.push(remote)
    anna.pull(remote)
    assert_same(anna, remote, bob)
    assert anna.state.exists and anna.numbers(ours) == [2]


def test_a_collection_deleted_and_made_anew_with_another_type_is_so_everywhere(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, _, _ = two
    anna.remove()
    anna.save("dataset")
    anna.push(remote)
    bob.pull(remote)
    assert_same(anna, remote, bob)
    assert bob.state.type == "dataset" and len(bob.state.live()) == 1


def test_a_collection_deleted_and_made_anew_there_comes_back_where_ours_deleted_it_too(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, _, _ = two
    anna.remove()
    anna.save("dataset")
    anna.push(remote)
    bob.remove()
    bob.pull(remote)
    bob.push(remote)
    assert_same(anna, remote, bob)


def test_a_collection_that_both_sides_made_and_ours_deleted_stays_deleted() -> None:
    anna, bob, remote = Copy("anna"), Copy("bob"), Copy("remote")
    anna.save()
    bob.save()
    bob.push(remote)
    anna.pull(remote)
    anna.remove()
    anna.pull(remote)
    assert not anna.state.exists, "a pull brings no empty collection to life"
    anna.push(remote)
    bob.pull(remote)
    assert_same(anna, remote, bob)


@pytest.mark.parametrize("deletion", ["delete", "remove"])
def test_versions_that_were_brought_back_need_their_objects_again(
    two: tuple[Copy, Copy, Copy, str, str], deletion: str
) -> None:
    anna, bob, remote, first, _ = two
    anna.delete(first) if deletion == "delete" else anna.remove()
    anna.push(remote)
    bob.pull(remote)
    bob.undelete(first)
    plan = bob.push(remote)
    assert kinds(plan.changes) == ["undelete"] and [v["id"] for v in plan.versions] == [first]
    assert [v["id"] for v in anna.pull(remote).versions] == [first]
    assert_same(anna, remote, bob)


def test_deleted_here_and_brought_back_there_ends_the_same_on_both_sides(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, first, _ = two
    anna.delete(first)
    anna.push(remote)
    anna.undelete(first)
    anna.push(remote)
    bob.delete(first)
    for copy in (bob, anna, bob):
        copy.pull(remote)
        copy.push(remote)
    assert_same(anna, remote, bob)
    assert_quiet(bob, remote)
    assert_quiet(anna, remote)


def test_an_alias_of_ours_on_a_version_that_was_deleted_there_is_not_silently_dropped(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, first, _ = two
    anna.delete(first)
    anna.push(remote)
    bob.alias("prod", first)
    said = [*bob.push(remote).declined, *bob.pull(remote).declined]
    bob.push(remote)
    anna.pull(remote)
    assert_same(anna, remote, bob)
    assert_quiet(bob, remote)
    assert bob.state.aliases == {"prod": first} or any("prod" in text for text in said), (
        "either it holds, or it is told"
    )


# -- single versions -----------------------------------------------------------------------------


def test_a_single_version_goes_with_what_is_said_of_it_and_the_rest_goes_later() -> None:
    anna, bob, remote = Copy("anna"), Copy("bob"), Copy("remote")
    ids = [anna.save() for _ in range(4)]
    for n, id in enumerate(ids):
        anna.alias(f"alias{n}", id)
        anna.meta(id, n=n)
    anna.describe(None, "of all")
    plan = anna.push(remote, ids[2])
    assert [v["number"] for v in plan.versions] == [2] and remote.numbers(ids[2]) == [2]
    assert remote.state.aliases == {"alias2": ids[2]} and remote.state.versions.keys() == {ids[2]}
    bob.pull(remote)
    assert_same(remote, bob)
    assert [v["number"] for v in anna.push(remote, ids[0]).versions] == [0]
    assert [v["number"] for v in anna.push(remote).versions] == [1, 3]
    bob.pull(remote)
    assert_same(anna, remote, bob)
    assert_quiet(anna, remote)
    assert_quiet(bob, remote)


def test_a_single_version_is_pulled_with_what_is_said_of_it_and_the_rest_later() -> None:
    anna, bob, remote = Copy("anna"), Copy("bob"), Copy("remote")
    ids = [anna.save() for _ in range(4)]
    anna.delete(ids[3])
    for n, id in enumerate(ids[:3]):
        anna.alias(f"alias{n}", id)
        anna.alias("moving", id)
        anna.meta(id, n=n)
    anna.push(remote)
    plan = bob.pull(remote, ids[1])
    assert [v["number"] for v in plan.versions] == [1] and bob.state.versions.keys() == {ids[1]}
    assert bob.state.versions[ids[1]]["metadata"] == {"n": 1} and bob.state.aliases["alias1"] == ids[1]
    assert "moving" not in bob.state.aliases, "it names another version at the remote"
    bob.pull(remote)
    assert_same(anna, remote, bob)
    assert_quiet(bob, remote)


def test_a_single_version_of_theirs_does_not_move_ours_unless_its_number_is_taken(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, _, _ = two
    _, theirs = anna.save(), anna.save()
    anna.push(remote)
    ours = bob.save()
    assert bob.pull(remote, theirs).renumbered == {}
    assert bob.numbers(ours, theirs) == [2, 3]
    assert bob.pull(remote).renumbered == {2: 4}
    bob.push(remote)
    assert_same(remote, bob)


def test_the_push_of_a_single_version_deletes_no_other(two: tuple[Copy, Copy, Copy, str, str]) -> None:
    anna, _, remote, first, _second = two
    anna.remove()
    new = anna.save()
    anna.push(remote, new)
    assert {version["id"] for version in remote.state.live()} >= {new}
    assert remote.state.versions[first].keys() & {"deleted"} == set()


def test_what_was_deleted_here_is_not_brought_to_life_there_by_pushing_single_versions_first() -> None:
    anna, remote = Copy("anna"), Copy("remote")
    first, _second = anna.save(), anna.save()
    anna.push(remote, first)
    anna.remove()
    third = anna.save()
    anna.push(remote, third)
    anna.push(remote)
    assert [version["id"] for version in remote.state.live()] == [third]
    assert_same(anna, remote)


def test_an_alias_taken_off_before_a_push_is_off_there_although_another_version_was_pushed_first() -> None:
    anna, remote = Copy("anna"), Copy("remote")
    first, second = anna.save(), anna.save()
    anna.alias("prod", first)
    anna.alias("prod", None)
    anna.push(remote, second)
    anna.push(remote)
    assert remote.state.aliases == {}
    assert_same(anna, remote)
    assert_quiet(anna, remote)


# -- who made it ---------------------------------------------------------------------------------


def test_time_host_and_user_of_the_first_maker_are_kept_through_several_repositories() -> None:
    chain = [Copy(name) for name in ("anna", "remote", "bob", "backup", "carl")]
    id = chain[0].save()
    chain[0].meta(id, k=1)
    chain[0].delete(chain[0].save())
    chain[0].push(chain[1])
    chain[2].pull(chain[1])
    chain[2].push(chain[3])
    chain[4].pull(chain[3])
    first = {change["change"]: change["by"] for change in told(chain[0].entries)}
    for copy in chain[1:]:
        assert {change["change"]: change["by"] for change in told(copy.entries)} == first
        for id, version in chain[0].state.versions.items():
            other = copy.state.versions[id]
            assert [other[key] for key in ("user", "host", "updated")] == [
                version[key] for key in ("user", "host", "updated")
            ]
            assert other.get("deleted") == version.get("deleted")
    assert first[chain[0].entries[0].changes[0]["change"]]["user"] == "anna"


def test_what_has_gone_round_two_remotes_comes_back_as_known() -> None:
    anna, bob = Copy("anna"), Copy("bob")
    one, two_ = Copy("one"), Copy("two")
    id = anna.save()
    anna.push(one)
    bob.pull(one)
    bob.alias("prod", id)
    bob.push(two_)
    anna.pull(two_, upstream=False)
    anna.push(one)
    assert bob.pull(one).changes == []
    assert_same(anna, bob, one, two_)


def test_a_deletion_of_all_that_names_a_version_which_was_withdrawn_there_is_taken_over() -> None:
    anna, bob, remote = Copy("anna"), Copy("bob"), Copy("remote")
    anna.save()
    withdrawn = anna.save()
    anna.push(remote)
    remote.add(new_change("withdraw", id=withdrawn, reason="gone"))
    anna.remove()
    anna.push(remote)
    bob.pull(remote)
    assert not bob.state.live() and withdrawn not in bob.state.versions
