"""What a transaction relies on: which objects it wrote or found, and how they come back when a collector took them."""

import os
from collections.abc import Iterable

from artstore.domain.digest import Digest
from artstore.errors import MissingObject
from artstore.store.large import blob_path
from artstore.store.objects import ObjectStore
from artstore.store.packset import PACKS, pack_path
from artstore.store.trash import bring_back

AGAIN = "run the same command again"


class Relied:
    """The records of one transaction, which fills them."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._storage = objects.storage
        self.small: dict[Digest, str | None] = {}
        """the pack in which each small object was found; None for what is new here"""
        self.large: dict[Digest, tuple[int, str | None]] = {}
        """size and staged path of each large blob; no path for what was found"""
        self.published: dict[str, str] = {}
        """staged path of each file that got its final name"""

    def restore_packs(self) -> tuple[set[str], list[Digest]]:
        """Look again for every pack: paths of those that were put back, and objects that are nowhere. Raises MissingObject
        when a pack that was written here is gone for good.
        """
        names = self._objects.packs.refresh()
        restored = set()
        for path, staged in self.published.items():
            name = path.removeprefix(f"{PACKS}/")
            if not path.endswith(".pack") or name.removesuffix(".pack") in names:
                continue
            if self._put_back(staged, path):
                restored.add(path)
            elif self._storage.size(path) is None:
                raise MissingObject(f"pack {name[:12]} was collected while it was saved", hint=AGAIN)
        lost: dict[str, list[Digest]] = {}
        gone = set(self.small.values()) - names - {None}
        for digest, pack in list(self.small.items()) if gone else ():
            if pack is None or pack not in gone:
                continue
            if elsewhere := self._objects.packs.holding(digest):
                self.small[digest] = elsewhere
            elif pack not in lost and bring_back(self._storage, pack_path(pack)):
                restored.add(pack_path(pack))
                self._objects.packs.refresh()
            elif pack not in lost and self._objects.packs.refresh() and (again := self._objects.packs.holding(digest)):
                self.small[digest] = again  # its run gave it back by itself between both looks
            else:
                lost.setdefault(pack, []).append(digest)
        return restored, [digest for digests in lost.values() for digest in digests]

    def restore_large(self) -> tuple[set[str], list[Digest]]:
        """Look again for every large blob: paths of those that were put back, and those that were not."""
        restored, lost = set[str](), list[Digest]()
        there = self._storage.sizes([blob_path(digest) for digest in self.large])
        for digest, (size, staged) in self.large.items():
            path = blob_path(digest)
            if there.get(path) == size:
                continue
            if self._put_back(staged, path):
                restored.add(path)
            else:
                lost.append(digest)
        return restored, lost

    def folders_to_sync(self, targets: Iterable[str]) -> list[str]:
        """Folders with new names, and those of relied-on objects younger than a minute: their saver may not have synced
        them yet.
        """
        folders = {path.rpartition("/")[0] for path in targets}
        relied = {blob_path(digest).rpartition("/")[0] for digest, (_, staged) in self.large.items() if not staged}
        if any(self.small.values()):
            relied.add(PACKS)
        return sorted(folders | {folder for folder in relied - folders if self._storage.is_young(folder)})

    def _put_back(self, staged: str | None, path: str) -> bool:
        """Link a file back from our own folder, or from whichever run's trash has it."""
        if staged and os.path.lexists(staged):
            return self._storage.publish(staged, path)
        return bring_back(self._storage, path)
