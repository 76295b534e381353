"""Files that can change without their times moving: those that some process has mapped for shared writing, and those
on file systems in memory.

The first store to a page through a shared map moves the file's times; later stores don't, until the page is written
out. So a file that nobody has mapped can be trusted by its stat from then on, and a mapped one can't. A file system
in memory never writes pages out, and after a load not even the first store moves the times: nothing there can be
trusted.
"""

import fcntl
import os
import re
import struct
import time
from typing import NamedTuple

from artstore.backends.mounts import memory_devices

_QUERY = struct.Struct("=9Q4I2Q")  # linux/fs.h: struct procmap_query
_PROCMAP_QUERY = 3 << 30 | _QUERY.size << 16 | ord("f") << 8 | 17  # Linux 6.11: _IOWR('f', 17, …)
_WANTED = 0x02 | 0x08 | 0x10 | 0x20  # writable, shared, at the address or behind it, of a file
_END, _INODE = 4, 8
_LINE = re.compile(rb"^\S+ .w.s \S+ \S+ (\d+)", re.MULTILINE)

_SELDOM = 10
"""A look of many is repeated only when this many times its own duration has passed: all cost a tenth at most."""


class Look(NamedTuple):
    """What was found when the processes of this host were looked through."""

    at: int
    """nanoseconds since 1970, before the first process"""
    took: int
    """nanoseconds"""
    inodes: frozenset[int]
    """of files that are mapped for shared writing, of any device: btrfs and overlays show another one in maps than in
    stats, and a file that is read for another's sake costs little
    """
    devices: frozenset[int]
    """of file systems in memory"""


_last = Look(0, 0, frozenset(), frozenset())


def look(newest: int, *, of_many: bool = False) -> Look:
    """The last look, if it came after `newest`, the times of the files that are to be read; else a new one, unless this is
    one `of_many` and that was just done.

    A file that was older at the last look, and not mapped, is still safe: a map made since then moves the times at its
    first store. Newer files must not be trusted with an old look. Call it before the files are read.
    """
    global _last
    now = time.time_ns()
    just_done = of_many and 0 <= now - _last.at < _SELDOM * _last.took
    if newest >= _last.at and not just_done:
        inodes = _mapped_inodes()
        _last = Look(now, time.time_ns() - now, inodes, memory_devices())
    return _last


def _mapped_inodes() -> frozenset[int]:
    """Of all processes that this one may look into: its user's, for root all. 1 ms for 100 processes since Linux 6.11,
    25 ms before.
    """
    found: set[int] = set()
    try:
        names = os.listdir("/proc")
    except OSError:
        return frozenset()  # not Linux
    for name in names:
        if name.isdigit():
            try:
                fd = os.open(f"/proc/{name}/maps", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # another user's, or it ended
            try:
                found.update(_inodes_in(fd))
            except OSError:
                pass  # it ended meanwhile
            finally:
                os.close(fd)
    return frozenset(found)


def _inodes_in(maps: int) -> set[int]:
    """Inodes of the files that one process has mapped for shared writing."""
    try:
        return _queried(maps)
    except OSError:
        return _listed(maps)  # a kernel that can't be asked; or a process without memory, whose list is empty


def _queried(maps: int) -> set[int]:
    found: set[int] = set()
    address = 0
    while True:
        query = bytearray(_QUERY.pack(_QUERY.size, _WANTED, address, *[0] * 12))
        try:
            fcntl.ioctl(maps, _PROCMAP_QUERY, query)
        except FileNotFoundError:
            return found  # no further map
        fields = _QUERY.unpack(query)
        address = fields[_END]
        found.add(fields[_INODE])


def _listed(maps: int) -> set[int]:
    pieces = []
    while piece := os.read(maps, 1 << 16):
        pieces.append(piece)
    return set(map(int, _LINE.findall(b"".join(pieces))))
