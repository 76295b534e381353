"""A log book: all logs of one kind in a repository. Finds them, reads their states and appends to them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Generic, Protocol, TypeVar

from artstore.backends.storage import LogStorage
from artstore.domain.changes import Change, Kinds, LogEntry, check_change
from artstore.domain.names import file_name_of, printable
from artstore.errors import Conflict, Damage, DamagedLog, InvalidValue, UnsupportedFormat
from artstore.store.logs import EntryCache, Log, decode_entry

Identity = Callable[[], tuple[str | None, str | None]]
"""A function that returns the (host, user) to record in entries."""


class Folded(Protocol):
    """The state of a log: the result of all of its entries."""

    number: int
    """of the newest entry that was folded; 0 for a log without entries"""
    digest: str | None
    """of that entry"""


S = TypeVar("S", bound=Folded)


class LogBook(ABC, Generic[S]):
    """All logs of one kind, each in a folder of its own.

    Reading takes no lock. Appending is a compare-and-swap: of two writers, the one that creates the entry's file wins.
    """

    top: ClassVar[str]
    """the folder that contains the logs, as entity/project/name"""
    kinds: ClassVar[Kinds]
    """the kinds of changes in these logs"""

    def __init__(
        self, storage: LogStorage, *, identity: Identity, foreign: bool = False, cache: EntryCache | None = None
    ) -> None:
        """Others can write `foreign` logs, so their checkpoints are checked before use."""
        self._storage = storage
        self._identity = identity
        self._foreign = foreign
        self._cache = cache

    @abstractmethod
    def read_folder(self, folder: str) -> S:
        """The state of a log, from its checkpoint if there is one. Raises DamagedLog, UnsupportedFormat."""

    @abstractmethod
    def _fold(self, state: S, entry: LogEntry) -> None:
        """Apply one entry to a state."""

    @abstractmethod
    def _keep(self, log: Log, state: S, changes: int) -> None:
        """Write a checkpoint if one is due, after an entry with this number of changes was appended."""

    def _log(self, folder: str) -> Log:
        return Log(self._storage, folder, self._cache)

    def paths(self, entity: str | None = None, project: str | None = None) -> Iterator[str]:
        """The folders of all logs, or of those of an entity or project, in order."""
        for e in [file_name_of(entity)] if entity else sorted(self._storage.names(self.top)):
            for p in [file_name_of(project)] if project else sorted(self._storage.names(f"{self.top}/{e}")):
                for name in sorted(self._storage.names(f"{self.top}/{e}/{p}")):
                    yield f"{self.top}/{e}/{p}/{name}"

    def _states(self, entity: str | None, project: str | None, damaged: list[Damage] | None) -> Iterator[S]:
        """The state of each log, in order.

        If one can't be read, that is an error, or with `damaged` it is added there.
        """
        for folder in self.paths(entity, project):
            try:
                yield self.read_folder(folder)
            except (Damage, UnsupportedFormat) as error:
                if damaged is None:
                    raise
                damaged.append(error if isinstance(error, Damage) else DamagedLog(error.message, hint=error.hint))

    def _check(self, changes: list[Change], what: str) -> None:
        """Raise InvalidValue for a change that couldn't be read afterwards."""
        for change in changes:
            try:
                check_change(self.kinds, change)
            except ValueError as error:
                raise InvalidValue(f"a '{change['kind']}' change of {printable(what)}: {error}") from None

    def _append(self, log: Log, state: S, changes: list[Change]) -> bool:
        """Append one entry after `state` and apply it. Returns False if another writer was first."""
        host, user = self._identity()
        entry = log.append(state.number, state.digest, changes, host=host, user=user)
        if entry is None:
            return False
        self._fold(state, entry)
        self._keep(log, state, len(changes))
        return True

    def accept(self, folder: str, state: S, data: bytes) -> bool:
        """Store an entry that a client encoded and the server checked, after the `state` of a log, and apply it.

        Returns False if another writer was first.
        """
        log, number = self._log(folder), state.number + 1
        entry = decode_entry(data, number, f"entry {number} of {log.what}")
        if not log.create(number, data):
            return False
        self._fold(state, entry)
        self._keep(log, state, len(entry.changes))
        return True


def too_busy(what: str, wanted: str = "this could be added") -> Conflict:
    """The error for a log in which other writers were first LOST_RACES times in a row."""
    return Conflict(f"{what} changes faster than {wanted}", hint="run the same command again")
