"""What a transaction relies on: the objects that it wrote or found, and bringing them back from a collector."""

import os
from collections.abc import Iterable

from artstore.domain.digest import Digest
from artstore.errors import MissingObject
from artstore.store.objects import ObjectStore
from artstore.store.paths import PACKS, blob_path, pack_path
from artstore.store.trash import bring_back

AGAIN = "run the same command again"


class Relied:
    """The objects that one transaction relies on. The transaction fills these records."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._storage = objects.storage
        self.small: dict[Digest, str | None] = {}
        """the pack in which each small object was found; None for an object that the transaction added"""
        self.large: dict[Digest, tuple[int, str | None]] = {}
        """size and staged path of each large blob; the path is None for a blob that was found"""
        self.published: dict[str, str] = {}
        """the staged path of each published file, by its final path"""

    def restore_packs(self) -> tuple[set[str], list[Digest]]:
        """Check that every pack is still there, and put back those that a collector took.

        Returns the paths that were put back, and the objects that are nowhere. Raises MissingObject if a pack of this
        transaction is gone for good.
        """
        names = self._objects.packs.refresh()
        restored = set()
        # Packs that this transaction wrote.
        for path, staged in self.published.items():
            name = path.removeprefix(f"{PACKS}/")
            if not path.endswith(".pack") or name.removesuffix(".pack") in names:
                continue
            if self._put_back(staged, path):
                restored.add(path)
            elif self._storage.size(path) is None:
                raise MissingObject(f"pack {name[:12]} was collected while it was saved", hint=AGAIN)
        # Packs in which it found objects. Each object may also be in another pack by now.
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
                self.small[digest] = again  # the collector gave it back between both look-ups
            else:
                lost.setdefault(pack, []).append(digest)
        return restored, [digest for digests in lost.values() for digest in digests]

    def restore_large(self) -> tuple[set[str], list[Digest]]:
        """Check that every large blob is still there, and put back those that a collector took.

        Call `restore_packs` before: a file that is gone may be in packs now. Returns the paths that were put back, and
        the blobs that couldn't be.
        """
        restored, lost = set[str](), list[Digest]()
        there = self._storage.sizes([blob_path(digest) for digest in self.large])
        for digest, (size, staged) in self.large.items():
            path = blob_path(digest)
            if there.get(path) == size or self._objects.large.is_packed(digest, size):
                continue
            if self._put_back(staged, path):
                restored.add(path)
            elif (packs := self.bring_packs_back(digest)) and self._objects.large.is_packed(digest, size):
                restored |= packs
            else:
                lost.append(digest)
        return restored, lost

    def bring_large_back(self, digest: Digest) -> set[str]:
        """Put a large blob back from the trash: its file, or packs with parts of it. Returns their paths."""
        path = blob_path(digest)
        return {path} if bring_back(self._storage, path) else self.bring_packs_back(digest)

    def bring_packs_back(self, digest: Digest) -> set[str]:
        """Put the packs back that hold parts of a large blob. Returns their paths. It may not be whole then."""
        taken = self._objects.large.packed.taken(digest)
        back = {pack_path(name) for name in taken if bring_back(self._storage, pack_path(name))}
        self._objects.packs.refresh()
        return back

    def folders_to_sync(self, targets: Iterable[str]) -> list[str]:
        """The folders to sync: those with new names, and those of found objects if names in them may be new.

        The process that saved these objects may not have synced the folder yet.
        """
        folders = {path.rpartition("/")[0] for path in targets}
        relied = {blob_path(digest).rpartition("/")[0] for digest, (_, staged) in self.large.items() if not staged}
        if relied or any(self.small.values()):  # a large blob may be in packs
            relied.add(PACKS)
        return sorted(folders | {folder for folder in relied - folders if self._storage.is_young(folder)})

    def _put_back(self, staged: str | None, path: str) -> bool:
        """Link a file back from our own folder, or from the trash of any collector's run."""
        if staged and os.path.lexists(staged):
            return self._storage.publish(staged, path)
        return bring_back(self._storage, path)
