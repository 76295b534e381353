"""Mounts: a folder's file system, its mount options, and whether other hosts may write to it."""

import os
import re
from functools import lru_cache
from typing import NamedTuple

_NETWORK_TYPE = re.compile("nfs|cifs|smb|fuse|lustre|gpfs|beegfs|ceph|9p|afs|gluster|pvfs2|virtiofs|wekafs")
"""The beginnings of the types of network file systems."""


class Mount(NamedTuple):
    """A mounted file system, from /proc/self/mountinfo."""

    type: str
    point: str
    options: frozenset[str]
    """of the mount and of its file system: `ro` in either means read-only"""


IN_MEMORY = ("tmpfs", "ramfs")
"""Types of file systems in memory, which never write pages out: see `mapped`."""

UNKNOWN = Mount("unknown", "", frozenset())
"""The mount if it can't be found out: not on Linux, or no such folder."""


@lru_cache(maxsize=64)
def mount_of(folder: str) -> Mount:
    """The mount through which a folder is reached."""
    try:
        number, device = _mount_and_device(folder)
        with open("/proc/self/mountinfo", errors="surrogateescape") as mounts:
            for line in mounts:
                fields = line.rstrip("\n").split(" ")
                if fields[0] == number or (number is None and fields[2] == device):
                    type, _, options = fields[fields.index("-") + 1 :]
                    return Mount(type, _unescaped(fields[4]), frozenset(f"{fields[5]},{options}".split(",")))
    except (OSError, ValueError):
        pass
    return UNKNOWN


def _mount_and_device(folder: str) -> tuple[str | None, str]:
    """The number of a folder's mount (None if the kernel doesn't report it), and its device.

    The device alone isn't enough: on btrfs each subvolume has a device of its own, which no mount has.
    """
    fd = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        device = os.fstat(fd).st_dev
        with open(f"/proc/self/fdinfo/{fd}") as lines:
            numbers = [line.split()[1] for line in lines if line.startswith("mnt_id:")]
    finally:
        os.close(fd)
    return numbers[0] if numbers else None, f"{os.major(device)}:{os.minor(device)}"


def _unescaped(path: str) -> str:
    """Decode a path in mountinfo, where a space is `\\040`."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def is_local(folder: str) -> bool:
    """Whether one kernel makes all changes to this folder.

    Then listings are coherent, there is one clock, and process ids can be compared.
    """
    return _NETWORK_TYPE.match(mount_of(folder).type) is None


def memory_devices() -> frozenset[int]:
    """Devices (`st_dev`) of the file systems in memory; empty if it can't be found out."""
    found = set()
    try:
        with open("/proc/self/mountinfo", errors="surrogateescape") as mounts:
            for line in mounts:
                fields = line.split(" ")
                if fields[fields.index("-") + 1] in IN_MEMORY:
                    major, minor = fields[2].split(":")
                    found.add(os.makedev(int(major), int(minor)))
    except (OSError, ValueError):
        pass
    return frozenset(found)
