"""Pruning: deleting the versions that a policy doesn't keep, with the bytes that this frees."""

from collections.abc import Set
from typing import NamedTuple

from artstore.domain.collection import Path, State
from artstore.domain.digest import Digest
from artstore.domain.properties import property_digests
from artstore.operations.changing.changes import Changes
from artstore.operations.finding.catalog import Catalog
from artstore.operations.finding.lookup import Version
from artstore.operations.upkeep.collect import foresee
from artstore.operations.upkeep.pruning import Policy, Verdict
from artstore.progress import Monitor
from artstore.store.store import Store


class Pruned(NamedTuple):
    verdicts: list[tuple[Path, Verdict]]
    """on each live version, with its collection"""
    freed_bytes: int
    """that a collection frees by the deleted versions, after the grace period"""

    @property
    def gone(self) -> list[tuple[Path, Verdict]]:
        return [pair for pair in self.verdicts if pair[1].goes]


def prune(
    store: Store, changes: Changes, catalog: Catalog, states: list[State], policy: Policy,
    *, force: bool, dry_run: bool, monitor: Monitor,
) -> Pruned:  # fmt: skip
    """Delete the versions of these collections that the policy doesn't keep, with one log entry each.

    Raises Conflict, with nothing deleted anywhere, if an alias or a link holds one of them, unless forced. The bytes
    are exactly those that a collection would free.
    """
    judged = [(state, changes.judge(state.path, policy)) for state in states]
    going = [Version(state, verdict.version) for state, verdicts in judged for verdict in verdicts if verdict.goes]
    changes.refuse_held(going, force=force)
    changes.refuse_linked(going, force=force)
    freed = _freed_without(store, catalog, going, monitor) if going else 0
    if not dry_run:
        judged = [(state, changes.prune(state.path, policy, force=force)) for state, _ in judged]
    return Pruned([(state.path, verdict) for state, verdicts in judged for verdict in verdicts], freed)


def _freed_without(store: Store, catalog: Catalog, going: list[Version], monitor: Monitor) -> int:
    """Bytes that a collection frees when these versions are deleted, beyond those that it frees anyway.

    The blobs of a linked version's properties stay: the links get its properties.
    """
    kept = {blob for one in going if catalog.links_of(one.id) for blob in property_digests(one.version)}

    def freed(without: Set[str], kept: Set[Digest]) -> int:
        seen = foresee(store.objects, store.refs, store.runs, grace=0.0, monitor=monitor, without=without, kept=kept)
        return seen.freed_bytes

    return freed({f"{one.state.path.folder}@{one.id}" for one in going}, kept) - freed(set(), set())
