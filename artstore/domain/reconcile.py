"""Reconciling two logs of one collection: which changes to send, and which side wins where both changed.

Pure: states and changes in, changes out. A log is never copied. Changes are sent one by one, and each keeps its id in
every log. The receiver decides about versions' numbers, so a version is sent with the number that it has now. A change
of a property is sent as a compare-and-set: it applies only where the receiver still has the value that the change
replaced on our side. If the receiver has another value by now, the receiver's value stays.
"""

from collections.abc import Container, Iterable, Iterator
from typing import Any, NamedTuple

from artstore.domain.changes import Change, Entry, new_change, origin_of, portions
from artstore.domain.collection import ADDS, State, VersionState
from artstore.domain.kinds import fold
from artstore.domain.properties import PROPERTIES, Key, aligned, is_same
from artstore.errors import Conflict

ONE_LOG = frozenset({"renumber", "withdraw", "moved from", "moved to", "not moved", "part", "finish", "drop"})
"""Kinds of changes that concern only the log that they are in. They are never sent."""

_NOBODY = {"host": None, "time": "", "user": None}
"""The origin of a change that is only tried out."""


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


class PullPlan(NamedTuple):
    """The changes to append to our log. Fields with a name of `PushPlan` have the same meaning."""

    changes: list[Change]
    versions: list[VersionState]
    renumbered: dict[int, int]
    """the new number of each of our versions that gets one, by its old number"""
    declined: list[str]
    settled: set[str]
    same: bool


def told(entries: Iterable[Entry]) -> list[Change]:
    """All changes of a log, oldest first, each with its origin in the field `by`."""
    return [{**change, "by": origin_of(entry, change)} for entry in entries for change in entry.changes]


# -- properties ----------------------------------------------------------------------------------


def _said(state: State, key: Key) -> Any:
    """The value of a property in a state, or None if it isn't set."""
    kind, *rest = key
    if kind in ("type", "exists"):
        return getattr(state, kind)
    if kind == "live":
        return "deleted" not in state.versions.get(rest[0], {"deleted": ""})
    return _OF_KEY[kind].value(state, key)


_OF_KEY = {**PROPERTIES, "tag": PROPERTIES["tags"]}
"""Kinds of properties by the first part of their keys."""


def _keys_of(change: Change) -> list[Key]:
    """The properties that a change sets."""
    of = PROPERTIES.get(change["kind"])
    return of.keys(change) if of is not None else []


def _touched_by(change: Change) -> list[Key]:
    """Like `_keys_of`, and also the keys for whether versions are live, whether the collection exists, and its type."""
    kind = change["kind"]
    if kind in ("delete", "undelete"):
        return [("live", change["id"])]
    if kind == "delete collection":
        return [("exists",), *(("live", id) for id in change["ids"])]
    return [("type",)] if kind == "collection" else _keys_of(change)


def _in_words(state: State, key: Key) -> str:
    kind, *rest = key
    if kind == "alias":
        return PROPERTIES["alias"].named(key)
    version = state.versions.get(rest[0]) if rest else None
    if kind == "live":
        return f"whether v{version['number']} is deleted" if version else "a version"
    named = _OF_KEY[kind].named(key) if kind in _OF_KEY else kind
    return named + (f" of v{version['number']}" if version else "")


def _shown(state: State, key: Key) -> str:
    value = _said(state, key)
    if key[0] == "alias":
        return f"v{state.versions[value]['number']}" if value in state.versions else "not set"
    return "changed there too"


class _Folding:
    """A state to which changes are applied one by one."""

    def __init__(self, state: State) -> None:
        self.state = state

    def apply(self, change: Change) -> None:
        by = change.get("by", _NOBODY)
        number, digest = self.state.number, self.state.digest
        fold(self.state, Entry(number, digest or "", None, by["time"], by["host"], by["user"], "", [change]))


class _Telling(_Folding):
    """The state of the log that gets the changes, and the changes that it gets."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.changes: list[Change] = []

    def tell(self, change: Change) -> None:
        self.apply(change)
        self.changes.append(change)

    def new_live(self, before: State) -> list[VersionState]:
        """Versions that are live now and were not before, in the order of their numbers."""
        return [version for version in self.state.live() if _is_new(version["id"], before)]


def in_portions(changes: list[Change], before: State) -> Iterator[list[Change]]:
    """Divide the changes for a log into entries that are small enough to be read: mostly one.

    A reader between two of these entries must not find a live version without its objects, and only versions that are
    live in the end have them. So each portion deletes the versions that are not live in the end, and the last portion
    sets whatever differs from the state that one single entry would have made.
    """
    *first, last = portions(changes)
    if not first:
        yield last
        return
    # The state that one single entry would make, and the state after the portions so far.
    meant, so_far = _Folding(before.copy()), _Folding(before.copy())
    for change in changes:
        meant.apply(change)
    for some in first:
        for change in some:
            so_far.apply(change)
        new = [version["id"] for version in so_far.state.live() if _is_new(version["id"], before)]
        dead = [id for id in new if "deleted" in meant.state.versions[id]]
        gone = [new_change("delete", id=id, reason=None) for id in dead]
        for change in gone:
            so_far.apply(change)
        yield [*some, *gone]
    for change in last:
        so_far.apply(change)
    yield [*last, *_aligned(so_far.state, meant.state, set())]


# -- push ----------------------------------------------------------------------------------------


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
    by = ours[-1]["by"] if ours else None
    for change in push.revivals():
        push.there.tell({**change, "by": by})
    told = _ids(push.there.changes)
    # If only some versions are pushed, nothing is settled: a skipped change may alter what a later change means.
    done = push.done if wanted is None else set()
    is_complete = known | told <= _ids(ours) and _ids(_for_all(ours)) <= known | told | settled | done
    same = wanted is None and is_complete and _agree(now, push.there.state, ours)
    return PushPlan(push.there.changes, push.there.new_live(theirs), push.declined, done, same)


class _Pushing:
    """A push that is being planned: our log is replayed against the state of the other."""

    def __init__(self, now: State, theirs: State, wanted: set[str] | None, start: State | None) -> None:
        self._now = now
        self._theirs = theirs
        self._wanted = wanted
        self._mine = _Folding(start or State(now.path))
        self.there = _Telling(theirs.copy())
        self.declined: list[str] = []
        self.done: set[str] = set()
        """ids of changes that never have to be sent"""

    def replay(self, change: Change, *, is_open: bool) -> None:
        """Apply a change of ours to our state as it was then. Send it if it `is_open` and fits there."""
        keys = _keys_of(change)
        before, was_type = {key: _said(self._mine.state, key) for key in keys}, self._mine.state.type
        if change["kind"] not in ONE_LOG:
            self._mine.apply(_numbered(change, self._now) if change["kind"] in ADDS else change)
        if is_open and keys:
            self._tell_properties(change, before)
        elif is_open:
            self._tell_of_versions(change, was_type)

    def _tell_of_versions(self, change: Change, was_type: str) -> None:
        answer = _about_versions(change, self._now, self.there.state, self._wanted, was_type)
        if answer == "tell":
            if change["kind"] in ADDS and not self.there.state.exists:
                self.there.tell(_named(self._now, change))
            self.there.tell(_as_told(change, self._now, self.there.state))
        elif answer == "declined":
            number = self._now.versions[change["id"]]["number"]
            self.declined.append(f"v{number} is not deleted: an alias holds it there")
        if answer in ("done", "declined"):
            self.done.add(change["change"])

    def _tell_properties(self, change: Change, before: dict[Key, Any]) -> None:
        """Send the keys that have the value there that the change replaced here (`before`): compare-and-set."""
        there, subject = self.there.state, change["id"]
        if subject and (subject not in there.versions or (self._wanted is not None and subject not in self._wanted)):
            return  # a property of a version that isn't pushed
        open_ = {key for key in before if not is_same(_said(there, key), _said(self._mine.state, key))}
        fits = {key for key in open_ if is_same(_said(there, key), before[key])}
        if change["kind"] == "alias" and subject and "deleted" in there.versions[subject]:
            fits = set()  # an alias can't name a version that is deleted there
        if fits:
            self.there.tell(PROPERTIES[change["kind"]].narrowed(change, fits))
        else:
            self.done.add(change["change"])
        for key in sorted(key for key in open_ - fits if not is_same(_said(self._now, key), _said(there, key))):
            self.declined.append(f"{_in_words(there, key)}: theirs stays ({_shown(there, key)})")

    def revivals(self) -> Iterator[Change]:
        """Bring back versions that the other side withdrew because it never had all of their objects. Delete new versions
        there that were deleted here by a change which the other log had before.
        """
        for id, version in self._theirs.versions.items():
            own = self._now.versions.get(id)
            is_wanted = self._wanted is None or id in self._wanted
            if "withdrawn" in version and own is not None and "deleted" not in own and is_wanted:
                yield new_change("undelete", id=id)
        for id in self.there.state.versions.keys() - self._theirs.versions.keys():
            if "deleted" in self._now.versions[id] and "deleted" not in self.there.state.versions[id]:
                yield new_change("delete", id=id, reason=None)


def _ids(changes: Iterable[Change]) -> set[str]:
    return {change["change"] for change in changes}


def _agree(one: State, other: State, changes: list[Change]) -> bool:
    """Whether two states have equal versions, and equal values for all keys that these changes touch."""
    theirs = other.versions
    return (
        one.versions.keys() == theirs.keys()
        and all(v["number"] == theirs[id]["number"] for id, v in one.versions.items())
        and all(("deleted" in v) == ("deleted" in theirs[id]) for id, v in one.versions.items())
        and all(is_same(_said(one, key), _said(other, key)) for change in changes for key in _touched_by(change))
    )


def _for_all(changes: list[Change]) -> list[Change]:
    """The changes that concern every log of the collection."""
    return [change for change in changes if change["kind"] not in ONE_LOG]


def _is_new(id: str, before: State) -> bool:
    return id not in before.versions or "deleted" in before.versions[id]


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
        return "tell" if _takes(change, there) else "done"
    if wanted is not None and id not in wanted:
        return "skip"
    if kind in ADDS:
        return "done" if known is not None else "tell"
    if known is None:
        return "skip"
    if kind == "delete" and id in there.aliases.values():
        return "declined"
    return "tell" if ("deleted" in known) == (kind == "undelete") else "done"


def _takes(change: Change, state: State) -> bool:
    """Whether the deletion of a collection has an effect: on live versions, or on a name without live versions."""
    live = state.live()
    return any(version["id"] in change["ids"] for version in live) or (state.exists and not live)


def _as_told(change: Change, now: State, there: State) -> Change:
    """A change in the form in which it is sent.

    The deletion of a collection names only versions that are in both logs, so versions that others added stay.
    """
    if change["kind"] in ADDS:
        return _numbered(change, now)
    if change["kind"] == "collection":
        return {**change, **now.path.fields()}
    if change["kind"] == "delete collection":
        return {**change, "ids": [id for id in change["ids"] if id in there.versions]}
    return change


def _numbered(change: Change, now: State) -> Change:
    return {**change, "number": now.versions[change["id"]]["number"]}


def _named(now: State, change: Change) -> Change:
    return {**new_change("collection", **now.path.fields(), type=now.type), "by": change["by"]}


# -- pull ----------------------------------------------------------------------------------------


def to_pull(
    theirs: list[Change],
    there: State,
    ours: list[Change],
    now: State,
    settled: set[str],
    *,
    upstream: bool,
    wanted: set[str] | None = None,
) -> PullPlan:
    """Which of their changes to append to our log.

    Args:
        theirs: All changes of the other log, from `told`.
        there: The other log's state.
        ours: All changes of our log, from `told`.
        now: Our state.
        settled: Ids of changes that never have to be sent there.
        upstream: Whether the other side's numbers are final. If one of its numbers is taken here, all versions that it
            doesn't have get numbers after its own. For any other remote that is a Conflict.
        wanted: Ids of the only versions to pull; None for all.

    If both logs were the `same` before, the changes after that point are enough, for `theirs` and for `ours`.
    """
    have, known = _ids(ours), _ids(theirs)
    new = _news(theirs, there, now, have, wanted)
    here = _Telling(now.copy())
    # Renumber our versions first, so that theirs can keep their numbers.
    numbers = _new_numbers(there, now, wanted, upstream)
    if numbers:
        here.tell(new_change("renumber", numbers=numbers))
    _hear(new, there, here)
    # Where both sides changed a key, theirs wins. Ours is kept only if their log's last change of the key is one that
    # we have too: then their new changes are older than it.
    open_ = [c for c in ours if c["change"] not in known | settled and _touched_by(c)]
    said = _ids(here.changes)
    heard = [c for c in new if c["kind"] != "collection" or c["change"] in said]
    pending, touched = ({key for c in some for key in _touched_by(c)} for some in (open_, heard))
    kept = _overwritten_by_us(theirs, have) & pending & touched
    touched -= kept
    lost = {key for key in pending & touched if not is_same(_said(now, key), _said(there, key))}
    # Set the kept keys back to our values, then all keys to theirs except those that only we have changed.
    made = list(_aligned(here.state, now, _AllBut(kept)))
    for change in made:
        here.apply(change)
    for change in _aligned(here.state, there, pending - touched) if wanted is None else ():
        made.append(change)
        here.apply(change)
    # Bring back versions that we withdrew, because we never had all of their objects, and that they have.
    for id, version in now.versions.items():
        lives_there = "deleted" not in there.versions.get(id, {"deleted": ""})
        if "withdrawn" in version and lives_there and (wanted is None or id in wanted):
            here.tell(new_change("undelete", id=id))
    done = _ids([*made, *(c for c in open_ if set(_touched_by(c)) <= touched)])
    own = {id for id in _ids(_for_all([*ours, *here.changes])) if id not in known}
    is_complete = known <= have | said and own <= settled | done
    return PullPlan(
        [*here.changes, *made],
        here.new_live(now),
        {now.versions[id]["number"]: number for id, number in numbers.items()},
        [f"{_in_words(there, key)}: theirs stays ({_shown(there, key)})" for key in sorted(lost)],
        done,
        wanted is None and is_complete and _agree(here.state, there, [*ours, *theirs]),
    )


def _news(theirs: list[Change], there: State, now: State, have: set[str], wanted: set[str] | None) -> list[Change]:
    """Their changes that we lack, without those of versions that they withdrew and we don't have."""
    new = [change for change in _for_all(theirs) if change["change"] not in have]
    unfit = {id for id, v in there.versions.items() if "withdrawn" in v and id not in now.versions}
    new = [change for change in new if change.get("id") not in unfit]
    if wanted is not None:
        new = [change for change in new if change["kind"] == "collection" or change.get("id") in wanted]
        new = [c for c in new if c["kind"] != "alias" or there.aliases.get(c["alias"]) == c["id"]]
    return new


def _hear(new: list[Change], there: State, here: _Telling) -> None:
    """Apply their changes that have an effect here."""
    made_by: Change | None = None
    for change in new:
        if change["kind"] == "collection" and not here.state.exists:
            made_by = {**change, **there.path.fields()}  # appended with the first version: no empty collection is made
        elif _fits_here(change, here.state, there):
            if change["kind"] in ADDS:
                if not here.state.exists:
                    here.tell(made_by or _named(there, change))
                here.tell(_numbered(change, there))
            elif change["kind"] == "delete collection":
                here.tell({**change, "ids": [id for id in change["ids"] if id in here.state.versions]})
            else:
                here.tell({**change, **there.path.fields()} if change["kind"] == "collection" else change)


def _overwritten_by_us(theirs: list[Change], have: set[str]) -> set[Key]:
    """Keys whose last change in their log is one that our log has too, so that older changes of theirs don't count."""
    last = {key: change["change"] for change in theirs for key in _keys_of(change)}
    return {key for key, id in last.items() if id in have}


class _AllBut(Container[Key]):
    """All keys except a few."""

    def __init__(self, few: set[Key]) -> None:
        self._few = few

    def __contains__(self, key: object) -> bool:
        return key not in self._few


def _new_numbers(there: State, now: State, wanted: set[str] | None, upstream: bool) -> dict[str, int]:
    """New numbers, by id, for our versions, if theirs need the numbers that ours have. Conflict unless `upstream`."""
    taken = now.taken
    coming = [v for id, v in there.versions.items() if wanted is None or id in wanted or id in now.versions]
    clashes = [v for v in coming if taken.get(v["number"], v["id"]) != v["id"]]
    moved = {v["id"]: v["number"] for v in coming if v["id"] in now.versions}
    moved = {id: number for id, number in moved.items() if now.versions[id]["number"] != number}
    if not clashes and not moved:
        return {}
    if not upstream:
        number = min([v["number"] for v in clashes] or list(moved.values()))
        raise Conflict(f"{now.path.name}:v{number} is another version at the remote than here")
    own = sorted((v for id, v in now.versions.items() if id not in there.versions), key=lambda v: int(v["number"]))
    behind = {v["id"]: there.next + i for i, v in enumerate(own)}
    numbers = {**moved, **behind}
    return {id: number for id, number in numbers.items() if now.versions[id]["number"] != number}


def _fits_here(change: Change, here: State, there: State) -> bool:
    """Whether a change of theirs has an effect on our log."""
    kind, id = change["kind"], change.get("id")
    if kind == "collection":
        return here.exists and here.type != change["type"] and there.type == change["type"]
    if kind in ADDS:
        return id not in here.versions
    if kind == "delete collection":
        return _takes(change, here)
    return id is None or id in here.versions


def _aligned(here: State, there: State, ours: Container[Key]) -> Iterator[Change]:
    """Changes that give `here` the values of `there`, for what both sides have, except for the keys in `ours`."""
    if here.exists and there.exists and here.type != there.type and ("type",) not in ours:
        yield new_change("collection", **there.path.fields(), type=there.type)
    if there.number and here.exists != there.exists and ("exists",) not in ours and not (here.live() or there.live()):
        named = new_change("collection", **there.path.fields(), type=there.type)
        yield named if there.exists else new_change("delete collection", ids=[])
    for id, theirs in there.versions.items():
        if id in here.versions and ("live", id) not in ours and "withdrawn" not in theirs:
            lives = "deleted" not in here.versions[id]
            if lives and "deleted" in theirs:
                yield new_change("delete", id=id, reason=None)
            elif not lives and "deleted" not in theirs:
                yield new_change("undelete", id=id)
    yield from PROPERTIES["alias"].aligned(None, vars(here), vars(there), ours)
    yield from aligned(None, vars(here), vars(there), ours)
    for id, theirs in there.versions.items():
        own = here.versions.get(id)
        if own is not None and ("deleted" not in own or "deleted" not in theirs):
            yield from aligned(id, own, theirs, ours)
