"""The history of a run: a row of metrics for each step, appended to a file first, and sealed into blobs as it grows.

A row is a line of JSON. The file belongs to the process that records; a part of history that was sealed is a blob (or, when
it is short, text) that the run's log names, so it is stored, collected, pushed and checked as everything else is.
"""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from artstore.backends.owner import is_alive, is_dead, parse, this_process
from artstore.backends.storage import FolderStorage
from artstore.domain.changes import Change, is_count, new_change
from artstore.domain.digest import BLOB, Digest
from artstore.domain.metadata import LONG
from artstore.domain.names import printable
from artstore.domain.run import RunState
from artstore.errors import DamagedObject, translated
from artstore.store.objects import ObjectStore
from artstore.store.runs import HISTORY, Runs
from artstore.store.transaction import Transaction

SEAL_AT = 4 << 20
"""Bytes after which a part is sealed, so that a long run's history is in the store while it goes on."""

Row = dict[str, Any]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class HistoryWriter:
    """Appends rows to a file of its own in a run's folder, one `write` each: a killed process loses none that it
    appended, a power cut those of the last seconds. For the process that made it.
    """

    def __init__(self, objects: ObjectStore, folder: str, *, named: bool = True) -> None:
        """`named`: whether the file's name may tell this host's."""
        assert objects.here is not None, "a run is recorded in a repository here"
        self._storage = objects.here
        self._folder = folder
        self._named = named
        self._fd: int | None = None
        self.bytes = 0

    def append(self, row: Row) -> None:
        """Add a row of plain JSON values."""
        line = _encode(row).encode() + b"\n"
        with translated(f"write to {printable(self._storage.path(self._folder))}"):
            if self._fd is None:
                self._begin()
            self._write(self._fd, line)  # type: ignore[arg-type]  # begun above
        self.bytes += len(line)

    def _write(self, fd: int, line: bytes) -> None:
        """Whole, or not at all: the disk may be full in the middle of a row."""
        written = 0
        try:
            while written < len(line):
                written += os.write(fd, line[written:])
        except OSError:
            os.ftruncate(fd, self.bytes)
            raise

    def _begin(self) -> None:
        self._storage.make_folder(self._folder)
        path = self._storage.path(f"{self._folder}/{HISTORY}{this_process(named=self._named)}")
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self.bytes = 0

    def end(self) -> None:
        """Append no more to this file: it is there to be sealed, and the next row begins another."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self.bytes = None, 0


def seal(
    objects: ObjectStore, runs: Runs, state: RunState, more: Callable[[RunState], list[Change]] = lambda state: []
) -> None:
    """Seal what lies open of a run's history and nobody appends to (files of this process, and of dead ones), and append
    `more` in the same entry. Cost: one transaction if there is any; the files go when the log names what became of them.
    A damaged one stays as it is: the run goes on, and whoever reads its history hears of it.
    """
    storage = objects.here
    if storage is None:
        return
    ended = [path for path in runs.parts(state) if _is_ended(storage, path)]
    open_ = [path for path in ended if path.rpartition("/")[2] not in state.history]
    if open_:
        with Transaction(objects) as tx:
            changes = []
            for path in open_:
                try:
                    changes.append(_part(tx, path.rpartition("/")[2], storage.read(path)))
                except DamagedObject:
                    ended.remove(path)
            tx.publish()
            runs.append(state, lambda now: [*(c for c in changes if c["part"] not in now.history), *more(now)])
            tx.ensure()
    else:
        runs.append(state, more)
    for path in ended:
        storage.remove(path)


def discard(objects: ObjectStore, runs: Runs, state: RunState) -> None:
    """Remove what lies open of the history of a run that was deleted, and nobody appends to."""
    storage = objects.here
    for path in runs.parts(state) if storage is not None else ():
        if storage is not None and _is_ended(storage, path):
            storage.remove(path)


def _is_ended(storage: FolderStorage, path: str) -> bool:
    owner = parse(path.rpartition("/")[2].removeprefix(HISTORY))
    return owner is not None and ((owner.pid == os.getpid() and is_alive(owner)) or is_dead(owner, local=storage.local))


def _part(tx: Transaction, name: str, data: bytes) -> Change:
    data = whole_rows(data)
    steps = [row["_step"] for row in rows_of(data)]
    span = {"rows": len(steps), "first": min(steps, default=0), "last": max(steps, default=0)}
    if len(data) <= LONG:
        return new_change("history", part=name, **span, text=data.decode("utf-8", "replace"), blob=None)
    return new_change("history", part=name, **span, text=None, blob=tx.add_bytes(data).hex())


def read_history(objects: ObjectStore, runs: Runs, state: RunState) -> Iterator[Row]:
    """All rows, sealed ones first, in the order in which they were logged. Memory: one part."""
    told: set[str] = set()
    while True:
        listed = runs.parts(state)  # first: what was sealed since then is in the log
        now = runs.read_folder(state.path.folder)
        if new := {name: part for name, part in now.history.items() if name not in told}:
            for part in new.values():
                yield from rows_of(_sealed(objects, part))
            told |= new.keys()
            continue  # more may have been sealed meanwhile
        path = next((path for path in listed if path.rpartition("/")[2] not in told), None)
        if path is None:
            return
        try:
            data = objects.storage.read(path)
        except FileNotFoundError:
            continue  # sealed meanwhile: the log says so now
        told.add(path.rpartition("/")[2])
        yield from rows_of(whole_rows(data))


def _sealed(objects: ObjectStore, part: Change) -> bytes:
    if part["blob"] is None:
        return str(part["text"]).encode()
    return objects.read(BLOB, Digest(bytes.fromhex(part["blob"])))


def whole_rows(data: bytes) -> bytes:
    """Without a last row that was cut off."""
    return data[: data.rfind(b"\n") + 1]


def rows_of(data: bytes) -> Iterator[Row]:
    """The rows in lines of JSON. Raises DamagedObject for a line that is none."""
    for line in data.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DamagedObject(f"a row of a run's history is not JSON: {error}") from error
        if not isinstance(row, dict) or not is_count(row.get("_step")):
            raise DamagedObject("a row of a run's history has no step")
        yield row
