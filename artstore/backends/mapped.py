"""Finding files that can change while their times stay: mapped files, and file systems in memory.

The first store to a page through a shared, writable map sets the file's times; later stores don't, until the page is
written to disk. So if no process has a file mapped, its stat shows each change from then on; if one has, it doesn't. A
file system in memory never writes pages out, and after a load not even the first store sets the times: there no stat
can be trusted.
"""

import fcntl
import os
import re
import struct
import time
from typing import NamedTuple

from artstore.backends.files import closing_fd
from artstore.backends.mounts import memory_devices

_QUERY = struct.Struct("=9Q4I2Q")  # linux/fs.h: struct procmap_query
_PROCMAP_QUERY = 3 << 30 | _QUERY.size << 16 | ord("f") << 8 | 17  # Linux 6.11: _IOWR('f', 17, …)
_WANTED = 0x02 | 0x08 | 0x10 | 0x20  # writable, shared, at the address or behind it, of a file
_END, _INODE = 4, 8
_LINE = re.compile(rb"^\S+ .w.s \S+ \S+ (\d+)", re.MULTILINE)

_SELDOM = 10
"""A look `of_many` is repeated only after this many times its duration: all looks take a tenth of the time at most."""


class Look(NamedTuple):
    """The maps of all processes of this host, as of one look at them."""

    at: int
    """nanoseconds since 1970, before the first process was looked at"""
    took: int
    """how long the look took, in nanoseconds"""
    inodes: frozenset[int]
    """of files that are mapped for shared writing, on any device: btrfs and overlays show other devices in maps than in
    stats, and reading a file in vain because another device has its inode costs little
    """
    devices: frozenset[int]
    """of file systems in memory"""


_last = Look(0, 0, frozenset(), frozenset())


def look(newest: int, *, of_many: bool = False) -> Look:
    """Look at all processes' maps, or return the last look if it is good enough. Call this before reading the files.

    The last look is good enough if it came after `newest`, the newest time of the files: if a file was older then and
    not mapped, a map made since then sets the times at its first store. Newer files must not be trusted with an old
    look. If this is one call `of_many` and a look was just made, the old one is returned all the same.
    """
    global _last
    now = time.time_ns()
    just_done = of_many and 0 <= now - _last.at < _SELDOM * _last.took
    if newest >= _last.at and not just_done:
        inodes = _mapped_inodes()
        _last = Look(now, time.time_ns() - now, inodes, memory_devices())
    return _last


def _mapped_inodes() -> frozenset[int]:
    """Inodes that are mapped for shared writing by the processes that we may look into: our user's, or for root all.

    Cost: 1 ms for 100 processes since Linux 6.11, 25 ms before.
    """
    found: set[int] = set()
    try:
        names = os.listdir("/proc")
    except OSError:
        return frozenset()  # not Linux
    for name in filter(str.isdigit, names):
        try:
            with closing_fd(os.open(f"/proc/{name}/maps", os.O_RDONLY | os.O_CLOEXEC)) as fd:
                found.update(_inodes_in(fd))
        except OSError:
            continue  # another user's process, or it ended
    return frozenset(found)


def _inodes_in(maps: int) -> set[int]:
    """Inodes of the files that one process has mapped for shared writing."""
    try:
        return _queried(maps)
    except OSError:
        return _listed(maps)  # the kernel has no such query, or the process has no memory and an empty list


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
