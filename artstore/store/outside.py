"""New files and folders outside the repository: what a killed process left of one is found again and removed."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from artstore.backends.files import new_file, remove_if_there, remove_tree, write_file
from artstore.backends.mounts import is_local
from artstore.backends.owner import Owner, is_dead, left_by, parse, this_process
from artstore.backends.storage import FolderStorage
from artstore.errors import StorageError

_PREFIX = ".artstore-"
_MARK = b"outside:"
_BUILD = b"building:"
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
    with _noted(here, owner, _MARK, temporary), new_file(path, temporary) as out:
        yield out


@contextmanager
def noted_build(path: str, owner: Owner, here: FolderStorage | None) -> Iterator[None]:
    """Note the folder that a checkout builds in the block. Its name must end in `.artstore-<owner>`.

    If this process is killed, the next gc in `here` removes it. A save doesn't: the next checkout to the same place
    goes on with what is there.
    """
    with _noted(here, owner, _BUILD, path):
        yield


@contextmanager
def _noted(here: FolderStorage | None, owner: Owner, mark: bytes, path: str) -> Iterator[None]:
    note = here.path(f"tmp/{owner}") if here is not None else None
    try:
        if note is not None:
            with suppress(OSError):  # a read-only repository
                write_file(note, mark + os.fsencode(path), mode=0o644, sync=False)
        yield
    finally:
        if note is not None:
            with suppress(OSError):
                remove_if_there(note)


def _sweep_beside(folder: str) -> None:
    try:
        names = [name for name in os.listdir(folder) if name.startswith(_PREFIX)]
    except OSError:
        return
    for name in names:
        owner = parse(name.removeprefix(_PREFIX))
        if owner is not None and is_dead(owner, local=is_local(folder)):
            remove_left(os.path.join(folder, name))


def sweep_folder(fd: int, names: Iterable[str], *, local: bool) -> list[str]:
    """Remove temporary files that dead processes left in an open folder. Returns those of `names` that are gone."""
    left = [(name, left_by(name)) for name in names if name.startswith(_PREFIX)]
    dead = [name for name, owner in left if owner is not None and is_dead(owner, local=local)]
    for name in dead:
        with suppress(FileNotFoundError):  # another process removed it
            os.unlink(name, dir_fd=fd)
    return dead


def sweep_outside(here: FolderStorage, name: str, *, builds: bool) -> bool:
    """Remove what a dead process noted in tmp/ under its `name`: a file outside, or with `builds` a checkout's folder.

    Returns whether the note is done with. It leads only to a file or folder with the process's name in it, so that
    nobody's note can have another one removed.
    """
    try:
        note = here.read(f"tmp/{name}", 0, _LONGEST, own=True)
    except (FileNotFoundError, StorageError):
        return True  # a transaction's folder, or another user's
    mark = next((mark for mark in (_MARK, _BUILD) if note.startswith(mark)), None)
    if mark is None:
        return True
    path = os.fsdecode(note.removeprefix(mark))
    named = os.path.basename(path)
    if not (os.path.isabs(path) and named.startswith(".") and named.endswith(f"{_PREFIX}{name}")):
        return True
    if mark == _BUILD and not builds:
        return not os.path.lexists(path)  # another checkout may have gone on with it
    remove_left(path)
    return True


def remove_left(path: str) -> None:
    """Remove what a dead process left under a name that ends in `.artstore-<owner>`, if it is this user's or a file.

    A folder is renamed first: then a checkout that wants to go on with it has it whole, or not at all.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(path)
        elif status.st_uid == os.geteuid() and left_by(os.path.basename(path)) is not None:
            claimed = f"{path.rpartition(_PREFIX)[0]}{_PREFIX}{this_process()}"
            os.rename(path, claimed)
            remove_tree(claimed)
    except (OSError, ValueError):
        pass  # it is gone, or others may not remove it
