"""The catalog: a summary of all runs and links, so that a search through all of them doesn't read all logs.

It is kept in cache/. Bringing it up to date takes one stat of each log's folder.
"""

import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import cached_property, partial
from itertools import accumulate
from typing import NamedTuple

import msgpack

from artstore.backends.parallel import together
from artstore.domain.codec import decode, encode_rows
from artstore.domain.collection import Path
from artstore.domain.digest import plain_digest
from artstore.domain.run import RunPath
from artstore.errors import Damage, DamagedLog, StorageError, UnsupportedFormat
from artstore.operations.finding.caches import CatalogCache
from artstore.store.refs import Refs
from artstore.store.runs import Runs, may_live

_YOUNG = 2_000_000_000
"""Nanoseconds. A log's folder that changed this shortly before it was read is read again the next time: it may have
changed once more within the same tick of the file system's clock.
"""
_SEARCHES = 200
"""This many searches for single versions go through the bytes of all rows (0.2 ms for 10,000 runs). Then all rows are
decoded (40 ms).
"""


_Read = Callable[[str, int], tuple[str, bytes]]
"""Makes the key and row of a log, by its folder and the stamp that it has."""


class Edge(NamedTuple):
    """A version that a run used or logged, with the name and number that it had then."""

    verb: str
    """used or logged"""
    id: str
    entity: str
    project: str
    name: str
    number: int
    type: str
    size: int
    created: int

    @property
    def path(self) -> Path:
        """The collection of the version."""
        return Path(*self[2:5])


class RunRow(NamedTuple):
    """The summary of a run."""

    started: str
    entity: str
    project: str
    id: str
    name: str
    job_type: str | None
    group: str | None
    user: str | None
    owner: str
    """the process of the run; empty once it has ended"""
    finished: str | None
    deleted: str | None
    edges: tuple[Edge, ...]

    @property
    def run(self) -> RunPath:
        return RunPath(self.entity, self.project, self.id)

    @property
    def path(self) -> str:
        """The run's entity, project and id."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def used(self) -> list[str]:
        """Ids of the versions that the run used."""
        return [edge[1] for edge in self.edges if edge[0] == "used"]

    @property
    def logged(self) -> list[str]:
        """Ids of the versions that the run logged."""
        return [edge[1] for edge in self.edges if edge[0] == "logged"]


class LinkRow(NamedTuple):
    """A live link: the id of its source, and the collection and number of the link."""

    id: str
    entity: str
    project: str
    name: str
    number: int

    @property
    def path(self) -> Path:
        """The collection that holds the link."""
        return Path(*self[1:4])


class _Table:
    """The cached rows of all logs of one kind, as bytes, each with a key by which rows are sorted.

    It is stored in columns: then 10,000 rows are loaded in a few milliseconds, and a row is only decoded when it
    is needed.
    """

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.stamps = array("q")
        self.keys: list[str] = []
        self.rows: list[bytes] = []

    def add(self, folder: str, stamp: int, key: str, row: bytes) -> None:
        """Add the row of one log, with the modification time of its folder."""
        self.folders.append(folder)
        self.stamps.append(stamp)
        self.keys.append(key)
        self.rows.append(row)

    def encode(self) -> bytes:
        """The bytes of the table, with a digest of them at the end."""
        columns = ("\n".join(self.folders), self.stamps.tobytes(), "\n".join(self.keys), self.rows)
        body = encode_rows((_SHAPE, *columns))
        return body + plain_digest(body)

    @classmethod
    def decode(cls, data: bytes) -> "_Table":
        """The table that `encode` made into these bytes. An empty one if they are damaged, or of another artstore."""
        table, body = cls(), data[:-32]
        if plain_digest(body) != data[-32:]:
            return table
        shape, *columns = decode(body, "the catalog", rows=True, own=True)
        if shape != _SHAPE:  # another artstore's
            return table
        folders, stamps, keys, rows = columns
        if rows:
            table.folders, table.keys, table.rows = folders.split("\n"), keys.split("\n"), list(rows)
        table.stamps.frombytes(stamps)
        same = len(table.folders) == len(table.stamps) == len(table.keys) == len(table.rows)
        return table if same else cls()


class Catalog:
    """The summaries of all runs and links, as they are now.

    Cost: one stat for each run (or collection), and reading those that changed since the last time. Without the cache,
    one small file for each run that ended, and the whole logs of all others.
    """

    def __init__(
        self, cache: CatalogCache | None, runs: Runs, refs: Refs, *, damaged: list[Damage] | None = None
    ) -> None:
        """Prepare a catalog.

        Args:
            cache: Where rows are kept; None if all logs are read.
            damaged: A log that can't be read is left out, and its error added here. With None it is raised.
        """
        self._cache = cache
        self._runs = runs
        self._refs = refs
        self._damaged = damaged
        self._searched = 0

    # -- runs --

    @cached_property
    def _run_table(self) -> _Table:
        return self._brought_up("runs", self._runs.paths(), self._run_row)

    @cached_property
    def _text(self) -> tuple[bytes, list[int]]:
        """All rows as one byte string, to search them at once, and the end of each row in it."""
        rows = self._run_table.rows
        return b"".join(rows), list(accumulate(map(len, rows)))

    @cached_property
    def _by_edge(self) -> dict[tuple[str, str], list[int]]:
        """By (verb, version id), the positions of the rows of runs that used or logged the version."""
        found: dict[tuple[str, str], list[int]] = {}
        for position, row in enumerate(self._run_table.rows):
            for edge in decoded_run(row).edges:
                found.setdefault((edge.verb, edge.id), []).append(position)
        return found

    def rows_with(self, verb: str, id: str) -> list[bytes]:
        """The rows of all runs that used or logged (`verb`) a version, sorted by path. Deleted runs are included.

        `decoded_run` decodes a row.
        """
        rows = self._run_table.rows
        return [rows[position] for position in self._positions_with(verb, id)]

    def _positions_with(self, verb: str, id: str) -> list[int]:
        """The positions of the rows of all runs that used or logged a version."""
        self._searched += 1
        if self._searched > _SEARCHES:
            return self._by_edge.get((verb, id), [])
        wanted = encode_rows((verb, id))[1:]  # the first bytes of such an edge
        (text, ends), found = self._text, list[int]()
        at = text.find(wanted)
        while at >= 0:
            position = bisect_right(ends, at)
            found.append(position)
            at = text.find(wanted, ends[position])
        return found

    def users_of(self, id: str) -> list[bytes]:
        """The rows of all runs that used a version, the latest started first. Deleted runs are left out.

        `decoded_run` decodes a row.
        """
        rows = self._run_table.rows
        return [rows[position] for position in self._latest_first(self._positions_with("used", id))]

    def in_use(self) -> dict[str, str]:
        """The versions that runs which haven't ended use or made, by id, each with the name of such a run.

        Cost: decodes the rows of all runs.
        """
        found: dict[str, str] = {}
        local = self._cache is not None and self._cache.local
        for row in map(decoded_run, self._run_table.rows):
            if row.finished is None and row.deleted is None and may_live(row.owner, local):
                found.update(dict.fromkeys((edge.id for edge in row.edges), row.id))
        return found

    def all_rows(self) -> list[bytes]:
        """The rows of all runs, deleted ones too."""
        return self._run_table.rows

    def latest_runs(self, below: str) -> tuple[int, Iterator[RunRow]]:
        """The number of runs below a folder of runs/, and these runs, the latest started first. Without deleted ones."""
        table, inside = self._run_table, below + "/"
        positions = self._latest_first(i for i, folder in enumerate(table.folders) if folder.startswith(inside))
        return len(positions), (decoded_run(table.rows[i]) for i in positions)

    def _latest_first(self, positions: Iterable[int]) -> list[int]:
        """Sort positions by the starting times of their runs, without deleted runs, which have no key."""
        keys, folders = self._run_table.keys, self._run_table.folders
        return sorted((i for i in positions if keys[i]), key=lambda i: (keys[i], folders[i]), reverse=True)

    def _run_row(self, folder: str, stamp: int) -> tuple[str, bytes]:
        """The key and row of a run. `stamp` says which state of its log that is; it is 0 if that isn't known."""
        return row_of_run(self._runs, folder)

    # -- links --

    @cached_property
    def links(self) -> list[LinkRow]:
        """Every live link, in the order of the collections."""
        table = self._brought_up("refs", self._refs.paths(), self._link_row)
        return [LinkRow(*link) for row in table.rows if row != _NO_LINKS for link in msgpack.unpackb(row)]

    @cached_property
    def _links_by_id(self) -> dict[str, list[LinkRow]]:
        found: dict[str, list[LinkRow]] = {}
        for link in self.links:
            found.setdefault(link.id, []).append(link)
        return found

    def links_of(self, id: str) -> list[LinkRow]:
        """The live links that point to the version with this id."""
        return self._links_by_id.get(id, [])

    def _link_row(self, folder: str, stamp: int) -> tuple[str, bytes]:
        """The row of a collection's live links, from its log. It needs no key."""
        state = self._refs.read_folder(folder)
        live = state.live() if state.exists else []
        return "", encode_rows([(v["id"], *state.path, v["number"]) for v in live if "source" in v])

    # -- the cache --

    def _brought_up(self, kind: str, folders: Iterable[str], read: _Read) -> _Table:
        """The rows of all logs of one kind: from the cache if a log didn't change, else made by `read`."""
        # 1. If the cache has exactly these logs, and none changed, it is right.
        folders = list(folders)
        known, now, table = self._load(kind), time.time_ns(), _Table()
        stamps = array("q", bytes(8 * len(folders))) if self._cache is None else self._cache.stamps(kind, folders)
        if folders == known.folders and stamps == known.stamps and 0 not in stamps:
            return known
        # 2. Otherwise take each row from the cache, or read the log. A stamp of 0 means: read it again next time.
        stamps = array("q", (stamp if stamp < now - _YOUNG else 0 for stamp in stamps))
        positions = {folder: i for i, folder in enumerate(known.folders)}
        kept = [positions.get(folder, -1) for folder in folders]
        kept = [
            at if at >= 0 and known.stamps[at] == stamp != 0 else -1 for at, stamp in zip(kept, stamps, strict=True)
        ]
        changed = [(folder, stamp) for folder, stamp, at in zip(folders, stamps, kept, strict=True) if at < 0]
        at_once = 1 if self._cache is None else self._cache.at_once
        with closing(together(partial(self._readable, read), changed, most=at_once)) as made:
            for folder, stamp, at in zip(folders, stamps, kept, strict=True):
                if at >= 0:
                    table.add(folder, stamp, known.keys[at], known.rows[at])
                elif (row := next(made)) is not None:
                    table.add(folder, stamp, *row)
        self._save(kind, table)
        return table

    def _readable(self, read: _Read, log: tuple[str, int]) -> tuple[str, bytes] | None:
        """The key and row of a log, by its folder and stamp; None if it can't be read and errors are gathered."""
        try:
            return read(*log)
        except (Damage, UnsupportedFormat) as error:
            if self._damaged is None:
                raise
            self._damaged.append(error if isinstance(error, Damage) else DamagedLog(error.message, hint=error.hint))
            return None

    def _load(self, kind: str) -> _Table:
        try:
            return _Table() if self._cache is None else _Table.decode(self._cache.load(kind))
        except (FileNotFoundError, StorageError, Damage, TypeError, ValueError):
            return _Table()

    def _save(self, kind: str, table: _Table) -> None:
        if self._cache is None:
            return
        try:
            self._cache.save(kind, table.encode())
        except (StorageError, ValueError):
            pass  # the next catalog reads the logs again


_SHAPE = ",".join((*RunRow._fields, *Edge._fields, *LinkRow._fields))
"""The fields of all rows. A cache with other fields is ignored."""
_NO_LINKS = encode_rows([])


def decoded_run(row: bytes) -> RunRow:
    """Decode the row of a run."""
    *fields, edges = msgpack.unpackb(row, use_list=False)
    return RunRow._make((*fields, tuple(map(Edge._make, edges))))


def row_of_run(runs: Runs, folder: str) -> tuple[str, bytes]:
    """The key and row of a run, from its log."""
    told = runs.ended(folder) or runs.read_folder(folder).plain()
    edges = [
        (verb, id, e["entity"], e["project"], e["name"], e["number"], e["type"], e["size"], e["created"])
        for verb in ("used", "logged")
        for id, e in told[verb].items()
    ]
    owner = "" if told["finished"] else told["owner"]
    row = (
        told["started"], *told["path"], told["name"], told["job_type"], told["group"], told["user"], owner,
        told["finished"], told["deleted"], edges,
    )  # fmt: skip
    return "" if told["deleted"] or not told["number"] else told["started"], encode_rows(row)
