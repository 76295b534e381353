"""Planning a pull: which changes of a remote's log to append to our log of the same collection."""

from typing import NamedTuple

from artstore.domain.changes import Change, new_change
from artstore.domain.collection import ADDS, State, VersionState, is_live
from artstore.domain.properties import Key, is_same
from artstore.domain.reconcile import (
    AllBut,
    Telling,
    agree,
    aligned_states,
    for_all,
    ids_of,
    keys_of,
    named_as,
    numbered,
    stays,
    takes,
    touched_by,
    value_of,
)
from artstore.errors import Conflict


class PullPlan(NamedTuple):
    """The changes to append to our log. Fields with a name of `PushPlan` have the same meaning."""

    changes: list[Change]
    versions: list[VersionState]
    renumbered: dict[int, int]
    """the new number of each of our versions that gets one, by its old number"""
    declined: list[str]
    settled: set[str]
    same: bool


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
    have, known = ids_of(ours), ids_of(theirs)
    new = _news(theirs, there, now, have, wanted)
    here = Telling(now.copy())
    # Renumber our versions first, so that theirs can keep their numbers.
    numbers = _new_numbers(there, now, wanted, upstream)
    if numbers:
        here.tell(new_change("renumber", numbers=numbers))
    _hear(new, there, here)
    # Where both sides changed a key, theirs wins. Ours is kept only if their log's last change of the key is one that
    # we have too: then their new changes are older than it.
    open_ = [c for c in ours if c["change"] not in known | settled and touched_by(c)]
    said = ids_of(here.changes)
    heard = [c for c in new if c["kind"] != "collection" or c["change"] in said]
    pending, touched = ({key for c in some for key in touched_by(c)} for some in (open_, heard))
    kept = _overwritten_by_us(theirs, have) & pending & touched
    touched -= kept
    lost = {key for key in pending & touched if not is_same(value_of(now, key), value_of(there, key))}
    # Set the kept keys back to our values, then all keys to theirs except those that only we have changed.
    made = list(aligned_states(here.state, now, AllBut(kept)))
    for change in made:
        here.apply(change)
    for change in aligned_states(here.state, there, pending - touched) if wanted is None else ():
        made.append(change)
        here.apply(change)
    # Bring back versions that we withdrew, because we never had all of their objects, and that they have.
    for id, version in now.versions.items():
        lives_there = is_live(there.versions.get(id))
        if "withdrawn" in version and lives_there and (wanted is None or id in wanted):
            here.tell(new_change("undelete", id=id))
    done = ids_of([*made, *(c for c in open_ if set(touched_by(c)) <= touched)])
    own = {id for id in ids_of(for_all([*ours, *here.changes])) if id not in known}
    is_complete = known <= have | said and own <= settled | done
    return PullPlan(
        [*here.changes, *made],
        here.new_live(now),
        {now.versions[id]["number"]: number for id, number in numbers.items()},
        [stays(there, key) for key in sorted(lost)],
        done,
        wanted is None and is_complete and agree(here.state, there, [*ours, *theirs]),
    )


def _news(theirs: list[Change], there: State, now: State, have: set[str], wanted: set[str] | None) -> list[Change]:
    """Their changes that we lack, without those of versions that they withdrew and we don't have."""
    new = [change for change in for_all(theirs) if change["change"] not in have]
    unfit = {id for id, v in there.versions.items() if "withdrawn" in v and id not in now.versions}
    new = [change for change in new if change.get("id") not in unfit]
    if wanted is not None:
        new = [change for change in new if change["kind"] == "collection" or change.get("id") in wanted]
        new = [c for c in new if c["kind"] != "alias" or there.aliases.get(c["alias"]) == c["id"]]
    return new


def _hear(new: list[Change], there: State, here: Telling) -> None:
    """Apply their changes that have an effect here."""
    made_by: Change | None = None
    for change in new:
        if change["kind"] == "collection" and not here.state.exists:
            made_by = {**change, **there.path.fields()}  # appended with the first version: no empty collection is made
        elif _fits_here(change, here.state, there):
            if change["kind"] in ADDS:
                if not here.state.exists:
                    here.tell(made_by or named_as(there, change))
                here.tell(numbered(change, there))
            elif change["kind"] == "delete collection":
                here.tell({**change, "ids": [id for id in change["ids"] if id in here.state.versions]})
            else:
                here.tell({**change, **there.path.fields()} if change["kind"] == "collection" else change)


def _overwritten_by_us(theirs: list[Change], have: set[str]) -> set[Key]:
    """Keys whose last change in their log is one that our log has too, so that older changes of theirs don't count."""
    last = {key: change["change"] for change in theirs for key in keys_of(change)}
    return {key for key, id in last.items() if id in have}


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
        return takes(change, here)
    return id is None or id in here.versions
