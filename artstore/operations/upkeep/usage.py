"""Disk use: the bytes of each part of a repository."""

from collections.abc import Iterable
from typing import NamedTuple

from artstore.domain.collection import State
from artstore.store.objects import ObjectStore
from artstore.store.packset import PACKS


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


def usage(objects: ObjectStore, collections: Iterable[State]) -> Usage:
    """Measure the disk use of a repository. Cost: a listing of all its files, and reading all collections."""

    def below(*folders: str) -> int:
        return sum(size for folder in folders for _, size in objects.storage.below(folder))

    packs = [size for path, size in objects.storage.below(PACKS) if path.endswith(".pack")]
    blobs = [size for _, size in objects.large.all()]
    sizes = [version["size"] for state in collections for version in state.live()]
    return Usage(
        len(packs), sum(packs), len(blobs), sum(blobs), below("refs", "runs"), below("trash"), below("bad"),
        below("tmp"), below("cache"), len(sizes), sum(sizes),
    )  # fmt: skip
