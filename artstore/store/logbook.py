"""A log book: all logs of one kind in a repository, a folder each: found, folded, and appended to by compare-and-swap."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Generic, Protocol, TypeVar

from artstore.backends.storage import LogStorage
from artstore.domain.changes import Change, Entry, Kinds, check_change
from artstore.domain.names import file_name_of, printable
from artstore.errors import Conflict, Damage, InvalidValue
from artstore.store.logs import EntryCache, Log

Identity = Callable[[], tuple[str | None, str | None]]
"""(host, user) that entries are signed with."""


class Folded(Protocol):
    """What the entries of a log add up to."""

    number: int
    """of the newest entry that was folded; 0 for a log without entries"""
    digest: str | None
    """of that entry"""


S = TypeVar("S", bound=Folded)


class LogBook(ABC, Generic[S]):
    """Reads take no lock; an append is decided by the exclusive creation of its entry."""

    top: ClassVar[str]
    """the folder that holds the logs, by entity, project and name"""
    kinds: ClassVar[Kinds]
    """of the changes in them"""

    def __init__(
        self, storage: LogStorage, *, identity: Identity, foreign: bool = False, cache: EntryCache | None = None
    ) -> None:
        """Of `foreign` logs, which others write, checkpoints are checked before they are believed."""
        self._storage = storage
        self._identity = identity
        self._foreign = foreign
        self._cache = cache

    @abstractmethod
    def read_folder(self, folder: str) -> S:
        """Fold a log, from its checkpoint where there is one. Raises DamagedLog, UnsupportedFormat."""

    @abstractmethod
    def _fold(self, state: S, entry: Entry) -> None:
        """Apply one entry."""

    @abstractmethod
    def _keep(self, log: Log, state: S, changes: int) -> None:
        """Leave a checkpoint, where the entry with so many changes that was just folded makes one due."""

    def _log(self, folder: str) -> Log:
        return Log(self._storage, folder, self._cache)

    def paths(self, entity: str | None = None, project: str | None = None) -> Iterator[str]:
        """Folders of all logs (below an entity and project), in order."""
        for e in [file_name_of(entity)] if entity else sorted(self._storage.names(self.top)):
            for p in [file_name_of(project)] if project else sorted(self._storage.names(f"{self.top}/{e}")):
                for name in sorted(self._storage.names(f"{self.top}/{e}/{p}")):
                    yield f"{self.top}/{e}/{p}/{name}"

    def _states(self, entity: str | None, project: str | None, damaged: list[Damage] | None) -> Iterator[S]:
        """The fold of every log, in order. One that can't be read is an error, or is put into `damaged` and left out."""
        for folder in self.paths(entity, project):
            try:
                yield self.read_folder(folder)
            except Damage as error:
                if damaged is None:
                    raise
                damaged.append(error)

    def _check(self, changes: list[Change], what: str) -> None:
        """Raises InvalidValue for a change that nobody could read afterwards."""
        for change in changes:
            try:
                check_change(self.kinds, change)
            except ValueError as error:
                raise InvalidValue(f"a '{change['kind']}' change of {printable(what)}: {error}") from error

    def _append(self, log: Log, state: S, changes: list[Change]) -> bool:
        """Append one entry behind `state`, and fold it in; False when somebody else was first."""
        host, user = self._identity()
        entry = log.append(state.number, state.digest, changes, host=host, user=user)
        if entry is None:
            return False
        self._fold(state, entry)
        self._keep(log, state, len(changes))
        return True


def too_busy(what: str, wanted: str = "this could be added") -> Conflict:
    """For a log in which LOST_RACES appends in a row were others'."""
    return Conflict(f"{what} changes faster than {wanted}", hint="run the same command again")
