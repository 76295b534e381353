"""Pruning: deleting the versions that a policy doesn't keep, with the bytes that this frees."""

from functools import partial
from typing import NamedTuple

from artstore.domain.collection import Path, State
from artstore.domain.properties import property_digests
from artstore.domain.retention import Policy, Verdict
from artstore.errors import Conflict
from artstore.operations.changing.changes import Changes
from artstore.operations.finding.catalog import Catalog
from artstore.operations.finding.lookup import Version
from artstore.operations.upkeep.collect import foresee
from artstore.progress import Monitor
from artstore.store.store import Store


class Pruned(NamedTuple):
    """The result of a prune."""

    verdicts: list[tuple[Path, Verdict]]
    """the verdict on each live version, with its collection"""
    freed_bytes: int
    """that gc frees because of the deleted versions, after the grace period"""
    refused: Conflict | None
    """of a dry run: the error that this prune would raise"""

    @property
    def gone(self) -> list[tuple[Path, Verdict]]:
        """The verdicts on deleted versions."""
        return [pair for pair in self.verdicts if pair[1].goes]


def prune(
    store: Store, changes: Changes, catalog: Catalog, states: list[State], policy: Policy,
    *, force: bool, dry_run: bool, monitor: Monitor,
) -> Pruned:  # fmt: skip
    """Delete the versions of some collections that a policy doesn't keep. Each collection gets one log entry.

    Raises Conflict, with nothing deleted anywhere, if such a version has aliases or links point to it, unless `force`;
    a dry run returns that error with the verdicts. The freed bytes are exactly those that gc would free.
    """
    # 1. Decide on all versions, and refuse before anything is deleted.
    judged = [(state, changes.judge(state, policy)) for state in states]
    going = [Version(state, verdict.version) for state, verdicts in judged for verdict in verdicts if verdict.goes]
    refused = None
    try:
        changes.refuse_held(going, force=force)
        changes.refuse_linked(going, force=force)
    except Conflict as error:
        if not dry_run:
            raise
        refused = error
    # 2. Count the bytes while the versions still exist, then delete them.
    freed = _freed_without(store, catalog, going, monitor) if going else 0
    if not dry_run:

        def decide(state: State, now: bool) -> list[Verdict]:
            return changes.judge(state, policy, now=now)

        judged = [(state, changes.prune(state.path, decide, force=force)) for state in states]
    return Pruned([(state.path, verdict) for state, verdicts in judged for verdict in verdicts], freed, refused)


def _freed_without(store: Store, catalog: Catalog, going: list[Version], monitor: Monitor) -> int:
    """The bytes that gc frees after these versions are deleted, beyond those that it would free now.

    If links point to a version, the blobs of its properties stay, because its properties are copied to the links.
    """
    kept = {blob for one in going if catalog.links_of(one.id) for blob in property_digests(one.version)}
    look = partial(foresee, store.objects, store.refs, store.runs, grace=0.0, monitor=monitor)
    without = {f"{one.state.path.folder}@{one.id}" for one in going}
    return look(without=without, kept=kept).freed_bytes - look().freed_bytes
