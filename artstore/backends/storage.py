"""Storage: the protocol for places that hold a repository's files."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from artstore.backends.folder import FolderStorage
from artstore.domain.digest import Digest

__all__ = ["FolderStorage", "LogStorage", "Readable", "Reader", "Storage", "Trash", "is_url"]


Reader = tuple[int, Callable[[int, int], bytes], Callable[[], None]]
"""An open file: (size in bytes, read(offset, length), close()).

`read` returns fewer bytes at the file's end, and raises OSError or StorageError if the place fails.
"""


class Readable(Protocol):
    """A place that can be read. Paths are relative, with `/`.

    Each method is atomic, never done in part, and may safely be called again. Each raises StorageError for any failure
    that its docstring doesn't name.
    """

    root: str
    """the place's path or URL, for messages"""
    local: bool
    """whether one kernel makes all changes: process ids can be compared, and a boot ends all work"""
    coherent: bool
    """whether a listing shows every change at once (clients of network file systems may use old listings)"""
    distant: bool
    """whether each look-up and each read is a request over a network"""

    def names(self, folder: str) -> list[str]:
        """The names in a folder, unsorted and read anew; empty if there is no such folder, or a file of that name."""

    def steady_names(self, folder: str) -> list[str]:
        """Like `names`, but if one file replaces another meanwhile, at least one of both is listed."""

    def paths(self, folder: str) -> list[str]:
        """The paths of `below`, without sizes, which on a file system cost a call for each file."""

    def below(self, folder: str) -> list[tuple[str, int]]:
        """(path, bytes) of each file below a folder, at any depth. Stored files that were taken are only below trash/.

        Cost in a bucket: one request for a thousand files.
        """

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of a file, or of a range of it (fewer at its end). Raises FileNotFoundError if it is absent."""

    def read_each(self, paths: list[str], most: int | None = None) -> Iterator[bytes]:
        """The bytes of small files (of each at most the first `most`), in the given order. A few are in memory at once.

        Raises FileNotFoundError if one is absent.
        """

    def size(self, path: str) -> int | None:
        """The size of a regular file in bytes, or None if it is absent."""

    def sizes(self, paths: list[str]) -> dict[str, int]:
        """The size in bytes of each of these stored files that is there. Files that were taken are left out."""

    def open(self, path: str) -> int:
        """A descriptor of a regular file, for reading. Never follows a symlink, never hangs.

        Raises the system's OSError. A file in a bucket is downloaded whole first.
        """

    def reader(self, path: str) -> Reader:
        """Open a file, to read ranges of it. Raises FileNotFoundError if it is absent."""

    def copy_out(self, path: str, target: int, advance: Callable[[int], None] = ...) -> tuple[Digest, int]:
        """Copy a stored file into an open file on this host. Returns (digest, bytes) of what was written.

        Raises FileNotFoundError if it is absent.
        """


class LogStorage(Protocol):
    """The methods of a place that logs need. They are documented in `Readable` and `Storage`."""

    root: str
    local: bool
    restates: bool
    """whether `create` of a log's entry stores other bytes than were sent: a server adds its author"""

    def names(self, folder: str) -> list[str]: ...
    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes: ...
    def size(self, path: str) -> int | None: ...
    def create(self, path: str, data: bytes) -> bool: ...
    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None: ...
    def make_durable(self, folder: str) -> None: ...
    def remove(self, path: str) -> bool: ...


class Trash(Protocol):
    """Removing stored files and bringing them back, for collectors and for readers that meet damage.

    A *stored file* is a pack or a large blob below objects/. Only `publish` makes one, and it is never replaced; `take`
    removes it and `give_back` brings it back. On a file system these are links and renames. A bucket has neither: there
    each stored copy has its own key, and a marker below trash/ records that it is taken.
    """

    def take(self, path: str, folder: str) -> bool:
        """Move a stored file into a folder below trash/. Returns False if it is gone."""

    def give_back(self, trashed: str, path: str) -> None:
        """Bring a stored file back from the trash."""

    def rescue(self, trashed: str, path: str) -> bool:
        """Bring a stored file back from another collector's run. Returns False if that is impossible.

        Then the content has to be stored again.
        """

    def purge(self, trashed: str) -> int:
        """Remove a file from the trash for ever. Returns the bytes that this freed."""

    def only_here(self, path: str) -> int:
        """The bytes that purging a file of the trash would free."""

    def rename_folder(self, folder: str, target: str) -> bool:
        """Rename a folder below trash/. Returns False if it is gone.

        In a bucket two processes may both succeed; then both have all of its files.
        """

    def keep(self, path: str, aside: str) -> None:
        """Keep a copy of a stored file in bad/ as evidence, before it is taken. Does nothing if it is gone."""

    def set_aside(self, path: str, aside: str, seen: os.stat_result | None = None) -> bool:
        """Move a damaged stored file into bad/, so that its name is free.

        Returns False if the file is gone, or isn't the one that was `seen`.
        """


class Storage(Readable, LogStorage, Trash, Protocol):
    """A place that holds a whole repository. The promises of `Readable` hold for all methods here too."""

    roll_at: int
    """bytes after which a transaction begins another pack: this limits what a collector rewrites, what one damaged file
    affects, and what an interrupted push sends again
    """

    def stamp(self, path: str) -> float | None:
        """When a file or folder last changed, by the clock of `now`, or None if it is absent."""

    def now(self, *, probe: bool = False) -> float:
        """Seconds since 1970 by the clock that sets this storage's file times; with `probe`, exactly now."""

    def create(self, path: str, data: bytes) -> bool:
        """Make a small file, whole and durable, unless the name is taken. This is the compare-and-swap of logs.

        Returns False if the name is taken. That may be by an earlier call of ours whose reply was lost, so the caller
        reads the file back. Two calls with the same bytes may both return True. Raises UnknownOutcome if it can't be
        found out whether the file was made.
        """

    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None:
        """Make or replace a cache or setting, whole.

        It isn't durable, but with `sync` a power cut never leaves half.
        """

    def make_durable(self, folder: str) -> None:
        """Make the names in a folder durable, if they may be so new that their writer hasn't done it yet."""

    def remove(self, path: str) -> bool:
        """Remove a file. Returns False if it is absent, except in a bucket, which may not know."""

    def writing(self) -> AbstractContextManager[None]:
        """Turn an OSError in the block into a StorageError that says that writing to this storage failed."""

    # -- folders of processes --

    def claim(self, folder: str) -> str:
        """Make a folder below tmp/ or trash/ that belongs to this process. Raises FileExistsError if there is one.

        Returns the path of a folder on this host, in which files for `publish` are made.
        """

    def folders(self, folder: str) -> list[str]:
        """Names of the claimed folders in a folder; on a file system, of all folders in it."""

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with everything in it. It may be absent."""

    # -- stored files --

    def publish(self, staged: str, path: str, sent: Callable[[int], None] = ...) -> bool:
        """Give a finished and synced file of this host its final name. The staged file may remain.

        Returns False if the name is taken. If the bytes have to be sent for it, `sent` counts them.
        """

    def sync_names(self, folders: list[str]) -> None:
        """Make the names in these folders durable, and the folders' own names if they may be new."""

    def is_young(self, folder: str) -> bool:
        """Whether a name was added or removed in this folder so recently that this may not be durable yet."""


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_url(text: str) -> bool:
    """Whether a place is given as a URL, else it is a path."""
    return _URL.match(text) is not None
