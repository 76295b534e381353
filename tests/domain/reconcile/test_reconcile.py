"""Two logs of one collection become one history: what is told, what stays, what is renumbered; and nothing is lost."""

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from artstore.domain.changes import Change, LogEntry, check_change, new_change
from artstore.domain.collection import INHERIT, State
from artstore.domain.collection import Path as Collection
from artstore.domain.kinds import KINDS, fold
from artstore.domain.properties import NEVER, Properties
from artstore.domain.pulling import PullPlan, to_pull
from artstore.domain.pushing import PushPlan, to_push
from artstore.domain.reconcile import ONE_LOG, told
from artstore.errors import Conflict
from artstore.repository import Repository
from tests.conftest import check, make_tree

PATH = Collection("local", "uncategorized", "a")
_clock = itertools.count(1)


class Copy:
    """One repository's log of one collection, in memory, and what it has settled with others."""

    def __init__(self, name: str, path: Collection = PATH) -> None:
        self.name = name
        self.entries: list[LogEntry] = []
        self.state = State(path)
        self.settled: dict[str, set[str]] = {}
        self.same: dict[str, tuple[int, int, State]] = {}
        """where this and another held the same: numbers of entries of both, and this one's state"""

    # -- changing it, as `Changes` and `Draft` do --

    def add(self, *changes: Change) -> LogEntry:
        for change in changes:
            check_change(KINDS, change)
        number, tick = len(self.entries) + 1, next(_clock)
        entry = LogEntry(
            number, f"{tick:064x}", self.state.digest, f"2026-01-01T00:00:00.{tick:06}Z", f"{self.name}-host", self.name,
            f"{tick:032x}", list(changes),
        )  # fmt: skip
        fold(self.state, entry)
        self.entries.append(entry)
        return entry

    def save(self, type: str = "model") -> str:
        id = os.urandom(32).hex()
        named = [] if self.state.exists else [new_change("collection", **self.state.path.fields(), type=type)]
        about = {"digest": os.urandom(32).hex(), "size": 1, "files": 1, "created": 1, "run": None, "parents": []}
        self.add(*named, new_change("version", id=id, number=self.state.next, **about))
        return id

    def alias(self, name: str, id: str | None) -> None:
        self.add(new_change("alias", alias=name, id=id, old=self.state.aliases.get(name)))

    def tag(self, id: str | None, *add: str, remove: tuple[str, ...] = ()) -> None:
        self.add(new_change("tags", id=id, add=list(add), remove=list(remove)))

    def meta(self, id: str, remove: tuple[str, ...] = (), blobs: dict[str, str] | None = None, **values: Any) -> None:
        self.add(new_change("metadata", id=id, set=values, blobs=blobs or {}, remove=list(remove)))

    def describe(self, id: str | None, text: str | None, blob: str | None = None) -> None:
        old = self.state.versions[id].get("description") if id else self.state.description
        self.add(new_change("description", id=id, old=old, new=text, blob=blob))

    def ttl(self, id: str, seconds: int | str | None) -> None:
        self.add(new_change("ttl", id=id, old=self.state.versions[id].get("ttl", INHERIT), new=seconds))

    def delete(self, id: str) -> None:
        held = [alias for alias in self.state.aliases_of(id) if alias != "latest"]
        gone = [new_change("alias", alias=alias, id=None, old=id) for alias in held]
        self.add(*gone, new_change("delete", id=id, reason=None))

    def undelete(self, id: str) -> None:
        self.add(new_change("undelete", id=id))

    def remove(self) -> None:
        self.add(new_change("delete collection", ids=[version["id"] for version in self.state.live()]))

    def retype(self, type: str) -> None:
        self.add(new_change("collection", **self.state.path.fields(), type=type))

    # -- exchanging --

    def push(self, there: "Copy", *wanted: str) -> PushPlan:
        settled = self.settled.setdefault(there.name, set())
        plan = to_push(told(self.entries), self.state, there.state, there.known(), settled, set(wanted) or None)
        if (behind := self.behind_same(there)) and not wanted:
            ours, theirs, start = behind
            known = {change["change"] for change in theirs}
            short = to_push(ours, self.state, there.state, known, settled, start=deepcopy(start))
            assert unnamed(short, self, there) == unnamed(plan, self, there), "what came behind the `same` is enough"
        if plan.changes:
            there.add(*plan.changes)
        settled |= plan.settled
        self.note_same(there, plan)
        return plan

    def pull(self, there: "Copy", *wanted: str, upstream: bool = True) -> PullPlan:
        settled = self.settled.setdefault(there.name, set())
        plan = to_pull(
            told(there.entries), there.state, told(self.entries), self.state, settled,
            upstream=upstream, wanted=set(wanted) or None,
        )  # fmt: skip
        if (behind := self.behind_same(there)) and not wanted:
            ours, theirs, _ = behind
            short = to_pull(theirs, there.state, ours, self.state, settled, upstream=upstream)
            assert unnamed(short, self, there) == unnamed(plan, self, there), "what came behind the `same` is enough"
        if plan.changes:
            self.add(*plan.changes)
        settled |= plan.settled
        self.note_same(there, plan)
        return plan

    def note_same(self, there: "Copy", plan: PushPlan | PullPlan) -> None:
        if plan.same:
            self.same[there.name] = (len(self.entries), len(there.entries), deepcopy(self.state))

    def behind_same(self, there: "Copy") -> tuple[list[Change], list[Change], State] | None:
        """What both have said since they held the same, and the state then; None without, or when it concerns one only."""
        ours, theirs, start = self.same.get(there.name, (0, 0, self.state))
        new = told(self.entries[ours:]), told(there.entries[theirs:])
        odd = any(change["kind"] in ONE_LOG for some in new for change in some)
        return (*new, start) if ours and not odd else None

    def known(self) -> set[str]:
        return {change["change"] for entry in self.entries for change in entry.changes}

    def numbers(self, *ids: str) -> list[int]:
        return [self.state.versions[id]["number"] for id in ids]


def unnamed(plan: PushPlan | PullPlan, *copies: Copy) -> PushPlan | PullPlan:
    """A plan, but for the random ids of changes that it makes itself."""
    known = set[str]().union(*(copy.known() for copy in copies))
    made = {change["change"]: str(n) for n, change in enumerate(plan.changes) if change["change"] not in known}
    named = [{**change, "change": made.get(change["change"], change["change"])} for change in plan.changes]
    return plan._replace(changes=named, settled={made.get(id, id) for id in plan.settled})


def reads(state: State) -> dict[str, Any]:
    """What a user sees of a collection. Of deleted versions only that they were."""

    def said(version: dict[str, Any]) -> Any:
        if "deleted" in version:
            return version["number"], "deleted"
        more = [version.get(key) for key in ("metadata", "blobs", "description")]
        return version["number"], sorted(version.get("tags", [])), *more, version.get("ttl", INHERIT)

    return {
        "exists": state.exists,
        "type": state.type if state.exists else "",
        "description": state.description,
        "tags": sorted(state.tags),
        "aliases": dict(state.aliases),
        "next": state.next,
        "versions": {id: said(version) for id, version in state.versions.items()},
    }


def kinds(changes: Iterable[Change]) -> list[str]:
    return [change["kind"] for change in changes]


@pytest.fixture
def two() -> tuple[Copy, Copy, Copy, str, str]:
    """anna and bob, both with v0 and v1 from the remote; the ids of these."""
    anna, bob, remote = Copy("anna"), Copy("bob"), Copy("remote")
    first, second = anna.save(), anna.save()
    anna.push(remote)
    bob.pull(remote)
    return anna, bob, remote, first, second


def assert_same(*copies: Copy) -> None:
    for copy in copies[1:]:
        assert reads(copy.state) == reads(copies[0].state), f"{copies[0].name} and {copy.name} differ"


def assert_quiet(copy: Copy, remote: Copy) -> None:
    """Nothing more to say in either direction."""
    assert copy.pull(remote)[:2] == ([], []) and copy.push(remote)[:3] == ([], [], [])


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
    assert bob.state.renumbered == {2: ours[0], 3: ours[0], 4: ours[0]} or bob.state.renumbered == {}, (
        "old numbers of ours that mean theirs by now lead to theirs"
    )
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


# -- random histories ----------------------------------------------------------------------------

ACTIONS = ["save", "alias", "unalias", "tag", "untag", "meta", "describe", "ttl", "delete", "undelete", "remove"]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([*ACTIONS, "save", "alias", "push", "push", "pull", "pull", "push one", "pull one", "backup"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    min_size=5,
    max_size=40,
)
Step = tuple[int, str, int, int]


class InMemory:
    """A repository of a history: a `Copy`."""

    def __init__(self, name: str) -> None:
        self.copy = Copy(name)

    @property
    def state(self) -> State:
        return self.copy.state

    def act(self, action: str, id: str, n: int, m: int) -> str | None:
        copy, state = self.copy, self.copy.state
        version = state.versions.get(id, {})
        if action == "save":
            return copy.save()
        if action == "remove":
            copy.remove()
        elif action == "alias":
            copy.alias(f"alias{m % 2}", id)
        elif action == "unalias":
            copy.alias(f"alias{m % 2}", None)
        elif action == "tag":
            copy.tag(id if m % 2 else None, f"tag{m % 2}")
        elif action == "untag":
            copy.tag(id if m % 2 else None, remove=(f"tag{m % 2}",))
        elif action == "meta":
            copy.meta(id, **{f"k{m % 2}": n}) if n else copy.meta(id, remove=(f"k{m % 2}",))
        elif action == "describe":
            copy.describe(id if m % 2 else None, "abc"[:n] or None)
        elif action == "ttl":
            copy.ttl(id, (INHERIT, 60, None, 120)[n])
        elif action == "delete":
            copy.delete(id)
        elif action == "undelete":
            copy.undelete(version["id"])
        return None

    def push(self, remote: Any, *wanted: str) -> bool:
        return bool(self.copy.push(remote.copy, *wanted).changes)

    def pull(self, remote: Any, *wanted: str) -> bool:
        return bool(self.copy.pull(remote.copy, *wanted).changes)


class OnDisk:
    """A repository of a history: a real one, in a folder of its own; `remote` and `backup` are its remotes."""

    def __init__(self, folder: Path, name: str, remotes: dict[str, str]) -> None:
        self.name = name
        self.folder = folder / name
        self.root = self.folder / ".artifacts"
        self.repository = Repository.init(str(self.root))
        for remote, url in remotes.items():
            self.repository.remotes.add(remote, url)

    @property
    def state(self) -> State:
        return self.repository.refs.read(PATH)

    def act(self, action: str, id: str, n: int, m: int) -> str | None:
        repository, version = self.repository, f"a@{id}"
        if action == "save":
            make_tree(self.folder / "src", {"f": str(next(_clock)), "same": "same"})
            return repository.put(str(self.folder / "src"), "a", type="model").id
        if action == "remove":
            repository.delete_collection("a", delete_aliases=True)
        elif action == "alias":
            repository.set_aliases(version, (f"alias{m % 2}",))
        elif action == "unalias":
            holder = self.state.aliases.get(f"alias{m % 2}")
            if holder is not None:
                repository.set_aliases(f"a@{holder}", remove=(f"alias{m % 2}",))
        elif action == "tag":
            if m % 2:
                repository.set_tags(version, ("tag1",))
            else:
                repository.edit_collection("a", tags=("tag0",))
        elif action == "untag":
            if not m % 2:
                repository.edit_collection("a", no_tags=("tag0",))
            elif "tag1" in self.state.versions[id].get("tags", []):
                repository.set_tags(version, remove=("tag1",))
        elif action == "meta":
            long = "x" * 9000 if n == 3 else n
            values = Properties(metadata={f"k{m % 2}": long}) if n else Properties(no_metadata=(f"k{m % 2}",))
            repository.edit(version, values)
        elif action == "describe":
            if m % 2:
                repository.edit(version, Properties(description="abc"[:n]))
            else:
                repository.edit_collection("a", description="abc"[:n])
        elif action == "ttl":
            repository.edit(version, Properties(ttl=(INHERIT, 60, NEVER, 120)[n]))
        elif action == "delete":
            repository.delete(version, delete_aliases=True)
        elif action == "undelete":
            repository.undelete(f"a:v{self.state.versions[id]['number']}")
        return None

    def push(self, remote: Any, *wanted: str) -> bool:
        return self._exchanged(self.repository.push(remote.name, [f"a@{id}" for id in wanted]))

    def pull(self, remote: Any, *wanted: str) -> bool:
        return self._exchanged(self.repository.pull(remote.name, [f"a@{id}" for id in wanted]))

    def _exchanged(self, done: Any) -> bool:
        for moved in done.refused:
            raise moved.problem
        return any(moved.outcome == "moved" for moved in done.collections)


def play(steps: list[Step], clones: list[Any], remote: Any, backup: Any) -> None:
    """Act it out, then pull and push until nothing changes: all read the same, and nothing is lost."""
    saved: set[str] = set()
    deleted: set[str] = set()
    follows = False
    for who, action, n, m in steps:
        clone = clones[who % len(clones)]
        live = [version["id"] for version in clone.state.live()]
        dead = [id for id, version in clone.state.versions.items() if "deleted" in version]
        theirs = [version["id"] for version in remote.state.live()]
        if action in ("push", "pull", "push one", "pull one", "backup"):
            try:
                moved = False
                if action in ("push", "pull"):
                    moved = getattr(clone, action)(remote)
                elif action == "push one" and live:
                    moved = clone.push(remote, live[n % len(live)])
                elif action == "pull one" and theirs:
                    moved = clone.pull(remote, theirs[n % len(theirs)])
                elif action == "backup" and follows:  # else it would be the upstream, whose numbers are final
                    clones[0].push(backup)
                follows = follows or (moved and clone is clones[0])
            except Conflict as error:
                assert "pull" not in action, error
            continue
        among = dead if action == "undelete" else live
        if action != "save" and not among:
            continue
        id = among[n % len(among)] if among else ""
        if action in ("delete", "remove"):
            deleted |= {id} if action == "delete" else set(live)
        if (new := clone.act(action, id, n, m)) is not None:
            saved.add(new)
    for _ in range(10):
        moved = [[clone.pull(remote), clone.push(remote)] for clone in clones]
        if not any(map(any, moved)):
            break
    else:
        pytest.fail("pull and push never come to rest")
    expected = reads(remote.state)
    for clone in clones:
        assert reads(clone.state) == expected
    assert saved <= expected["versions"].keys()
    lost = {id for id in saved - deleted if "deleted" in remote.state.versions[id]}
    assert not lost, "what nobody deleted lives"


QUICK = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


@settings(QUICK, max_examples=400)
@given(st.integers(1, 3), STEPS)
def test_clones_and_their_upstream_end_the_same_whatever_was_done(clones: int, steps: list[Step]) -> None:
    play(steps, [InMemory(name) for name in ("anna", "bob", "carl")[:clones]], InMemory("remote"), InMemory("backup"))


def play_on_disk(clones: int, steps: list[Step]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="artstore-remotes-"))
    sides: list[OnDisk] = []
    try:
        remotes = [OnDisk(folder, name, {}) for name in ("remote", "backup")]
        places = {remote.name: str(remote.root) for remote in remotes}
        sides += remotes
        sides += [OnDisk(folder, name, places) for name in ("anna", "bob", "carl")[:clones]]
        play(steps, sides[2:], *remotes)
        for side in sides:
            side.repository.close()
            check(side.root)
    finally:
        for side in sides:
            side.repository.close()
        shutil.rmtree(folder)


@settings(QUICK, max_examples=15)
@given(st.integers(2, 3), STEPS)
@example(2, [(0, "save", 0, 0), (0, "push", 0, 0), (1, "pull", 0, 0), (0, "save", 0, 0), (1, "save", 0, 0), (0, "push", 0, 0), (0, "backup", 0, 0)])  # fmt: skip
def test_real_clones_and_their_upstream_end_the_same_whatever_was_done(clones: int, steps: list[Step]) -> None:
    play_on_disk(clones, steps)


if __name__ == "__main__":  # python -m tests.domain.reconcile.test_reconcile 2000
    settings(QUICK, max_examples=int(sys.argv[1]))(given(st.integers(2, 3), STEPS)(play_on_disk))()
