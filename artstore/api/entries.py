"""Entries of an artifact as Python sees them, and the manifest: a read-only mapping from path to entry."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

from artstore.api.stored import Stored
from artstore.domain.names import printable
from artstore.domain.selection import Selection
from artstore.domain.tree import REFERENCE
from artstore.domain.tree import Entry as TreeEntry
from artstore.errors import ArtifactNotLoggedError, InvalidValue, NoEntry
from artstore.operations.finding.lookup import Found

ENTRY_SCHEME = "artstore-artifact"
"""Scheme of URIs that name entries of artifacts."""


def place_in(found: Found, path: str) -> dict[str, Any]:
    """An entry of a version, as it stands in another's origins."""
    version = found.version
    return {**found.state.path.fields(), "number": version["number"], "id": version["id"], "path": path}


def _url_of(place: dict[str, Any]) -> str:
    parts = (place["entity"], place["project"], f"{place['name']}@{place['id']}")
    path = quote(os.fsencode(place["path"]))
    return f"{ENTRY_SCHEME}://{'/'.join(quote(part, safe='@') for part in parts)}/{path}"


class Owner(Protocol):
    """What an entry knows of its artifact."""

    @property
    def name(self) -> str: ...

    @property
    def stored(self) -> Stored | None: ...

    def added_from(self, path: str) -> str | None: ...

    def origin_of(self, path: str) -> dict[str, Any] | None: ...


class Entry:
    """One file of an artifact."""

    def __init__(self, owner: Any, path: str, raw: TreeEntry) -> None:
        self._owner: Owner = owner
        self.raw = raw
        self.path = path
        """POSIX; bytes that are not UTF-8 as surrogates, like `os.fsdecode`"""
        self.digest: str = raw[5] if raw[1] == REFERENCE else raw[3].hex()
        """BLAKE3 of the content, hex: what `b3sum` prints; of a reference what tells its content (an ETag, or the URI)"""
        self.size: int | None = raw[2]
        """bytes; None for a reference of unknown size"""

    @property
    def name(self) -> str:
        return self.path

    @property
    def local_path(self) -> str | None:
        """The file that was added, as long as this is the artifact to which it was added."""
        return self._owner.added_from(self.path)

    def parent_artifact(self) -> Any:
        return self._owner

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        skip_cache: bool | None = None,
        executor: Any = None,
        replace: bool = False,
        exist_ok: bool = False,
    ) -> str:
        """Put this file below `root` (default: where the artifact's `download` puts it), checked; its path.

        The other arguments are accepted as W&B's and change nothing.
        """
        done = self.stored_in("download").download(
            None if root is None else os.fspath(root), selection=Selection(self.path, exact=True)
        )
        return os.path.join(done.root if root is None else os.fspath(root), self.path)

    def open(self, mode: str = "rb", encoding: str | None = None) -> Any:
        """The content for reading, checked before the first byte is given out. `mode` is "rb" or "r"."""
        if mode not in ("rb", "r", "rt"):
            raise InvalidValue(f"an entry opens for reading only: mode '{mode}' is not 'rb' or 'r'")
        file: BinaryIO = self.stored_in("open").open(self.raw)
        if mode == "rb":
            return file
        import io

        return io.TextIOWrapper(file, encoding=encoding or "utf-8")

    @property
    def ref(self) -> str | None:
        """URI of a reference, or of the other version's entry that this is; else None."""
        if self.raw[1] == REFERENCE:
            return str(self.raw[3])
        place = self._owner.origin_of(self.path)
        return None if place is None else _url_of(place)

    def ref_target(self) -> str:
        """As `ref`. Raises ValueError for a file of this version's own."""
        if self.ref is None:
            raise InvalidValue(
                f"Only reference entries support ref_target(): the bytes of '{printable(self.path)}' are stored here"
            )
        return self.ref

    def ref_url(self) -> str:
        """A URI of this entry, for `add_reference` of another artifact."""
        return _url_of(place_in(self.stored_in("be referenced").found(), self.path))

    @property
    def extra(self) -> dict[str, str]:
        """What else is known of a reference: `etag` and `versionID`, where its place tells them."""
        if self.raw[1] != REFERENCE:
            return {}
        known = {"etag": self.raw[5] if self.raw[4] == "etag" else None, "versionID": self.raw[6]}
        return {key: value for key, value in known.items() if value is not None}

    def stored_in(self, verb: str) -> Stored:
        """The version that holds it, for who wants to `verb` the entry. Raises ArtifactNotLoggedError."""
        stored = self._owner.stored
        if stored is None:
            raise ArtifactNotLoggedError(
                f"entry '{printable(self.path)}' can't {verb} before artifact '{self._owner.name}' is logged",
                hint="log it first: run.log_artifact(artifact), or artifact.save()",
            )
        return stored

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and (self.path, self.raw) == (other.path, other.raw)

    def __hash__(self) -> int:
        return hash((self.path, self.digest))

    def __repr__(self) -> str:
        return f"<Entry {self.path!r} digest={self.digest[:12]} size={self.size}>"


class Entries(Mapping[str, Entry]):
    """Entries by path, in the order of the tree, read as they are asked for."""

    def __init__(
        self,
        owner: Any,
        files: Callable[[], Iterator[tuple[bytes, TreeEntry]]],
        find: Callable[[str], TreeEntry | None],
        count: Callable[[], int],
    ) -> None:
        self._owner, self._files, self._find, self._count = owner, files, find, count

    def __getitem__(self, path: str) -> Entry:
        raw = self._find(path)
        if raw is None:
            raise NoEntry(f"{self._owner.name} has no '{printable(path)}'")
        return Entry(self._owner, path, raw)

    def __iter__(self) -> Iterator[str]:
        return (os.fsdecode(path) for path, _ in self._files())

    def __len__(self) -> int:
        return self._count()

    def items(self) -> Any:  # without a look-up per path
        return [(entry.path, entry) for entry in self._each()]

    def values(self) -> Any:
        return list(self._each())

    def _each(self) -> Iterator[Entry]:
        return (Entry(self._owner, os.fsdecode(path), raw) for path, raw in self._files())

    def __repr__(self) -> str:
        return f"<{len(self)} entries of {self._owner.name}>"


class Manifest:
    """What an artifact holds: `entries` by path."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries

    def get_entry_by_path(self, path: str) -> Entry | None:
        return self.entries.get(path)

    def get_entries_in_directory(self, directory: str) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.path.startswith(directory.rstrip("/") + "/")]

    def __len__(self) -> int:
        return len(self.entries)
