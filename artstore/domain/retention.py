"""Retention: rules that say which versions of a collection are kept, and the decision on each version. Pure."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from artstore.domain.collection import State, VersionState
from artstore.domain.filters import nested
from artstore.domain.names import printable
from artstore.domain.wording import near
from artstore.errors import InvalidValue

_GRAMMAR = "a rule is a list such as 'last:3, best:loss:min, younger:30d, aliased, tagged, linked'"
_FLAGS = {"aliased": "keep_aliased", "tagged": "keep_tagged", "linked": "keep_linked"}


def seconds(text: str) -> int:
    """The seconds in a duration such as 12h, 30d or 2w. Raises InvalidValue."""
    match = re.fullmatch(r"(\d{1,6})([smhdw])", text, re.ASCII)
    if match is None or int(match[1]) == 0:
        raise InvalidValue(f"'{printable(text)}' is not a duration such as 12h, 30d or 2w")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[match[2]]


class Policy(NamedTuple):
    """Which versions to keep. The default policy only deletes versions whose ttl has passed."""

    keep_last: int | None = None
    """keep the newest N versions"""
    keep_aliased: bool = False
    """keep versions with an alias other than `latest`"""
    keep_tagged: bool = False
    """keep versions with a tag"""
    keep_linked: bool = False
    """keep versions that a link points to"""
    older_than: float | None = None
    """keep versions younger than this, in seconds"""
    keep_best: tuple[str, ...] = ()
    """for each key of metadata, keep the version with the greatest number, or with `KEY:min` the least"""

    def checked(self) -> "Policy":
        """The same policy. Raises InvalidValue if `keep_last` is less than 1."""
        if self.keep_last is not None and self.keep_last < 1:
            raise InvalidValue("a rule must keep the last 1 or more: the newest version is always kept")
        return self

    @classmethod
    def parse(cls, rule: str) -> "Policy":
        """The policy of a rule such as `last:3, best:loss:min, younger:30d, tagged`.

        Raises:
            InvalidValue: If it isn't a rule, or names nothing to keep.

        >>> Policy.parse("last:3, best:loss:min").keep_last
        3
        """
        found: dict[str, Any] = {"keep_best": ()}
        for part in filter(None, map(str.strip, rule.split(","))):
            word, _, value = part.partition(":")
            if word in _FLAGS and not value:
                found[_FLAGS[word]] = True
            elif word == "last" and re.fullmatch(r"[0-9]{1,9}", value):
                found["keep_last"] = int(value)
            elif word == "younger":
                found["older_than"] = float(seconds(value))
            elif word == "best" and value.removesuffix(":min").removesuffix(":max"):
                found["keep_best"] = (*found["keep_best"], value)
            else:
                raise InvalidValue(f"'{printable(part)}' is not a rule for what to keep", hint=_GRAMMAR)
        policy = cls(**found).checked()
        if not policy.asks:
            raise InvalidValue("a rule must say what to keep", hint=_GRAMMAR)
        return policy

    @property
    def asks(self) -> bool:
        """Whether versions without a ttl may be deleted."""
        return self != Policy()


class Verdict(NamedTuple):
    """The decision on one version."""

    version: VersionState
    why: str
    """the reason why it is kept, or deleted"""
    goes: bool
    """whether it is deleted"""


def judge(
    state: State,
    policy: Policy,
    linked: Callable[[str], bool],
    metadata: Callable[[VersionState], dict[str, Any]],
    said_of: Callable[[VersionState], VersionState],
    users: Mapping[str, str] | None = None,
) -> list[Verdict]:
    """Decide on each live version of a collection. Returns the verdicts in the order of the version numbers.

    The newest version is always kept, whatever its ttl, and so is a version that is a link itself.

    Args:
        linked: Whether a link points to the version with this id.
        metadata: The metadata of a version.
        said_of: A version with its properties; for a link, those of its source.
        users: Versions to keep because a run that goes on uses or made them: the run's name by the version's id.
    """
    live, now = state.live(), time.time()
    newest = {version["id"] for version in live[-(policy.keep_last or 1) :]}
    best = {id: key for key in policy.keep_best for id in _best(state, live, key, metadata)}
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
            f"in use by run {(users or {}).get(id)}": id in (users or {}),
            "young": policy.older_than is not None and age <= policy.older_than and not over,
            "no rule deletes it": not over and not policy.asks,
            "its ttl is 'never'": "ttl" in said and ttl is None,
        }
        kept = next((reason for reason, holds in reasons.items() if holds), None)
        held = f", and has the alias {', '.join(aliases[id])}" if aliases.get(id) else ""
        gone = ("its ttl has passed" if over else "not kept") + held
        verdicts.append(Verdict(version, kept or gone, kept is None))
    return verdicts


def _best(
    state: State, live: list[VersionState], asked: str, metadata: Callable[[VersionState], dict[str, Any]]
) -> list[str]:
    """The id of the version with the greatest (or least) number under a key of its metadata. If equal, the newest.

    A list of one id, or empty if there is no live version. Raises InvalidValue if no version has such a number.
    """
    key, _, order = asked.rpartition(":") if asked.endswith((":min", ":max")) else (asked, "", "max")
    sign = -1 if order == "min" else 1
    found: list[tuple[float, int, str]] = []
    for version in live:
        value = nested(metadata(version), key)
        if _is_number(value):
            found.append((sign * value, version["number"], version["id"]))
    if live and not found:
        keys = {name for version in live for name, value in metadata(version).items() if _is_number(value)}
        listed = ", ".join(printable(name) for name in sorted(keys))
        hint = near(key, keys) or (f"there are {listed}" if listed else None)
        name = printable(state.path.name)
        raise InvalidValue(f"no version of {name} has a number under '{printable(key)}' in its metadata", hint=hint)
    return [max(found)[2]] if found else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
