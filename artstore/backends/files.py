"""Basic operations on whole files: atomic write, clone, copy while hashing, reading ignore rules."""

import errno
import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from blake3 import blake3

from artstore.backends.durability import sync_file
from artstore.domain.digest import Digest
from artstore.domain.ignore import DOWNLOADS, GIT_IGNORE_FILE, IGNORE_FILE, Rules
from artstore.domain.names import printable
from artstore.errors import ArtstoreError, InvalidValue, storage_error

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

WINDOW = 8 << 20
"""Bytes that are copied at a time before they are hashed.

Large enough that the two threads overlap without waiting, small enough to stay in the processor's cache.
"""

_BEHIND = 4
_PIECE = 4 << 20
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_NO_RANGES = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY}
"""Errors of kernels and file systems that can't copy this range themselves."""


@contextmanager
def closing_fd(fd: int) -> Iterator[int]:
    """Close a descriptor at the end of the block."""
    try:
        yield fd
    finally:
        os.close(fd)


# -- whole files ---------------------------------------------------------------------------------


def write_fully(fd: int, data: bytes | memoryview) -> None:
    """Call `os.write` until all is written: a write may be short before the disk is full."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, memoryview(data)[done:])


def write_file(path: str, data: bytes, *, mode: int = 0o666, sync: bool) -> None:
    """Make a new file. Raises FileExistsError if there is one."""
    with closing_fd(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)) as fd:
        write_fully(fd, data)
        if sync:
            sync_file(fd)


@contextmanager
def new_file(path: str, temporary: str | None = None) -> Iterator[BinaryIO]:
    """A file to write, which gets its name only when it is whole and synced, and then replaces any other file.

    After an error in the block nothing is left. `temporary` is the path to write to, in the same folder.
    """
    folder, name = os.path.split(os.path.abspath(path))
    temporary = temporary or os.path.join(folder, f".artstore-{os.urandom(8).hex()}")
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
    """Replace a cache or setting, so that readers see either the old or the new content.

    The name isn't synced, because the file can be made again. Only this user may write to the file, whatever the umask:
    see `is_own`.
    """
    try:
        write_file(temporary, data, mode=0o644, sync=sync)
        os.replace(temporary, path)
    except OSError:
        remove_if_there(temporary)
        raise


def is_own(status: os.stat_result) -> bool:
    """Whether only this user (or root) can have written a file: they own it, and nobody else may write to it."""
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & 0o022


def check_private(path: str) -> None:
    """Raise InvalidValue unless a file or folder is this user's alone, and not a link. It may be absent."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        mode = "700" if stat.S_ISDIR(status.st_mode) else "600"
        what = f"{printable(path)} must be yours alone: it is a link, or others could read or change it"
        raise InvalidValue(what, hint=f"make sure that you own it, and `chmod {mode}` it")


def others_write(folder: str) -> bool:
    """Whether others may write to a folder: another user owns it, it is shared with its group, or it is everybody's."""
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
    """Remove a folder with everything in it, without following symlinks. With `ignore_errors`, as much as possible."""
    try:
        os.rmdir(path)  # enough for the most frequent case, a transaction that stored nothing
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            if not _removed_flat(path):
                import shutil  # 4 ms

                shutil.rmtree(path, ignore_errors)
        elif not ignore_errors:
            raise


def _removed_flat(path: str) -> bool:
    """Remove a folder that holds only files, as a transaction's does. Returns False if that fails."""
    try:
        with closing_fd(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)) as fd:
            for name in os.listdir(fd):
                os.unlink(name, dir_fd=fd)
            os.rmdir(path)
    except OSError:
        return False
    return True


@contextmanager
def copying(source: str, target: int) -> Iterator[None]:
    """Turn an OSError of a copy into a StorageError that names the side that failed; `target` is an open file."""
    try:
        yield
    except ArtstoreError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
        where = _folder_of(target) if full else None
        raise storage_error(error, f"write to {printable(where)}" if where else f"copy {source}") from error


def _folder_of(fd: int) -> str | None:
    """The folder in which an open file is, if it can be found out."""
    try:
        return os.path.dirname(os.readlink(f"/proc/self/fd/{fd}"))
    except OSError:
        return None


# -- copying -------------------------------------------------------------------------------------


def open_regular(name: str | bytes, *, dir_fd: int | None = None, follow: bool = False) -> int:
    """A descriptor of a regular file, for reading. Never hangs on a FIFO.

    Raises OSError for anything else, and unless `follow` for a symlink as the path's last part.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    fd = os.open(name, flags, dir_fd=dir_fd)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise OSError(errno.EINVAL, f"is a {kind_of(mode)}, not a file")
    return fd


def check_below(fd: int, root: str | None) -> int:
    """The same descriptor, if its file is really below a folder, whose path has no link. Without one, any is right.

    Raises OSError otherwise, and closes it. Where the system doesn't say what a descriptor's path is, it is believed.
    """
    try:
        path = os.readlink(f"/proc/self/fd/{fd}") if root is not None else None
    except OSError:
        path = None
    if path is not None and root is not None and path != root and not path.startswith(root.rstrip("/") + "/"):
        os.close(fd)
        raise OSError(errno.EXDEV, f"leads out of {printable(root)}")
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
    """The offset of the first MiB of a file that can't be read, or None if all of it can."""
    offset = 0
    try:
        while piece := os.pread(fd, 1 << 20, offset):
            offset += len(piece)
    except OSError:
        return offset
    return None


def clone(source: int, target: int) -> bool:
    """Make `target` share the source's data on disk (btrfs, XFS, bcachefs). Returns False if the file system can't."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def copy_range(source: int, target: int, count: int, offset: int) -> int:
    """Copy up to `count` bytes at the same offset of both files, in the kernel if it can.

    Returns the number of bytes copied: 0 at the source's end.
    """
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, count, offset, offset)
        except OSError as error:
            if error.errno not in _NO_RANGES:
                raise
    data = os.pread(source, min(count, 1 << 20), offset)
    done = 0
    while done < len(data):
        done += os.pwrite(target, memoryview(data)[done:], offset + done)
    return len(data)


def copy_hashed(
    source: int, target: int, size: int, *, own: int, advance: Callable[[int], None] = lambda n: None
) -> Digest | None:
    """Clone or copy a file of `size` bytes and hash it. Returns None if the source ended early.

    `own` is that one of both descriptors whose file only we write. It is hashed, one window after another as they are
    copied, for files of several windows in a second thread.
    """
    if clone(source, target):
        if os.fstat(target).st_size != size:
            return None
        digest, hashed = hash_file(own, advance)
        return digest if hashed == size else None
    hasher, done = _WindowHasher(own, size), 0
    try:
        for offset, count in copy_windows(source, target, size):
            hasher.add(offset, count)
            advance(count)
            done = offset + count
        return hasher.digest() if done == size else None
    finally:
        hasher.close()


def copy_windows(source: int, target: int, size: int) -> Iterator[tuple[int, int]]:
    """Copy a file window by window, and yield (offset, bytes) of each window when it is copied.

    Stops if the source ends early. Holes of a sparse source are skipped, so they stay holes.
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
    """(bytes, whether it is a hole) of the data or hole at an offset, up to `most` bytes."""
    try:
        data = os.lseek(fd, offset, os.SEEK_DATA)
        end = data if data > offset else os.lseek(fd, offset, os.SEEK_HOLE)
        return min(end - offset, most), data > offset
    except OSError as error:
        return most, error.errno == errno.ENXIO  # ENXIO: only a hole up to the end


class _WindowHasher:
    """Hashes the windows of a file of ours with BLAKE3, at most _BEHIND windows behind the copying."""

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
        # By reads, not an mmap, under which a bad block or a file cut short kills the process. The pages are in memory.
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

    By reads, never by mmap, under which a bad block or a file cut short kills the process. Of a large file a second
    thread reads the next piece while this one hashes the last.
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
    """In a forked child, hash with one thread: blake3's threads don't survive the fork, and waiting for them hangs."""
    global _hash_threads
    _hash_threads = 1


os.register_at_fork(after_in_child=_hash_alone)


def _read_pieces(fd: int, expected: int) -> Iterator[memoryview]:
    # Making a buffer of 4 MiB takes 60 µs, longer than everything else that is done for a small file.
    buffer = memoryview(bytearray(min(_PIECE, max(expected + 1, 1 << 14))))
    while count := os.readv(fd, [buffer]):
        yield buffer[:count]


def _read_ahead(fd: int) -> Iterator[memoryview]:
    """The pieces of a large file. A second thread reads each next piece into another buffer meanwhile."""
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
    """The ignore rules in an open folder, whose path below the walked root is `path`. OSError if they can't be read."""
    source = open_regular(IGNORE_FILE, dir_fd=fd)
    with open(source, encoding="utf-8-sig", errors="surrogateescape") as file:  # git skips a byte order mark, too
        text = file.read(_LONGEST_RULES + 1)
    if len(text) > _LONGEST_RULES:
        raise OSError(errno.EFBIG, f"it has more than {_LONGEST_RULES:,} characters")
    return Rules(text.split("\n"), os.fsdecode(path))


def has_download_rules(fd: int) -> bool:
    """Whether an open folder has the `.gitignore` that downloads write, byte for byte."""
    try:
        with open(open_regular(GIT_IGNORE_FILE, dir_fd=fd), "rb") as file:
            return file.read(len(DOWNLOADS) + 1) == DOWNLOADS
    except OSError:
        return False


_LONGEST_RULES = 1 << 20
"""Most characters of ignore rules in a file."""


def forget_pages(path: str) -> None:
    """Let the system forget what it has of a file in memory, so that it is read from the disk."""
    with closing_fd(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
