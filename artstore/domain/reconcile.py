"""Reconciling two logs of one collection: what one has to tell the other, and what becomes of changes that both made.
Pure: states and changes in, changes out.

A log is never copied: changes are told one by one, each known by its id wherever it stands. Numbers of versions are the
receiver's affair, so they are told as they are now. What is said of versions is told as compare-and-set against the value
that it replaced where it was made: where that is another by now, the receiver's stays.
"""

from collections.abc import Container, Iterable, Iterator
from typing import Any, NamedTuple

from artstore.domain.changes import Change, Entry, new_change, origin_of, portions
from artstore.domain.collection import ADDS, State, VersionState
from artstore.domain.kinds import fold
from artstore.domain.properties import PROPERTIES, Key, aligned, is_same
from artstore.errors import Conflict

ONE_LOG = frozenset({"renumber", "withdraw", "moved from", "moved to", "not moved", "part", "finish", "drop"})
"""Kinds of changes that are about one log only."""

_NOBODY = {"host": None, "time": "", "user": None}
"""Who makes a change that is only tried out."""


class PushPlan(NamedTuple):
    """What a log has to be told."""

    changes: list[Change]
    versions: list[VersionState]
    """those among them that are live at the end: their objects have to be there"""
    declined: list[str]
    """changes of ours whose property reads otherwise there by now, in words"""
    settled: set[str]
    """ids of changes that need never be told there: they are there in effect, or were declined"""
    same: bool
    """whether both logs hold the same changes (but for settled ones) and read alike, once this is told"""


class PullPlan(NamedTuple):
    """What our log has to be told, with what `PushPlan` says of the same fields."""

    changes: list[Change]
    versions: list[VersionState]
    renumbered: dict[int, int]
    """numbers of ours before and after"""
    declined: list[str]
    settled: set[str]
    same: bool


def told(entries: Iterable[Entry]) -> list[Change]:
    """All changes of a log, oldest first, each with by whom it was made."""
    return [{**change, "by": origin_of(entry, change)} for entry in entries for change in entry.changes]


# -- properties ----------------------------------------------------------------------------------


def _said(state: State, key: Key) -> Any:
    """What a state says of a property; None for nothing."""
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
    """As `_keys_of`, and whether versions live and what type they have."""
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


def in_portions(changes: list[Change], before: State) -> Iterator[list[Change]]:
    """What a log with this state is told, for as many entries as it takes that each can be read: mostly one.

    Who reads between two of them finds no version without its objects, which are there for versions that live in the end:
    others are deleted at the end of a portion. So the last one also makes all read as if there had been one.
    """
    *first, last = portions(changes)
    if not first:
        yield last
        return
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
    """What of our changes (all of our log, as `told`; `now` is their fold) a log with state `theirs` has to be told.
    `known` are the ids that it has, `wanted` the only versions to push. Raises Conflict where a number would mean two
    versions.

    With `start`, the state of our log where both were the `same`, the changes are those behind it, of both.
    """
    _refuse_double_numbers(now, theirs, wanted)
    mine, there = _Folding(start or State(now.path)), _Folding(theirs.copy())
    changes: list[Change] = []
    declined: list[str] = []
    done: set[str] = set()

    def tell(change: Change) -> None:
        there.apply(change)
        changes.append(change)

    for change in ours:
        keys = _keys_of(change)
        before = {key: _said(mine.state, key) for key in keys}
        was_type = mine.state.type
        if change["kind"] not in ONE_LOG:
            mine.apply(_numbered(change, now) if change["kind"] in ADDS else change)
        id = change["change"]
        if id in known or id in settled or change["kind"] in ONE_LOG:
            continue
        if not keys:
            answer = _about_versions(change, now, there.state, wanted, was_type)
            if answer == "tell":
                if change["kind"] in ADDS and not there.state.exists:
                    tell(_named(now, change))
                tell(_as_told(change, now, there.state))
            elif answer == "done":
                done.add(id)
            elif answer == "declined":
                done.add(id)
                declined.append(f"v{now.versions[change['id']]['number']} is not deleted: an alias holds it there")
            continue
        subject = change["id"]
        if subject and (subject not in there.state.versions or (wanted is not None and subject not in wanted)):
            continue  # of a version that is not pushed
        after = {key: _said(mine.state, key) for key in keys}
        open_ = {key for key in keys if not is_same(_said(there.state, key), after[key])}
        fits = {key for key in open_ if is_same(_said(there.state, key), before[key])}
        if change["kind"] == "alias" and subject and "deleted" in there.state.versions[subject]:
            fits = set()  # an alias can't name a version that is deleted there
        if fits:
            tell(PROPERTIES[change["kind"]].narrowed(change, fits))
        else:
            done.add(id)
        for key in sorted(key for key in open_ - fits if not is_same(_said(now, key), _said(there.state, key))):
            declined.append(f"{_in_words(there.state, key)}: theirs stays ({_shown(there.state, key)})")
    for id, version in theirs.versions.items():
        own = now.versions.get(id)
        if "withdrawn" in version and own is not None and "deleted" not in own and (wanted is None or id in wanted):
            tell({**new_change("undelete", id=id), "by": ours[-1]["by"]})
    for id in there.state.versions.keys() - theirs.versions.keys():
        if "deleted" in now.versions[id] and "deleted" not in there.state.versions[id]:
            tell({**new_change("delete", id=id, reason=None), "by": ours[-1]["by"]})  # by a change that was told before
    live = [v for id, v in there.state.versions.items() if "deleted" not in v and _is_new(id, theirs)]
    # Of a part nothing is settled: what was skipped may change what a later change means.
    done = done if wanted is None else set()
    mine_there = _ids(_for_all(ours)) <= known | _ids(changes) | settled | done
    same = wanted is None and known | _ids(changes) <= _ids(ours) and mine_there and _agree(now, there.state, ours)
    return PushPlan(changes, sorted(live, key=lambda version: version["number"]), declined, done, same)


def _ids(changes: Iterable[Change]) -> set[str]:
    return {change["change"] for change in changes}


def _agree(one: State, other: State, changes: list[Change]) -> bool:
    """Whether two states to which these have led read alike."""
    theirs = other.versions
    return (
        one.versions.keys() == theirs.keys()
        and all(v["number"] == theirs[id]["number"] for id, v in one.versions.items())
        and all(("deleted" in v) == ("deleted" in theirs[id]) for id, v in one.versions.items())
        and all(is_same(_said(one, key), _said(other, key)) for change in changes for key in _touched_by(change))
    )


def _for_all(changes: list[Change]) -> list[Change]:
    """Those that are about every log of the collection."""
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
    """Whether to `tell` a change of versions or of the collection; `done` when it is so there, `declined` when it can't be,
    `skip` for now.
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
    """Whether the deletion of a collection has an effect: on versions, or on a name without any."""
    live = state.live()
    return any(version["id"] in change["ids"] for version in live) or (state.exists and not live)


def _as_told(change: Change, now: State, there: State) -> Change:
    """A deletion of a whole collection takes only what is there: what others have added meanwhile lives on."""
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
    """What our log has to be told of theirs (all of it, as `told`; `there` is its fold). Where a number of theirs is taken,
    all versions that an `upstream` never had move behind its; of any other remote that is a Conflict.

    Where both were the `same` before, the changes behind that are enough, of both.
    """
    have, known = _ids(ours), _ids(theirs)
    new = [change for change in _for_all(theirs) if change["change"] not in have]
    unfit = {id for id, v in there.versions.items() if "withdrawn" in v and id not in now.versions}
    new = [change for change in new if change.get("id") not in unfit]
    if wanted is not None:
        new = [change for change in new if change["kind"] == "collection" or change.get("id") in wanted]
        new = [c for c in new if c["kind"] != "alias" or there.aliases.get(c["alias"]) == c["id"]]
    here = _Folding(now.copy())
    changes: list[Change] = []
    numbers = _new_numbers(there, now, wanted, upstream)
    if numbers:
        changes.append(new_change("renumber", numbers=numbers))
        here.apply(changes[0])
    made_by: Change | None = None

    def tell(change: Change) -> None:
        here.apply(change)
        changes.append(change)

    for change in new:
        if change["kind"] == "collection" and not here.state.exists:
            made_by = {**change, **there.path.fields()}  # told with the first version: nobody wants an empty one
        elif _fits_here(change, here.state, there):
            if change["kind"] in ADDS:
                if not here.state.exists:
                    tell(made_by or _named(there, change))
                tell(_numbered(change, there))
            elif change["kind"] == "delete collection":
                tell({**change, "ids": [id for id in change["ids"] if id in here.state.versions]})
            else:
                tell({**change, **there.path.fields()} if change["kind"] == "collection" else change)
    open_ = [c for c in ours if c["change"] not in known | settled and _touched_by(c)]
    said = _ids(changes)
    heard = [c for c in new if c["kind"] != "collection" or c["change"] in said]
    pending, touched = ({key for c in some for key in _touched_by(c)} for some in (open_, heard))
    kept = _overwritten_by_us(theirs, have) & pending & touched
    touched -= kept
    lost = {key for key in pending & touched if not is_same(_said(now, key), _said(there, key))}
    made = list(_aligned(here.state, now, _AllBut(kept)))
    for change in made:
        here.apply(change)
    for change in _aligned(here.state, there, pending - touched) if wanted is None else ():
        made.append(change)
        here.apply(change)
    for id, version in now.versions.items():
        theirs_ = there.versions.get(id)
        if (
            "withdrawn" in version
            and theirs_ is not None
            and "deleted" not in theirs_
            and (wanted is None or id in wanted)
        ):
            changes.append(new_change("undelete", id=id))
            here.apply(changes[-1])
    live = [v for id, v in here.state.versions.items() if "deleted" not in v and _is_new(id, now)]
    done = _ids([*made, *(c for c in open_ if set(_touched_by(c)) <= touched)])
    own = {id for id in _ids(_for_all([*ours, *changes])) if id not in known}
    return PullPlan(
        [*changes, *made],
        sorted(live, key=lambda version: version["number"]),
        {now.versions[id]["number"]: number for id, number in numbers.items()},
        [f"{_in_words(there, key)}: theirs stays ({_shown(there, key)})" for key in sorted(lost)],
        done,
        wanted is None
        and known <= have | said
        and own <= settled | done
        and _agree(here.state, there, [*ours, *theirs]),
    )


def _overwritten_by_us(theirs: list[Change], have: set[str]) -> set[Key]:
    """Properties whose last change in their log is one that ours has, too: what others said before it is past."""
    last = {key: change["change"] for change in theirs for key in _keys_of(change)}
    return {key for key, id in last.items() if id in have}


class _AllBut(Container[Key]):
    """Every property, but for a few."""

    def __init__(self, few: set[Key]) -> None:
        self._few = few

    def __contains__(self, key: object) -> bool:
        return key not in self._few


def _new_numbers(there: State, now: State, wanted: set[str] | None, upstream: bool) -> dict[str, int]:
    """Numbers for our versions, where theirs need those that these have."""
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
    """Whether a change of theirs has something to say here."""
    kind, id = change["kind"], change.get("id")
    if kind == "collection":
        return here.exists and here.type != change["type"] and there.type == change["type"]
    if kind in ADDS:
        return id not in here.versions
    if kind == "delete collection":
        return _takes(change, here)
    return id is None or id in here.versions


def _aligned(here: State, there: State, ours: Container[Key]) -> Iterator[Change]:
    """Sets that make what both sides have read as there, but for the properties in `ours`."""
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
