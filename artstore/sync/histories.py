"""Histories: the changes of two logs of one collection, or only those after the entries at which both were the same."""

from collections.abc import Iterable
from typing import NamedTuple

from artstore.domain.changes import Change, LogEntry
from artstore.domain.collection import State
from artstore.domain.pushing import PushPlan, to_push
from artstore.domain.reconcile import ONE_LOG, told
from artstore.store.refs import Refs
from artstore.sync.notes import InStep


class Histories(NamedTuple):
    """The changes of our log and of the remote's log of one collection."""

    ours: list[Change]
    theirs: list[Change]
    behind: int
    """number of the entry of our log after which `ours` begins; 0 if `ours` has all changes"""
    known: set[str]
    """ids of all changes in the entries of the remote's log that were read"""

    @staticmethod
    def of(ours: list[LogEntry], theirs: list[LogEntry], behind: int) -> "Histories":
        known = {change["change"] for entry in theirs for change in entry.changes}
        return Histories(told(ours), told(theirs), behind, known)


def histories(here: Refs, ours: State, there: Refs, theirs: State, same: InStep | None) -> Histories:
    """Read the changes of two logs. Cost: one small file for each entry that is read.

    Args:
        here: Our logs.
        ours: The state of our log.
        there: Copies of the remote's logs.
        theirs: The state of the remote's log.
        same: Entries at which both logs held the same changes, if known: then only later entries are read.
    """
    if same is not None:
        new = here.since(ours, same.ours, same.our_digest)
        heard = there.since(theirs, same.theirs, same.their_digest)
        if new is not None and heard is not None and not _is_odd(new) and not _is_odd(heard):
            return Histories.of(new, heard, same.ours)
    return Histories.of([*here.history(ours.path, ours.number)], [*there.history(theirs.path, theirs.number)], 0)


def what_to_push(
    here: Refs, ours: State, there: Refs, theirs: State, same: InStep | None, settled: set[str], wanted: set[str] | None
) -> PushPlan:
    """Plan a push: read both logs, and call `to_push`. Raises Conflict.

    Args:
        here: Our logs.
        ours: The state of our log.
        there: Copies of the remote's logs.
        theirs: The state of the remote's log.
        same: Entries at which both logs held the same changes, if known.
        settled: Ids of our changes that never have to be sent there.
        wanted: Ids of the only versions to push; None for all.
    """
    changes, _, behind, known = histories(here, ours, there, theirs, same)
    start = here.read_folder(ours.path.folder, ours.path, until=behind) if behind else None
    return to_push(changes, ours, theirs, known, settled, wanted, start=start)


def _is_odd(entries: Iterable[LogEntry]) -> bool:
    """Whether an entry has a change that concerns only its own log. Then the whole histories must be compared."""
    return any(change["kind"] in ONE_LOG for entry in entries for change in entry.changes)
