"""Status: comparing the folders that were saved or restored with their versions."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from artstore.backends.storage import FolderStorage
from artstore.domain.collection import is_live
from artstore.errors import ArtstoreError
from artstore.operations.finding.lookup import Version, unless_deleted
from artstore.operations.restoring.verify import Verified, Verifier
from artstore.progress import Monitor
from artstore.store.checkouts import Checkouts, Noted
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs
from artstore.store.statcache import StatCache


class Status(NamedTuple):
    """The comparison of a checkout with its version."""

    noted: Noted
    found: Version | None
    """None if the version isn't in the log any more"""
    verified: Verified | None
    """None if the version was deleted"""
    problem: ArtstoreError | None = None
    """why it could not be compared"""


class Statuses:
    """Compares checkouts with their versions. A file is only read if its stat changed since it was last read."""

    def __init__(self, folder: FolderStorage, objects: ObjectStore, refs: Refs, monitor: Monitor | None = None) -> None:
        self._folder = folder
        self._objects = objects
        self._refs = refs
        self._monitor = monitor

    def all(self, checkouts: Checkouts, path: str | None = None) -> Iterator[Status]:
        """Compare the checkouts that are at `path`, below it or around it; without a path, all of them.

        The notes of checkouts that don't exist any more are removed.
        """
        for noted in checkouts.all():
            if path is not None and not _are_related(noted.folder, os.path.abspath(path)):
                continue
            if not os.path.lexists(noted.folder):
                checkouts.forget(noted.folder)
                continue
            try:
                yield self._one(noted)
            except ArtstoreError as error:
                yield Status(noted, None, None, error)

    def _one(self, noted: Noted) -> Status:
        state = self._refs.read(noted.collection)
        version = state.versions.get(noted.id)
        if not is_live(version):
            return Status(noted, Version(state, version) if version else None, None)
        found = Version(state, version)
        with unless_deleted(self._refs, found):
            return Status(noted, found, self._compared(noted, found))

    def _compared(self, noted: Noted, found: Version) -> Verified:
        cache = StatCache(self._folder, noted.folder, "file" if noted.name is not None else "")
        try:
            verifier = Verifier(self._objects, selection=noted.selection, cache=cache, monitor=self._monitor)
            run = verifier.run if noted.name is None else verifier.run_file
            return run(found.tree, noted.folder)
        finally:
            cache.close()


def _are_related(folder: str, other: str) -> bool:
    """Whether one path is the other or is below it."""
    return os.path.commonpath([folder, other]) in (folder, other)
