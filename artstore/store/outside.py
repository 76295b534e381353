"""New files outside the repository, such as exports: what a killed process left of one is found again and removed."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from artstore.backends.files import new_file, remove_if_there, remove_tree, write_file
from artstore.backends.mounts import is_local
from artstore.backends.owner import is_dead, parse, this_process
from artstore.backends.storage import FolderStorage
from artstore.errors import StorageError

_PREFIX = ".artstore-"
_MARK = b"outside:"
_LONGEST = 1 << 13
"""Most bytes of a note: a mark and a path."""


@contextmanager
def new_file_outside(path: str, here: FolderStorage | None) -> Iterator[BinaryIO]:
    """A file to write, as `new_file`. If this process is killed, the next save in `here` removes what is left.

    Without a repository, the next such file in the same folder removes it.
    """
    folder = os.path.dirname(os.path.abspath(path))
    _sweep_beside(folder)
    owner = this_process()
    temporary = os.path.join(folder, f"{_PREFIX}{owner}")
    note = here.path(f"tmp/{owner}") if here is not None else None
    try:
        if note is not None:
            write_file(note, _MARK + os.fsencode(temporary), mode=0o644, sync=False)
    except OSError:
        note = None  # a read-only repository
    try:
        with new_file(path, temporary) as out:
            yield out
    finally:
        if note is not None:
            remove_if_there(note)


def _sweep_beside(folder: str) -> None:
    try:
        names = [name for name in os.listdir(folder) if name.startswith(_PREFIX)]
    except OSError:
        return
    for name in names:
        owner = parse(name.removeprefix(_PREFIX))
        if owner is not None and is_dead(owner, local=is_local(folder)):
            _remove(os.path.join(folder, name))


def sweep_outside(here: FolderStorage, name: str) -> None:
    """Remove the file outside that a dead process noted in tmp/ under its `name`.

    A note leads only to a file with the process's name in it, so that nobody's note can have another file removed.
    """
    try:
        note = here.read(f"tmp/{name}", 0, _LONGEST, own=True)
    except (FileNotFoundError, StorageError):
        return  # a transaction's folder, or another user's
    path = os.fsdecode(note.removeprefix(_MARK))
    if note.startswith(_MARK) and os.path.isabs(path) and os.path.basename(path) == f"{_PREFIX}{name}":
        _remove(path)


def _remove(path: str) -> None:
    try:
        status = os.lstat(path)
        if stat.S_ISDIR(status.st_mode):  # the clone that a bundle is made of
            if status.st_uid == os.geteuid():
                remove_tree(path)
        else:
            os.unlink(path)
    except (OSError, ValueError):
        pass  # it is gone, or others may not remove it
