"""Histories: what two logs of one collection have said, all of it or behind the entries up to which both are the same."""

from collections.abc import Iterable
from typing import NamedTuple

from artstore.domain.changes import Change, LogEntry
from artstore.domain.collection import State
from artstore.domain.pushing import PushPlan, to_push
from artstore.domain.reconcile import ONE_LOG, told
from artstore.store.refs import Refs
from artstore.sync.notes import InStep


class Histories(NamedTuple):
    ours: list[Change]
    theirs: list[Change]
    behind: int
    """the entry of our log that ours come behind; 0 when they are all"""


def histories(here: Refs, ours: State, there: Refs, theirs: State, same: InStep | None) -> Histories:
    """What the logs that these states are of have said. Cost: one small file an entry; of long logs that were the `same`
    not long ago only those that came since.
    """
    if same is not None:
        new = here.since(ours, same.ours, same.our_digest)
        heard = there.since(theirs, same.theirs, same.their_digest)
        if new is not None and heard is not None and not _is_odd(new) and not _is_odd(heard):
            return Histories(told(new), told(heard), same.ours)
    return Histories(told(here.history(ours.path, ours.number)), told(there.history(theirs.path, theirs.number)), 0)


def what_to_push(
    here: Refs,
    ours: State,
    there: Refs,
    theirs: State,
    *,
    same: InStep | None,
    settled: set[str],
    wanted: set[str] | None = None,
) -> PushPlan:
    """As `to_push`, of these logs. Raises Conflict."""
    changes, heard, behind = histories(here, ours, there, theirs, same)
    start = here.read_folder(ours.path.folder, ours.path, until=behind) if behind else None
    known = {change["change"] for change in heard}
    return to_push(changes, ours, theirs, known, settled, wanted, start=start)


def _is_odd(entries: Iterable[LogEntry]) -> bool:
    """Whether something in them concerns their log alone: what it means to the other takes the whole history."""
    return any(change["kind"] in ONE_LOG for entry in entries for change in entry.changes)
