"""Automatic packing: whether large files are packed in the background after a save, and starting the process for it."""

import os
import signal
import time
import zlib
from collections import defaultdict
from collections.abc import Callable

from artstore.backends.background import start
from artstore.backends.cgroups import memory_left
from artstore.backends.files import closing_fd, others_write
from artstore.backends.owner import is_alive
from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.digest import Digest
from artstore.errors import ArtstoreError, Damage, StorageError
from artstore.operations.upkeep.packing_notes import PackingNotes
from artstore.store.objects import ObjectStore
from artstore.store.settings import Settings, server_root
from artstore.store.variables import batch_variable, environment_in_background

MUCH, PART = 256 << 20, 0.1
"""What packing has to free: this many bytes, or this part of what the repository takes."""
LEAST_MEMORY = 1 << 30
"""Bytes that have to be left below a limit of memory. The packer takes up to 300 MB, and what it reads is cached."""
_PATIENCE = 10.0
"""Seconds to wait for a packer that was asked to end."""
_WINDOWS, _WINDOW = 8, 32 << 10
"""Samples of an estimate, and the bytes of each."""


# -- the conditions, each with its reason --


def _is_distant(storage: FolderStorage) -> str | None:
    """Not over a network: all bytes would travel twice, and processes of other hosts can't be proved dead."""
    return None if storage.local else "the repository is on a network file system"


def _is_in_batch(storage: FolderStorage) -> str | None:
    """Not in a job or a container for one: the machine goes with the job, or its time is paid for."""
    name = batch_variable()
    return None if name is None else f"{name} is set"


def _ends_all(storage: FolderStorage) -> str | None:
    return ends_all(os.getpid(), os.getppid())


def ends_all(pid: int, parent: int) -> str | None:
    """Not where a container ends with this process, or the shell or init that started it: the packer would die.

    Process 1 of a host is the parent of services and of what was left behind, too. It isn't worth telling them apart.
    """
    return "the container may end with this process" if 1 in (pid, parent) else None


def _is_memory_short(storage: FolderStorage) -> str | None:
    """Not near a limit of memory: in the worst case the kernel would end somebody's training for our packer."""
    left = memory_left()
    return None if left is None or left >= LEAST_MEMORY else "memory is short in this control group"


def _was_killed(storage: FolderStorage) -> str | None:
    """Not again and again: what ends packers before they have done anything will end the next one too."""
    return "the last two times it was killed" if PackingNotes(storage).was_killed_often else None


CONDITIONS: tuple[Callable[[FolderStorage], str | None], ...] = (
    _is_distant, _is_in_batch, _ends_all, _is_memory_short, _was_killed
)  # fmt: skip


def why_not(storage: FolderStorage) -> str | None:
    """Why large files aren't packed in the background here and now; None if they may be. Cost: a few small files."""
    return next((reason for condition in CONDITIONS if (reason := condition(storage)) is not None), None)


def is_on(settings: Settings, storage: FolderStorage) -> bool:
    """Whether the setting asks for packing in the background. Unless it is set, it does for what is this user's alone.

    Where others write, they didn't ask for it. Where a repository is served, a reader can tell what is packed, and so
    whether a file has parts in common with one that it may not see.
    """
    own = not others_write(storage.root) and not os.path.isdir(server_root(storage.root))
    return settings.pack == "auto" or (settings.pack is None and own)


# -- after a save --


def pack_later(objects: ObjectStore, settings: Settings) -> int:
    """Start a process that packs if all conditions hold. For callers that know that enough was saved.

    Never raises for errors of the store, because the save before it is done.

    Returns:
        About what `artstore pack` would free, if that is much, and none of it is done in the background. Else 0.
    """
    try:
        here = objects.here
        if here is None or settings.pack == "off":
            return 0
        notes = PackingNotes(here)
        if notes.packer is not None:
            return 0
        if is_on(settings, here) and why_not(here) is None and _started(here.root):
            return 0
        if notes.saved < MUCH:
            return 0
        notes.forget_saved()
        freed = would_free(objects)
        return freed if freed >= MUCH else 0
    except (ArtstoreError, OSError):
        return 0


def _started(root: str) -> bool:
    try:
        with closing_fd(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)) as nothing:
            start("artstore.operations.upkeep.packer_process", [root], nothing, environment_in_background())
        return True
    except StorageError:
        return False


def would_free(objects: ObjectStore) -> int:
    """About what packing would free. Cost: a listing of the large files, and 10 ms.

    Windows all over the large files are compressed. What another file of the same size has at the same place is
    counted once.
    """
    files = sorted(objects.large.files())
    same_size = defaultdict[int, list[Digest]](list)
    for digest, size in files:
        same_size[size].append(digest)
    if not (total := sum(size for _, size in files)):
        return 0
    places = (total * (2 * number + 1) // (2 * _WINDOWS) for number in range(_WINDOWS))
    parts = [_part(objects, *_at(files, place), same_size) for place in places]
    return int(total * (1 - sum(parts) / _WINDOWS))


def _at(files: list[tuple[Digest, int]], place: int) -> tuple[Digest, int, int]:
    """(blob, size, offset) of a place in all files one after another."""
    for digest, size in files:
        if place < size:
            return digest, size, max(0, min(place, size - _WINDOW)) & -8
        place -= size
    raise IndexError(place)


def _part(objects: ObjectStore, digest: Digest, size: int, offset: int, same_size: dict[int, list[Digest]]) -> float:
    """The part of a window that is stored when it is packed."""
    window = _window(objects, digest, size, offset)
    for other in same_size[size][: same_size[size].index(digest)][-1:]:
        if _window(objects, other, size, offset) == window:
            return 0.0
    planes = ([window[k::width] for k in range(width)] for width in (1, 2, 4))
    sizes = (sum(min(len(zlib.compress(plane, 1)), len(plane)) for plane in some) for some in planes)
    return min(sizes) / max(1, len(window))


def _window(objects: ObjectStore, digest: Digest, size: int, offset: int) -> bytes:
    try:
        with objects.large.open(digest, size) as content:
            return content.read(offset, _WINDOW)
    except Damage:
        return os.urandom(_WINDOW)


# -- before other maintenance --


def end_packer(storage: Storage) -> None:
    """Ask the packer in the background to end, and wait until it has: a collector would have to wait for its work."""
    if not isinstance(storage, FolderStorage) or (owner := PackingNotes(storage).packer) is None:
        return
    try:
        os.kill(owner.pid, signal.SIGTERM)
    except OSError:
        return
    until = time.monotonic() + _PATIENCE
    while is_alive(owner) and time.monotonic() < until:
        time.sleep(0.01)


def forget_kills(storage: Storage) -> None:
    """Let packers start again, because one that the user started got to its end."""
    if isinstance(storage, FolderStorage) and (notes := PackingNotes(storage)).was_killed_often:
        notes.end()
