"""Durability: bringing what was written to the disk, file by file or a whole file system at once."""

import errno
import os
import sys

from artstore.backends.descriptors import CLOSED, OpenFile
from artstore.backends.mounts import is_local

_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOTTY, errno.ENOSYS, errno.EBADF}
"""Errors of file systems that can't sync a folder (SMB, some FUSE). I/O errors and full disks must never be here."""


def begin_writeback(fd: int, offset: int, length: int) -> None:
    """Let the system begin to write a part of a file to the disk, and don't wait: a later sync has less to do.

    On Linux this advice does so for pages that aren't written yet, and lets go none of them.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)


def sync_file(fd: int) -> None:
    """Make a file's bytes durable. After an error discard the file: a second fsync may wrongly succeed."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync alone leaves the data in the drive's cache there
    else:
        os.fsync(fd)


def sync_folder(path: str) -> bool:
    """Make the names in a folder durable. Returns False if the file system can't."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
        return False
    finally:
        os.close(fd)
    return True


class WholeSync:
    """One `syncfs` for many files. It reports only errors since it was opened, so open it before the first write.

    syncfs reports write errors since Linux 5.8. On other systems, and on network file systems, `run` returns False, and
    the caller must sync each file.
    """

    def __init__(self, folder: str) -> None:
        self._folder = CLOSED
        if sys.platform == "linux" and _kernel() >= (5, 8) and is_local(folder):
            self._folder = OpenFile.of(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def run(self) -> bool:
        """Make everything on this file system durable, names included. Returns False if it can't be used here."""
        if not self._folder.is_open():
            return False
        import ctypes

        if ctypes.CDLL(None, use_errno=True).syncfs(self._folder.fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return True

    def close(self) -> None:
        folder, self._folder = self._folder, CLOSED
        folder.close()


def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)
