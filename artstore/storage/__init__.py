"""Storage: a kind of place that holds a repository's files, behind one small protocol; chosen by URL."""

from typing import Protocol

from artstore.storage.folder import FolderStorage

__all__ = ["FolderStorage", "Storage"]


class Storage(Protocol):
    """Paths are relative, with `/`. Every method raises StorageError for what it doesn't name; none is interrupted
    half-way.
    """

    def names(self, folder: str) -> list[str]:
        """Names in a folder, unsorted, read anew; empty when there is no such folder (or a stranger's file of that
        name).
        """

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file, or of a range of it (shorter at its end). FileNotFoundError when absent."""

    def size(self, path: str) -> int | None:
        """Bytes of a regular file; None when absent."""

    def create(self, path: str, data: bytes) -> bool:
        """Make a small file, whole and durable, unless the name is taken: the compare-and-swap. False when it is taken."""

    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None:
        """Make or replace a cache or setting, whole; not durable, but with `sync` never torn by a power cut."""

    def settle(self, folder: str) -> None:
        """Make durable what `names` shows of a folder, if it may be so young that who wrote it has not done so yet."""

    def remove(self, path: str) -> bool:
        """Unlink a file; False when it is absent. Idempotent."""
