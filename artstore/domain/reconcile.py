"""Reconciling two logs of one collection: which changes to send, and which side wins where both changed.

Pure: states and changes in, changes out. A log is never copied. Changes are sent one by one, and each keeps its id in
every log. A version is sent with the number that it has now. Where both sides changed a property, or took a number, the
remote wins, in both directions:

- A push sends a change of a property as a compare-and-set: it applies only where the remote still has the value that
  the change replaced on our side. Versions with a number that the remote gave to another one are not sent.
- A pull overwrites our value, unless it is newer: we had seen the remote's value when we set it. If the remote has
  another version under a number of ours, all our versions that it lacks get numbers behind its own.
"""

from collections.abc import Container, Iterable, Iterator
from typing import Any

from artstore.domain.changes import Change, LogEntry, new_change, origin_of, portions
from artstore.domain.collection import State, VersionState, is_live
from artstore.domain.kinds import fold
from artstore.domain.properties import PROPERTIES, Key, aligned, is_same

ONE_LOG = frozenset(
    {"renumber", "withdraw", "moved from", "moved to", "not moved", "part", "part extras", "finish", "drop"}
)
"""Kinds of changes that concern only the log that they are in. They are never sent."""

_NOBODY = {"host": None, "time": "", "user": None}
"""The origin of a change that is only tried out."""


def told(entries: Iterable[LogEntry]) -> list[Change]:
    """All changes of a log, oldest first, each with its origin in the field `by`.

    Without the type in the first entry after a rename: it repeats what was, and nobody set it.
    """
    return [
        {**change, "by": origin_of(entry, change)}
        for entry in entries
        for change in entry.changes
        if change["kind"] != "collection" or all(other["kind"] != "moved from" for other in entry.changes)
    ]


# -- properties ----------------------------------------------------------------------------------


def value_of(state: State, key: Key) -> Any:
    """The value of a property in a state, or None if it isn't set."""
    kind, *rest = key
    if kind in ("type", "exists"):
        return getattr(state, kind)
    if kind == "live":
        return is_live(state.versions.get(rest[0]))
    return _OF_KEY[kind].value(state, key)


_OF_KEY = {**PROPERTIES, "tag": PROPERTIES["tags"]}
"""Kinds of properties by the first part of their keys."""


def keys_of(change: Change) -> list[Key]:
    """The properties that a change sets."""
    of = PROPERTIES.get(change["kind"])
    return of.keys(change) if of is not None else []


def touched_by(change: Change) -> list[Key]:
    """Like `keys_of`, and also the keys for whether versions are live, whether the collection exists, and its type."""
    kind = change["kind"]
    if kind in ("delete", "undelete"):
        return [("live", change["id"])]
    if kind == "delete collection":
        return [("exists",), *(("live", id) for id in change["ids"])]
    return [("type",)] if kind == "collection" else keys_of(change)


def in_words(state: State, key: Key) -> str:
    kind, *rest = key
    if kind == "alias":
        return PROPERTIES["alias"].named(key)
    version = state.versions.get(rest[0]) if rest else None
    if kind == "live":
        return f"whether v{version['number']} is deleted" if version else "a version"
    named = _OF_KEY[kind].named(key) if kind in _OF_KEY else kind
    return named + (f" of v{version['number']}" if version else "")


def stays(there: State, key: Key) -> str:
    """The report that the other side's value of a key stays."""
    value, found = value_of(there, key), "changed there too"
    if key[0] == "alias":
        found = f"v{there.versions[value]['number']}" if value in there.versions else "not set"
    return f"{in_words(there, key)}: theirs stays ({found})"


class AllBut(Container[Key]):
    """All keys except a few."""

    def __init__(self, few: set[Key]) -> None:
        self._few = few

    def __contains__(self, key: object) -> bool:
        return key not in self._few


class Folding:
    """A state to which changes are applied one by one."""

    def __init__(self, state: State) -> None:
        self.state = state

    def apply(self, change: Change) -> None:
        by = change.get("by", _NOBODY)
        number, digest = self.state.number, self.state.digest
        fold(self.state, LogEntry(number, digest or "", None, by["time"], by["host"], by["user"], "", [change]))


class Telling(Folding):
    """The state of the log that gets the changes, and the changes that it gets."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.changes: list[Change] = []

    def tell(self, change: Change) -> None:
        self.apply(change)
        self.changes.append(change)

    def new_live(self, before: State) -> list[VersionState]:
        """Versions that are live now and were not before, in the order of their numbers."""
        return [version for version in self.state.live() if is_new(version["id"], before)]


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
    meant, so_far = Folding(before.copy()), Folding(before.copy())
    for change in changes:
        meant.apply(change)
    for some in first:
        for change in some:
            so_far.apply(change)
        new = [version["id"] for version in so_far.state.live() if is_new(version["id"], before)]
        dead = [id for id in new if not is_live(meant.state.versions[id])]
        gone = [new_change("delete", id=id, reason=None) for id in dead]
        for change in gone:
            so_far.apply(change)
        yield [*some, *gone]
    for change in last:
        so_far.apply(change)
    yield [*last, *aligned_states(so_far.state, meant.state, set())]


def aligned_states(here: State, there: State, ours: Container[Key]) -> Iterator[Change]:
    """Changes that give `here` the values of `there`, for what both sides have, except for the keys in `ours`."""
    if here.exists and there.exists and here.type != there.type and ("type",) not in ours:
        yield new_change("collection", **there.path.fields(), type=there.type)
    if there.number and here.exists != there.exists and ("exists",) not in ours and not (here.live() or there.live()):
        named = new_change("collection", **there.path.fields(), type=there.type)
        yield named if there.exists else new_change("delete collection", ids=[])
    for id, theirs in there.versions.items():
        if id in here.versions and ("live", id) not in ours and "withdrawn" not in theirs:
            lives = is_live(here.versions[id])
            if lives and not is_live(theirs):
                yield new_change("delete", id=id, reason=None)
            elif not lives and is_live(theirs):
                yield new_change("undelete", id=id)
    for kind in ("alias", "keep"):
        yield from PROPERTIES[kind].aligned(None, vars(here), vars(there), ours)
    yield from aligned(None, vars(here), vars(there), ours)
    for id, theirs in there.versions.items():
        own = here.versions.get(id)
        if own is not None and (is_live(own) or is_live(theirs)):
            yield from aligned(id, own, theirs, ours)


def ids_of(changes: Iterable[Change]) -> set[str]:
    return {change["change"] for change in changes}


def agree(one: State, other: State, changes: list[Change]) -> bool:
    """Whether two states have equal versions, and equal values for all keys that these changes touch."""
    theirs = other.versions
    return (
        one.versions.keys() == theirs.keys()
        and all(v["number"] == theirs[id]["number"] for id, v in one.versions.items())
        and all(is_live(v) == is_live(theirs[id]) for id, v in one.versions.items())
        and all(is_same(value_of(one, key), value_of(other, key)) for change in changes for key in touched_by(change))
    )


def for_all(changes: list[Change]) -> list[Change]:
    """The changes that concern every log of the collection."""
    return [change for change in changes if change["kind"] not in ONE_LOG]


def is_new(id: str, before: State) -> bool:
    return id not in before.versions or not is_live(before.versions[id])


def takes(change: Change, state: State) -> bool:
    """Whether the deletion of a collection has an effect: on live versions, or on a name without live versions."""
    live = state.live()
    return any(version["id"] in change["ids"] for version in live) or (state.exists and not live)


def numbered(change: Change, now: State) -> Change:
    return {**change, "number": now.versions[change["id"]]["number"]}


def named_as(now: State, change: Change) -> Change:
    return {**new_change("collection", **now.path.fields(), type=now.type), "by": change["by"]}
