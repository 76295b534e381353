"""Whole-file primitives: sync, atomic write, clone, and copy while hashing."""

import errno
import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from blake3 import blake3

from artstore.backends.mounts import is_local
from artstore.domain.digest import Digest
from artstore.domain.ignore import IGNORE_FILE, Rules

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

WINDOW = 8 << 20
"""Bytes copied before they are hashed: large enough that two threads overlap without waiting, small enough to stay in
the processor's cache.
"""

_BEHIND = 4
_PIECE = 4 << 20
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOTTY, errno.ENOSYS, errno.EBADF}
"""What file systems that can't sync a folder answer (SMB, some FUSE). Input/output errors and full disks are never
among them.
"""


# -- durability ----------------------------------------------------------------------------------


def sync_file(fd: int) -> None:
    """Put a file's bytes on the medium. An error is final: the caller throws the file away (a second fsync may lie)."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync alone leaves the data in the drive's cache there
    else:
        os.fsync(fd)


def sync_folder(path: str) -> bool:
    """Make the names in a folder durable; False where the file system has no way to."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
        return True
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
        return False
    finally:
        os.close(fd)


class WholeSync:
    """One `syncfs` for many files. It reports only errors since it was opened, so open it before the first write.

    Linux reports writeback errors through syncfs since 5.8; elsewhere, and on network file systems, `run` answers False
    and the caller syncs file by file.
    """

    def __init__(self, folder: str) -> None:
        self._fd = -1
        if sys.platform == "linux" and _kernel() >= (5, 8) and is_local(folder):
            self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def run(self) -> bool:
        """True when everything written to this file system before the call is durable, names included."""
        if self._fd < 0:
            return False
        import ctypes

        if ctypes.CDLL(None, use_errno=True).syncfs(self._fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


# -- whole files ---------------------------------------------------------------------------------


def write_fully(fd: int, data: bytes | memoryview) -> None:
    """`os.write` until all is written: writes may be short before a disk is full."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, memoryview(data)[done:])


def write_file(path: str, data: bytes, *, mode: int = 0o666, sync: bool) -> None:
    """Make a new file (never replaces one)."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        write_fully(fd, data)
        if sync:
            sync_file(fd)
    finally:
        os.close(fd)


@contextmanager
def new_file(path: str) -> Iterator[BinaryIO]:
    """A file that has its name, in place of any other, when it is whole and synced; nothing is left when it can't be."""
    folder, name = os.path.split(os.path.abspath(path))
    temporary = os.path.join(folder, f".artstore-{os.urandom(8).hex()}")
    out = open(temporary, "xb")
    try:
        with out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, os.path.join(folder, name))
    except BaseException:
        remove_if_there(temporary)
        raise


def replace_file(path: str, data: bytes, temporary: str, *, sync: bool) -> None:
    """Replace a cache or setting whole: readers see the old or the new. The name is not synced: it can be made again. None
    but this user may write to it, whatever the umask: see `is_own`.
    """
    try:
        write_file(temporary, data, mode=0o644, sync=sync)
        os.replace(temporary, path)
    except OSError:
        remove_if_there(temporary)
        raise


def is_own(status: os.stat_result) -> bool:
    """Whether nobody but this user (or root) can have written a file: it is theirs, and no others may write to it."""
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & 0o022


def others_write(folder: str) -> bool:
    """Whether somebody else rules over a folder: it is theirs, its group's (made to be shared), or everybody's."""
    try:
        status = os.stat(folder)
    except OSError:
        return False
    shared = status.st_mode & 0o2020 == 0o2020 or status.st_mode & 0o002
    return bool(shared) or status.st_uid not in (os.geteuid(), 0)


def remove_if_there(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_tree(path: str, *, ignore_errors: bool = False) -> None:
    """Remove a folder with all below it, following no symlink; with `ignore_errors` as much as can be."""
    try:
        os.rmdir(path)  # a transaction that stored nothing, most often
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            if not _removed_flat(path):
                import shutil  # 4 ms

                shutil.rmtree(path, ignore_errors)
        elif not ignore_errors:
            raise


def _removed_flat(path: str) -> bool:
    """Remove a folder of nothing but files, as transactions leave them; False where there is more to it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        for name in os.listdir(fd):
            os.unlink(name, dir_fd=fd)
        os.rmdir(path)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def link_new(source: str, target: str) -> None:
    """Give a finished file its final name; FileExistsError when the name is taken. Atomic; `source` may or may not be
    left.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK):
            raise
        rename_new(source, target)


def rename_new(source: str, target: str) -> None:
    """rename(2) that refuses to replace (renameat2 RENAME_NOREPLACE, Linux 3.15): for file systems without hard links."""
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    at_cwd, no_replace = -100, 1
    if call is None:
        raise OSError(errno.ENOTSUP, "this file system has neither hard links nor exclusive renames", target)
    if call(at_cwd, os.fsencode(source), at_cwd, os.fsencode(target), no_replace):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


# -- copying -------------------------------------------------------------------------------------


def open_regular(name: str | bytes, *, dir_fd: int | None = None, follow: bool = False) -> int:
    """A descriptor of a regular file for reading; never hangs on a FIFO. OSError for anything else, and unless `follow`
    for a symlink as last part.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    fd = os.open(name, flags, dir_fd=dir_fd)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise OSError(errno.EINVAL, f"is a {kind_of(mode)}, not a file")
    return fd


def kind_of(mode: int) -> str:
    for test, word in (
        (stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "symlink"), (stat.S_ISFIFO, "FIFO"),
        (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "character device"), (stat.S_ISBLK, "block device"),
    ):  # fmt: skip
        if test(mode):
            return word
    return "special file"


def unreadable_at(fd: int) -> int | None:
    """Offset of the first MiB of a file that can't be read; None when all of it can."""
    offset = 0
    try:
        while piece := os.pread(fd, 1 << 20, offset):
            offset += len(piece)
    except OSError:
        return offset
    return None


def clone(source: int, target: int) -> bool:
    """Share the source's extents (btrfs, XFS, bcachefs); False where the file system can't."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def copy_range(source: int, target: int, count: int, offset: int) -> int:
    """Copy up to `count` bytes at `offset` of both files, in the kernel where it can; returns how many (0: the source
    ended).
    """
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, count, offset, offset)
        except OSError as error:
            if error.errno not in (
                errno.EXDEV,
                errno.EINVAL,
                errno.ENOSYS,
                errno.EOPNOTSUPP,
                errno.EPERM,
                errno.EBADF,
                errno.ETXTBSY,
            ):
                raise
    data = os.pread(source, min(count, 1 << 20), offset)
    done = 0
    while done < len(data):
        done += os.pwrite(target, memoryview(data)[done:], offset + done)
    return len(data)


def copy_hashed(
    source: int, target: int, size: int, *, own: int, advance: Callable[[int], None] = lambda n: None
) -> Digest | None:
    """Clone or copy a file of `size` bytes and hash it; None when the source ended early.

    `own` is the one of both descriptors that only we write: it is hashed window by window as these are copied. Files of
    several windows are hashed in a second thread.
    """
    done = 0
    if clone(source, target):
        if os.fstat(target).st_size != size:
            return None
        advance(size)
        digest, hashed = hash_file(own)
        return digest if hashed == size else None
    hasher = _WindowHasher(own, size)
    try:
        for offset, count in copy_windows(source, target, size):
            hasher.add(offset, count)
            advance(count)
            done = offset + count
        return hasher.digest() if done == size else None
    finally:
        hasher.close()


def copy_windows(source: int, target: int, size: int) -> Iterator[tuple[int, int]]:
    """Copy window by window and say (offset, bytes) of each once it is in place; stops where the source ends early.

    Holes of a sparse source stay holes: they are skipped, not written.
    """
    done = 0
    sparse = os.fstat(source).st_blocks * 512 < size
    if sparse:
        os.ftruncate(target, size)
    while done < size:
        count, hole = min(WINDOW, size - done), False
        if sparse:
            count, hole = _extent_at(source, done, count)
        if hole and os.fstat(source).st_size < done + count:
            return
        copied = count if hole else copy_range(source, target, count, done)
        if not copied:
            return
        yield done, copied
        done += copied


def _extent_at(fd: int, offset: int, most: int) -> tuple[int, bool]:
    """(bytes, whether it is a hole) of what lies at an offset, at most `most`."""
    try:
        data = os.lseek(fd, offset, os.SEEK_DATA)
        end = data if data > offset else os.lseek(fd, offset, os.SEEK_HOLE)
        return min(end - offset, most), data > offset
    except OSError as error:
        return most, error.errno == errno.ENXIO  # nothing but a hole up to the end


class _WindowHasher:
    """BLAKE3 over windows of one of our own files, behind the copier by at most _BEHIND windows."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd, self._hasher = fd, blake3()
        self._buffer = memoryview(bytearray(min(WINDOW, size)))
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[None]] = deque()
        if size > 2 * WINDOW:
            from concurrent import futures

            self._pool = futures.ThreadPoolExecutor(1)

    def add(self, offset: int, count: int) -> None:
        if self._pool is None:
            self._hash(offset, count)
            return
        self._waiting.append(self._pool.submit(self._hash, offset, count))
        if len(self._waiting) > _BEHIND:
            self._waiting.popleft().result()

    def _hash(self, offset: int, count: int) -> None:
        # Reads, not an mmap: a bad block or a file cut short is an error then, not a dead process. The pages are in memory.
        done = 0
        while done < count:
            read = os.preadv(self._fd, [self._buffer[: count - done]], offset + done)
            if not read:
                raise OSError(errno.EIO, "a file of ours was cut short")
            self._hasher.update(self._buffer[:read])
            done += read

    def digest(self) -> Digest:
        while self._waiting:
            self._waiting.popleft().result()
        return Digest(self._hasher.digest())

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


def hash_file(fd: int, advance: Callable[[int], None] = lambda n: None) -> tuple[Digest, int]:
    """(digest, bytes) of a file from its start, on all processors.

    By reads, never by mmap, under which a bad block or a file cut short kills the process. Large files are read by a
    second thread while what it read before is hashed.
    """
    hasher, size = blake3(max_threads=_hash_threads), 0
    os.lseek(fd, 0, os.SEEK_SET)
    expected = os.fstat(fd).st_size
    pieces = _read_pieces(fd, expected) if expected < 8 * _PIECE else _read_ahead(fd)
    for piece in pieces:
        hasher.update(piece)
        size += len(piece)
        advance(len(piece))
    return Digest(hasher.digest()), size


_hash_threads = blake3.AUTO


def _hash_alone() -> None:
    """blake3's threads don't survive a fork: a child that waits for them hangs."""
    global _hash_threads
    _hash_threads = 1


os.register_at_fork(after_in_child=_hash_alone)


def _read_pieces(fd: int, expected: int) -> Iterator[memoryview]:
    # A buffer of 4 MiB takes 60 µs to make: more than all else that is done for a small file.
    buffer = memoryview(bytearray(min(_PIECE, max(expected + 1, 1 << 14))))
    while count := os.readv(fd, [buffer]):
        yield buffer[:count]


def _read_ahead(fd: int) -> Iterator[memoryview]:
    """As `_read_pieces`, the next piece being read into a second buffer meanwhile."""
    from concurrent import futures

    buffers = [memoryview(bytearray(_PIECE)) for _ in range(2)]
    with futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(os.readv, fd, [buffers[0]])
        while count := reading.result():
            done = buffers[0]
            buffers.reverse()
            reading = pool.submit(os.readv, fd, [buffers[0]])
            yield done[:count]


# -- ignore rules --------------------------------------------------------------------------------


def read_rules(fd: int, path: bytes) -> Rules:
    """The ignore rules that an open folder holds; `path` is its own in what is walked. OSError when it can't be read."""
    source = open_regular(IGNORE_FILE, dir_fd=fd)
    with open(source, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read(_LONGEST_RULES + 1)
    if len(text) > _LONGEST_RULES:
        raise OSError(errno.EFBIG, f"it has more than {_LONGEST_RULES:,} characters")
    return Rules(text.split("\n"), os.fsdecode(path))


_LONGEST_RULES = 1 << 20
"""Characters of ignore rules that are read."""
