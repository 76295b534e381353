"""The manifest of an artifact: its entries by path, and the dict that W&B makes of them."""

from collections.abc import Mapping
from typing import Any

from artstore.api.absent import SaysWhy
from artstore.api.contents import Contents
from artstore.api.described_entry import ArtifactManifestEntry
from artstore.api.entries import Entries, Entry
from artstore.domain.names import normal_path, parse_path, printable
from artstore.errors import InvalidValue


class Manifest(SaysWhy):
    """The manifest of an artifact: its entries by path. Those of a draft can be added and removed here too."""

    def __init__(self, owner: Contents) -> None:
        self._owner = owner
        self.entries: Mapping[str, Entry] = Entries(owner)

    def get_entry_by_path(self, path: str) -> Entry | None:
        """The entry at a path; None if nothing is there."""
        return self.entries.get(path)

    def get_entries_in_directory(self, directory: str) -> list[Entry]:
        """The entries below a folder, at any depth."""
        return [entry for entry in self.entries.values() if entry.path.startswith(directory.rstrip("/") + "/")]

    def add_entry(self, entry: Entry | ArtifactManifestEntry, overwrite: bool = False) -> None:
        """Add an entry of a logged artifact under its own path, whose content is shared, or one that was described.

        It keeps its `extra`.

        Raises:
            Conflict: If the path has other content, and `overwrite` is False (also a ValueError).
            InvalidValue: If the path isn't valid, or neither a file nor a URI is described.
            ArtifactFinalizedError: If the artifact is logged.
        """
        if isinstance(entry, Entry):
            added = self._owner.add_entry_of(entry, entry.path, overwrite=overwrite)
        else:
            added = self._add_described(entry, overwrite)
        added.extra = entry.extra

    def _add_described(self, entry: ArtifactManifestEntry, overwrite: bool) -> Entry:
        parse_path(normal_path(entry.path))  # raises
        if entry.ref is not None:
            return self._owner.add_uri(entry.ref, entry.path, overwrite=overwrite)
        if entry.local_path is not None:
            return self._owner.add_file(entry.local_path, entry.path, overwrite=overwrite)
        raise InvalidValue(f"entry '{printable(entry.path)}' has no content: it needs local_path or ref")

    def remove_entry(self, entry: Entry) -> None:
        """Remove an entry from a draft.

        Raises:
            FileNotFoundError: If nothing is at its path.
            ArtifactFinalizedError: If the artifact is logged.
        """
        self._owner.remove(entry)

    def digest(self) -> str:
        """The artifact's digest, in hex."""
        return self._owner.digest

    def size(self) -> int:
        """The bytes of all files."""
        return self._owner.size

    def to_manifest_json(self) -> dict[str, Any]:
        """The manifest as a dict with W&B's keys. Digests are BLAKE3 in hex."""
        contents = {entry.path: entry.to_json() for entry in self.entries.values()}
        for fields in contents.values():
            del fields["path"]
            fields.pop("local_path", None)
            if not fields["extra"]:
                del fields["extra"]
        layout = {"storageLayout": "V2"}
        return {
            "version": 1,
            "storagePolicy": "wandb-storage-policy-v1",
            "storagePolicyConfig": layout,
            "contents": contents,
        }

    def __len__(self) -> int:
        return len(self.entries)
