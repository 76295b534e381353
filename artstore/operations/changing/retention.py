"""Retention: a collection's own rule for which versions are kept. Saves apply it where somebody set or accepted it."""

from collections.abc import Callable
from typing import NamedTuple

from artstore.domain.changes import Change, new_change
from artstore.domain.collection import Path, State
from artstore.domain.properties import LONGEST_RULE
from artstore.domain.retention import Policy, Verdict
from artstore.domain.wording import typed
from artstore.errors import Conflict, InvalidValue
from artstore.operations.changing.changes import Changes
from artstore.operations.finding.catalog import Catalog
from artstore.store.accepted import Accepted
from artstore.store.refs import Refs


class Kept(NamedTuple):
    """A collection's rule, and what it means now."""

    path: Path
    rule: str | None
    accepted: bool
    """whether saves in this repository apply it"""
    verdicts: list[Verdict]
    """the verdict on each live version, if the rule were applied now"""
    problem: str | None = None
    """why it can't be applied now, so that nothing is deleted"""

    @property
    def going(self) -> list[Verdict]:
        """The verdicts on versions that the rule doesn't keep."""
        return [verdict for verdict in self.verdicts if verdict.goes]


class Retention:
    """Sets, accepts and applies the rules of collections."""

    def __init__(self, refs: Refs, accepted: Accepted, changes: Changes, catalog: Callable[[], Catalog]) -> None:
        self._refs = refs
        self._accepted = accepted
        self._changes = changes
        self._catalog = catalog

    def set(self, path: Path, rule: str | None) -> None:
        """Set a collection's rule by hand, or remove it. Nothing is deleted before the next save."""
        if rule is not None:
            if len(rule) > LONGEST_RULE:
                raise InvalidValue(f"a rule may have {LONGEST_RULE} characters, not {len(rule)}")
            Policy.parse(rule)

        def build(state: State) -> list[Change]:
            return [] if state.keep == rule else [new_change("keep", old=state.keep, new=rule)]

        state = self._refs.change(path, build)
        if state.keep_entry is not None:
            self._accepted.add(state.keep_entry)

    def accept(self, path: Path) -> None:
        """Let saves here apply a rule that was set elsewhere.

        Raises Conflict if the collection has none, InvalidValue if this artstore can't read it.
        """
        state = self._refs.read(path)
        if state.keep is None or state.keep_entry is None:
            raise Conflict(
                f"{path.name} has no rule for what to keep", hint=f"{typed('keep', path.name, 'last:3')} sets one"
            )
        Policy.parse(state.keep)
        self._accepted.add(state.keep_entry)

    def look(self, state: State, rule: str | None = None) -> Kept:
        """A collection's rule, or another one to try, and the versions that it would delete. Deletes nothing."""
        rule, accepted = rule or state.keep, self._is_accepted(state)
        if rule is None:
            return Kept(state.path, None, accepted, [])
        policy = _policy(rule)
        try:
            return Kept(state.path, rule, accepted, self._changes.judge(state, policy, self._catalog().in_use()))
        except InvalidValue as error:  # no version has the metadata that it looks at
            return Kept(state.path, rule, accepted, [], error.message)

    def apply(self, state: State) -> list[Verdict]:
        """Delete what the collection's rule doesn't keep, if it was set or accepted here. Returns the verdicts.

        Whether the rule holds, and what it lets go, is decided once more on the state to which the deletions are
        appended. Cost: nothing for a collection without a rule. The runs are read only if the rule lets a version go.
        Raises Conflict if the repository was copied since it was accepted.
        """
        if state.keep is None:
            return []
        if state.keep_entry in self._accepted.elsewhere():
            accept = typed("keep --accept", state.path.name)
            raise Conflict(f"this repository was copied or restored since it was accepted; {accept} accepts it again")
        if not self._is_accepted(state):
            return []
        return [verdict for verdict in self._changes.prune(state.path, self._decide, force=False) if verdict.goes]

    def _decide(self, state: State, now: bool) -> list[Verdict]:
        """The verdicts of a collection's own rule. None if it has none, or one that nobody accepted here."""
        if state.keep is None or not self._is_accepted(state):
            return []
        policy = _policy(state.keep)
        verdicts = self._changes.judge(state, policy, {}, now=now)
        if any(verdict.goes for verdict in verdicts):
            verdicts = self._changes.judge(state, policy, self._catalog().in_use(), now=now)
        return verdicts

    def _is_accepted(self, state: State) -> bool:
        return state.keep_entry is not None and state.keep_entry in self._accepted.all()


def _policy(rule: str) -> Policy:
    """The policy of a collection's rule. What somebody named or tagged or linked is kept, whatever the rule says."""
    return Policy.parse(rule)._replace(keep_aliased=True, keep_tagged=True, keep_linked=True)
