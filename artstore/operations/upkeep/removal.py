"""The one routine that takes stored bytes away: move to the trash, read refs, look at transactions, read refs once
more, unlink.
"""

import os
from typing import Literal, NamedTuple, Protocol

from artstore.backends.owner import is_dead, parse, this_process
from artstore.backends.storage import Storage
from artstore.domain.digest import Digest, from_hex
from artstore.errors import Damage, InvalidValue, StorageError
from artstore.store.large import blob_path
from artstore.store.objects import ObjectStore
from artstore.store.packset import pack_path

Reason = Literal["gc", "merge"]


class Needed(Protocol):
    """What must stay, as refs say now."""

    def refresh(self) -> None:
        """Read refs again, and mark what became reachable."""

    def __contains__(self, digest: object, /) -> bool: ...


class Everything:
    """What a merge needs: it holds no opinion on what is reachable, and gives back what objects/ no longer holds
    elsewhere.
    """

    def refresh(self) -> None:
        pass

    def __contains__(self, digest: object, /) -> bool:
        return True


class Removed(NamedTuple):
    freed_bytes: int
    kept_bytes: int
    """in the trash, for a later run"""
    given_back: int
    """files that were needed after all"""
    waits_for: tuple[str, ...]
    """transactions that kept everything from being unlinked"""


class Removal:
    """One run. Its order needs no lock and no clock where listings are coherent.

    A saver publishes its entry and then looks for its objects; this moves objects and then reads refs: whichever of
    both
    looks comes second sees what the other did. Transactions are looked at after the moves: one that began later finds
    the
    objects gone, one that began earlier is seen. One that ended between has its entry in refs, hence the second
    reading.
    """

    def __init__(self, objects: ObjectStore, reason: Reason, *, own_transaction: str | None = None) -> None:
        self._objects = objects
        self._storage = objects.storage
        self._reason = reason
        self._own = own_transaction
        self._mine = f"trash/{reason}.{this_process()}"
        self._claimed: list[str] = []
        with self._storage.writing():
            self._storage.claim(self._mine)

    def take_pack(self, name: str) -> bool:
        """Move a pack to the trash; False when it is gone already."""
        return self._storage.take(pack_path(name), self._mine)

    def take_blob(self, digest: Digest) -> bool:
        return self._storage.take(blob_path(digest), self._mine)

    def claim_older(self, grace: float) -> None:
        """Take over the trash of runs that ended or are provably dead and whose grace is over, by the store's own
        clock. The rename counts as the move.
        """
        now = self._storage.stamp(self._mine) or 0.0
        for name in self._storage.names("trash"):
            if not is_left_over(self._storage, name) or (self._reason == "merge" and not name.startswith("merge.")):
                continue
            since = self._storage.stamp(f"trash/{name}")
            if since is None or now - since < grace:  # None: another run claimed it
                continue
            claimed = f"trash/{self._reason}.{this_process()}"
            if self._storage.rename_folder(f"trash/{name}", claimed):
                self._claimed.append(claimed)

    def finish(self, needed: Needed, *, keep_mine: bool) -> Removed:
        """Give back what is needed, and unlink the rest unless somebody is at work; what this run moved is kept when
        `keep_mine` (its grace begins).
        """
        given_back = self._give_back(needed)
        waits_for = tuple(open_transactions(self._storage, but=self._own))
        given_back += self._give_back(needed)
        freed = kept = 0
        for folder in (self._mine, *self._claimed):
            unlink = not waits_for and not (folder == self._mine and keep_mine)
            for name in self._storage.names(folder):
                if unlink:
                    freed += self._storage.purge(f"{folder}/{name}")
                else:
                    kept += self._storage.only_here(f"{folder}/{name}")
            self._let_go(folder)
        return Removed(freed, kept, given_back, waits_for)

    def abandon(self) -> None:
        """After an error: what was moved waits in the trash for a later run, which gives back what is needed."""
        for folder in (self._mine, *self._claimed):
            self._let_go(folder)

    def _let_go(self, folder: str) -> None:
        """Remove an empty folder; one with files becomes a left-over that any later run may claim."""
        if not self._storage.names(folder):
            self._storage.remove_folder(folder)
        else:
            self._storage.rename_folder(folder, f"trash/{self._reason}.left.{os.urandom(6).hex()}")

    def _give_back(self, needed: Needed) -> int:
        """Link into place what is needed and not in objects/ elsewhere, then unlink it here; how many files."""
        needed.refresh()
        self._objects.packs.refresh()
        count = 0
        for folder in (self._mine, *self._claimed):
            for name in self._storage.names(folder):
                target = self._target(folder, name, needed)
                if target is None:
                    continue
                self._storage.give_back(f"{folder}/{name}", target)
                count += 1
        if count:
            self._objects.packs.refresh()
        return count

    def _target(self, folder: str, name: str, needed: Needed) -> str | None:
        """Where a file of the trash has to go back to; None when nobody needs it."""
        if not name.endswith(".pack"):
            try:
                digest = from_hex(name)
            except InvalidValue:
                return None
            return blob_path(digest) if digest in needed and self._storage.size(blob_path(digest)) is None else None
        if name[:-5] in self._objects.packs.names():
            return None
        try:
            with self._objects.packs.open_apart(f"{folder}/{name}") as pack:
                bad = self._objects.damage.inside(pack.name)  # a damaged copy is no reason to keep a pack
                wanted = (row.digest for row in pack.rows() if row.digest in needed and row.digest not in bad)
                return pack_path(pack.name) if any(not self._objects.packs.holding(d) for d in wanted) else None
        except (Damage, FileNotFoundError):
            return None


def is_left_over(storage: Storage, name: str) -> bool:
    """Whether a folder of the trash belongs to no run at work."""
    reason, _, rest = name.partition(".")
    if reason not in ("gc", "merge"):
        return False
    if rest.startswith("left."):
        return True
    owner = parse(rest)
    return owner is not None and is_dead(owner, local=storage.local)


def open_transactions(storage: Storage, *, but: str | None = None) -> list[str]:
    """Names of all transactions whose owner is not provably dead; strangers' folders count."""
    found = []
    for name in sorted(storage.folders("tmp")):
        if name == but:
            continue
        owner = parse(name)
        if owner is None or not is_dead(owner, local=storage.local):
            found.append(name)
    return found


def sweep(storage: Storage) -> int:
    """Remove what dead processes left in tmp/; how many. Nothing that might still be at work is touched."""
    count = 0
    for name in storage.names("tmp"):
        owner = parse(name)
        if owner is not None and is_dead(owner, local=storage.local):
            try:
                storage.remove_folder(f"tmp/{name}")
                count += 1
            except StorageError:
                continue  # another user's, in a shared repository: for them to sweep
    return count
