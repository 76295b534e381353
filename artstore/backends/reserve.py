"""Space for a full disk: the caches, and a file that only takes space, are given up so that versions can be deleted."""

import os

from artstore.backends.durability import sync_file, sync_folder
from artstore.backends.files import remove_if_there, remove_tree, replace_file

_NAME = "reserve"
_SIZE, _STEP = 192 << 10, 32 << 10
"""Bytes of the file, and bytes that are given up at a time. XFS asks for 150 KiB before it makes a file."""


def give_up(cache: str) -> bool:
    """Free a little space: first all caches, then the reserve bit by bit. Returns False if nothing is left of both."""
    names = _caches(cache)
    for name in names:
        path = os.path.join(cache, name)
        if os.path.isdir(path) and not os.path.islink(path):
            remove_tree(path, ignore_errors=True)
        else:
            remove_if_there(path)
    if len(_caches(cache)) < len(names):
        sync_folder(cache)  # XFS counts blocks as free when that is in its log
        return True
    reserve = os.path.join(cache, _NAME)
    left = os.path.getsize(reserve) if os.path.isfile(reserve) and not os.path.islink(reserve) else 0
    if left:
        _shorten(reserve, max(0, left - _STEP))
    return left > 0


def _shorten(reserve: str, size: int) -> None:
    try:
        with open(reserve, "rb+", buffering=0) as file:
            os.ftruncate(file.fileno(), size)
            sync_file(file.fileno())
    except PermissionError:  # a shared repository's reserve is another user's, and read-only
        os.unlink(reserve)


def set_aside(cache: str, temporary: str) -> None:
    """Make the reserve, if it isn't whole and there is room for it. Its bytes are random: zeros may take no space."""
    reserve = os.path.join(cache, _NAME)
    try:
        if not os.path.isfile(reserve) or os.path.getsize(reserve) < _SIZE:
            replace_file(reserve, os.urandom(_SIZE), temporary, sync=False)
    except OSError:
        return


def _caches(cache: str) -> list[str]:
    try:
        return [name for name in os.listdir(cache) if name not in ("claims", _NAME)]
    except FileNotFoundError:
        return []
