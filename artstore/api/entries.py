"""Entries of an artifact as Python sees them, and the manifest: a read-only mapping from path to entry."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import quote

from artstore.api.stored import Stored
from artstore.domain.names import printable
from artstore.domain.selection import Selection
from artstore.domain.tree import REFERENCE, Folder
from artstore.domain.tree import Entry as TreeEntry
from artstore.errors import ArtifactNotLoggedError, InvalidValue, NoEntry
from artstore.operations.finding.lookup import Version
from artstore.operations.restoring.options import Restore

if TYPE_CHECKING:
    from artstore.api.contents import Contents

ENTRY_SCHEME = "artstore-artifact"
"""Scheme of URIs that name entries of artifacts."""


def place_in(found: Version, path: str) -> dict[str, Any]:
    """An entry of a version, as it stands in another's origins."""
    version = found.version
    return {**found.state.path.fields(), "number": version["number"], "id": version["id"], "path": path}


def _url_of(place: dict[str, Any]) -> str:
    parts = (place["entity"], place["project"], f"{place['name']}@{place['id']}")
    path = quote(os.fsencode(place["path"]))
    return f"{ENTRY_SCHEME}://{'/'.join(quote(part, safe='@') for part in parts)}/{path}"


class Files(Protocol):
    """What a draft and a stored version hold."""

    def find(self, path: str) -> TreeEntry | None:
        """The file at a path; None for a folder or nothing."""

    def files(self) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of everything but folders, in the order of the tree."""

    def folder(self) -> Folder:
        """Digest and totals of the root tree."""

    def origin(self, path: str) -> dict[str, Any] | None:
        """Which other version's file an entry is: that version's place, id and number, and the path there."""


class Entry:
    """One file of an artifact."""

    def __init__(self, owner: "Contents", path: str, raw: TreeEntry) -> None:
        self._owner = owner
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
        stored, folder = self.stored_in("download"), None if root is None else os.fspath(root)
        done = stored.repository.get(stored.found(), folder, Restore(Selection(self.path, exact=True)))
        return os.path.join(done.root if folder is None else folder, self.path)

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

    def __init__(self, owner: "Contents") -> None:
        self._owner = owner

    def __getitem__(self, path: str) -> Entry:
        raw = None
        with suppress(NoEntry, InvalidValue, TypeError, AttributeError):  # what is no path at all is not there
            if not path.endswith("/"):
                with self._owner.held() as held:
                    raw = held.find(path)
        if raw is None:
            raise NoEntry(f"{self._owner.name} has no '{printable(str(path))}'")
        return Entry(self._owner, path, raw)

    def __iter__(self) -> Iterator[str]:
        return (entry.path for entry in self._each())

    def __len__(self) -> int:
        with self._owner.held() as held:
            return held.folder().files

    def items(self) -> Any:  # without a look-up per path
        return [(entry.path, entry) for entry in self._each()]

    def values(self) -> Any:
        return list(self._each())

    def _each(self) -> Iterator[Entry]:
        with self._owner.held() as held:
            files = held.files()
        return (Entry(self._owner, os.fsdecode(path), raw) for path, raw in files)

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
