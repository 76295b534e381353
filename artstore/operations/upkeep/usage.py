"""Disk use: the bytes of each part of a repository, and of one version."""

import re
from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from typing import NamedTuple

from artstore.domain.collection import State, VersionState, digest_of_state, id_of_state
from artstore.domain.digest import RECIPE, Digest, from_hex
from artstore.domain.properties import property_digests
from artstore.domain.tree import DIRECTORY, walk
from artstore.errors import Damage, StorageError
from artstore.operations.upkeep.mark import Marks, add_reached
from artstore.progress import Monitor
from artstore.store.objects import ObjectStore
from artstore.store.paths import PACKS, blob_path
from artstore.store.refs import Refs
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
    packed_bytes: int
    """that packed files take; a segment that several of them have counts once"""
    saved_bytes: int
    """that these files would take more if they weren't packed"""

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
    sealed = dict(_stored(objects, histories.blobs))
    packed, plain = _packed(objects)
    return Usage(
        len(packs), sum(packs), len(blobs), sum(blobs.values()), below("refs") + sum(size for _, size in of_runs),
        below("trash"), below("bad"), below("tmp"), below("cache"), len(sizes), sum(sizes),
        sum(packs) + sum(blobs.values()) - sum(sealed.values()), len(histories.folders),
        sum(sealed.values()) + histories.log_bytes + sum(size for _, size in open_files), packed, plain - packed,
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


def _packed(objects: ObjectStore) -> tuple[int, int]:
    """The bytes that packed files take, and those that they would take as they are."""
    packed, whole, parts = 0, dict[Digest, int](), set[Digest]()
    names = sorted(objects.packs.refresh())
    for name in names:
        with suppress(Damage, OSError, StorageError):  # fsck reports it
            for blob, segments in objects.large.packed.recipes_in(name) if objects.packs.has_frames(name) else ():
                whole[blob] = sum(segment.length for segment in segments or ())
                parts.update(part.digest for segment in segments or () for part in segment.parts)
    for name in names:
        for _, row in objects.large.packed.rows_in(name):
            if row.kind == RECIPE or row.digest in parts:
                packed += row.stored_bytes
            elif row.stored_bytes < row.size:
                packed += row.stored_bytes
                whole[row.digest] = row.size
    return packed, sum(whole.values())


def _stored(objects: ObjectStore, wanted: Set[Digest]) -> Iterator[tuple[Digest, int]]:
    """The bytes that objects take: (digest, bytes) of each; of a packed blob, for its segments and its recipe."""
    found, large = objects.packs.locate_many(wanted)
    for _, rows in found:
        yield from ((row.digest, row.stored_bytes) for row in rows)
    files = objects.storage.sizes([blob_path(digest) for digest in large])
    for digest in large:
        if (size := files.get(blob_path(digest))) is not None:
            yield digest, size
        elif (packed := objects.large.packed.find(digest)) is not None:
            yield from ((row.digest, row.stored_bytes) for _, row in packed.places.values())
            recipe = next((row for _, row in objects.packs.places(digest) if row.kind == RECIPE), None)
            if recipe is not None and (len(packed.segments) > 1 or packed.deltas):
                yield digest, recipe.stored_bytes


class VersionUsage(NamedTuple):
    """The disk use of one version: of its files, trees and long properties, without the indexes of packs."""

    disk_bytes: int
    """that it takes: what it has several times counts once"""
    shared_bytes: int
    """of these, what other versions have too, or runs"""

    @property
    def own_bytes(self) -> int:
        """What only it has: `gc` can free it once the version is deleted."""
        return self.disk_bytes - self.shared_bytes

    def as_dict(self) -> dict[str, int]:
        """All three, for --json."""
        return {**self._asdict(), "own_bytes": self.own_bytes}


def usage_of(
    objects: ObjectStore, refs: Refs, runs: Runs, folder: str, version: VersionState, monitor: Monitor
) -> VersionUsage:
    """Measure the disk use of a version of the collection whose log is in `folder`.

    Cost: that of the marks of a gc, as all other versions are read. Raises Damage if one can't be read.
    """
    monitor.start("reading", "folder")
    others = Marks(objects, refs, runs, monitor, without={f"{folder}@{version['id']}"})
    reached = {id_of_state(version), *property_digests(version)}
    add_reached(objects, {digest_of_state(version)}, reached, monitor)
    stored = dict(_stored(objects, reached))
    return VersionUsage(sum(stored.values()), sum(size for digest, size in stored.items() if digest in others))
