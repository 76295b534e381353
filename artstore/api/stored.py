"""A stored version of the Python interface, looked up again when something changed, and the edits of its properties."""

import copy
import datetime
from collections.abc import Iterator
from typing import Any, BinaryIO

from artstore.api.handles import opened
from artstore.domain.codec import same_json
from artstore.domain.collection import INHERIT, LONGEST_TTL, Path
from artstore.domain.extras import Extras
from artstore.domain.metadata import normalise
from artstore.domain.names import check_alias, check_new_alias, check_tags
from artstore.domain.properties import NEVER, Properties
from artstore.domain.tree import DIRECTORY, Entry, Folder
from artstore.domain.wording import typed
from artstore.errors import InvalidType, InvalidValue, NotFound
from artstore.operations.finding.lookup import Version
from artstore.operations.saving.properties import latest_is_ours
from artstore.repository import Repository

TTL = datetime.timedelta | str | None
"""A duration, None for ever, or INHERIT."""


class Edits:
    """The properties of a version as they were read, and as the user has edited them.

    Lists and dicts are edited in place. Only the differences are saved, so that changes of others aren't overwritten.
    """

    def __init__(
        self, aliases: list[str], tags: list[str], description: str | None, metadata: dict[str, Any], ttl: TTL
    ) -> None:
        self._read = aliases, tags, description, metadata, ttl
        self.aliases = list(aliases)
        self.tags = list(tags)
        self.description = description
        self.metadata = copy.deepcopy(metadata)  # the original belongs to the store, whose handle may use it again
        self.ttl = ttl

    def properties(self, *, newest: bool) -> Properties:
        """The differences.

        Raises InvalidValue for the alias `latest` unless the version is the `newest`, or for a broken rule.
        """
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
            raise InvalidType(f"an alias must be text, not {alias!r}")
    return list(dict.fromkeys(map(check_alias, aliases)))


def new_aliases(aliases: Any) -> tuple[str, ...]:
    """Aliases that are to be set, as users give them: a list, or one as text. Raises InvalidValue."""
    return tuple(map(check_new_alias, check_aliases(aliases)))


def ttl_seconds(ttl: TTL) -> int | str:
    """A ttl as `Properties` has it.

    Raises InvalidValue if it is too short or too long, InvalidType if it isn't a duration.
    """
    if ttl is None:
        return NEVER
    if ttl == INHERIT:
        return INHERIT
    if not isinstance(ttl, datetime.timedelta):
        raise InvalidType(f"ttl must be a timedelta, None for ever, or ArtifactTTL.INHERIT, not {type(ttl).__name__}")
    if ttl < datetime.timedelta(seconds=1):
        seconds = ttl.total_seconds()
        raise InvalidValue(f"Artifact TTL Duration has to be positive. ttl: {seconds}; a second is the least")
    if ttl.total_seconds() > LONGEST_TTL:
        raise InvalidValue(f"ttl {ttl} is not allowed: the most is a thousand years", hint="None keeps it for ever")
    return int(ttl.total_seconds())


class Stored:
    """A stored version, which any thread may use: each thread has a repository handle of its own."""

    def __init__(self, root: str, found: Version, number: int | None = None) -> None:
        self.root = root
        self._found = found
        self._number = number
        self._edits: Edits | None = None
        self._origins: dict[str, dict[str, Any]] | None = None
        self._extras: Extras | None = None

    def __reduce__(self) -> Any:
        """It is pickled and copied as its place in the repository, with the edits."""
        return _stored_at, (self.root, tuple(self.path), self.id, self._number, self._edits)

    @property
    def repository(self) -> Repository:
        """This thread's handle of the repository."""
        return opened(self.root)

    @property
    def id(self) -> str:
        """The version's id."""
        id: str = self._found.version["id"]
        return id

    @property
    def path(self) -> Path:
        """The collection, by the name that it has now."""
        return self.found().state.path

    def found(self) -> Version:
        """The version as its collection's log describes it now. Cost: one stat if nothing changed."""
        refs = self.repository.refs
        if not refs.is_current(self._found.state):
            self._found = self.repository.version(self._found.state.path, self.id)
        return self._found

    @property
    def spec(self) -> str:
        """A name that stays valid if the version's number changes."""
        return f"{self.path}@{self.id}"

    @property
    def is_newest(self) -> bool:
        """Whether it is the newest version of its collection."""
        latest = self.found().state.latest
        return latest is not None and latest["id"] == self.id

    @property
    def is_link(self) -> bool:
        """Whether it is a link to a version of another collection."""
        return self.found().is_link

    @property
    def source_path(self) -> Path:
        """The collection of the link's source, by the name that it has now; for any other version its own."""
        return self.repository.lookup.saved_as(self.found())[0]

    @property
    def source_number(self) -> int:
        """The number of the link's source; for any other version its own."""
        return self.repository.lookup.saved_as(self.found())[1]

    @property
    def edits(self) -> Edits:
        """The properties as read and edited. They are read when they are first needed."""
        if self._edits is None:
            self._edits = self.read_properties()
        return self._edits

    def read_properties(self) -> Edits:
        """The properties as they are now."""
        found = self.found()
        description, metadata = self.repository.properties(found)
        said = self.repository.lookup.said_of(found)
        ttl = said.get("ttl", INHERIT)
        duration: TTL = datetime.timedelta(seconds=ttl) if isinstance(ttl, int) else ttl
        aliases = list(found.state.aliases_of(self.id))
        return Edits(aliases, list(said.get("tags", [])), description, metadata, duration)

    def save(self) -> None:
        """Write what was edited."""
        self._edit(self.edits.properties(newest=self.is_newest))

    def add(self, properties: Properties) -> None:
        """Add aliases and tags. Raises NotFound if it is deleted, InvalidValue for `latest` unless it is the newest."""
        found = self.found()
        if not found.is_live:
            raise NotFound(f"{found.name} was deleted", hint=f"{typed('undelete', found.spec)} may bring it back")
        if "latest" in properties.aliases and not self.is_newest:
            raise latest_is_ours()
        if properties.aliases or properties.tags:
            self._edit(properties)

    def refuse_renumbered(self) -> None:
        """Raise Conflict if it was named by a number that another version had before a pull."""
        self.repository.lookup.refuse_renumbered(self.found(), self._number)

    def _edit(self, properties: Properties) -> None:
        self.refuse_renumbered()
        self._found = self.repository.edit(self.spec, properties)
        self._edits = None

    # -- content --

    def origin(self, path: str) -> dict[str, Any] | None:
        """Where an entry of another version came from; None for any other entry.

        The fields are that version's collection, id and number, and the path there.
        """
        return self.origins().get(path)

    def origins(self) -> dict[str, dict[str, Any]]:
        """The origins of all entries that came from other versions, by path.

        They are read once, because they never change.
        """
        if self._origins is None:
            self._origins = self.repository.lookup.origins(self._found)
        return self._origins

    def extra(self, path: str) -> dict[str, Any]:
        """A copy of the user's keys of the entry at a path."""
        return copy.deepcopy(self.extras().get(path, {}))

    def has_extra(self, path: str, keys: dict[str, Any]) -> bool:
        """Whether the entry at a path has exactly these keys."""
        return same_json(self.extras().get(path, {}), keys)

    def extras(self) -> Extras:
        """The user's keys of all entries that have any, by path. They are read once, because they never change."""
        if self._extras is None:
            self._extras = self.repository.lookup.extras(self._found)
        return self._extras

    def entry(self, path: str) -> Entry:
        """The entry at a path. Raises NoEntry, with similar paths as its hint."""
        return self.repository.entry(self.found(), path)

    def find(self, path: str) -> Entry | None:
        """The file at a path; None for a folder, or if nothing is there."""
        entry = self.repository.find_entry(self.found(), path)
        return None if entry is None or entry.kind == DIRECTORY else entry

    def files(self) -> Iterator[tuple[bytes, Entry]]:
        """(path, entry) of everything except folders, in the order of the tree."""
        walk = self.repository.walk(self._found.tree)
        return ((path, entry) for path, entry in walk if entry.kind != DIRECTORY)

    def folder(self) -> Folder:
        """The root tree's digest, size and number of files."""
        found = self.found()
        return Folder(found.tree, found.version["size"], found.version["files"])

    def open(self, entry: Entry) -> BinaryIO:
        """Open a file's content for reading. It is checked before the first byte is returned."""
        return self.repository.open(entry)


def _stored_at(root: str, path: tuple[str, str, str], id: str, number: int | None, edits: Edits | None) -> Stored:
    """A version that was pickled or copied."""
    stored = Stored(root, opened(root).version(Path(*path), id), number)
    stored._edits = edits
    return stored
