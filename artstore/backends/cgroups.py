"""Control groups of Linux: how much memory this process may still take, before the kernel kills something in its group."""

import os
from collections.abc import Iterator

_ROOT = "/sys/fs/cgroup"


def memory_left(root: str = _ROOT, own: str = "/proc/self/cgroup") -> int | None:
    """Bytes up to the lowest limit of this process's groups, by versions 1 and 2. None if there is no limit.

    Cached files that nobody has used lately don't count as taken, because the kernel drops them first.

    Args:
        root: Where the groups are mounted.
        own: The file that names this process's groups.
    """
    left = [room for folder in _folders(root, own) if (room := _left(folder)) is not None]
    return min(left, default=None)


def _folders(root: str, own: str) -> Iterator[str]:
    """The folders of this process's groups of memory, and of those above them: each may have a limit.

    In a container the path may be that outside it, where only the group's own folder is mounted.
    """
    try:
        with open(own) as lines:
            groups = [line.rstrip("\n").split(":", 2) for line in lines]
    except OSError:
        return
    for number, controllers, path in groups:
        if number != "0" and "memory" not in controllers.split(","):
            continue
        top = root if number == "0" else f"{root}/memory"
        while path.strip("/"):
            yield f"{top}/{path.strip('/')}"
            path = os.path.dirname(path.rstrip("/"))
        yield top


def _left(folder: str) -> int | None:
    for limit, taken, unused in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        if (most := _number(f"{folder}/{limit}")) is not None and (now := _number(f"{folder}/{taken}")) is not None:
            return most - now + _field(f"{folder}/memory.stat", unused)
    return None


def _number(path: str) -> int | None:
    """A number in a file; None if it isn't there, or if it is `max`."""
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _field(path: str, name: str) -> int:
    try:
        with open(path) as lines:
            return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)
    except (OSError, ValueError, IndexError):
        return 0
