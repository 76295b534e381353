"""Giving a finished file its final name, unless that is taken: by the first way that the file system has.

The ways are a hard link, a rename that refuses to replace (`renameat2`, since Linux 3.15), and a rename under a claim.
exFAT and some FUSE file systems have neither of the first two.
"""

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress

from blake3 import blake3

from artstore.backends.files import remove_tree
from artstore.backends.mounts import is_local
from artstore.backends.owner import is_dead, parse, this_process

NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK)
"""Errors of file systems without hard links, and of a file that has as many as it may have."""
NO_FLAGS = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of kernels and file systems without renames that refuse to replace."""
_PATIENCE = 10.0
"""Seconds after which a claim is taken away from a process that may be alive."""


def link_new(source: str, target: str, claims: Callable[[], str]) -> None:
    """Give a finished file its final name, atomically. Raises FileExistsError if the name is taken.

    Afterwards `source` may or may not exist. `claims` is called if a claim is needed, and makes the folder for it, on
    the same file system.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        try:
            rename_new(source, target)
        except OSError as refusal:
            if refusal.errno not in NO_FLAGS:
                raise
            rename_claimed(source, target, claims)


def rename_new(source: str, target: str) -> None:
    """Rename a file without replacing another. Raises OSError with one of NO_FLAGS if that can't be done here."""
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    at_cwd, no_replace = -100, 1
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), target)
    if call(at_cwd, os.fsencode(source), at_cwd, os.fsencode(target), no_replace):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def rename_claimed(source: str, target: str, claims: Callable[[], str]) -> None:
    """Rename a file without replacing another, by nothing but `mkdir`, listings and plain renames.

    1. Make the target's claim, a folder, and move the file into it.
    2. If the file is alone there and the target is free, move it to the target. Of two files in one claim at most one
       finds itself alone, and whoever comes after it finds the target taken.
    3. Otherwise move the file back.

    Another process may take a claim away at any time, by renaming it: the file is gone from its path then, and its last
    rename fails. So two files never get one name, whoever died or stood still.
    """
    claim = os.path.join(claims(), blake3(os.fsencode(os.path.abspath(target))).hexdigest()[:32])
    name = f"{this_process()}+{os.urandom(4).hex()}"  # another thread's has another name
    inside = os.path.join(claim, name)
    while True:
        _enter(claim, source, inside, target)
        try:
            alone = os.listdir(claim) == [name]
            free = alone and not os.path.lexists(target)
            os.rename(inside, target if free else source)
        except FileNotFoundError as error:
            if os.path.lexists(target):
                raise _taken(target) from error
            raise OSError(
                errno.EBUSY, "another process went first, as this one stood still for long", target
            ) from error
        with suppress(OSError):
            os.rmdir(claim)  # if another file is in it, that one's process removes it
        if free:
            return
        if alone:
            raise _taken(target)
        time.sleep(os.urandom(1)[0] / 50_000)  # up to 5 ms, so that two that met don't meet again


def _taken(target: str) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)


def _enter(claim: str, source: str, inside: str, target: str) -> None:
    """Make a claim and move the file into it. Raises FileExistsError if the target's name is taken."""
    deadline = time.monotonic() + _PATIENCE
    while not os.path.lexists(target):
        try:
            os.mkdir(claim)
        except FileExistsError:
            if _is_left(claim) or time.monotonic() > deadline:
                _take_away(claim)
            else:
                time.sleep(0.005)
            continue
        try:
            os.rename(source, inside)
        except FileNotFoundError:
            if not os.path.lexists(source):
                raise
            continue  # somebody took the claim away
        return
    raise _taken(target)


def _is_left(claim: str) -> bool:
    """Whether the process that made a claim is proved dead."""
    try:
        owners = [parse(name.partition("+")[0]) for name in os.listdir(claim)]
    except FileNotFoundError:
        return False
    return any(owner is not None and is_dead(owner, local=is_local(claim)) for owner in owners)


def _take_away(claim: str) -> None:
    away = f"{claim}.{os.urandom(4).hex()}"
    try:
        os.rename(claim, away)
    except FileNotFoundError:
        return
    remove_tree(away, ignore_errors=True)
