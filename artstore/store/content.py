"""The content of a large blob, open for reading, however it is stored."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import DEFAULT_BUFFER_SIZE
from typing import BinaryIO, Protocol, Self

from artstore.backends.files import clone, copy_hashed, copy_windows, hash_file
from artstore.domain.digest import Digest, short
from artstore.errors import DamagedObject, translated
from artstore.store.verified import VerifiedNotes

HEAL = (
    "save the same content again, or let `artstore fsck --repair` look for a copy "
    "(of a remote: `artstore fsck REMOTE --repair`)"
)


class Content(Protocol):
    """The bytes of one large blob. One thread uses it at a time, and closes it."""

    @property
    def size(self) -> int: ...
    @property
    def path(self) -> str:
        """Where the blob is a file of its own in its repository; else empty."""

    def read(self, offset: int, length: int) -> bytes:
        """Some of the bytes; fewer only at the end. They aren't checked: call `verify` before."""

    def verify(self) -> None:
        """Hash the blob, unless it is unchanged since it was last hashed. Raises DamagedObject if two reads are wrong."""

    def check(self) -> None:
        """Hash the blob, whatever is known of it. Raises DamagedObject if two reads are wrong."""

    def copy_to(self, target: int, advance: Callable[[int], None]) -> bool:
        """Write the blob to an empty open file. Returns whether all bytes that are there now are right.

        Raises DamagedObject if the blob isn't.
        """

    def as_file(self) -> BinaryIO:
        """A file object with the bytes, from the start. Closing it closes this."""

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class FileContent:
    """A large blob that is a file."""

    def __init__(
        self,
        fd: int,
        digest: Digest,
        *,
        path: str,
        notes: VerifiedNotes,
        aside: Callable[[Digest, os.stat_result], None],
    ) -> None:
        """Take over a descriptor.

        Args:
            path: Where the file is in its repository; empty if it has no name.
            notes: Which files were hashed before.
            aside: Moves the file into bad/, if it is still the one with this stat.
        """
        self._fd = fd
        self._digest = digest
        self.path: str = path
        self._notes = notes
        self._aside = aside
        self.size = os.fstat(fd).st_size

    def read(self, offset: int, length: int) -> bytes:
        with translated(f"read blob {short(self._digest)}"):
            return os.pread(self._fd, length, offset)

    def verify(self) -> None:
        if not self._notes.holds(self._digest, os.fstat(self._fd)):
            self.check()

    def check(self) -> None:
        if not self._is_right() and not self._is_right():
            self._aside(self._digest, os.fstat(self._fd))
            raise DamagedObject(f"blob {short(self._digest)} is damaged", hint=HEAL)
        self._notes.note([(self._digest, os.fstat(self._fd))])

    def refuse_size(self, size: int) -> None:
        """Raise DamagedObject: `size` is recorded, and the file has another. Which of both is wrong is found out first."""
        if self._is_right():
            claim = f"a tree says that blob {short(self._digest)} has {size} bytes"
            raise DamagedObject(f"{claim}, and it has {self.size}", hint=HEAL)
        self._aside(self._digest, os.fstat(self._fd))
        message = f"blob {short(self._digest)} is damaged: it has {self.size} bytes instead of {size}"
        raise DamagedObject(message, hint=HEAL)

    def _is_right(self) -> bool:
        with translated(f"read blob {short(self._digest)}"):
            return hash_file(self._fd)[0] == self._digest

    def copy_to(self, target: int, advance: Callable[[int], None]) -> bool:
        """Clones the file if the file system can. Hashes what it copies, unless the file was verified before."""
        if self._notes.holds(self._digest, os.fstat(self._fd)):
            self._copy_verified(target, advance)
            return True
        if copy_hashed(self._fd, target, self.size, own=self._fd, advance=advance) != self._digest:
            self.check()
            return False
        self._notes.note([(self._digest, os.fstat(self._fd))])
        return True

    def _copy_verified(self, target: int, advance: Callable[[int], None]) -> None:
        if clone(self._fd, target):
            advance(self.size)
            return
        done = 0
        for offset, count in copy_windows(self._fd, target, self.size):
            done = offset + count
            advance(count)
        if done != self.size:
            raise DamagedObject(f"blob {short(self._digest)} ended early while it was copied", hint=HEAL)

    @contextmanager
    def linking(self) -> Iterator[None]:
        """In the block a hard link to the file is made. That changes its ctime, and not that it was verified."""
        before = os.fstat(self._fd)
        known = self._notes.holds(self._digest, before)
        yield
        after = os.fstat(self._fd)
        if known and (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
            self._notes.note([(self._digest, after)])

    def as_file(self) -> BinaryIO:
        os.lseek(self._fd, 0, os.SEEK_SET)
        # With a buffer size, `open` doesn't ask whether this is a terminal: that would be one more system call.
        return open(self._fd, "rb", buffering=DEFAULT_BUFFER_SIZE)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
