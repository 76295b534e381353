"""The process that packs in the background after saves: it gives way to everybody, and ends when it is asked to."""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from functools import partial

from artstore.backends.background import close_inherited, give_way
from artstore.backends.cgroups import memory_left
from artstore.backends.owner import parse
from artstore.backends.storage import FolderStorage
from artstore.errors import ArtstoreError
from artstore.operations.upkeep.automatic import LEAST_MEMORY, MUCH, PART
from artstore.operations.upkeep.merge import maintenance_lock
from artstore.operations.upkeep.packing import Packer, Packing
from artstore.operations.upkeep.packing_notes import LEAST, PackingNotes
from artstore.operations.upkeep.removal import Everything, Removal, open_transactions
from artstore.progress import Monitor
from artstore.store.layout import check_format
from artstore.store.settings import Settings
from artstore.store.store import Store
from artstore.store.transaction import Transaction

LONGEST = 30 * 60
"""Seconds after which a packer ends, however much is left: the next save starts another one."""
_PATIENCE = 60.0
"""Seconds to wait for work of others. What is open for longer may be open for days: then this packer ends."""
_LOOK_EVERY = 0.25


def main() -> None:
    """Pack in the repository that the second argument names, for 30 minutes at most or as the third argument says."""
    close_inherited()
    os.chdir("/")  # or the folder of whoever saved couldn't be unmounted
    give_way()
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.default_int_handler)
    signal.alarm(int(sys.argv[3]) if len(sys.argv) > 3 else LONGEST)
    with suppress(ArtstoreError, OSError, KeyboardInterrupt):
        pack_while_due(FolderStorage(sys.argv[2]))


def pack_while_due(storage: FolderStorage) -> None:
    """Pack until less was saved meanwhile than is worth it. Does nothing if another process packs here.

    A save counts before it looks for a packer, and a packer looks at the count after it ended. So none is missed.
    """
    notes = PackingNotes(storage)
    while notes.is_due:
        with notes.lock() as is_first:
            if not is_first or not notes.begin():
                return
            try:
                _wait_for_others(storage)
                notes.forget_saved()
                _pack(storage, notes)
            except KeyboardInterrupt:
                notes.add(LEAST)  # the next save shall start another packer
                raise
            finally:
                notes.end()


def _pack(storage: FolderStorage, notes: PackingNotes) -> None:
    settings = Settings(storage.root)
    with Store(storage, check_format(storage, "gc"), settings.identity) as store, maintenance_lock(storage):
        packer = Packer(store.objects, store.refs, store.runs, _Patient(storage))
        done = packer.run(is_enough=partial(_is_worth_it, store), packed=notes.progressed)
        if done.trashed_bytes:  # somebody saved when a file was removed
            _wait_for_others(storage)
            _free(store)


def _is_worth_it(store: Store, foreseen: Packing) -> bool:
    """Whether packing would free enough, and has the space: a pack, and what is written anew when it is damaged."""
    largest = max((size for _, size in store.objects.large.files()), default=0)
    if shutil.disk_usage(store.storage.root).free < 2 * largest:
        return False
    taken = sum(size for _, size in store.storage.below("objects"))
    return foreseen.freed_bytes >= min(MUCH, PART * taken)


def _free(store: Store) -> None:
    """Delete the files that earlier removals left in the trash, because of open work that has ended since."""
    with (
        Transaction(store.objects, "gc") as tx,
        Removal(store.objects, "merge", own_transaction=str(tx.owner)) as trash,
    ):
        trash.claim_older(0.0)
        trash.finish(Everything(), keep_mine=False)


class _Patient(Monitor):
    """Stops the packing while anybody saves or collects, and ends it if that takes long or memory gets short."""

    def __init__(self, storage: FolderStorage) -> None:
        self._storage = storage
        self._looked = time.monotonic()
        super().__init__()

    def changed(self) -> None:
        if time.monotonic() - self._looked < _LOOK_EVERY:
            return
        _wait_for_others(self._storage)
        if (left := memory_left()) is not None and left < LEAST_MEMORY:
            raise KeyboardInterrupt
        self._looked = time.monotonic()


def _wait_for_others(storage: FolderStorage) -> None:
    """Wait until no other process has a transaction open. Raises KeyboardInterrupt if one stays open."""
    until = time.monotonic() + _PATIENCE
    while any((owner := parse(name)) is None or owner.pid != os.getpid() for name in open_transactions(storage)):
        if time.monotonic() > until:
            raise KeyboardInterrupt
        time.sleep(_LOOK_EVERY)
