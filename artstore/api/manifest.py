"""The manifest of an artifact: its entries by path, and the dict that W&B makes of them."""

from collections.abc import Mapping
from typing import Any

from artstore.api.absent import SaysWhy
from artstore.api.contents import Contents
from artstore.api.entries import Entries, Entry


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

    def add_entry(self, entry: Entry, overwrite: bool = False) -> None:
        """Add an entry of a logged artifact under its own path. Its content is shared.

        Raises:
            Conflict: If the path has other content, and `overwrite` is False (also a ValueError).
            ArtifactFinalizedError: If the artifact is logged.
        """
        self._owner.add_entry_of(entry, entry.path, overwrite=overwrite)

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
