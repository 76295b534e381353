"""The repository that is served, opened for requests: each borrows a handle, and all share what is kept in memory."""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from weakref import WeakValueDictionary

from artstore.backends.homes import cache_folder
from artstore.backends.storage import FolderStorage
from artstore.domain.collection import State
from artstore.domain.names import printable
from artstore.errors import DamagedLog, NotFound
from artstore.server.access import REFS, log_place
from artstore.server.reach import Reach
from artstore.store.layout import check_format, storage_at
from artstore.store.packs import PackIndex
from artstore.store.settings import Settings
from artstore.store.store import Store

_STATES = 1024
"""Collections whose states are kept in memory."""


class Served:
    """One repository, for the threads of a server."""

    def __init__(self, place: str, settings: Settings) -> None:
        self.place = place
        self.settings = settings
        self._cache = FolderStorage(os.path.join(cache_folder(), "servers"))
        """where indexes of a bucket's packs are kept"""
        self.reach = Reach()
        self._free: list[Store] = []
        self._lock = Lock()
        self._indexes = WeakValueDictionary[str, PackIndex]()
        self._states: OrderedDict[str, State] = OrderedDict()
        with self.store() as store:
            self.id = store.id
            self.root = store.storage.root

    @contextmanager
    def store(self, *, refresh: bool = True) -> Iterator[Store]:
        """A handle for one request, or for as long as a transaction is open. It is not for several threads at once.

        Without `refresh` it may know an older listing of packs.
        """
        with self._lock:
            store = self._free.pop() if self._free else None
        if store is None:
            storage = storage_at(self.place, None)
            cache = None if isinstance(storage, FolderStorage) else self._cache
            store = Store(storage, check_format(storage, "read"), self.settings.identity, cache=cache)
            store.objects.packs.indexes = self._indexes
        try:
            if refresh:
                store.objects.packs.refresh()
            yield store
        except BaseException:
            store.close()
            raise
        with self._lock:
            self._free.append(store)

    def close(self) -> None:
        """Close the handles that nobody has borrowed."""
        with self._lock:
            free, self._free = self._free, []
        for store in free:
            store.close()

    def collection(self, store: Store, folder: str) -> State:
        """The state of a collection's log. Nobody may change it: it is kept. Cost: one look if nothing is new.

        Raises NotFound for the log of a run, DamagedLog and other errors of what can't be read.
        """
        if log_place(folder).top != REFS:
            raise NotFound(f"{printable(folder)} is not the log of a collection")
        with self._lock:
            known = self._states.get(folder)
        if known is not None and known.number and known.pending is None and store.refs.is_current(known):
            return known
        state = store.refs.read_folder(folder)
        if state.number and state.path.folder != folder:
            raise DamagedLog(f"the log in {folder} belongs to {state.path}")
        with self._lock:
            self._states[folder] = state
            self._states.move_to_end(folder)
            while len(self._states) > _STATES:
                self._states.popitem(last=False)
        return state
