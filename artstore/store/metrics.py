"""The history of a run: rows of metrics, first appended to a file, later sealed into blobs.

A row is a line of JSON with the metrics of one step. The file belongs to the process that records. A sealed part is a
blob (or text, if it is short) that the run's log names, so it is stored, collected, pushed and checked like
everything else.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

from artstore.backends.descriptors import OpenFile
from artstore.backends.owner import this_process
from artstore.backends.storage import FolderStorage
from artstore.domain.changes import Change, is_count
from artstore.domain.digest import BLOB, from_hex
from artstore.domain.names import printable
from artstore.domain.run import RunState
from artstore.domain.summaries import Summaries
from artstore.errors import Damage, DamagedObject, translated
from artstore.store.runs import HISTORY, Runs
from artstore.store.sides import AnyStore, Objects

SEAL_AT = 4 << 20
"""Bytes after which a part is sealed, so that a long run's history is in the store before it ends."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC

MetricRow = dict[str, Any]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class HistoryWriter:
    """Appends rows to a file in a run's folder, with one `write` for each row. Each process has its own file.

    A killed process loses no row that it appended; a power cut loses those of the last seconds.
    """

    def __init__(self, storage: FolderStorage, folder: str, *, named: bool = True) -> None:
        """`named`: whether the file's name may contain this host's name."""
        self._storage = storage
        self._folder = folder
        self._named = named
        self._file: OpenFile | None = None
        self.bytes = 0

    def append(self, row: MetricRow) -> None:
        """Add a row of plain JSON values."""
        line = _encode(row).encode() + b"\n"
        with translated(f"write to {printable(self._storage.path(self._folder))}"):
            while True:
                self._open()
                file = self._file
                if file is None:  # a signal handler has ended it
                    continue
                try:
                    written = os.write(file.fd, line)
                    break
                except OSError:
                    if self._file is file:
                        raise
            if written < len(line):
                _complete(file.fd, line, written)
        self.bytes += len(line)

    def _open(self) -> None:
        if (file := self._file) is not None and file.is_open():
            return
        self._storage.make_folder(self._folder)
        path = self._storage.path(f"{self._folder}/{HISTORY}{this_process(named=self._named)}")
        self._file = OpenFile.of(os.open(path, _NEW, 0o666))

    def end(self) -> None:
        """Close this file, so that it can be sealed. The next row begins another file."""
        file, self._file = self._file, None  # in one statement: a signal handler may end it as well
        if file is not None:
            file.close()
        self.bytes = 0


def _complete(fd: int, line: bytes, written: int) -> None:
    """Write the rest of a line, or take back what is written if the disk is full."""
    try:
        while written < len(line):
            written += os.write(fd, line[written:])
    except OSError:
        os.ftruncate(fd, os.fstat(fd).st_size - written)
        raise


def read_history(objects: Objects, runs: Runs, state: RunState, having: bytes = b"") -> Iterator[MetricRow]:
    """All rows of a run: first the sealed ones, then the others, in the order in which they were logged.

    With `having`, only the rows whose JSON contains these bytes, such as `"_type"` for media: others aren't parsed,
    which takes 10 µs a row. Memory: one part.
    """
    told: set[str] = set()
    objects.through(state.path.folder, ())
    while True:
        listed = runs.parts(state)  # before the log is read: a file that is sealed after this is named there
        now = runs.read_folder(state.path.folder)
        if new := {name: part for name, part in now.history.items() if name not in told}:
            for part in new.values():
                yield from rows_of(_sealed(objects, part), having)
            told |= new.keys()
            continue  # more may have been sealed meanwhile
        path = next((path for path in listed if path.rpartition("/")[2] not in told), None)
        if path is None:
            return
        try:
            data = objects.storage.read(path)
        except FileNotFoundError:
            continue  # sealed meanwhile: the log names it now
        told.add(path.rpartition("/")[2])
        yield from rows_of(whole_rows(data), having)


def last_row(objects: Objects, state: RunState) -> MetricRow:
    """The last row that was sealed; without one, an empty row. Cost: one part is read, and one row parsed."""
    part = max(state.history.values(), key=lambda part: int(part["last"]), default=None)
    try:
        data = b"" if part is None else whole_rows(_sealed(objects, part))
        return next(rows_of(data[data.rfind(b"\n", 0, -1) + 1 :]), {})
    except Damage:
        return {}  # the history reports it


def whole_summary(store: AnyStore, state: RunState) -> dict[str, Any]:
    """The summary of a run. If the run hasn't ended, metrics that it lacks are taken from the history.

    What is kept of each is what the run defined, or its last value. A process writes the summary some seconds after the
    metrics, so one that was killed left it incomplete. What comes after damage in the history is left out. Cost: for a
    run that hasn't ended, its history is read.
    """
    if state.finished is not None:
        return state.summary
    logged, summaries = MetricRow(), Summaries()
    for metric, kept in state.defined.items():
        summaries.define(metric, kept)
    try:
        for row in store.run_history(state):
            logged |= summaries.of(row)
    except Damage:
        pass  # the history reports it
    return state.summary | {k: v for k, v in logged.items() if k not in state.summary and not k.startswith("_")}


def _sealed(objects: Objects, part: Change) -> bytes:
    if part["blob"] is None:
        return str(part["text"]).encode()
    return objects.read(BLOB, from_hex(part["blob"]))


def whole_rows(data: bytes) -> bytes:
    """The data without a last row that was cut off."""
    return data[: data.rfind(b"\n") + 1]


def _lines_having(data: bytes, wanted: bytes) -> Iterator[bytes]:
    """The lines of the data that contain these bytes."""
    at = 0
    while (at := data.find(wanted, at)) >= 0:
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        yield data[data.rfind(b"\n", 0, at) + 1 : end]
        at = end


def rows_of(data: bytes, having: bytes = b"") -> Iterator[MetricRow]:
    """Parse lines of JSON into rows: all, or those that contain the bytes `having`.

    Raises DamagedObject for a line that isn't a row.
    """
    for line in _lines_having(data, having) if having else data.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DamagedObject(f"a row of a run's history is not JSON: {error}") from error
        if not isinstance(row, dict) or not is_count(row.get("_step")):
            raise DamagedObject("a row of a run's history has no step")
        yield row
