"""Probes of a file system: each tries one ability in a folder made for that.

A probe uses the functions that the store uses, if there are any. It leaves its files in the folder, and may
raise OSError.
"""

import errno
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from typing import NamedTuple, TypeVar

from artstore.backends import durability
from artstore.backends.confined import Confined
from artstore.backends.files import clone, closing_fd, write_file
from artstore.backends.naming import link_new, rename_new
from artstore.operations.restoring.obstacles import Spelling, spelling_at

T = TypeVar("T")

_SIZE = 1 << 20
_CANNOT = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY, errno.EXDEV)
_LONGEST = 255
_SECOND = 1_000_000_000


class Naming(NamedTuple):
    """How a finished file gets its final name: see `naming.link_new`."""

    links: bool
    """whether there are hard links"""
    counted: bool
    """whether a file's number of links is right"""
    exclusive: bool
    """whether a link to a name that exists is refused"""
    renames: bool
    """whether a rename to a name that exists can be refused"""


def naming(folder: str) -> Naming:
    """Try links and renames to names that exist."""
    first, second, name = (f"{folder}/{part}" for part in ("first", "second", "name"))
    write_file(first, b"first", sync=False)
    link_new(first, name, lambda: folder)
    links = os.path.lexists(first)
    count = os.stat(name).st_nlink
    write_file(second, b"second", sync=False)
    exclusive = _refused(lambda: link_new(second, name, lambda: folder))
    return Naming(links, count == (2 if links else 1), exclusive and _content(name) == b"first", _renames(second, name))


def _renames(file: str, taken: str) -> bool:
    """A free name is tried first: Linux itself refuses taken ones, also where the file system knows no such rename."""
    try:
        rename_new(file, f"{file}.free")
        return _refused(lambda: rename_new(f"{file}.free", taken))
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False


def _refused(give_name: Callable[[], None]) -> bool:
    try:
        give_name()
    except FileExistsError:
        return True
    return False


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class Copying(NamedTuple):
    """How large files are copied."""

    clones: bool
    """whether a copy can share the blocks of the file"""
    in_kernel: bool
    """whether copy_file_range works"""
    holes: bool
    """whether parts of a file that were never written take no space"""


def copying(folder: str) -> Copying:
    """Try to clone and copy a file."""
    with closing_fd(_opened(f"{folder}/source")) as source, closing_fd(_opened(f"{folder}/target")) as target:
        os.ftruncate(source, _SIZE)
        holes = os.fstat(source).st_blocks * 512 < _SIZE
        os.pwrite(source, os.urandom(_SIZE), 0)
        cloned = clone(source, target)
        if not cloned:
            os.ftruncate(target, 0)
        return Copying(cloned, _copies_in_kernel(source, target), holes)


def _copies_in_kernel(source: int, target: int) -> bool:
    if not hasattr(os, "copy_file_range"):
        return False
    try:
        return os.copy_file_range(source, target, _SIZE, 0, 0) > 0
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False


class Locking(NamedTuple):
    """Whether file locks work."""

    works: bool
    excludes: bool
    """whether another process can't get the lock at the same time"""
    reason: str = ""
    """the error, if they don't work"""


_KEPT_OUT = 9
_TRY_LOCK = f"""import sys, filelock
try:
    filelock.FileLock(sys.argv[1]).acquire(timeout=0)
except filelock.Timeout:
    sys.exit({_KEPT_OUT})
"""


def locking(folder: str) -> Locking:
    """Try a lock between two processes of this host. The store uses `filelock`, too."""
    import filelock

    lock = filelock.FileLock(f"{folder}/lock")
    try:
        lock.acquire(timeout=0)
    except (OSError, NotImplementedError, filelock.Timeout) as error:
        return Locking(False, False, getattr(error, "strerror", None) or str(error))
    try:
        command = [sys.executable, "-P", "-c", _TRY_LOCK, lock.lock_file]
        other = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        lock.release()
    if other.returncode not in (0, _KEPT_OUT):
        return Locking(False, False, (other.stderr.splitlines() or ["no reason given"])[-1])
    return Locking(True, other.returncode == _KEPT_OUT)


class Syncing(NamedTuple):
    """How long syncs take: medians, in seconds."""

    file: float
    folder: float | None
    """None if a folder can't be synced"""
    whole: float | None
    """of the whole file system with one call; None if `durability.WholeSync` doesn't do that here"""

    @property
    def small_save(self) -> float:
        """Seconds of the four syncs of a small save: a pack, an entry, and their folders."""
        return 2 * self.file + 2 * (self.folder or 0.0)


_REPEATS = 5


def syncing(folder: str) -> Syncing:
    """Measure syncs of files, of the folder, and of the whole file system."""
    with closing(durability.WholeSync(folder)) as whole:
        each, folders, synced = [], [], True
        for number in range(_REPEATS):
            each.append(_seconds_of_sync(f"{folder}/synced{number}"))
            seconds, synced = _timed(lambda: durability.sync_folder(folder))
            folders.append(seconds)
        seconds, done = _timed(whole.run)
    return Syncing(statistics.median(each), statistics.median(folders) if synced else None, seconds if done else None)


def _seconds_of_sync(path: str) -> float:
    with closing_fd(_opened(path)) as fd:
        os.write(fd, bytes(4096))
        return _timed(lambda: durability.sync_file(fd))[0]


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    begun = time.perf_counter()
    done = call()
    return time.perf_counter() - begun, done


class Names(NamedTuple):
    """Which names files can have."""

    spelling: Spelling
    kept: bool
    """whether a composed and a decomposed name are listed as they were given"""
    any_bytes: bool
    """whether names need not be UTF-8"""
    longest: int
    """bytes; at most 255, which is also the limit for names in versions"""


def names(folder: str) -> Names:
    """Try names: in another case or Unicode form, not UTF-8, and long ones."""
    with Confined(folder, None) as target:
        spelling = spelling_at(target)
    kept = all(_holds(folder, form.encode()) for form in ("\u00e9", "e\u0301"))
    longest = _LONGEST if _holds(folder, b"n" * _LONGEST) else min(os.statvfs(folder).f_namemax, _LONGEST)
    return Names(spelling, kept, _holds(folder, b"caf\xe9"), longest)


def _holds(folder: str, name: bytes) -> bool:
    """Whether a file can have this name, and is listed with the same bytes."""
    path = os.path.join(os.fsencode(folder), name)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        return False
    listed = name in os.listdir(os.fsencode(folder))
    os.unlink(path)
    return listed


class Modes(NamedTuple):
    """Which permissions of files are kept."""

    executable: bool
    """whether the executable bit is kept"""
    all_executable: bool
    """if it isn't: whether all files are executable, or none"""
    read_only: bool
    """whether a file can be made read-only"""


def modes(folder: str) -> Modes:
    """Try files with several modes."""
    plain, script, sealed = (_mode_of(f"{folder}/mode{mode:o}", mode) for mode in (0o644, 0o755, 0o444))
    return Modes(not plain & 0o100 and bool(script & 0o100), bool(plain & 0o100), not sealed & 0o222)


def _mode_of(path: str, mode: int) -> int:
    write_file(path, b"", mode=mode, sync=False)
    return os.stat(path).st_mode


class Times(NamedTuple):
    """How exact the times of files are, in nanoseconds."""

    kept_ns: int
    """the precision with which a time is stored"""
    mtime_ns: int | None
    """the least difference between two modification times of a file that is written again and again; None if it
    never changed
    """
    ctime_ns: int | None
    """the same for the change time"""
    ahead_ns: int
    """how far the file system's clock is ahead of this machine's; negative if it is behind"""


_WATCHED = 0.1
"""Seconds for which the stamps of a file are watched."""
_STAMPS = 4


def times(folder: str) -> Times:
    """Write a file again and again, and look at its times."""
    with closing_fd(_opened(f"{folder}/times")) as fd:
        before = time.time_ns()
        os.pwrite(fd, b"0", 0)
        stamp = os.fstat(fd).st_mtime_ns
        after = time.time_ns()
        ahead = stamp - after if stamp > after else min(stamp - before, 0)
        mtimes, ctimes, end = [stamp], [os.fstat(fd).st_ctime_ns], time.monotonic() + _WATCHED
        while time.monotonic() < end and len(mtimes) < _STAMPS:
            os.pwrite(fd, b"1", 0)
            status = os.fstat(fd)
            if status.st_mtime_ns != mtimes[-1]:
                mtimes.append(status.st_mtime_ns)
                ctimes.append(status.st_ctime_ns)
        exact = 1_000_000_001 * _SECOND + 123_456_789
        os.utime(fd, ns=(exact, exact))
        return Times(_step_of(os.fstat(fd).st_mtime_ns), _least_step(mtimes), _least_step(ctimes), ahead)


def _step_of(stamp: int) -> int:
    """The precision, in nanoseconds, with which the time …1.123456789 s was stored as `stamp`.

    It is a power of ten, or 2 s if the stored second is even.
    """
    if stamp % _SECOND == 0:
        return _SECOND if stamp // _SECOND % 2 else 2 * _SECOND
    digits = f"{stamp % _SECOND:09}".rstrip("0")
    return int(10 ** (9 - len(digits)))


def _least_step(stamps: list[int]) -> int | None:
    return min((abs(after - before) for before, after in pairwise(stamps) if after != before), default=None)


class Space(NamedTuple):
    """The space of a file system."""

    free_bytes: int
    total_bytes: int
    free_files: int | None
    """number of files that can be created; None if there is no limit"""


def space(folder: str) -> Space:
    """The space of a folder's file system. Space that is reserved for root doesn't count as free."""
    status = os.statvfs(folder)
    free, total = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    return Space(free, total, status.f_favail if status.f_files else None)


def _opened(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
