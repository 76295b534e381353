"""A log: numbered entries, each a file that is created exclusively, and checkpoints of their state."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Protocol

from artstore.backends.storage import LogStorage
from artstore.domain.changes import Change, LogEntry, is_text
from artstore.domain.codec import MAX_JSON, decode, decode_json, encode_json, encode_rows
from artstore.domain.digest import plain_digest
from artstore.domain.names import printable
from artstore.errors import Damage, DamagedLog, InvalidValue, StorageError

CHECKPOINT_EVERY = 64
"""Entries after which a writer leaves a checkpoint, so that reading a log takes at most this many small files more."""

LOST_RACES = 1000
"""Lost races in a row after which an append gives up. Each means that another writer's change went in."""
_FOREIGN = 8 << 20
"""Most bytes of a checkpoint that others wrote."""

_FIELDS = {"changes", "check", "host", "number", "prev", "time", "user", "write"}
_AUTHOR = {"author"}
"""The field that only entries have that a server accepted."""
_REST = itemgetter("prev", "time", "host", "user", "write", "changes", "author")
"""The last fields of a LogEntry, in their order."""


class Listed(Protocol):
    """A place of which the paths below a folder are listed: a storage, or copies of a remote's logs."""

    def paths(self, folder: str) -> list[str]: ...


class EntryCache:
    """A cache of entries for an operation that reads them repeatedly. Written entries never change.

    The entries' files have at most `room` bytes together, whatever a remote holds.
    """

    def __init__(self, room: int = 8 << 20) -> None:
        self._entries: dict[str, LogEntry] = {}
        self._room = room

    def get(self, path: str) -> LogEntry | None:
        return self._entries.get(path)

    def put(self, path: str, entry: LogEntry, size: int) -> None:
        self._room -= size
        if self._room >= 0:
            self._entries[path] = entry


class Log:
    """One log in a storage. Reading takes no lock; appending uses the storage's exclusive creation of files."""

    def __init__(self, storage: LogStorage, folder: str, cache: EntryCache | None = None) -> None:
        self.storage = storage
        self.folder = folder
        self._cache = cache
        self.what = printable(folder)

    def listing(self) -> list[str]:
        """The names in the log's folder, read anew, for `entries` and `checkpoint`."""
        return self.storage.names(self.folder)

    def entries(self, listing: list[str], after: int = 0, prev: str | None = None) -> Iterator[LogEntry]:
        """The entries after number `after`, whose digest is `prev`, in order.

        The listing may be old, so each number up to its last is read by name, and so are those that follow. Raises
        DamagedLog at a gap or a broken chain.
        """
        last = last_number(listing)
        return self.later(after, prev, last) if last else iter(())

    def later(self, after: int, prev: str | None, last: int = 0) -> Iterator[LogEntry]:
        """The entries after number `after`, without a listing: reads each number until one after `last` is absent.

        Like `entries`.
        """
        number = after + 1
        while number <= last or self.storage.size(self._path(number)) is not None:
            entry = self.read(number)
            if entry.prev != prev:
                raise DamagedLog(f"entry {number} of {self.what} does not follow the entry before it", hint=_HINT)
            yield entry
            prev, number = entry.digest, number + 1

    def read(self, number: int) -> LogEntry:
        path = self._path(number)
        if self._cache is not None and (found := self._cache.get(path)) is not None:
            return found
        try:
            data = self.storage.read(path)
        except FileNotFoundError:
            raise DamagedLog(f"entry {number} of {self.what} is missing", hint=_HINT) from None
        entry = decode_entry(data, number, f"entry {number} of {self.what}")
        if self._cache is not None:
            self._cache.put(path, entry, len(data))
        return entry

    def append(
        self, head: int, prev: str | None, changes: list[Change], *, host: str | None, user: str | None
    ) -> LogEntry | None:
        """Create entry `head + 1`, or return None if another writer was first. It is durable when this returns.

        If the name is taken, that entry is read: if it has our write id, it is ours, and only the reply was lost. The
        same is done if the place restates entries.
        """
        entry = {
            "changes": changes, "host": host, "number": head + 1, "prev": prev, "time": _now(), "user": user,
            "write": os.urandom(16).hex(),
        }  # fmt: skip
        data = encode_json(entry | {"check": check_of(entry)})
        if len(data) > MAX_JSON:
            size = f"{len(data)} bytes; nobody reads more than {MAX_JSON}"
            raise InvalidValue(f"an entry of {self.what} would have {size}")
        if self.storage.create(self._path(head + 1), data) and not self.storage.restates:
            return decode_entry(data, head + 1, f"entry {head + 1} of {self.what}")
        made = self.read(head + 1)
        return made if made.write == entry["write"] else None

    def create(self, number: int, data: bytes) -> bool:
        """Create an entry that is encoded already. Returns False if another writer was first."""
        return self.storage.create(self._path(number), data)

    def _path(self, number: int) -> str:
        return entry_path(self.folder, number)

    # -- checkpoints --

    def checkpoint(
        self, listing: list[str], *, until: int | None = None, foreign: bool = False
    ) -> tuple[int, str, Any] | None:
        """The newest checkpoint that is whole and belongs to this log: (number, digest of that entry, state), or None.

        `until` is the number of the last entry that may be in it.
        """
        last = "~" if until is None else f"{until:08}.checkpoint"
        for name in sorted((name for name in listing if name.endswith(".checkpoint") and name <= last), reverse=True):
            try:
                data = self.storage.read(f"{self.folder}/{name}")
                number, digest, state = decode_checkpoint(data, f"checkpoint {name} of {self.what}", foreign=foreign)
                if name == f"{number:08}.checkpoint" and self.read(number).digest == digest:
                    return number, digest, state
            except (FileNotFoundError, Damage, StorageError):
                continue  # a hint only: the entries themselves decide
        return None

    def save_checkpoint(self, number: int, digest: str, state: Any, *, foreign: bool = False) -> None:
        """Write a checkpoint: the state after entry `number`. Then remove older ones except the newest of them.

        That one stays for readers that need an older state. In a `foreign` place nothing is written if the checkpoint
        is too large to be read.
        """
        name, data = f"{number:08}.checkpoint", encode_checkpoint(number, digest, state)
        if foreign and len(data) > _FOREIGN:
            return
        self.storage.replace(f"{self.folder}/{name}", data, sync=True)
        older = (other for other in self.storage.names(self.folder) if other.endswith(".checkpoint") and other < name)
        for other in sorted(older)[:-1]:
            self.storage.remove(f"{self.folder}/{other}")


def numbers_below(storage: Listed, folders: Iterable[str]) -> dict[str, Sequence[int]]:
    """The numbers of all entries of each log below some folders, by the folder of the log. Cost: a listing of each."""
    found: dict[str, list[int]] = {}
    for path in {path for folder in folders for path in storage.paths(folder)}:
        log, _, name = path.rpartition("/")
        if log.count("/") == 3 and (number := number_of(name)):
            found.setdefault(log, []).append(number)
    return {**found}


def last_of(numbers: Sequence[int]) -> int:
    """The highest of a log's numbers. A server that only says how many there are gives a range, which may be long."""
    return numbers[-1] if isinstance(numbers, range) else max(numbers)


def entry_path(folder: str, number: int) -> str:
    """The path of an entry of the log in a folder."""
    return f"{folder}/{number:08}.json"


def last_number(listing: list[str]) -> int:
    """The highest entry number in a log's listing, or 0 for an empty log."""
    return next(filter(None, map(number_of, sorted(listing, reverse=True))), 0)


def number_of(name: str) -> int:
    """The number of an entry, from its file's name, or 0 if the file isn't an entry."""
    is_entry = len(name) == 13 and name.endswith(".json") and name.isascii() and name[:8].isdecimal()
    return int(name[:8]) if is_entry else 0


_HINT = "this log was damaged or partly copied: nothing will be appended to it; restore its folder from a copy"


def encode_checkpoint(number: int, digest: str, state: Any) -> bytes:
    body = encode_rows([number, digest, state])
    return body + plain_digest(body)


def decode_checkpoint(data: bytes, what: str, *, foreign: bool = False) -> tuple[int, str, Any]:
    """Decode a checkpoint. Raises Damage if it isn't whole.

    Large `foreign` ones, which others wrote, are refused: they can take 80 times as many bytes in memory.
    """
    if foreign and len(data) > _FOREIGN:
        raise Damage(f"{what} is {len(data)} bytes long; at most {_FOREIGN} are read")
    body, own = data[:-32], data[-32:]
    if plain_digest(body) != own:
        raise Damage(f"{what} is damaged")
    value = decode(body, what, own=True)
    if type(value) is not list or len(value) != 3 or type(value[0]) is not int or type(value[1]) is not str:
        raise Damage(f"{what} is malformed")
    return value[0], value[1], value[2]


def decode_entry(data: bytes, number: int, what: str) -> LogEntry:
    """Decode an entry. Raises DamagedLog for anything that `append` wouldn't have written."""
    try:
        value = decode_json(data, what)
    except Damage as error:
        raise DamagedLog(str(error), hint=_HINT) from error
    good = (
        type(value) is dict
        and value.keys() - _AUTHOR == _FIELDS
        and value["check"] == _check_in(data)
        and value["number"] == number
        and type(value["number"]) is int
        and all(is_text(value[key]) for key in ("time", "write"))
        and all(value[key] is None or is_text(value[key]) for key in ("host", "user", "prev"))
        and is_text(value.get("author", "-"))
        and value.get("author") != ""
        and type(value["changes"]) is list
        and all(type(c) is dict and is_text(c.get("kind")) and is_text(c.get("change")) for c in value["changes"])
    )
    if not good:
        raise DamagedLog(f"{what} is malformed", hint=_HINT)
    value.setdefault("author")
    return LogEntry(number, plain_digest(data).hex(), *_REST(value))


def with_author(data: bytes, number: int, author: str, what: str) -> bytes:
    """An entry as a server keeps it: what a client sent, with the name of the token under which it was accepted.

    Raises DamagedLog if it is malformed or has an author already, and InvalidValue if it is too long.
    """
    if decode_entry(data, number, what).author is not None:
        raise DamagedLog(f"{what} names an author, whom only a server may name")
    told = rewritten(data, author=author)
    if len(told) > MAX_JSON:
        raise InvalidValue(f"{what} would have {len(told)} bytes; nobody reads more than {MAX_JSON}")
    return told


def _check_in(data: bytes) -> str:
    """The `check_of` an encoded entry: the digest of its bytes without the value of `check`.

    In the JSON only plain texts follow `changes`, and quotes in these are escaped, so the last `"check":` is the
    entry's own. (`author` comes before `changes`.)
    """
    start = data.rfind(b'"check":"')
    return plain_digest(data[:start] + data[start + len('"check":"",') + 64 :]).hex()


def check_of(entry: dict[str, Any]) -> str:
    """The value of an entry's `check`: the digest of the entry without it.

    It protects the newest entry, whose digest isn't in another entry's `prev` yet.
    """
    return plain_digest(encode_json(entry)).hex()


def _now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds // 1000:06}Z"


def rewritten(data: bytes, **fields: Any) -> bytes:
    """An encoded entry with some fields replaced, and a `check` that fits."""
    entry = {**decode_json(data, "an entry"), **fields}
    del entry["check"]
    return encode_json(entry | {"check": check_of(entry)})
