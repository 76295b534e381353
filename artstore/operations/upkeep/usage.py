"""Disk use: bytes in each part of a repository."""

from collections.abc import Iterable
from typing import NamedTuple

from artstore.domain.collection import State
from artstore.store.objects import ObjectStore
from artstore.store.packset import PACKS


class Usage(NamedTuple):
    """Bytes on disk, and what the live versions would take as plain folders."""

    packs: int
    pack_bytes: int
    blobs: int
    blob_bytes: int
    log_bytes: int
    trash_bytes: int
    bad_bytes: int
    tmp_bytes: int
    cache_bytes: int
    versions: int
    version_bytes: int


def usage(objects: ObjectStore, collections: Iterable[State]) -> Usage:
    def below(*folders: str) -> int:
        return sum(size for folder in folders for _, size in objects.storage.below(folder))

    packs = [size for path, size in objects.storage.below(PACKS) if path.endswith(".pack")]
    blobs = [size for _, size in objects.large.all()]
    sizes = [version["size"] for state in collections for version in state.live()]
    return Usage(
        len(packs), sum(packs), len(blobs), sum(blobs), below("refs", "runs"), below("trash"), below("bad"),
        below("tmp"), below("cache"), len(sizes), sum(sizes),
    )  # fmt: skip
