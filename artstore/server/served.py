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
from artstore.errors import ArtstoreError, Damage, DamagedLog, NotFound, StorageError, UnsupportedFormat
from artstore.server.access import REFS, log_place
from artstore.server.folder import server_folder
from artstore.server.reach import Reach
from artstore.store.layout import check_format, storage_at
from artstore.store.packs import PackIndex
from artstore.store.settings import Settings
from artstore.store.store import Store

_STATES = 1024
"""Collections whose states are kept in memory."""

_HERE = "the server's repository"
"""What clients read instead of a path."""


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
        self._places: list[str] = []
        """paths of this host, which no client reads"""
        with self.store() as store:
            self.id = store.id
            self.root = store.storage.root
            self._places = _places(self.root, server_folder(store.storage), self._cache.root)

    @contextmanager
    def store(self, *, refresh: bool = True) -> Iterator[Store]:
        """A handle for one request, or for as long as a transaction is open. It is not for several threads at once.

        Without `refresh` it may know an older listing of packs.
        """
        with self._lock:
            store = self._free.pop() if self._free else None
        if store is None:
            store = self._opened()
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

    def _opened(self) -> Store:
        storage = storage_at(self.place, None)
        cache = None if isinstance(storage, FolderStorage) else self._cache
        try:
            format = check_format(storage, "read")
        except NotFound as error:
            if not self._places:
                raise  # the server is being started: the error says where it looked
            what = "the repository of this server is gone, or not mounted now"
            raise StorageError(what, hint="who runs the server can find out why") from error
        return Store(storage, format, self.settings.identity, cache=cache)

    def for_clients(self, error: ArtstoreError) -> ArtstoreError:
        """An error of what is stored, without the paths of this host, which are nothing to those who aren't on it.

        Others have only what the client sent: replaced in these, a guessed path would show that it is right.
        """
        if isinstance(error, Damage | StorageError | UnsupportedFormat):
            for place in self._places:
                error.message = error.message.replace(place, _HERE)
                error.hint = error.hint and error.hint.replace(place, _HERE)
        return error

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


def _places(*paths: str) -> list[str]:
    """Paths as messages may have them, those within others first."""
    known = {way for path in paths for way in (path, os.path.realpath(path))}
    return sorted({way for path in known for way in (path, printable(path))}, key=len, reverse=True)
