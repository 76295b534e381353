"""Notes for packing in the background: how much was saved since, and who packs. They are hints, in the cache."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from artstore.backends.files import closing_fd
from artstore.backends.owner import Owner, is_alive, parse, this_process
from artstore.backends.storage import FolderStorage
from artstore.errors import StorageError

_SAVED, _PACKER, _LOCK = "cache/packing.saved", "cache/packing.packer", "cache/packing.lock"
_MOST_KILLS = 2
LEAST = 64 << 20
"""Bytes that have to be saved before a process is started: for less, its start costs more than it could free."""


class _Noted(NamedTuple):
    """The packer that wrote the note."""

    owner: Owner
    fruitless: int
    """packers in a row, up to this one, that packed nothing so far; each was killed but perhaps this one"""


class PackingNotes:
    """The notes of one repository. Of two changes at once, one may be lost; then a later save starts the packer.

    Only notes that nobody else could write are believed.
    """

    def __init__(self, storage: FolderStorage) -> None:
        self._storage = storage

    # -- what was saved --

    @property
    def saved(self) -> int:
        """Bytes that were saved since packing began the last time, by saves of 1 MiB and more."""
        text = self._text(_SAVED)
        return int(text) if text.isdecimal() else 0

    @property
    def is_due(self) -> bool:
        """Whether enough bytes were saved for a packer to be worth its start."""
        return self.saved >= LEAST

    def add(self, size: int) -> None:
        """Count bytes that were saved. Best effort."""
        with suppress(StorageError):
            self._storage.replace(_SAVED, str(self.saved + size).encode())

    def forget_saved(self) -> None:
        with suppress(StorageError):
            self._storage.remove(_SAVED)

    # -- who packs --

    @property
    def packer(self) -> Owner | None:
        """The packer that is running on this host, if it is certain that one is."""
        noted = self._noted()
        return noted.owner if noted is not None and is_alive(noted.owner) else None

    @property
    def was_killed_often(self) -> bool:
        """Whether the last two packers were killed before they had packed anything."""
        noted = self._noted()
        return noted is not None and not is_alive(noted.owner) and noted.fruitless >= _MOST_KILLS

    def begin(self) -> bool:
        """Note that this process packs. Returns whether it may: another one may have done the same at once."""
        noted, me = self._noted(), this_process()
        if noted is not None and is_alive(noted.owner) and noted.owner.pid != os.getpid():
            return False
        fruitless = noted.fruitless if noted is not None else 0
        self._note(_Noted(me, fruitless + 1))
        noted = self._noted()
        return noted is not None and noted.owner == me

    def progressed(self) -> None:
        """Note that something was packed."""
        self._note(_Noted(this_process(), 0))

    def end(self) -> None:
        """Note that nobody packs, and nobody was killed."""
        with suppress(StorageError):
            self._storage.remove(_PACKER)

    def _note(self, noted: _Noted) -> None:
        self._storage.replace(_PACKER, f"{noted.owner} {noted.fruitless}".encode())

    def _noted(self) -> _Noted | None:
        name, _, fruitless = self._text(_PACKER).partition(" ")
        owner = parse(name)
        return _Noted(owner, int(fruitless)) if owner is not None and fruitless.isdecimal() else None

    def _text(self, path: str) -> str:
        try:
            return self._storage.read(path, 0, 200, own=True).decode("ascii")
        except (FileNotFoundError, StorageError, UnicodeDecodeError):
            return ""

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Take the packer's lock, which its death releases. Yields False if another process has it.

        Where locks don't work, it counts as free: the notes say who packs.
        """
        import fcntl

        with closing_fd(os.open(self._storage.path(_LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)) as fd:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except OSError:
                pass
            yield True
