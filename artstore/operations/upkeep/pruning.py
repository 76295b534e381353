"""Pruning: which versions of a collection a policy keeps, and why. Pure."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from artstore.domain.collection import State, VersionState
from artstore.domain.filters import ABSENT, nested
from artstore.domain.names import printable
from artstore.errors import InvalidValue


class Policy(NamedTuple):
    """What is kept; with nothing asked for, all but what its ttl says is over."""

    keep_last: int | None = None
    """so many of the newest"""
    keep_aliased: bool = False
    """what an alias but `latest` names"""
    keep_tagged: bool = False
    keep_linked: bool = False
    """what a link names"""
    older_than: float | None = None
    """seconds: what is younger is kept"""
    keep_best: tuple[str, ...] = ()
    """keys of metadata: of each the version with the greatest number, or with `KEY:min` the least"""

    def checked(self) -> "Policy":
        """Raises InvalidValue."""
        if self.keep_last is not None and self.keep_last < 1:
            raise InvalidValue("the newest version is always kept: --keep-last is 1 or more")
        return self

    @property
    def asks(self) -> bool:
        """Whether versions without a ttl may go."""
        return self != Policy()


class Verdict(NamedTuple):
    version: VersionState
    why: str
    """what keeps it; for one that goes, why it does"""
    goes: bool


def judge(
    state: State,
    policy: Policy,
    linked: Callable[[str], bool],
    metadata: Callable[[VersionState], dict[str, Any]],
    said_of: Callable[[VersionState], VersionState],
    now: float | None = None,
) -> list[Verdict]:
    """A verdict on each live version, in the order of their numbers. `linked` tells whether a link names an id, `metadata`
    and `said_of` what is said of a version. The newest version stays, whatever its ttl; so does what is a link itself.
    """
    live = state.live()
    now = time.time() if now is None else now
    newest = {version["id"] for version in live[-(policy.keep_last or 1) :]}
    best = {id: key for key in policy.keep_best for id in _best(live, key, metadata)}
    aliases = {id: [a for a in names if a != "latest"] for id, names in state.all_aliases().items()}
    verdicts = []
    for version in live:
        id, said = version["id"], said_of(version)
        age = now - version["created"] / 1e9
        ttl = said.get("ttl")
        over = isinstance(ttl, int) and age > ttl
        reasons = {
            "a link": "source" in version,
            "the newest": id == live[-1]["id"],
            f"one of the newest {policy.keep_last}": id in newest and policy.keep_last is not None,
            f"alias {', '.join(aliases.get(id, ()))}": policy.keep_aliased and bool(aliases.get(id)),
            f"tag {', '.join(said.get('tags', ()))}": policy.keep_tagged and bool(said.get("tags")),
            "linked": policy.keep_linked and linked(id),
            f"best {best.get(id)}": id in best,
            "young": policy.older_than is not None and age <= policy.older_than and not over,
            "nothing asks for it to go": not over and not policy.asks,
            "its ttl says never": "ttl" in said and ttl is None,
        }
        kept = next((reason for reason, holds in reasons.items() if holds), None)
        verdicts.append(Verdict(version, kept or ("its ttl is over" if over else "not kept"), kept is None))
    return verdicts


def _best(live: list[VersionState], asked: str, metadata: Callable[[VersionState], dict[str, Any]]) -> list[str]:
    """The id of the version with the greatest (or least) number under a key; of equal ones the newest."""
    key, _, order = asked.rpartition(":") if asked.endswith((":min", ":max")) else (asked, "", "max")
    sign = -1 if order == "min" else 1
    found: list[tuple[float, int, str]] = []
    for version in live:
        value = nested(metadata(version), key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value is not ABSENT:
            found.append((sign * value, version["number"], version["id"]))
    if live and not found:
        raise InvalidValue(
            f"no version has a number under '{printable(key)}' in its metadata",
            hint="--keep-best KEY, or KEY:min for the least",
        )
    return [max(found)[2]] if found else []
