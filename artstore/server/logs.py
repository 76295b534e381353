"""Logs as they are given to readers: as they are stored, or without what a token may not see."""

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock

from artstore.domain.changes import LogEntry
from artstore.domain.partial import told_changes
from artstore.domain.roles import Role
from artstore.server.access import REFS, Access, checked_top, log_place
from artstore.server.served import Served
from artstore.store.logs import Log, decode_entry, entry_path, last_number, rewritten
from artstore.store.store import Store

_LOGS = 4096
"""Logs of which it is kept whether they name other projects."""


class Logs:
    """The logs of the served repository, as the holder of a token gets them.

    A log that names a project which the token may not see is written anew from the first such entry on, and chained to
    match: it is the same whenever the same token, or one with the same scope, asks.
    """

    def __init__(self, served: Served) -> None:
        self._served = served
        self._lock = Lock()
        self._clean: OrderedDict[tuple[str, str], tuple[int, int | None]] = OrderedDict()
        """by (folder, scope): the entries that were looked at, and the first of them that is shown in part"""

    # -- which logs there are --

    def heads(self, store: Store, access: Access, under: str) -> Iterator[tuple[str, int]]:
        """(folder, number of the last entry) of each log below a folder that the token may read."""
        for folder in _folders(store, checked_top(under)):
            if self.readable(store, access, folder) and (last := last_number(store.storage.names(folder))):
                yield folder, last

    def readable(self, store: Store, access: Access, folder: str) -> bool:
        """Whether the token may read a log.

        The log of a collection that was renamed is read with the rights to its new project, too: it is a part of that
        collection's history.
        """
        place = log_place(folder)
        if access.reads(place.entity, place.project):
            return True
        if place.top != REFS:
            return False
        moved = self._served.collection(store, folder).redirect
        return moved is not None and access.reads(moved.entity, moved.project)

    def require(self, store: Store, access: Access, folder: str) -> None:
        """Raise NotFound or Refused unless the token may read a log."""
        if not self.readable(store, access, folder):
            place = log_place(folder)
            access.require(Role.READER, place.entity, place.project)

    # -- their entries --

    def entries(
        self, store: Store, access: Access, folder: str, first: int, last: int | None
    ) -> Iterator[tuple[int, bytes]]:
        """(number, bytes) of the entries of a log from number `first` on, up to `last` or its end."""
        self.require(store, access, folder)
        end = last_number(store.storage.names(folder))
        numbers = range(max(first, 1), min(end, last or end) + 1)
        if access.sees_all or not numbers:
            yield from ((number, store.storage.read(entry_path(folder, number))) for number in numbers)
            return
        changed = self._first_in_part(store, access, folder, numbers[-1])
        for number in numbers:
            if changed is not None and number >= changed:
                break
            yield number, store.storage.read(entry_path(folder, number))
        if changed is not None:
            anew = self._anew(store, access, folder, changed, numbers[-1])
            yield from ((number, data) for number, data in anew if number >= numbers[0])

    def entry(self, store: Store, access: Access, folder: str, number: int) -> bytes:
        """One entry of a log, which must be there, as the token reads it."""
        return next(data for _, data in self.entries(store, access, folder, number, number))

    def head(self, store: Store, access: Access, folder: str, number: int) -> str | None:
        """The digest of an entry as the token reads it; None for number 0."""
        if not number:
            return None
        return decode_entry(self.entry(store, access, folder, number), number, folder).digest

    def told(self, store: Store, access: Access, folder: str) -> Iterator[LogEntry]:
        """The entries of a log for people: without what the token may not see. The chain is the stored one's."""
        log = Log(store.storage, folder)
        for entry in log.entries(log.listing()):
            if access.sees_all:
                yield entry
            elif changes := told_changes(entry.changes, access.sees):
                yield entry._replace(changes=changes)

    def _first_in_part(self, store: Store, access: Access, folder: str, last: int) -> int | None:
        """The number of the first entry, up to `last`, that is shown in part only."""
        key = folder, access.scope
        with self._lock:
            looked, found = self._clean.get(key, (0, None))
        if found is None and looked < last:
            log = Log(store.storage, folder)
            for number in range(looked + 1, last + 1):
                changes = log.read(number).changes
                if told_changes(changes, access.sees) is not changes:
                    found = number
                    break
            with self._lock:
                self._clean[key] = last, found
                self._clean.move_to_end(key)
                while len(self._clean) > _LOGS:
                    self._clean.popitem(last=False)
        return found if found is not None and found <= last else None

    def _anew(self, store: Store, access: Access, folder: str, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        log = Log(store.storage, folder)
        prev = log.read(first).prev
        for number in range(first, last + 1):
            data = store.storage.read(entry_path(folder, number))
            changes = told_changes(decode_entry(data, number, folder).changes, access.sees)
            data = rewritten(data, changes=changes, prev=prev)
            prev = decode_entry(data, number, folder).digest
            yield number, data


def _folders(store: Store, parts: list[str]) -> Iterator[str]:
    """The folders of logs at or below `parts` that name one."""
    found = ["/".join(parts)]
    for _ in range(4 - len(parts)):
        found = [f"{folder}/{name}" for folder in found for name in sorted(store.storage.names(folder))]
    for folder in found:
        try:
            log_place(folder)
        except ValueError:
            continue
        yield folder
