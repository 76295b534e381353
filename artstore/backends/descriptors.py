"""Descriptors: how many there may be, and those that other code of the process may close, or use their numbers again."""

import errno
import os
import resource
import sys
from collections.abc import Callable
from mmap import ACCESS_READ, mmap
from typing import NamedTuple

_TOGETHER = 1 << 16
"""Bytes that are written at once."""
_PLENTY = 1 << 16
"""Open files that are enough for whatever we do."""


class OpenFile(NamedTuple):
    """A descriptor and the file that it was opened for.

    A program that calls `os.closerange`, as daemons do, closes our descriptors too. Their numbers then belong to files
    of that program, which must not be written, read or closed instead of ours.
    """

    fd: int
    file: tuple[int, int]
    """the device and number of the file"""

    @staticmethod
    def of(fd: int) -> "OpenFile":
        """The file that a descriptor was just opened for."""
        return OpenFile(fd, _identity(fd))

    def is_open(self) -> bool:
        """Whether the descriptor still belongs to this file."""
        try:
            return _identity(self.fd) == self.file
        except OSError:
            return False

    def checked(self) -> int:
        """The descriptor. Raises OSError if it doesn't belong to this file any more."""
        if not self.is_open():
            raise OSError(errno.EBADF, "this program closed a descriptor that artstore had open")
        return self.fd

    def close(self) -> None:
        """Close the descriptor, unless it belongs to another file by now."""
        if self.is_open():
            os.close(self.fd)


CLOSED = OpenFile(-1, (0, 0))


class Appending:
    """Writes to the end of a file in large pieces, through a descriptor that may have been closed."""

    def __init__(self, fd: int) -> None:
        """Write through a descriptor that was just opened."""
        self.file = OpenFile.of(fd)
        self._unwritten = bytearray()

    def write(self, data: bytes) -> None:
        """Add bytes. Raises OSError."""
        self._unwritten += data
        if len(self._unwritten) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Let the operating system have all bytes. Raises OSError."""
        while self._unwritten:
            del self._unwritten[: os.write(self.file.checked(), self._unwritten)]

    def close(self) -> None:
        """Flush and close. Raises OSError."""
        try:
            self.flush()
        finally:
            self.file.close()


class RangeReader:
    """Reads ranges of a file that stays open. It is opened again if the program closed its descriptor."""

    def __init__(self, opened: Callable[[], int]) -> None:
        self._opened = opened
        self.file = OpenFile.of(opened())

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file; fewer than `length` at its end."""
        if not self.file.is_open():
            self.file = OpenFile.of(self._opened())
        return read_at(self.file.fd, offset, length)

    def close(self) -> None:
        self.file.close()


def most_open() -> int:
    """How many files and connections this process may have open: at most 65,536 count."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _PLENTY if soft == resource.RLIM_INFINITY else min(soft, _PLENTY)


def allow_more_open() -> None:
    """Let this process have as many files and connections open as it may allow itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _PLENTY if hard == resource.RLIM_INFINITY else min(hard, _PLENTY)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def read_at(fd: int, offset: int, length: int) -> bytes:
    """Bytes of an open file; fewer than `length` at its end."""
    data = os.pread(fd, length, offset)
    while len(data) < length:  # one pread returns at most 2 GiB
        more = os.pread(fd, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def mapped(fd: int) -> mmap:
    """A map of a whole file, for reading."""
    if sys.version_info >= (3, 13):
        return mmap(fd, 0, access=ACCESS_READ, trackfd=False)
    return mmap(fd, 0, access=ACCESS_READ)  # keeps a descriptor, whose number it closes at its end, whoever has it then


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
