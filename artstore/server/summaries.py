"""Summaries of the runs and links that somebody sees. The log of a run is read once for all who see its project."""

from array import array
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from artstore.domain.codec import encode_rows
from artstore.domain.names import printable
from artstore.errors import Damage, DamagedLog
from artstore.operations.finding.caches import CatalogCache, MemoryCache, cache_of, numbers_as_stamps
from artstore.operations.finding.catalog import Catalog, decoded_run, row_of_run
from artstore.server.access import Access
from artstore.store.refs import Refs
from artstore.store.runs import Runs
from artstore.store.store import Store

_SCOPES = 16
"""How many summaries are kept, each for all who see the same projects."""
_READ_AT_ONCE = 8
"""Logs of a bucket that are read at once."""
Row = tuple[str, bytes]
"""The key and the row of a log in a catalog."""


class Caches:
    """What is kept in memory of runs and links, for as long as a repository is served."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, dict[str, bytes]] = OrderedDict()
        self._runs: dict[str, tuple[int, Row]] = {}
        """by folder: the row of a run with all that its log names, and the stamp of the log then"""
        self._lock = Lock()

    def of(self, access: Access, store: Store) -> CatalogCache:
        """The cache for the catalog of what somebody sees: that of a repository on this host if they see all of it.

        The others are in memory only. In a bucket, one listing tells which logs have new entries.
        """
        here = cache_of(store.objects.here)
        if here is not None and access.sees_all:
            return here
        with self._lock:
            kept = self._kept.setdefault(access.scope, {})
            self._kept.move_to_end(access.scope)
            while len(self._kept) > _SCOPES:
                self._kept.popitem(last=False)
        if here is not None:
            return MemoryCache(kept, here.stamps, local=here.local, at_once=here.at_once)

        def stamps(kind: str, folders: list[str]) -> "array[int]":
            return numbers_as_stamps(store.heads([kind]), folders)

        return MemoryCache(kept, stamps, local=False, at_once=_READ_AT_ONCE)

    def run(self, folder: str, stamp: int, read: Callable[[], Row]) -> Row:
        """The row of a run, with all that its log names, from when the log had this stamp; 0 if none is to be trusted.

        Any thread may call this.
        """
        known = self._runs.get(folder)
        if known is not None and known[0] == stamp != 0:
            return known[1]
        row = read()
        self._runs[folder] = stamp, row
        return row


class SeenCatalog(Catalog):
    """A summary of what somebody sees.

    Only logs that they may know of are looked at, so the time that it takes says nothing of others.
    """

    def __init__(
        self, caches: Caches, access: Access, store: Store, runs: Runs, refs: Refs, damaged: list[Damage] | None
    ) -> None:
        """`runs` and `refs` are what they see of the logs in `store`."""
        super().__init__(caches.of(access, store), runs, refs, damaged=damaged)
        self._caches = caches
        self._access = access
        self._all = store

    def _run_row(self, folder: str, stamp: int) -> Row:
        key, row = self._caches.run(folder, stamp, lambda: row_of_run(self._all.runs, folder))
        told = decoded_run(row)
        if told.project and told.run.folder != folder:
            raise DamagedLog(f"the log in {printable(folder)} belongs to another name")
        edges = tuple(edge for edge in told.edges if self._access.sees(edge.entity, edge.project))
        return key, row if edges == told.edges else encode_rows(told._replace(edges=edges))
