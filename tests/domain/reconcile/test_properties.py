"""Each kind of change arrives once; where both moved a property, one side wins on both."""

from collections.abc import Callable

import pytest

from artstore.domain.collection import INHERIT
from artstore.domain.pushing import PushPlan
from tests.support.copies import Copy, assert_quiet, assert_same, reads

# -- each kind of change -------------------------------------------------------------------------

BLOB = "ab" * 32

CHANGES: dict[str, Callable[[Copy, str], None]] = {
    "a version": lambda copy, id: (copy.save(), None)[1],
    "an alias": lambda copy, id: copy.alias("prod", id),
    "a tag": lambda copy, id: copy.tag(id, "t"),
    "a tag of the collection": lambda copy, id: copy.tag(None, "t"),
    "metadata": lambda copy, id: copy.meta(id, k=1, f=0.5),
    "long metadata": lambda copy, id: copy.meta(id, blobs={"k": BLOB}),
    "a description": lambda copy, id: copy.describe(id, "text"),
    "a long description": lambda copy, id: copy.describe(id, None, BLOB),
    "the collection's description": lambda copy, id: copy.describe(None, "text"),
    "a ttl": lambda copy, id: copy.ttl(id, 60),
    "a ttl of never": lambda copy, id: copy.ttl(id, None),
    "extras": lambda copy, id: copy.extras(id, {"f": {"k": 1, "blob": 0.5}, "blob": {"blob": "x"}}),
    "long extras": lambda copy, id: copy.extras(id, None, BLOB),
    "a deletion": lambda copy, id: copy.delete(id),
    "the deletion of all": lambda copy, id: copy.remove(),
    "another type": lambda copy, id: copy.retype("dataset"),
}
UNDONE: dict[str, Callable[[Copy, str], None]] = {
    "an alias": lambda copy, id: copy.alias("prod", None),
    "a tag": lambda copy, id: copy.tag(id, remove=("t",)),
    "a tag of the collection": lambda copy, id: copy.tag(None, remove=("t",)),
    "metadata": lambda copy, id: copy.meta(id, remove=("k", "f")),
    "long metadata": lambda copy, id: copy.meta(id, remove=("k",)),
    "a description": lambda copy, id: copy.describe(id, None),
    "a long description": lambda copy, id: copy.describe(id, None),
    "the collection's description": lambda copy, id: copy.describe(None, None),
    "a ttl": lambda copy, id: copy.ttl(id, INHERIT),
    "a ttl of never": lambda copy, id: copy.ttl(id, INHERIT),
    "extras": lambda copy, id: copy.extras(id, {}),
    "long extras": lambda copy, id: copy.extras(id, {}),
    "a deletion": lambda copy, id: copy.undelete(id),
    "the deletion of all": lambda copy, id: copy.undelete(id),
    "another type": lambda copy, id: copy.retype("model"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_of_any_kind_arrives_by_push_and_by_pull_and_is_told_once(
    two: tuple[Copy, Copy, Copy, str, str], kind: str
) -> None:
    anna, bob, remote, first, _ = two
    CHANGES[kind](anna, first)
    assert len(anna.push(remote).changes) == 1
    assert len(bob.pull(remote).changes) == 1
    assert_same(anna, remote, bob)
    for copy in (anna, bob):
        assert_quiet(copy, remote)


@pytest.mark.parametrize("kind", UNDONE)
@pytest.mark.parametrize("pushed_between", [True, False])
def test_a_change_that_was_taken_back_is_taken_back_everywhere(
    two: tuple[Copy, Copy, Copy, str, str], kind: str, pushed_between: bool
) -> None:
    anna, bob, remote, first, _ = two
    CHANGES[kind](anna, first)
    if pushed_between:
        anna.push(remote)
        bob.pull(remote)
    UNDONE[kind](anna, first)
    anna.push(remote)
    bob.pull(remote)
    assert_same(anna, remote, bob)
    for copy in (anna, bob):
        assert_quiet(copy, remote)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_of_ours_stays_when_we_pull_and_theirs_left_it_alone(
    two: tuple[Copy, Copy, Copy, str, str], kind: str
) -> None:
    anna, bob, remote, first, second = two
    anna.tag(second, "hers")
    anna.push(remote)
    CHANGES[kind](bob, first)
    mine = reads(bob.state)
    plan = bob.pull(remote)
    assert plan.declined == [] and plan.renumbered == {}
    theirs = {k: v for k, v in reads(bob.state).items() if k != "versions"}
    assert theirs == {k: v for k, v in mine.items() if k != "versions"}
    bob.push(remote)
    anna.pull(remote)
    assert_same(anna, remote, bob)


# -- compare and set -----------------------------------------------------------------------------

Set = Callable[[Copy, int], None]
"""Gives a property its n-th value; 0 is none."""


def properties(first: str, second: str) -> dict[str, Set]:
    return {
        "alias": lambda copy, n: copy.alias("prod", (None, first, second)[n]),
        "metadata": lambda copy, n: copy.meta(first, k=n) if n else copy.meta(first, remove=("k",)),
        "metadata as a blob": lambda copy, n: (
            copy.meta(first, blobs={"k": f"{n}" * 64}) if n else copy.meta(first, remove=("k",))
        ),
        "description": lambda copy, n: copy.describe(first, "no.."[:n] or None),
        "description of all": lambda copy, n: copy.describe(None, "no.."[:n] or None),
        "ttl": lambda copy, n: copy.ttl(first, (INHERIT, 60, None)[n]),
        "extras": lambda copy, n: copy.extras(first, {"f": {"k": (1, True)[n - 1]}} if n else {}),
    }


PROPERTIES = list(properties("", ""))


@pytest.mark.parametrize("name", PROPERTIES)
def test_where_both_moved_a_property_a_push_leaves_theirs_reports_ours_and_never_tells_it_again(
    two: tuple[Copy, Copy, Copy, str, str], name: str
) -> None:
    anna, bob, remote, first, second = two
    set_ = properties(first, second)[name]
    set_(anna, 1)
    anna.push(remote)
    set_(bob, 2)
    there = reads(remote.state)
    plan = bob.push(remote)
    (message,) = plan.declined
    assert "theirs stays" in message and plan.changes == [] and reads(remote.state) == there
    assert bob.push(remote)[:3] == ([], [], [])
    assert bob.pull(remote).declined == [], "it was reported"
    assert_same(anna, remote, bob)
    assert_quiet(bob, remote)
    set_(bob, 2)
    assert bob.push(remote).declined == [], "who has seen theirs may move it"
    anna.pull(remote)
    assert_same(anna, remote, bob)


@pytest.mark.parametrize("name", PROPERTIES)
def test_where_both_moved_a_property_a_pull_takes_theirs_and_reports_ours(
    two: tuple[Copy, Copy, Copy, str, str], name: str
) -> None:
    anna, bob, remote, first, second = two
    set_ = properties(first, second)[name]
    set_(anna, 1)
    anna.push(remote)
    set_(bob, 2)
    (message,) = bob.pull(remote).declined
    assert "theirs stays" in message
    assert_same(anna, remote, bob)
    assert bob.push(remote)[:3] == ([], [], []), "it is never told"
    assert_quiet(bob, remote)


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.parametrize("pull_first", [True, False])
def test_where_both_moved_a_property_the_same_way_nothing_is_reported(
    two: tuple[Copy, Copy, Copy, str, str], name: str, pull_first: bool
) -> None:
    anna, bob, remote, first, second = two
    set_ = properties(first, second)[name]
    set_(anna, 2)
    anna.push(remote)
    set_(bob, 2)
    plans = [bob.pull(remote), bob.push(remote)] if pull_first else [bob.push(remote), bob.pull(remote)]
    assert [plan.declined for plan in plans] == [[], []]
    assert_same(anna, remote, bob)
    assert_quiet(bob, remote)


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.parametrize("pull_first", [True, False])
def test_a_property_that_ours_moved_and_moved_back_does_not_undo_theirs(
    two: tuple[Copy, Copy, Copy, str, str], name: str, pull_first: bool
) -> None:
    anna, bob, remote, first, second = two
    set_ = properties(first, second)[name]
    set_(anna, 1)
    anna.push(remote)
    bob.pull(remote)
    set_(anna, 2)
    anna.push(remote)
    set_(bob, 0)
    set_(bob, 1)
    plans = [bob.pull(remote), bob.push(remote)] if pull_first else [bob.push(remote), bob.pull(remote)]
    assert_same(anna, remote, bob)
    assert all(plan.changes == [] for plan in plans if isinstance(plan, PushPlan))
    assert_quiet(bob, remote)


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.parametrize("pull_first", [True, False])
def test_a_property_that_theirs_moved_and_moved_back_ends_the_same_on_both_sides(
    two: tuple[Copy, Copy, Copy, str, str], name: str, pull_first: bool
) -> None:
    anna, bob, remote, first, second = two
    set_ = properties(first, second)[name]
    set_(anna, 1)
    set_(anna, 0)
    anna.push(remote)
    set_(bob, 2)
    if pull_first:
        bob.pull(remote)
    bob.push(remote)
    bob.pull(remote)
    anna.pull(remote)
    assert_same(anna, remote, bob)
    assert_quiet(bob, remote)


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_moved_twice_before_a_push_arrives_as_it_is_now(
    two: tuple[Copy, Copy, Copy, str, str], name: str
) -> None:
    anna, bob, remote, first, second = two
    set_ = properties(first, second)[name]
    for n in (1, 2, 0, 1):
        set_(anna, n)
    assert anna.push(remote).declined == []
    bob.pull(remote)
    assert_same(anna, remote, bob)


def test_tags_and_metadata_keys_of_one_change_are_decided_one_by_one(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, first, _ = two
    anna.meta(first, k=1)
    anna.push(remote)
    bob.meta(first, k=2, mine=2)
    bob.tag(first, "x", "y")
    anna.tag(first, "x")
    anna.push(remote)
    plan = bob.push(remote)
    assert plan.declined == ["metadata 'k' of v0: theirs stays (changed there too)"]
    assert [(c["kind"], c.get("set"), c.get("add")) for c in plan.changes] == [
        ("metadata", {"mine": 2}, None),
        ("tags", None, ["y"]),
    ]
    bob.pull(remote)
    anna.pull(remote)
    assert_same(anna, remote, bob)
    version = anna.state.versions[first]
    assert version["metadata"] == {"k": 1, "mine": 2} and sorted(version["tags"]) == ["x", "y"]


def test_metadata_that_differs_only_in_its_json_type_is_another_value(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, first, _ = two
    anna.meta(first, k=1, l=0)
    anna.push(remote)
    bob.pull(remote)
    anna.meta(first, k=True, l=0.0)
    anna.push(remote)
    bob.pull(remote)
    for copy in (anna, remote, bob):
        assert [type(copy.state.versions[first]["metadata"][key]) for key in "kl"] == [bool, float], copy.name


def test_two_types_are_not_both_taken_and_both_sides_end_with_one(two: tuple[Copy, Copy, Copy, str, str]) -> None:
    anna, bob, remote, _, _ = two
    anna.retype("dataset")
    anna.push(remote)
    bob.retype("table")
    bob.push(remote)
    assert remote.state.type == "dataset"
    bob.pull(remote)
    assert_same(anna, remote, bob)
    assert_quiet(bob, remote)


def test_a_type_that_theirs_changed_and_changed_back_ends_the_same_on_both_sides(
    two: tuple[Copy, Copy, Copy, str, str],
) -> None:
    anna, bob, remote, _, _ = two
    anna.retype("dataset")
    anna.retype("model")
    anna.push(remote)
    bob.retype("table")
    bob.pull(remote)
    bob.push(remote)
    bob.pull(remote)
    anna.pull(remote)
    assert_same(anna, remote, bob)
    assert_quiet(bob, remote)
