"""The catalog: what every run used and logged, and every link, in a few words; so that a question about all of them does
not read all logs. Kept in cache/, brought up to date by one look at each log's folder.
"""

import os
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NamedTuple

from artstore.codec import decode, encode_rows
from artstore.digest import plain_digest
from artstore.errors import Damage, StorageError
from artstore.refs import Refs
from artstore.runs import Runs, RunState
from artstore.state import Path
from artstore.storage import FolderStorage

_YOUNG = 2_000_000_000
"""Nanoseconds: a folder that changed so shortly before it was read may have changed once more within the same tick of the
file system's clock, and is read again the next time.
"""

Row = tuple[Any, ...]


class RunRow(NamedTuple):
    """A run in a few words. The edges are ids; `Catalog.versions` tells what these were called."""

    entity: str
    project: str
    id: str
    name: str
    job_type: str | None
    group: str | None
    user: str | None
    host: str | None
    owner: str
    """"" once it has ended"""
    started: str
    seen: str
    finished: str | None
    deleted: str | None
    tags: tuple[str, ...]
    used: tuple[str, ...]
    logged: tuple[str, ...]

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.id}"


class VersionRow(NamedTuple):
    """A version as a run told of it when it used or logged it."""

    entity: str
    project: str
    name: str
    number: int
    type: str
    size: int
    created: int

    @property
    def path(self) -> Path:
        return Path(*self[:3])


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


class Catalog:
    """What the logs say now. Cost: one stat of each run (or collection), and reading those that changed since the last
    time; without the cache all of them.
    """

    def __init__(self, here: FolderStorage | None, runs: Runs, refs: Refs, *, damaged: list[Damage]) -> None:
        """`here` is the repository's own folder, which has a cache; None for a place elsewhere. Logs that can't be read
        are told in `damaged` and left out.
        """
        self._here = here
        self._runs = runs
        self._refs = refs
        self._damaged = damaged

    @cached_property
    def _run_rows(self) -> list[Row]:
        return self._brought_up("runs", self._runs.paths(), self._run_row)

    @cached_property
    def runs(self) -> list[RunRow]:
        """Every run, deleted ones too, in the order of their paths."""
        return [RunRow(*row[0]) for row in self._run_rows]

    @cached_property
    def versions(self) -> dict[str, VersionRow]:
        """By id, all that a run used or logged, deleted ones too."""
        return {id: VersionRow(*fields) for row in self._run_rows for id, *fields in row[1]}

    @cached_property
    def links(self) -> list[LinkRow]:
        return [LinkRow(*link) for row in self._brought_up("refs", self._refs.paths(), self._link_rows) for link in row]

    def users_of(self, id: str) -> list[RunRow]:
        """Runs that used a version, the latest started first."""
        found = (row for row in self.runs if id in row.used and row.deleted is None)
        return sorted(found, key=lambda row: (row.started, row.path), reverse=True)

    @cached_property
    def _links_by_id(self) -> dict[str, list[LinkRow]]:
        found: dict[str, list[LinkRow]] = {}
        for link in self.links:
            found.setdefault(link.id, []).append(link)
        return found

    def links_of(self, id: str) -> list[LinkRow]:
        return self._links_by_id.get(id, [])

    # -- what a log's row says --

    def _run_row(self, folder: str) -> Row | None:
        state = self._runs.read_folder(folder)
        if not state.number:
            return None
        edges = {**state.used, **state.logged}
        versions = tuple((id, *(edge[field] for field in VersionRow._fields)) for id, edge in edges.items())
        return tuple(_run_row(state)), versions

    def _link_rows(self, folder: str) -> Row:
        state = self._refs.read_folder(folder)
        live = state.live() if state.exists else []
        return tuple((v["id"], *state.path, v["number"]) for v in live if "source" in v)

    # -- the cache --

    def _brought_up(self, kind: str, folders: Iterable[str], read: Callable[[str], Row | None]) -> list[Row]:
        """The row of each log, from the cache where its folder is as it was then."""
        known, now, changed = self._load(kind), time.time_ns(), False
        rows: dict[str, tuple[int, Row | None]] = {}
        for folder in folders:
            stamp = self._stamp(folder)
            found = known.get(folder)
            if found is not None and found[0] == stamp:
                rows[folder] = found
                continue
            changed = True
            try:
                rows[folder] = (stamp if 0 < stamp < now - _YOUNG else 0), read(folder)
            except Damage as error:
                self._damaged.append(error)
        if changed or len(rows) != len(known):
            self._save(kind, rows)
        return [row for _, row in rows.values() if row is not None]

    def _stamp(self, folder: str) -> int:
        """The mtime of a log's folder: it moves with every entry. 0 where there is no telling."""
        try:
            return 0 if self._here is None else os.stat(f"{self._here.root}/{folder}").st_mtime_ns
        except OSError:
            return 0

    def _load(self, kind: str) -> dict[str, tuple[int, Row | None]]:
        try:
            data = b"" if self._here is None else self._here.read(f"cache/{kind}.catalog")
            body, own = data[:-32], data[-32:]
            if plain_digest(body) != own:
                return {}
            return dict(decode(body, "the catalog", rows=True, own=True))
        except (FileNotFoundError, StorageError, Damage, TypeError, ValueError):
            return {}

    def _save(self, kind: str, rows: dict[str, tuple[int, Row | None]]) -> None:
        if self._here is None:
            return
        body = encode_rows(tuple(rows.items()))
        try:
            self._here.replace(f"cache/{kind}.catalog", body + plain_digest(body))
        except StorageError:
            pass  # the next one reads the logs again


def _run_row(state: RunState) -> RunRow:
    owner = "" if state.finished else state.owner
    return RunRow(
        *state.path, state.name, state.job_type, state.group, state.user, state.host, owner, state.started, state.seen,
        state.finished, state.deleted, tuple(state.tags), tuple(state.used), tuple(state.logged),
    )  # fmt: skip
