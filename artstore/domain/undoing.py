"""Undoing: the changes that take others back, because an object on which they relied is gone."""

from artstore.domain.changes import Change, new_change
from artstore.domain.collection import ADDS, State, is_live
from artstore.domain.properties import is_same
from artstore.domain.reconcile import AllBut, aligned_states, keys_of, value_of
from artstore.domain.upserts import told_part


def taken_back(changes: list[Change], before: State, after: State, now: State, reason: str) -> list[Change]:
    """Changes that take some back, which led from one state to another. What somebody has set again `now` stays.

    Versions are withdrawn. The parts from which one was made are added to the upsert again: one of them may contradict
    a part that was added meanwhile, which the next finish reports.
    """
    keys = {key for change in changes for key in keys_of(change)}
    undone = list(
        aligned_states(now, before, AllBut({k for k in keys if is_same(value_of(now, k), value_of(after, k))}))
    )
    for change in changes:
        waiting = [part["tree"] for part in now.upserts.get(change.get("upsert", ""), [])]
        if change["kind"] in (*ADDS, "undelete") and is_live(now.versions.get(change["id"])):
            undone.append(new_change("withdraw", id=change["id"], reason=reason))
        elif change["kind"] == "origins" and change["id"] in before.versions:
            undone.append(new_change("origins", id=change["id"], entries={}, blob=None))
        elif change["kind"] == "part" and change["tree"] in waiting:
            undone.append(new_change("drop", upsert=change["upsert"], tree=change["tree"]))
        elif change["kind"] == "part extras" and change["tree"] in waiting:
            was = [part for part in before.upserts.get(change["upsert"], []) if part["tree"] == change["tree"]]
            undone += [new_change("part extras", **_named(change), blob=part.get("extras")) for part in was]
        elif change["kind"] == "finish":
            parts = (part for part in before.upserts[change["upsert"]] if part["tree"] not in waiting)
            undone += [told for part in parts for told in told_part(change["upsert"], part)]
    return undone


def _named(change: Change) -> dict[str, str]:
    """The fields by which a change names a part."""
    return {field: change[field] for field in ("upsert", "tree")}
