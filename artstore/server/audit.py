"""The audit: who asked a server for what, when, from where, and what came of it. Each process has a file of its own."""

import heapq
import json
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from artstore.backends.durability import sync_file, sync_folder
from artstore.backends.files import check_private, open_regular, write_fully
from artstore.domain.digest import plain_digest
from artstore.domain.names import printable
from artstore.domain.redaction import redacted
from artstore.errors import storage_error, translated
from artstore.server.folder import make_server_folder

_LONGEST_TEXT = 1000
"""Characters of a text in a record. Longer ones are cut."""
_LONGEST_LINE = 128 << 10
_ENDING = ".jsonl"


class Record(NamedTuple):
    """One line of the audit."""

    time: str
    """ISO 8601, UTC, microseconds"""
    token: str | None
    """the name of the token, or None if none was accepted"""
    address: str
    """where the request came from"""
    operation: str
    project: str | None
    """entity/project"""
    subject: str | None
    """what the operation was about, such as a version or an alias"""
    outcome: str
    bytes: int


class Head(NamedTuple):
    """The end of a file at some moment. Written down elsewhere, it shows whether the file was cut or written anew."""

    file: str
    records: int
    digest: str
    """of the last line, hex"""

    def __str__(self) -> str:
        return ":".join(map(str, self))

    @classmethod
    def parsed(cls, text: str) -> "Head | None":
        """The head that a text names, or None if it names none."""
        file, _, rest = text.strip().partition(":")
        count, _, digest = rest.partition(":")
        return cls(file, int(count), digest) if count.isdecimal() and count.isascii() and len(digest) == 64 else None


class Audit:
    """The audit of a served repository. It is for several threads at once."""

    def __init__(self, folder: str) -> None:
        """`folder` is that of `server_folder`."""
        self._server = folder
        self._folder = os.path.join(folder, "audit")
        self._lock = threading.Lock()
        self._file: _Open | None = None

    def append(
        self,
        operation: str,
        outcome: str,
        *,
        token: str | None,
        address: str,
        project: str | None = None,
        subject: str | None = None,
        bytes: int = 0,
        sync: bool = False,
    ) -> None:
        """Append one record; with `sync` it is durable when this returns. Threads that wait for that share one sync.

        Raises StorageError if it can't be written, or may not be durable. Then what was asked for must be refused.
        """
        texts = [_plain(text) for text in (token, address, operation, project, subject, outcome)]
        fields = dict(zip(("token", "address", "operation", "project", "subject", "outcome"), texts, strict=True))
        with self._lock, translated(f"write to the audit in {printable(self._folder)}"):
            if self._file is None or self._file.pid != os.getpid():
                self._file = self._begun()
            file = self._file
            try:
                number = file.append({"time": _now(), "bytes": bytes, **fields})
            except OSError:
                if not file.take_back():
                    self._file = None  # the next record begins another file
                raise
        if sync:
            with translated(f"write to the audit in {printable(self._folder)}"):
                try:
                    file.sync(number)
                except OSError:
                    with self._lock:
                        self._file = None if self._file is file else self._file
                    raise

    def head(self) -> Head | None:
        """The end of this process's file, or None if it has written nothing."""
        with self._lock:
            return self._file.head() if self._file is not None and self._file.records else None

    def close(self) -> None:
        with self._lock:
            self._file = None

    def _begun(self) -> "_Open":
        make_server_folder(self._server)
        make_server_folder(self._folder)
        started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        name = f"{started}-{os.getpid()}-{os.urandom(2).hex()}{_ENDING}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(os.path.join(self._folder, name), flags, 0o600)
        sync_folder(self._folder)
        return _Open(name, fd)

    # -- reading --

    def records(
        self, *, since: str | None = None, token: str | None = None, operation: str | None = None
    ) -> Iterator[Record]:
        """The records of all processes, by their time. Lines that aren't records are left out: `check` reports them.

        Args:
            since: Only records of this time (ISO 8601, UTC) or later.
            token: Only those of the token with this name.
            operation: Only those of this operation.
        """
        files = [self._records_of(name) for name in self._names()]
        for record in heapq.merge(*files, key=lambda record: record.time):
            is_chosen = token in (None, record.token) and operation in (None, record.operation)
            if is_chosen and (since is None or record.time >= since):
                yield record

    def _records_of(self, name: str) -> Iterator[Record]:
        for line in self._lines(name):
            if (record := _record(line)) is not None:
                yield record

    def check(self, heads: Iterable[Head] = ()) -> list[str]:
        """What is wrong with the files, in words: a line that was changed, added or removed breaks its file's chain.

        A file that was cut at its end, removed, or written anew as a whole has a right chain. That shows only against
        `heads` that were written down elsewhere.
        """
        problems, expected = list[str](), dict[str, list[Head]]()
        for head in heads:
            expected.setdefault(head.file, []).append(head)
        for name in self._names():
            problems += self._problems_of(name, expected.pop(name, []))
        return problems + [f"{printable(name)} is gone" for name in expected]

    def heads(self) -> list[Head]:
        """The end of each file, by name."""
        found = []
        for name in self._names():
            for count, line in deque(enumerate(self._lines(name), 1), maxlen=1):
                found.append(Head(name, count, plain_digest(line).hex()))
        return found

    def _problems_of(self, name: str, heads: list[Head]) -> Iterator[str]:
        prev, count, open_heads = None, 0, {head.records: head.digest for head in heads}
        for count, line in enumerate(self._lines(name), 1):
            if _record(line) is None:
                yield f"line {count} of {printable(name)} is not a record"
                return
            if json.loads(line)["prev"] != prev:
                yield f"line {count} of {printable(name)} does not follow the line before it"
                return
            prev = plain_digest(line).hex()
            if open_heads.pop(count, prev) != prev:
                yield f"line {count} of {printable(name)} is not the one that was written down"
        for records in sorted(open_heads):
            yield f"{printable(name)} has {count} of {records} lines: it was cut"

    def _names(self) -> list[str]:
        try:
            check_private(self._folder)
            return sorted(name for name in os.listdir(self._folder) if name.endswith(_ENDING))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise storage_error(error, f"read {printable(self._folder)}") from error

    def _lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file, without their ends."""
        path = os.path.join(self._folder, name)
        with translated(f"read {printable(path)}"), open(open_regular(path), "rb") as file:
            while line := file.readline(_LONGEST_LINE):
                yield line.removesuffix(b"\n") if line.endswith(b"\n") else line + b"\n"  # which `_record` refuses


class _Open:
    """The file of this process."""

    def __init__(self, name: str, fd: int) -> None:
        self.name, self.pid, self.records = name, os.getpid(), 0
        self._fd = fd
        self._prev: str | None = None
        self._end = 0
        self._syncing = threading.Lock()
        self._durable = 0
        """records that are durable"""

    def __del__(self) -> None:
        with suppress(OSError):
            os.close(self._fd)

    def append(self, values: dict[str, Any]) -> int:
        """Append a line, and return its number. After an OSError the file may have a part of it."""
        line = json.dumps(values | {"prev": self._prev}, sort_keys=True, separators=(",", ":")).encode()
        write_fully(self._fd, line + b"\n")
        self._prev, self._end, self.records = plain_digest(line).hex(), self._end + len(line) + 1, self.records + 1
        return self.records

    def sync(self, number: int) -> None:
        """Make the first lines durable. One thread syncs for all that wait meanwhile."""
        with self._syncing:
            if self._durable < number:
                written = self.records
                sync_file(self._fd)
                self._durable = written

    def take_back(self) -> bool:
        """Remove what a failed write left. Returns False if that failed too."""
        try:
            os.ftruncate(self._fd, self._end)
            sync_file(self._fd)
        except OSError:
            return False
        return True

    def head(self) -> Head:
        return Head(self.name, self.records, self._prev or "")


_FIELDS = {*Record._fields, "prev"}


def _record(line: bytes) -> Record | None:
    """The record in a line, or None if it isn't one that `append` wrote."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if type(value) is not dict or value.keys() != _FIELDS or type(value["bytes"]) is not int or line.endswith(b"\n"):
        return None
    optional = ("token", "project", "subject")
    is_right = all(value[key] is None or type(value[key]) is str for key in (*optional, "prev")) and all(
        type(value[key]) is str for key in ("time", "address", "operation", "outcome")
    )
    return Record(**{key: value[key] for key in Record._fields}) if is_right else None


def _plain(text: str | None) -> str | None:
    """A text as it is recorded: one line of a bounded length, without control characters and secrets."""
    if text is None:
        return None
    shown = redacted(text)
    cut = printable(shown[:_LONGEST_TEXT])
    return cut if len(shown) <= _LONGEST_TEXT else f"{cut}…"


def _now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds // 1000:06}Z"
