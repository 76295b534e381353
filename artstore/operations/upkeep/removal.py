"""Removal: the only code that deletes stored objects, in an order that is safe beside savers.

The order: move to the trash, read refs, look at transactions, read refs again, delete.
"""

import os
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol

from artstore.backends.owner import is_dead, parse, this_process
from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.digest import RECIPE, Digest, from_hex
from artstore.errors import Damage, InvalidValue, StorageError
from artstore.store.objects import ObjectStore
from artstore.store.outside import sweep_outside
from artstore.store.packs import Row
from artstore.store.paths import blob_path, pack_path

Reason = Literal["gc", "merge"]
_MARK = re.compile("[0-9a-f]{8}")
"""The random part of a transaction's name."""
_MOST_NOTED = 16
"""Transactions that the name of a folder in the trash has room for."""


class Needed(Protocol):
    """The set of digests that must stay stored."""

    def refresh(self) -> None:
        """Read refs again, and add digests that became reachable."""

    def __contains__(self, digest: object, /) -> bool: ...


class Everything:
    """The set of all digests. A merge uses it: of the packs that it removes, every object must stay stored elsewhere."""

    def refresh(self) -> None:
        pass

    def __contains__(self, digest: object, /) -> bool:
        return True


class Removed(NamedTuple):
    """The result of a removal."""

    freed_bytes: int
    """deleted"""
    kept_bytes: int
    """in the trash, for a later run"""
    given_back: int
    """files that turned out to be needed, and were moved back"""
    waits_for: tuple[str, ...]
    """open transactions, because of which something was not deleted"""


class Removal:
    """Moves packs and large blobs to the trash, and deletes those that are not needed.

    Order of use: `claim_older`, `take_pack` and `take_blob`, then `finish`, or `abandon` after an error.

    The order of the steps makes this safe without a lock, and without a clock where listings are coherent:

    - A saver appends its log entry and then looks for its objects. A removal moves objects and then reads the logs.
      Whichever looks second sees what the other did.
    - Transactions are looked at after the moves. One that began later finds the objects gone. One that began earlier is
      seen. One that ended in between has appended its entry: therefore the logs are read a second time.
    - Trash that is left waits for those that were seen then, and for no later ones. Its folder's name has them. So
      nobody keeps collectors from deleting for ever by beginning one transaction after another. Where listings aren't
      coherent, one that began later may not have found the objects gone: there all are waited for.
    """

    def __init__(self, objects: ObjectStore, reason: Reason, *, own_transaction: str | None = None) -> None:
        self._objects = objects
        self._storage = objects.storage
        self._reason = reason
        self._own = own_transaction
        self._mine = f"trash/{reason}.{this_process()}"
        self._claimed: dict[str, frozenset[str] | None] = {}
        """folders of earlier runs, each with the marks of the transactions that it waits for; None for all"""
        self._young: list[str] = []
        with self._storage.writing():
            self._storage.claim(self._mine)

    def take_pack(self, name: str) -> bool:
        """Move a pack to the trash. False if it is gone already."""
        return self._storage.take(pack_path(name), self._mine)

    def take_blob(self, digest: Digest) -> bool:
        """Move a large blob to the trash. False if it is gone already."""
        return self._storage.take(blob_path(digest), self._mine)

    def claim_older(self, grace: float) -> None:
        """Claim the trash of earlier runs that ended, or whose process is dead, if its grace period is over.

        The age is that by the clock of the storage. Claiming renames the run's folder; this counts as the move. Younger
        trash isn't claimed, but a gc moves back what is needed: the run may have been killed before it did.
        """
        now = self._storage.stamp(self._mine) or 0.0
        for name in self._storage.names("trash"):
            if not is_left_over(self._storage, name) or (self._reason == "merge" and not name.startswith("merge.")):
                continue
            since = self._storage.stamp(f"trash/{name}")
            if since is None:  # another run claimed it
                continue
            if now - since < grace:
                self._young += [f"trash/{name}"] if self._reason == "gc" else []
                continue
            claimed = f"trash/{self._reason}.{this_process()}"
            if self._storage.rename_folder(f"trash/{name}", claimed):
                self._claimed[claimed] = _noted(name)

    def finish(self, needed: Needed, *, keep_mine: bool) -> Removed:
        """Move needed files back, and delete the others, unless another transaction is open that may need them.

        With `keep_mine`, files that this run moved stay in the trash: their grace period begins.
        """
        # Read refs, look at transactions, read refs again: see the class for the reasons.
        given_back = self._give_back(needed)
        at_work = tuple(open_transactions(self._storage, but=self._own))
        given_back += self._give_back(needed)
        freed = kept = 0
        waits_for = dict[str, None]()
        for folder, noted in ((self._mine, None), *self._claimed.items()):
            waits = [name for name in at_work if _is_awaited(name, noted)]
            stays = folder == self._mine and keep_mine
            waits_for |= {} if stays else dict.fromkeys(waits)
            for name in self._storage.names(folder):
                if waits or stays:
                    kept += self._storage.only_here(f"{folder}/{name}")
                else:
                    freed += self._storage.purge(f"{folder}/{name}")
            self._let_go(folder, _note(waits) if self._storage.coherent else "")
        return Removed(freed, kept, given_back, tuple(waits_for))

    def __enter__(self) -> "Removal":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """After an error, abandon the removal."""
        if error is not None:
            self.abandon()

    def abandon(self) -> None:
        """Leave the moved files in the trash, after an error. A later run moves needed ones back."""
        for folder in (self._mine, *self._claimed):
            self._let_go(folder)

    def _let_go(self, folder: str, note: str = "") -> None:
        """Remove a folder of the trash if it is empty. Otherwise rename it so that any later run may claim it.

        `note` is the end of its new name.
        """
        if not self._storage.names(folder):
            self._storage.remove_folder(folder)
        else:
            self._storage.rename_folder(folder, f"trash/{self._reason}.left.{os.urandom(6).hex()}{note}")

    def _give_back(self, needed: Needed) -> int:
        """Move files back that are needed, and whose objects are nowhere else in objects/. Returns how many."""
        count, more = 0, 1
        while more:  # a pack that came back may have recipes, which name segments
            needed.refresh()
            self._objects.packs.refresh()
            more = 0
            for folder in (self._mine, *self._claimed, *self._young):
                for name in self._storage.names(folder):
                    if (target := self._target(folder, name, needed)) is not None:
                        more += self._moved_back(folder, name, target)
            count += more
        self._objects.packs.refresh()
        return count

    def _moved_back(self, folder: str, name: str, target: str) -> bool:
        """Move a file back. False if it is gone: another run claimed a folder that this one didn't."""
        try:
            self._storage.give_back(f"{folder}/{name}", target)
        except StorageError as error:
            if folder in self._young and isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                return False
            raise
        return True

    def _target(self, folder: str, name: str, needed: Needed) -> str | None:
        """The path to which a file of the trash must be moved back. None if it isn't needed."""
        if not name.endswith(".pack"):
            try:
                digest = from_hex(name)
            except InvalidValue:
                return None
            there = digest not in needed or digest in self._objects.large.sizes([digest])
            return None if there else blob_path(digest)
        if name[:-5] in self._objects.packs.names():
            return None
        try:
            with self._objects.packs.open_apart(f"{folder}/{name}") as pack:
                bad = self._objects.damage.inside(pack.name)  # a damaged object is not a reason to keep a pack
                rows = [row for row in pack.index.rows() if row.digest in needed and row.digest not in bad]
                return None if self._are_held(rows) else pack_path(pack.name)
        except (Damage, FileNotFoundError):
            return None

    def _are_held(self, rows: list[Row]) -> bool:
        """Whether packs in objects/ have these objects; for a recipe, one of the same blob, or the blob as one segment."""
        packs, objects = self._objects.packs, {row.digest for row in rows if row.kind != RECIPE}
        if packs.locate_many(objects, parts=True)[1]:
            return False
        recipes = [row.digest for row in rows if row.kind == RECIPE]
        return all(packs.holding(blob, recipe=True) or packs.holding(blob) for blob in recipes)


def _note(transactions: Iterable[str]) -> str:
    """The end of the name of a folder that waits for these transactions; empty if it can't name them."""
    marks = [owner.random if (owner := parse(name)) else "" for name in transactions]
    if len(marks) > _MOST_NOTED or not all(map(_MARK.fullmatch, marks)):
        return ""
    return "".join([".after", *(f"-{mark}" for mark in marks)])


def _noted(name: str) -> frozenset[str] | None:
    """The marks of the transactions that a folder waits for, from its name; None if it waits for all."""
    _, after, marks = name.partition(".after")
    return frozenset(_MARK.findall(marks)) if after else None


def _is_awaited(transaction: str, noted: frozenset[str] | None) -> bool:
    """Whether a folder waits for a transaction. It always does for what isn't named like one, such as an upgrade."""
    owner = parse(transaction)
    return noted is None or owner is None or owner.random in noted


def is_left_over(storage: Storage, name: str) -> bool:
    """Whether the run that made this folder of the trash has ended, or its process is dead."""
    reason, _, rest = name.partition(".")
    return reason in ("gc", "merge") and (rest.startswith("left.") or is_of_dead(storage, rest))


def is_of_dead(storage: Storage, name: str) -> bool:
    """Whether this is the name of a process that is proved dead."""
    owner = parse(name)
    return owner is not None and is_dead(owner, local=storage.local)


def open_transactions(storage: Storage, *, but: str | None = None) -> list[str]:
    """The names of all transactions except `but` whose process may be alive, also on another host.

    A folder whose name can't be parsed counts as open.
    """
    return [name for name in sorted(storage.folders("tmp")) if name != but and not is_of_dead(storage, name)]


def sweep(storage: Storage, *, builds: bool = False) -> int:
    """Remove the transactions of dead processes from tmp/, and files outside that these noted there.

    With `builds`, also the unfinished folders of checkouts. Returns how many. Processes that may be alive keep theirs.
    """
    count = 0
    for name in storage.names("tmp"):
        if is_of_dead(storage, name):
            if isinstance(storage, FolderStorage) and not sweep_outside(storage, name, builds=builds):
                continue
            try:
                storage.remove_folder(f"tmp/{name}")
                count += 1
            except StorageError:
                continue  # it is another user's, in a shared repository: only they can remove it
    return count
