"""Planning a push: which changes of our log to send to the log of the same collection at a remote."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from artstore.domain.changes import Change, new_change
from artstore.domain.collection import ADDS, State, VersionState, is_live
from artstore.domain.properties import PROPERTIES, Key, is_same
from artstore.domain.reconcile import (
    ONE_LOG,
    Folding,
    Telling,
    agree,
    for_all,
    ids_of,
    keys_of,
    named_as,
    numbered,
    stays,
    takes,
    value_of,
)
from artstore.errors import Conflict


class PushPlan(NamedTuple):
    """The changes to send to the other log."""

    changes: list[Change]
    versions: list[VersionState]
    """the new versions that are live in the end: the other side needs their objects"""
    declined: list[str]
    """in words: changes of ours that weren't sent, because the other side has another value, or an alias on a version
    that we deleted
    """
    settled: set[str]
    """ids of changes that never have to be sent there: they are in effect there already, or were declined"""
    same: bool
    """whether both logs will hold the same changes (except settled ones) and have equal states, once this is sent"""


def to_push(
    ours: list[Change],
    now: State,
    theirs: State,
    known: set[str],
    settled: set[str],
    wanted: set[str] | None = None,
    *,
    start: State | None = None,
) -> PushPlan:
    """Which of our changes to send to the other log.

    Args:
        ours: All changes of our log, from `told`; with `start`, only those after it.
        now: Our state.
        theirs: The other log's state.
        known: Ids of the changes that the other log has.
        settled: Ids of our changes that never have to be sent there.
        wanted: Ids of the only versions to push; None for all.
        start: The state of our log when both were the `same`, if `ours` and `known` begin there.

    Raises Conflict if two versions would have the same number.
    """
    _refuse_double_numbers(now, theirs, wanted)
    push = _Pushing(now, theirs, wanted, start)
    # Replay our log, to know the values before and after each change.
    for change in ours:
        is_told = change["change"] in known or change["change"] in settled
        push.replay(change, is_open=not is_told and change["kind"] not in ONE_LOG)
    # Bring back, or delete, versions that live here and not there, or the other way round.
    for change in push.revivals():
        push.there.tell({**change, "by": ours[-1]["by"]})
    told = ids_of(push.there.changes)
    # If only some versions are pushed, nothing is settled: a skipped change may alter what a later change means.
    done = push.done if wanted is None else set()
    is_complete = known | told <= ids_of(ours) and ids_of(for_all(ours)) <= known | told | settled | done
    same = wanted is None and is_complete and agree(now, push.there.state, ours)
    return PushPlan(push.there.changes, push.there.new_live(theirs), push.declined, done, same)


class _Pushing:
    """A push that is being planned: our log is replayed against the state of the other."""

    def __init__(self, now: State, theirs: State, wanted: set[str] | None, start: State | None) -> None:
        self._now = now
        self._theirs = theirs
        self._wanted = wanted
        self._mine = Folding(start or State(now.path))
        self.there = Telling(theirs.copy())
        self.declined: list[str] = []
        self.done: set[str] = set()
        """ids of changes that never have to be sent"""

    def replay(self, change: Change, *, is_open: bool) -> None:
        """Apply a change of ours to our state as it was then. Send it if it `is_open` and fits there."""
        keys = keys_of(change)
        before, was_type = {key: value_of(self._mine.state, key) for key in keys}, self._mine.state.type
        if change["kind"] not in ONE_LOG:
            self._mine.apply(numbered(change, self._now) if change["kind"] in ADDS else change)
        if is_open and keys:
            self._tell_properties(change, before)
        elif is_open:
            self._tell_of_versions(change, was_type)

    def _tell_of_versions(self, change: Change, was_type: str) -> None:
        answer = _about_versions(change, self._now, self.there.state, self._wanted, was_type)
        if answer == "tell":
            if change["kind"] in ADDS and not self.there.state.exists:
                self.there.tell(named_as(self._now, change))
            self.there.tell(_as_told(change, self._now, self.there.state))
        elif answer == "declined":
            number = self._now.versions[change["id"]]["number"]
            self.declined.append(f"v{number} is not deleted: an alias holds it there")
        if answer in ("done", "declined"):
            self.done.add(change["change"])

    def _tell_properties(self, change: Change, before: dict[Key, Any]) -> None:
        """Send the keys that have the value there that the change replaced here (`before`): compare-and-set."""
        there, subject = self.there.state, change.get("id")
        if subject and (subject not in there.versions or (self._wanted is not None and subject not in self._wanted)):
            return  # a property of a version that isn't pushed
        open_ = {key for key in before if not is_same(value_of(there, key), value_of(self._mine.state, key))}
        fits = {key for key in open_ if is_same(value_of(there, key), before[key])}
        if change["kind"] == "alias" and subject and not is_live(there.versions[subject]):
            fits = set()  # an alias can't name a version that is deleted there
        if fits:
            self.there.tell(PROPERTIES[change["kind"]].narrowed(change, fits))
        else:
            self.done.add(change["change"])
        for key in sorted(key for key in open_ - fits if not is_same(value_of(self._now, key), value_of(there, key))):
            self.declined.append(stays(there, key))

    def revivals(self) -> Iterator[Change]:
        """Changes that bring versions back there, or delete them.

        It brings back versions that the other side withdrew because it never had all of their objects. It deletes new
        versions there that were deleted here by a change which the other log had before.
        """
        for id, version in self._theirs.versions.items():
            own = self._now.versions.get(id)
            is_wanted = self._wanted is None or id in self._wanted
            if "withdrawn" in version and is_live(own) and is_wanted:
                yield new_change("undelete", id=id)
        for id in self.there.state.versions.keys() - self._theirs.versions.keys():
            if not is_live(self._now.versions[id]) and is_live(self.there.state.versions[id]):
                yield new_change("delete", id=id, reason=None)


def _refuse_double_numbers(now: State, theirs: State, wanted: set[str] | None) -> None:
    taken = theirs.taken
    for id, version in now.versions.items():
        number = version["number"]
        if (wanted is None or id in wanted) and taken.get(number, id) != id:
            raise Conflict(f"{now.path.name}:v{number} is another version at the remote than here")


def _about_versions(change: Change, now: State, there: State, wanted: set[str] | None, was_type: str) -> str:
    """What to do with a change of versions or of the collection.

    `tell`: send it. `done`: it is in effect there already. `declined`: it can't be applied there. `skip`: not now.
    """
    kind, id = change["kind"], change.get("id", "")
    known = there.versions.get(id)
    if kind == "collection":
        if not there.exists:
            return "tell" if wanted is None or wanted & now.versions.keys() else "skip"
        return "tell" if there.type == was_type != change["type"] else "done"
    if kind == "delete collection":
        if wanted is not None:
            return "skip"
        return "tell" if takes(change, there) else "done"
    if wanted is not None and id not in wanted:
        return "skip"
    if kind in ADDS:
        return "done" if known is not None else "tell"
    if known is None:
        return "skip"
    if kind == "delete" and id in there.aliases.values():
        return "declined"
    return "done" if is_live(known) == (kind == "undelete") else "tell"


def _as_told(change: Change, now: State, there: State) -> Change:
    """A change in the form in which it is sent.

    The deletion of a collection names only versions that are in both logs, so versions that others added stay.
    """
    if change["kind"] in ADDS:
        return numbered(change, now)
    if change["kind"] == "collection":
        return {**change, **now.path.fields()}
    if change["kind"] == "delete collection":
        return {**change, "ids": [id for id in change["ids"] if id in there.versions]}
    return change
