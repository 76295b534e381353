"""Rules for what is kept that somebody set or accepted in this repository. A rule from elsewhere deletes nothing here."""

import json
import os

from artstore.backends.files import closing_fd, is_own, open_regular
from artstore.backends.storage import FolderStorage

_NAME = "accepted"
_LONGEST = 1 << 20
"""Most bytes of the file. A longer one isn't ours."""


class Accepted:
    """The log entries that set accepted rules, by digest: one small file. Without it, no rule deletes anything.

    Changes wouldn't do: they bring their ids along, so a rule from elsewhere could have the id of an accepted one.
    """

    def __init__(self, storage: FolderStorage) -> None:
        self._storage = storage

    def all(self) -> list[str]:
        """The digests of entries. None if others can have written the file: they could have old versions deleted."""
        try:
            with closing_fd(open_regular(self._storage.path(_NAME))) as fd:
                status = os.fstat(fd)
                if not is_own(status) or status.st_size > _LONGEST:
                    return []
                found = json.loads(os.read(fd, _LONGEST))
        except (OSError, ValueError, RecursionError):
            return []
        return [digest for digest in found if isinstance(digest, str)] if isinstance(found, list) else []

    def add(self, entry: str) -> None:
        """Accept a rule by the entry that set it. Raises StorageError."""
        known = self.all()
        if entry not in known:
            self._storage.replace(_NAME, json.dumps([*known, entry]).encode() + b"\n", sync=True)
