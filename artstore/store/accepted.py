"""Rules for what is kept that somebody set or accepted in this repository. A rule from elsewhere deletes nothing here."""

import json
import os
import stat
from typing import NamedTuple

from artstore.backends.files import closing_fd, is_own, open_regular
from artstore.backends.storage import FolderStorage
from artstore.domain.changes import is_count, is_digest, is_record, list_of
from artstore.domain.codec import encode_json

_NAME = "accepted"
_LONGEST = 1 << 20
"""Most bytes of the file. A longer one isn't ours."""


class _Noted(NamedTuple):
    """What the file holds."""

    place: int | None = None
    """when the repository in which it was written came to its place"""
    entries: tuple[str, ...] = ()


class Accepted:
    """The log entries that set accepted rules, by digest: one small file. Without it, no rule deletes anything.

    Changes wouldn't do: they bring their ids along, so a rule from elsewhere could have the id of an accepted one.

    The file says for which place it holds: by the ctime of `format`, which never changes afterwards, is the same on all
    hosts that share a folder, and can't be chosen. So whoever unpacks a repository of others accepts nothing by that.
    """

    def __init__(self, storage: FolderStorage) -> None:
        self._storage = storage

    def all(self) -> tuple[str, ...]:
        """The digests of the entries that were accepted in this place."""
        noted = self._noted()
        return noted.entries if noted.place is not None and noted.place == self._place() else ()

    def elsewhere(self) -> tuple[str, ...]:
        """The digests of the entries that were accepted in a repository of which this one is a copy."""
        noted = self._noted()
        return noted.entries if noted.place != self._place() else ()

    def add(self, entry: str) -> None:
        """Accept a rule by the entry that set it. Raises StorageError."""
        known = self.all()
        if entry not in known:
            value = {"entries": sorted({*known, entry}), "place": self._place()}
            self._storage.replace(_NAME, encode_json(value), sync=True)

    def _place(self) -> int | None:
        """When this repository came to its place, in nanoseconds."""
        try:
            return self._storage.stat("format").st_ctime_ns
        except OSError:
            return None

    def _noted(self) -> _Noted:
        """What the file holds. Nothing if somebody could have written it who may not write to the repository."""
        try:
            with closing_fd(open_regular(self._storage.path(_NAME))) as fd:
                status = os.fstat(fd)
                if not _is_believed(status, os.stat(self._storage.root)) or status.st_size > _LONGEST:
                    return _Noted()
                found = json.loads(os.read(fd, _LONGEST))
        except (OSError, ValueError, RecursionError):
            return _Noted()
        return _Noted(found["place"], tuple(found["entries"])) if _is_noted(found) else _Noted()


_is_noted = is_record({"place": is_count, "entries": list_of(is_digest)})


def _is_believed(file: os.stat_result, root: os.stat_result) -> bool:
    """Whether a file was written by this user or root; in a repository that its group shares, by anybody of the group."""
    shared = root.st_mode & (stat.S_ISGID | stat.S_IWGRP) == stat.S_ISGID | stat.S_IWGRP
    return is_own(file) or (shared and file.st_gid == root.st_gid and not file.st_mode & stat.S_IWOTH)
