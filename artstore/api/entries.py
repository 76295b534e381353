"""The entries of an artifact: a read-only mapping from path to entry."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import quote

from artstore.api.extra import Extra
from artstore.api.progress.scripts import shown
from artstore.api.stored import Stored
from artstore.domain.names import printable
from artstore.domain.selection import Selection
from artstore.domain.tree import REFERENCE, Folder
from artstore.domain.tree import Entry as TreeEntry
from artstore.errors import ArtifactNotLoggedError, InvalidValue, NoEntry
from artstore.operations.finding.lookup import Version
from artstore.operations.restoring.options import Restore

if TYPE_CHECKING:
    from artstore.api.files import ArtifactFiles

ENTRY_SCHEME = "artstore-artifact"
"""The scheme of URIs that name entries of artifacts."""


def origin_in(found: Version, path: str) -> dict[str, Any]:
    """The origin that an entry of another version is recorded with, if it came from here."""
    version = found.version
    return {**found.state.path.fields(), "number": version["number"], "id": version["id"], "path": path}


def _url_of(origin: dict[str, Any]) -> str:
    """The URI of an entry, from an origin that names it."""
    parts = (origin["entity"], origin["project"], f"{origin['name']}@{origin['id']}")
    path = quote(os.fsencode(origin["path"]))
    return f"{ENTRY_SCHEME}://{'/'.join(quote(part, safe='@') for part in parts)}/{path}"


class Files(Protocol):
    """The files of a draft or of a stored version."""

    def find(self, path: str) -> TreeEntry | None:
        """The file at a path; None for a folder, or if nothing is there."""

    def files(self) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of everything except folders, in the order of the tree."""

    def folder(self) -> Folder:
        """The root tree's digest, size and number of files."""

    def origin(self, path: str) -> dict[str, Any] | None:
        """Where an entry of another version came from; None for any other entry.

        The fields are that version's collection, id and number, and the path there.
        """

    def extra(self, path: str) -> dict[str, Any]:
        """The user's keys of the entry at a path. Those of a draft can be edited."""


class Entry:
    """One file of an artifact."""

    def __init__(self, owner: "ArtifactFiles", path: str, raw: TreeEntry) -> None:
        self._owner = owner
        self.raw = raw
        self.path = path
        """The path in the artifact, with `/`. Bytes that aren't UTF-8 are surrogates, as in `os.fsdecode`."""
        self.digest: str = raw[5] if raw[1] == REFERENCE else raw[3].hex()
        """The BLAKE3 digest of the content in hex, as `b3sum` prints it. For a reference, its ETag or its URI."""
        self.size: int | None = raw[2]
        """The size in bytes; None for a reference of unknown size."""

    def digest_algorithm(self) -> str:
        """How `digest` was made: `BLAKE3`, or for a reference `ETAG` or `URI` if that is all that is known of it."""
        return str(self.raw[4]).upper() if self.is_reference else "BLAKE3"

    @property
    def name(self) -> str:
        """The path in the artifact."""
        return self.path

    @property
    def is_reference(self) -> bool:
        """Whether the content stays at a URI."""
        return self.raw.kind == REFERENCE

    @property
    def local_path(self) -> str | None:
        """The local file that was added, if this is the artifact to which it was added; else None."""
        return self._owner.added_from(self.path)

    def parent_artifact(self) -> Any:
        """The artifact that this entry is in."""
        return self._owner

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        skip_cache: bool | None = None,
        executor: Any = None,
        replace: bool = False,
        exist_ok: bool = False,
    ) -> str:
        """Restore this file to a folder, checked.

        Args:
            root: The folder; by default `./artifacts/<name>-vN`.
            skip_cache: Accepted as in W&B; it changes nothing.
            executor: Accepted as in W&B; it changes nothing.
            replace: Accepted as in W&B; it changes nothing.
            exist_ok: Accepted as in W&B; it changes nothing.

        Returns:
            The path of the file.

        Raises:
            ArtifactNotLoggedError: If the artifact is a draft.

        Example:
            >>> entry = wandb.Api().artifact("digits/images:latest").get_entry("images/1.png")
            >>> entry.download("scans")
            'scans/images/1.png'
        """
        stored, folder = self.stored_in("be downloaded"), os.fspath(root) if root else None
        with shown("getting", "got", os.path.basename(self.path)) as bar:
            how = Restore(Selection(self.path, exact=True), monitor=bar)
            done = stored.repository.get(stored.found(), folder, how)
        return os.path.join(done.root if folder is None else folder, self.path)

    def open(self, mode: str = "rb", encoding: str | None = None) -> Any:
        """Open the content for reading. It is checked before the first byte is returned.

        Args:
            mode: `rb` for bytes, `r` for text.
            encoding: The encoding of text; by default UTF-8.

        Raises:
            InvalidValue: If the mode is another one.
            ArtifactNotLoggedError: If the artifact is a draft.

        Example:
            >>> with wandb.Api().artifact("digits/images:latest").get_entry("labels.csv").open("r") as file:
            ...     file.read().split()
            ['image,digit', '1.png,7', '2.png,1']
        """
        if mode not in ("rb", "r", "rt"):
            raise InvalidValue(f"an entry can only be read: mode '{mode}' is not 'rb' or 'r'")
        file: BinaryIO = self.stored_in("be opened").open(self.raw)
        if mode == "rb":
            return file
        import io

        return io.TextIOWrapper(file, encoding=encoding or "utf-8")

    @property
    def ref(self) -> str | None:
        """The URI of a reference, or of the other version's entry that this one shares; else None."""
        if self.is_reference:
            return str(self.raw.uri)
        origin = self._owner.origin_of(self.path)
        return None if origin is None else _url_of(origin)

    def ref_target(self) -> str:
        """The URI of a reference, or of the other version's entry that this one shares.

        Raises:
            InvalidValue: If this is a file of the version's own (a ValueError).
        """
        if self.ref is None:
            raise InvalidValue(
                f"Only reference entries support ref_target(): the bytes of '{printable(self.path)}' are stored here"
            )
        return self.ref

    def ref_url(self) -> str:
        """A URI of this entry, for `add_reference` of another artifact. Raises ArtifactNotLoggedError for a draft's."""
        return _url_of(origin_in(self.stored_in("be referenced").found(), self.path))

    @property
    def extra(self) -> Extra:
        """Keys of your own, and for a reference `etag` and `versionID`, if its place reports them.

        Keys can be set until the artifact is logged. They are stored with the version, and don't change its digest.
        """
        with self._owner.held() as held:
            own = held.extra(self.path)
        return Extra(own, self._reported(), lambda: None if self._owner.is_draft() else self._owner.name)

    @extra.setter
    def extra(self, given: dict[str, Any]) -> None:
        self.extra.replace(given)

    def _reported(self) -> dict[str, str]:
        """What the place of a reference reports of it."""
        if not self.is_reference:
            return {}
        known = {"etag": self.raw[5] if self.raw[4] == "etag" else None, "versionID": self.raw[6]}
        return {key: value for key, value in known.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """The entry as a dict with W&B's keys: what isn't known is left out."""
        known = {"ref": self.ref, "size": self.size, "local_path": self.local_path}
        told = {key: value for key, value in known.items() if value is not None}
        return {"path": self.path, "digest": self.digest, **told, "extra": dict(self.extra)}

    def stored_in(self, verb: str) -> Stored:
        """The stored version that has this entry.

        Raises ArtifactNotLoggedError, which says that it can't `verb` before.
        """
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
    """The entries by path, in the order of the tree. They are read as they are asked for."""

    def __init__(self, owner: "ArtifactFiles") -> None:
        self._owner = owner

    def __getitem__(self, path: str) -> Entry:
        raw = None
        with suppress(NoEntry, InvalidValue, TypeError, AttributeError):  # `path` may be anything
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

    def items(self) -> Any:  # without a look-up for each path
        """All (path, entry) pairs, without a look-up for each path."""
        return [(entry.path, entry) for entry in self._each()]

    def values(self) -> Any:
        """All entries, without a look-up for each path."""
        return list(self._each())

    def _each(self) -> Iterator[Entry]:
        with self._owner.held() as held:
            files = held.files()
        return (Entry(self._owner, os.fsdecode(path), raw) for path, raw in files)

    def __repr__(self) -> str:
        return f"<{len(self)} entries of {self._owner.name}>"
