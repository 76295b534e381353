"""The catalog: what every run used and logged, and every link, in a few words; so that a question about all of them does
not read all logs. Kept in cache/, brought up to date by one look at each log's folder.
"""

import os
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import msgpack

from artstore.backends.storage import FolderStorage
from artstore.domain.codec import decode, encode_rows
from artstore.domain.collection import Path
from artstore.domain.digest import plain_digest
from artstore.errors import Damage, StorageError
from artstore.store.refs import Refs
from artstore.store.runs import Runs

_YOUNG = 2_000_000_000
"""Nanoseconds: a folder that changed so shortly before it was read may have changed once more within the same tick of the
file system's clock, and is read again the next time.
"""
_SEARCHES = 200
"""Questions about single versions that are answered by searching the rows' bytes (0.2 ms for 10,000 runs); then all rows are
decoded (40 ms).
"""


class Edge(NamedTuple):
    """A version that a run used or logged, as it told of it then."""

    verb: str
    """used, logged"""
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
        return Path(*self[2:5])


class RunRow(NamedTuple):
    """A run in a few words."""

    started: str
    entity: str
    project: str
    id: str
    name: str
    job_type: str | None
    group: str | None
    user: str | None
    owner: str
    """nothing once it has ended"""
    finished: str | None
    deleted: str | None
    edges: tuple[Edge, ...]

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def used(self) -> list[str]:
        """Ids of versions."""
        return [edge[1] for edge in self.edges if edge[0] == "used"]

    @property
    def logged(self) -> list[str]:
        """Ids of versions."""
        return [edge[1] for edge in self.edges if edge[0] == "logged"]


class LinkRow(NamedTuple):
    """A live link: the version's id, and the collection that holds it."""

    id: str
    entity: str
    project: str
    name: str
    number: int

    @property
    def path(self) -> Path:
        return Path(*self[1:4])


class _Table:
    """A row of bytes for each log, and a text by which rows are put in order. Columns, so that 10,000 rows are loaded in a
    few milliseconds, and only those that are asked for are decoded.
    """

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.stamps = array("q")
        self.keys: list[str] = []
        self.rows: list[bytes] = []

    def add(self, folder: str, stamp: int, key: str, row: bytes) -> None:
        self.folders.append(folder)
        self.stamps.append(stamp)
        self.keys.append(key)
        self.rows.append(row)

    def encode(self) -> bytes:
        columns = ("\n".join(self.folders), self.stamps.tobytes(), "\n".join(self.keys), self.rows)
        body = encode_rows((_SHAPE, *columns))
        return body + plain_digest(body)

    @classmethod
    def decode(cls, data: bytes) -> "_Table":
        """An empty one for bytes that `encode` did not make."""
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
    """What the logs say now. Cost: one stat of each run (or collection), and reading those that changed since the last
    time; without the cache one small file for each run that ended, and the whole log of all others.
    """

    def __init__(
        self, here: FolderStorage | None, runs: Runs, refs: Refs, *, damaged: list[Damage] | None = None
    ) -> None:
        """`here` is the repository's own folder, which has a cache; None for a place elsewhere. A log that can't be
        read is told in `damaged` and left out, or else raised.
        """
        self._here = here
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
        """All rows as one text, to be searched at once, and where each ends."""
        rows = self._run_table.rows
        return b"".join(rows), list(accumulate(map(len, rows)))

    @cached_property
    def _by_edge(self) -> dict[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = {}
        for place, row in enumerate(self._run_table.rows):
            for edge in decoded_run(row).edges:
                found.setdefault((edge.verb, edge.id), []).append(place)
        return found

    def rows_with(self, verb: str, id: str) -> list[bytes]:
        """Rows, for `decoded_run`, of the runs that `used` or `logged` a version, deleted ones too, by their paths."""
        rows = self._run_table.rows
        return [rows[place] for place in self._places_with(verb, id)]

    def _places_with(self, verb: str, id: str) -> list[int]:
        self._searched += 1
        if self._searched > _SEARCHES:
            return self._by_edge.get((verb, id), [])
        wanted = encode_rows((verb, id))[1:]  # as an edge begins
        (text, ends), found = self._text, list[int]()
        at = text.find(wanted)
        while at >= 0:
            place = bisect_right(ends, at)
            found.append(place)
            at = text.find(wanted, ends[place])
        return found

    def users_of(self, id: str) -> list[bytes]:
        """Rows, for `decoded_run`, of the runs that used a version, the latest started first; deleted ones left out."""
        rows = self._run_table.rows
        return [rows[place] for place in self._latest_first(self._places_with("used", id))]

    def latest_runs(self, below: str) -> tuple[int, Iterator[RunRow]]:
        """How many runs there are below a folder of runs/, and these, the latest started first; deleted ones left out."""
        table, inside = self._run_table, below + "/"
        places = self._latest_first(i for i, folder in enumerate(table.folders) if folder.startswith(inside))
        return len(places), (decoded_run(table.rows[i]) for i in places)

    def _latest_first(self, places: Iterable[int]) -> list[int]:
        """Without runs that were deleted, which have no key."""
        keys, folders = self._run_table.keys, self._run_table.folders
        return sorted((i for i in places if keys[i]), key=lambda i: (keys[i], folders[i]), reverse=True)

    def _run_row(self, folder: str) -> tuple[str, bytes]:
        told = self._runs.ended(folder) or self._runs.read_folder(folder).plain()
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

    # -- links --

    @cached_property
    def links(self) -> list[LinkRow]:
        """Every live link, by the collection that holds it."""
        table = self._brought_up("refs", self._refs.paths(), self._link_row)
        return [LinkRow(*link) for row in table.rows if row != _NO_LINKS for link in msgpack.unpackb(row)]

    @cached_property
    def _links_by_id(self) -> dict[str, list[LinkRow]]:
        found: dict[str, list[LinkRow]] = {}
        for link in self.links:
            found.setdefault(link.id, []).append(link)
        return found

    def links_of(self, id: str) -> list[LinkRow]:
        return self._links_by_id.get(id, [])

    def _link_row(self, folder: str) -> tuple[str, bytes]:
        state = self._refs.read_folder(folder)
        live = state.live() if state.exists else []
        return "", encode_rows([(v["id"], *state.path, v["number"]) for v in live if "source" in v])

    # -- the cache --

    def _brought_up(self, kind: str, folders: Iterable[str], read: Callable[[str], tuple[str, bytes]]) -> _Table:
        """The row of each log, from the cache where its folder is as it was then."""
        folders = list(folders)
        known, now, stamps, table = self._load(kind), time.time_ns(), self._stamps(folders), _Table()
        if folders == known.folders and stamps == known.stamps and 0 not in stamps:
            return known
        places = {folder: i for i, folder in enumerate(known.folders)}
        for folder, stamp in zip(folders, stamps, strict=True):
            at = places.get(folder, -1)
            if at >= 0 and known.stamps[at] == stamp != 0:
                table.add(folder, stamp, known.keys[at], known.rows[at])
                continue
            try:
                table.add(folder, stamp if stamp < now - _YOUNG else 0, *read(folder))
            except Damage as error:
                if self._damaged is None:
                    raise
                self._damaged.append(error)
        self._save(kind, table)
        return table

    def _stamps(self, folders: list[str]) -> "array[int]":
        """The mtime of each log's folder, which moves with every entry; 0 where there is no telling. Looked at from the
        folder above: 1.5 µs each instead of 3.
        """
        if self._here is None or not self._here.local:  # another host's entries may move no mtime that is seen here
            return array("q", bytes(8 * len(folders)))
        stamps, above, fd = array("q"), "", -1
        try:
            for folder in folders:
                parent, _, name = folder.rpartition("/")
                if parent != above:
                    if fd >= 0:
                        os.close(fd)
                        fd = -1
                    above, fd = parent, _opened(self._here.path(parent))
                try:
                    stamps.append(os.stat(name, dir_fd=fd).st_mtime_ns if fd >= 0 else 0)
                except OSError:
                    stamps.append(0)
        finally:
            if fd >= 0:
                os.close(fd)
        return stamps

    def _load(self, kind: str) -> _Table:
        try:
            return _Table() if self._here is None else _Table.decode(self._here.read(f"cache/{kind}.catalog", own=True))
        except (FileNotFoundError, StorageError, Damage, TypeError, ValueError):
            return _Table()

    def _save(self, kind: str, table: _Table) -> None:
        if self._here is None:
            return
        try:
            self._here.replace(f"cache/{kind}.catalog", table.encode())
        except (StorageError, ValueError):
            pass  # the next one reads the logs again


_SHAPE = ",".join((*RunRow._fields, *Edge._fields, *LinkRow._fields))
"""What rows hold: a cache of another shape is not read."""
_NO_LINKS = encode_rows([])


def decoded_run(row: bytes) -> RunRow:
    """The run that a row of the catalog tells of."""
    *fields, edges = msgpack.unpackb(row, use_list=False)
    return RunRow._make((*fields, tuple(map(Edge._make, edges))))


def _opened(folder: str) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1
