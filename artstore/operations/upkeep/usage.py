"""Disk use: the bytes of each part of a repository."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from artstore.domain.collection import State
from artstore.domain.digest import Digest, from_hex
from artstore.domain.tree import DIRECTORY, walk
from artstore.errors import Damage
from artstore.store.objects import ObjectStore
from artstore.store.paths import PACKS
from artstore.store.runs import FILES, HISTORY, Runs

_OPEN = re.compile(rf"((?:[^/]+/){{3}}[^/]+)/(?:{re.escape(HISTORY)}|{re.escape(FILES)})")
"""The path of a file of a run that isn't sealed yet, and the folder of the run's log."""


class Usage(NamedTuple):
    """The disk use of a repository."""

    packs: int
    """number of packs"""
    pack_bytes: int
    blobs: int
    """number of large blobs"""
    blob_bytes: int
    log_bytes: int
    """of the logs of collections and runs"""
    trash_bytes: int
    bad_bytes: int
    """of files that were kept as damaged"""
    tmp_bytes: int
    cache_bytes: int
    versions: int
    """number of live versions"""
    version_bytes: int
    """of all files of the live versions, if each version were a plain folder"""
    stored_bytes: int
    """of packs and large blobs, without the histories and files of runs in them: what versions take"""
    histories: int
    """number of runs that logged steps or have files"""
    history_bytes: int
    """of these histories and files: in packs, large blobs and logs, and in what runs add to

    A file that a version has too counts as the run's.
    """

    @property
    def entry_bytes(self) -> int:
        """Bytes of all logs, without histories of runs."""
        return self.pack_bytes + self.blob_bytes + self.log_bytes - self.stored_bytes - self.history_bytes


class _Histories:
    """The histories and files of all runs, by where they are."""

    def __init__(self) -> None:
        self.blobs: set[Digest] = set()
        self.trees: set[Digest] = set()
        """the trees of runs' files"""
        self.log_bytes = 0
        """of histories that are so short that they are in the logs"""
        self.folders: set[str] = set()
        """the logs of runs that have a history or files"""


def usage(objects: ObjectStore, collections: Iterable[State], runs: Runs, damaged: list[Damage] | None = None) -> Usage:
    """Measure the disk use of a repository. If the log of a run can't be read, its error is added to `damaged`.

    Cost: a listing of all its files, reading all collections, and a small file for each run that ended.
    """

    def below(*folders: str) -> int:
        return sum(size for folder in folders for _, size in objects.storage.below(folder))

    packs = [size for path, size in objects.storage.below(PACKS) if path.endswith(".pack")]
    blobs = dict(objects.large.files())
    sizes = [version["size"] for state in collections for version in state.live()]
    of_runs, histories = list(objects.storage.below("runs")), _histories(runs, damaged)
    open_files = [(found[1], size) for path, size in of_runs if (found := _OPEN.match(path))]
    histories.folders.update(folder for folder, _ in open_files)
    for tree in objects.readable(histories.trees):
        entries = walk(tree, objects.read_tree)
        histories.blobs.update(entry.digest for _, entry in entries if entry.kind != DIRECTORY)
    sealed = {digest: size for digest, size in blobs.items() if digest in histories.blobs}
    sealed |= objects.sizes(histories.blobs - sealed.keys())
    return Usage(
        len(packs), sum(packs), len(blobs), sum(blobs.values()), below("refs") + sum(size for _, size in of_runs),
        below("trash"), below("bad"), below("tmp"), below("cache"), len(sizes), sum(sizes),
        sum(packs) + sum(blobs.values()) - sum(sealed.values()), len(histories.folders),
        sum(sealed.values()) + histories.log_bytes + sum(size for _, size in open_files),
    )  # fmt: skip


def _histories(runs: Runs, damaged: list[Damage] | None) -> _Histories:
    """What is sealed of all runs, and of deleted ones whose histories and files wait for `gc`."""
    found = _Histories()
    for folder in runs.paths():
        try:
            state = runs.ended(folder) or vars(runs.read_folder(folder))
        except Damage as error:
            if damaged is None:
                raise
            damaged.append(error)
            continue
        for part in filter(None, state["files"].values()):
            found.folders.add(folder)
            found.trees.add(from_hex(part["tree"]))
        for part in state["history"].values():
            found.folders.add(folder)
            found.log_bytes += len((part["text"] or "").encode())
            if part["blob"]:
                found.blobs.add(from_hex(part["blob"]))
    return found
