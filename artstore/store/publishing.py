"""Publishing: giving staged files the names under which they are stored."""

import os
from collections.abc import Callable, Iterable
from functools import partial

from artstore.backends.durability import sync_file
from artstore.backends.files import closing_fd
from artstore.backends.parallel import together
from artstore.backends.storage import FolderStorage
from artstore.domain.digest import from_hex, short
from artstore.domain.names import printable
from artstore.errors import DamagedObject
from artstore.store.objects import ObjectStore

_SYNCS = 8
_UPLOADS = 4
"""Most files that are sent to a distant place at once."""


def publish_all(objects: ObjectStore, targets: dict[str, str], sent: Callable[[int], None]) -> None:
    """Give staged files (path → staged path) their final names; at a distant place several at once.

    `sent` counts the bytes that are sent to a distant place.
    """
    publish = partial(_publish_one, objects, sent)
    todo = targets.items()
    for _ in together(publish, todo, most=_UPLOADS) if objects.storage.distant else map(publish, todo):
        pass


def _publish_one(objects: ObjectStore, sent: Callable[[int], None], target: tuple[str, str]) -> None:
    storage, (path, staged) = objects.storage, target
    while not storage.publish(staged, path, sent):
        there = storage.size(path)
        if path.endswith(".pack") or there == os.stat(staged).st_size:
            return  # another process has stored the same content meanwhile
        if there is not None:
            _set_damaged_aside(objects, path)


def _set_damaged_aside(objects: ObjectStore, path: str) -> None:
    """Move a stored blob of a wrong size into bad/. Does nothing if it is gone. Raises DamagedObject if it stays."""
    storage, digest = objects.storage, from_hex(path.rpartition("/")[2])
    assert isinstance(storage, FolderStorage), "a bucket gives each copy a name of its own"
    try:
        seen = storage.stat(path)
    except FileNotFoundError:
        return
    objects.large.set_aside(digest, seen)
    try:
        stays = os.path.samestat(storage.stat(path), seen)
    except FileNotFoundError:
        return
    if stays:
        hint = f"move {printable(storage.path(path))} away"
        raise DamagedObject(f"blob {short(digest)} is damaged and can't be replaced", hint=hint)


def sync_files(paths: Iterable[str]) -> None:
    """Call fsync for each file, in a few threads, so that the device gets several at once."""

    def sync(path: str) -> None:
        with closing_fd(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
            sync_file(fd)

    for _ in together(sync, paths, most=_SYNCS):
        pass
