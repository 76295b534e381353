"""Storage: a kind of place that holds a repository's files, behind one small protocol; chosen by URL."""

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from artstore.backends.folder import FolderStorage
from artstore.domain.digest import Digest
from artstore.domain.names import printable
from artstore.errors import InvalidValue

__all__ = ["FolderStorage", "LogStorage", "Readable", "Reader", "Storage", "Trash", "is_url", "open_storage"]


Reader = tuple[int, Callable[[int, int], bytes], Callable[[], None]]
"""An open file: its bytes; read(offset, length), shorter at its end, OSError or StorageError when the place fails;
close().
"""


class Readable(Protocol):
    """What whoever only reads needs of a place. Paths are relative, with `/`. Each method is atomic: done or not, never
    half; called again it does no harm. Each raises StorageError for what it doesn't name.
    """

    root: str
    """where, for messages: a path or a URL"""
    local: bool
    """whether one kernel sees all changes: process ids mean something, a boot ends all work"""
    coherent: bool
    """whether a listing shows every change at once (network file systems' clients may believe old ones)"""
    distant: bool
    """whether each look and each read is a request over a network"""

    def names(self, folder: str) -> list[str]:
        """Names in a folder, unsorted, read anew; empty when there is no such folder (or a stranger's file of that
        name).
        """

    def steady_names(self, folder: str) -> list[str]:
        """As `names`, and never misses both of two files of which one replaced the other meanwhile."""

    def paths(self, folder: str) -> list[str]:
        """As `below`, without their sizes, which a file system tells one by one."""

    def below(self, folder: str) -> list[tuple[str, int]]:
        """(path, bytes) of every file below a folder, at any depth. Of stored files that were taken only trash/ tells. In
        a bucket one request for a thousand of them.
        """

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file, or of a range of it (shorter at its end). FileNotFoundError when absent."""

    def read_many(self, paths: list[str], most: int | None = None) -> list[bytes]:
        """Small files (`most`: the first so many bytes of each), in the order asked for. FileNotFoundError when one is
        absent.
        """

    def size(self, path: str) -> int | None:
        """Bytes of a regular file; None when absent."""

    def sizes(self, paths: list[str]) -> dict[str, int]:
        """Bytes of each of these stored files that is there; those that were taken are not."""

    def open(self, path: str) -> int:
        """A descriptor of a regular file for reading; never through a symlink, never hangs. OSError as the system gives
        it. A bucket's file is fetched whole first.
        """

    def reader(self, path: str) -> Reader:
        """A file for reading by ranges. FileNotFoundError when absent."""

    def copy_out(self, path: str, target: int, advance: Callable[[int], None] = ...) -> tuple[Digest, int]:
        """Copy a stored file into an open file of this host: (digest, bytes) of what was written there. FileNotFoundError
        when absent.
        """


class LogStorage(Protocol):
    """What logs need of a place; `Readable` and `Storage` say what each method does."""

    root: str
    local: bool

    def names(self, folder: str) -> list[str]: ...
    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes: ...
    def size(self, path: str) -> int | None: ...
    def create(self, path: str, data: bytes) -> bool: ...
    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None: ...
    def settle(self, folder: str) -> None: ...
    def remove(self, path: str) -> bool: ...


class Trash(Protocol):
    """How stored files leave and return: for collectors, and for whoever meets damage.

    A *stored file* is a pack or a large blob below objects/: it is made by `publish` alone, is never replaced, leaves by
    `take` and returns by `give_back`. On a file system these are links and renames. In a bucket, which has neither, each
    stored copy has a key of its own, and a marker below trash/ says that it is taken.
    """

    def take(self, path: str, folder: str) -> bool:
        """Move a stored file into a folder below trash/; False when it is gone."""

    def give_back(self, trashed: str, path: str) -> None:
        """Bring a stored file back from the trash."""

    def rescue(self, trashed: str, path: str) -> bool:
        """As `give_back`, by somebody whose run it isn't; False where that is no help: bytes have to be stored anew."""

    def purge(self, trashed: str) -> int:
        """Remove a file from the trash for ever; bytes that this freed."""

    def only_here(self, path: str) -> int:
        """Bytes that purging a file of the trash would free."""

    def rename_folder(self, folder: str, target: str) -> bool:
        """Give a folder below trash/ another name; False when it is gone. In a bucket two may both succeed: then both
        have all of it.
        """

    def keep(self, path: str, aside: str) -> None:
        """Keep a stored file, which will be taken, in bad/ as evidence; nothing when it is gone."""

    def set_aside(self, path: str, aside: str, seen: os.stat_result | None = None) -> bool:
        """Move a damaged stored file into bad/, so that its name is free; False when it isn't (any more) the file that
        was `seen`.
        """


class Storage(Readable, LogStorage, Trash, Protocol):
    """A place that holds a whole repository. What `Readable` promises of its methods holds for all."""

    roll_at: int
    """bytes after which a transaction begins another pack: bounds what a collector rewrites, what one damaged file can hit,
    and what an interrupted push sends again
    """

    def stamp(self, path: str) -> float | None:
        """When a file or folder last changed, by the clock of `now`; None when absent."""

    def now(self, *, probe: bool = False) -> float:
        """Seconds since 1970 by the clock that stamps this storage's files (`probe`: as of this moment)."""

    def create(self, path: str, data: bytes) -> bool:
        """Make a small file, whole and durable, unless the name is taken: the compare-and-swap. False when it is taken
        (maybe by a create of ours whose reply was lost: read it back; who asks twice with the same bytes may be told
        twice that it made it). UnknownOutcome when nobody can tell.
        """

    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None:
        """Make or replace a cache or setting, whole; not durable, but with `sync` never torn by a power cut."""

    def settle(self, folder: str) -> None:
        """Make durable what `names` shows of a folder, if it may be so young that who wrote it has not done so yet."""

    def remove(self, path: str) -> bool:
        """Unlink a file; False when it is absent (a bucket may not know)."""

    def writing(self) -> AbstractContextManager[None]:
        """An OSError in the block becomes a StorageError: writing to this storage failed."""

    # -- who is at work --

    def claim(self, folder: str) -> str:
        """Make a folder below tmp/ or trash/ that says who is at work (FileExistsError when it is there); the path of a
        folder on this host in which files for `publish` are made.
        """

    def folders(self, folder: str) -> list[str]:
        """Names of the folders in a folder that were claimed (and of strangers', where there are folders)."""

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with all in it; absent is fine."""

    # -- stored files --

    def publish(self, staged: str, path: str) -> bool:
        """Give a finished, synced file of this host its final name (the staged one may remain). False when there is one
        of that name.
        """

    def sync_names(self, folders: list[str]) -> None:
        """Make the names in these folders durable, and the folders' own names where they may be young."""

    def is_young(self, folder: str) -> bool:
        """Whether a name was added to (or taken from) this folder so lately that it may not have reached the medium."""


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_url(text: str) -> bool:
    """Whether a place is given as a URL; what isn't is a path."""
    return _URL.match(text) is not None


def open_storage(place: str, *, scratch: str | None = None, foreign: bool = False) -> Storage:
    """The storage at a path or URL (`file://`, `s3://`, `gs://`, `az://`). `scratch` is a folder for files on their way to
    a bucket; a `foreign` folder is one that others may fill with links and devices.
    """
    if not is_url(place):
        return FolderStorage(os.path.abspath(place), foreign=foreign)
    from artstore.domain.redaction import redacted  # for URLs only, with what parses them

    scheme = place.partition("://")[0].lower()
    if scheme == "file":
        from urllib.parse import unquote, urlsplit

        parts = urlsplit(place)
        if parts.netloc not in ("", "localhost"):
            raise InvalidValue(
                f"'{printable(redacted(place))}' names another host", hint="file:///path is a folder here"
            )
        return FolderStorage(os.path.abspath(unquote(parts.path)), foreign=foreign)
    if scheme not in ("s3", "gs", "az", "memory"):
        raise InvalidValue(
            f"'{printable(redacted(place))}' is of no kind that artstore knows",
            hint="a remote is a folder's path, or s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH",
        )
    from artstore.backends.bucket.storage import BucketStorage

    return BucketStorage(place, scratch=scratch)
