"""Mounts: which file system holds a folder, how it is mounted, and whether other hosts may write to it, too."""

import os
import re
from functools import lru_cache
from typing import NamedTuple

_NETWORK_TYPES = (
    "nfs",
    "cifs",
    "smb",
    "fuse",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "9p",
    "afs",
    "gluster",
    "pvfs2",
    "virtiofs",
    "wekafs",
)


class Mount(NamedTuple):
    """As /proc/self/mountinfo tells of it."""

    type: str
    point: str
    options: frozenset[str]
    """of this mount and of its file system: either's `ro` means read-only"""


IN_MEMORY = ("tmpfs", "ramfs")
"""Types whose pages are never written out: see `mapped`."""

UNKNOWN = Mount("unknown", "", frozenset())
"""Where nobody tells: not on Linux, or no such folder."""


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
    """The number of a folder's mount, where the kernel tells it, and its device. On btrfs each subvolume has a device of
    its own, which no mount has.
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
    """Spaces and the like stand as `\\040` in that file."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def is_local(folder: str) -> bool:
    """Whether one kernel sees all changes to this folder: listings are coherent, clocks are one, process ids mean
    something.
    """
    return not mount_of(folder).type.startswith(_NETWORK_TYPES)


def memory_devices() -> frozenset[int]:
    """Devices of the file systems that are in memory only, as `st_dev` tells them; none where nobody tells."""
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
