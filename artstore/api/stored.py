"""A stored version as the Python interface holds it: by collection and id, looked up anew when something moved."""

import datetime
from collections.abc import Iterator
from typing import Any, BinaryIO

from artstore.api.edits import TTL, Edits
from artstore.api.handles import opened
from artstore.domain.collection import INHERIT, Path
from artstore.domain.selection import EVERYTHING, Selection
from artstore.domain.tree import DIRECTORY, Entry
from artstore.operations.finding.lookup import Found
from artstore.operations.restoring.checkout import CheckedOut
from artstore.operations.restoring.verify import Verified
from artstore.operations.restoring.writing import Link
from artstore.repository import Repository


class Stored:
    """Any thread may use it: each has a repository handle of its own."""

    def __init__(self, root: str, found: Found) -> None:
        self.root = root
        self._found = found
        self._origins: dict[str, dict[str, Any]] | None = None

    @property
    def repository(self) -> Repository:
        return opened(self.root)

    @property
    def id(self) -> str:
        id: str = self._found.version["id"]
        return id

    @property
    def path(self) -> Path:
        """The collection's, which may have been renamed."""
        return self.found().state.path

    def found(self) -> Found:
        """The version as its collection's log tells now. Cost: one stat while nothing moved."""
        refs = self.repository.refs
        if not refs.is_current(self._found.state):
            self._found = self.repository.version(self._found.state.path, self.id)
        return self._found

    @property
    def spec(self) -> str:
        """Names this version whatever becomes of its number."""
        return f"{self.path}@{self.id}"

    @property
    def is_newest(self) -> bool:
        latest = self.found().state.latest
        return latest is not None and latest["id"] == self.id

    def edits(self) -> Edits:
        """Its properties as they are now."""
        found = self.found()
        description, metadata = self.repository.properties(found)
        said = self.repository.lookup.said_of(found)
        ttl = said.get("ttl", INHERIT)
        duration: TTL = datetime.timedelta(seconds=ttl) if isinstance(ttl, int) else ttl
        aliases = list(found.state.aliases_of(self.id))
        return Edits(aliases, list(said.get("tags", [])), description, metadata, duration)

    def origins(self) -> dict[str, dict[str, Any]]:
        """Which entries came from other versions, by path. Read once: they never change."""
        if self._origins is None:
            self._origins = self.repository.lookup.origins(self._found)
        return self._origins

    def save(self, edits: Edits) -> None:
        self._found = self.repository.edit(self.spec, edits.properties(newest=self.is_newest))

    # -- content --

    def entry(self, path: str) -> Entry:
        """The entry at a path. Raises NoEntry with near names."""
        return self.repository.entry(self.found(), path)

    def find(self, path: str) -> Entry | None:
        """As `entry`; None when there is none."""
        return self.repository.find_entry(self.found(), path)

    def files(self) -> Iterator[tuple[bytes, Entry]]:
        """(path, entry) of everything but folders, in the order of the tree."""
        walk = self.repository.walk(self._found.tree)
        return ((path, entry) for path, entry in walk if entry[1] != DIRECTORY)

    def download(
        self,
        root: str | None,
        *,
        selection: Selection = EVERYTHING,
        link: Link = "copy",
        delete: bool = False,
        allow_missing_references: bool = False,
    ) -> CheckedOut:
        return self.repository.get(
            self.found(),
            root,
            selection=selection,
            link=link,
            delete=delete,
            allow_missing_references=allow_missing_references,
        )

    def verify(self, root: str | None) -> Verified:
        return self.repository.verify(self.found(), root)

    def open(self, entry: Entry) -> BinaryIO:
        """A file's content for reading, checked before the first byte is given out."""
        return self.repository.open(entry)
