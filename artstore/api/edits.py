"""Edits: a stored version's properties as they were read, and as the user has edited them since."""

import copy
import datetime
from typing import Any

from artstore.domain.codec import same_json
from artstore.domain.collection import INHERIT, LONGEST_TTL
from artstore.domain.metadata import normalise
from artstore.domain.names import check_alias, check_tags
from artstore.domain.properties import NEVER, Properties
from artstore.errors import InvalidType, InvalidValue

TTL = datetime.timedelta | str | None
"""A duration, None for never, or INHERIT."""


class Edits:
    """Lists and dicts are edited in place. `properties` says what differs, so that only this is saved and what others
    changed meanwhile stays.
    """

    def __init__(
        self, aliases: list[str], tags: list[str], description: str | None, metadata: dict[str, Any], ttl: TTL
    ) -> None:
        self._read = aliases, tags, description, metadata, ttl
        self.aliases = list(aliases)
        self.tags = list(tags)
        self.description = description
        self.metadata = copy.deepcopy(metadata)  # what was read is the store's: a handle may read from it again
        self.ttl = ttl

    def properties(self, *, newest: bool) -> Properties:
        """The differences; `newest` says whether the version is the one that `latest` names. Raises InvalidValue."""
        aliases, tags, description, metadata, ttl = self._read
        wanted = check_aliases(self.aliases)
        if "latest" in wanted and "latest" not in aliases and not newest:
            raise InvalidValue("alias 'latest' can't be set: it is always the newest version")
        now = normalise(self.metadata)
        labels = check_tags(self.tags)
        return Properties(
            aliases=tuple(alias for alias in wanted if alias not in aliases and alias != "latest"),
            no_aliases=tuple(alias for alias in aliases if alias not in wanted and alias != "latest"),
            tags=tuple(tag for tag in labels if tag not in tags),
            no_tags=tuple(tag for tag in tags if tag not in labels),
            description=(self.description or "") if self.description != description else None,
            metadata={
                key: value for key, value in now.items() if key not in metadata or not same_json(metadata[key], value)
            },
            no_metadata=tuple(metadata.keys() - now.keys()),
            ttl=ttl_seconds(self.ttl) if self.ttl != ttl else None,
        )


def check_aliases(aliases: Any) -> list[str]:
    """Aliases as users give them: a list, or one as text. Raises InvalidValue."""
    if isinstance(aliases, str):
        aliases = [aliases]
    aliases = list(aliases or ())
    for alias in aliases:
        if not isinstance(alias, str):
            raise InvalidType(f"alias {alias!r} is a {type(alias).__name__}, not text")
        check_alias(alias)
    return list(dict.fromkeys(aliases))


def ttl_seconds(ttl: TTL) -> int | str:
    """A ttl as `Properties` holds it. Raises InvalidValue for a duration below a second, TypeError for anything else."""
    if ttl is None:
        return NEVER
    if ttl == INHERIT:
        return INHERIT
    if not isinstance(ttl, datetime.timedelta):
        raise InvalidType(f"ttl is a {type(ttl).__name__}: give a timedelta, None for never, or ArtifactTTL.INHERIT")
    if ttl < datetime.timedelta(seconds=1):
        raise InvalidValue(f"ttl {ttl} is not allowed: it must be positive, from one second on")
    if ttl.total_seconds() > LONGEST_TTL:
        raise InvalidValue(f"ttl {ttl} is not allowed: a thousand years are the most", hint="None keeps it for ever")
    return int(ttl.total_seconds())
