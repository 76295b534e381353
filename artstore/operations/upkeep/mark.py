"""Marking: finding all objects that live versions reach."""

import os
from collections.abc import Iterator, Set

from artstore.domain.collection import State, VersionState, digest_of_state, id_of_state
from artstore.domain.digest import TREE, VERSION, Digest, from_hex, short
from artstore.domain.properties import property_digests
from artstore.domain.recipes import Segment
from artstore.domain.tree import DIRECTORY, PART, REFERENCE, decode_tree
from artstore.errors import Damage, DamagedLog, DamagedObject, MissingObject, StorageError
from artstore.progress import Monitor
from artstore.store.content import HEAL
from artstore.store.logs import Log, last_number
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs
from artstore.store.runs import Runs

_TRIES = 10
"""Reads of a log in which versions are deleted and collected at the same time."""


class Marks:
    """The set of digests that live versions reach.

    `refresh` reads the logs again and adds what they reach now; nothing is ever taken out. Both it and the constructor
    raise Damage if a log entry, version or tree can't be read: then nothing may be collected.
    """

    def __init__(
        self,
        objects: ObjectStore,
        refs: Refs,
        runs: Runs,
        monitor: Monitor,
        *,
        without: Set[str] = frozenset(),
        kept: Set[Digest] = frozenset(),
    ) -> None:
        """Read all logs, and mark what their versions reach.

        Args:
            without: Versions to take as deleted, as `<folder of the log>@<id>`.
            kept: Blobs to take as reachable.
        """
        self._objects = objects
        self._refs = refs
        self._runs = runs
        self._without = without
        self._monitor = monitor
        self._heads: dict[str, int] = {}
        """by folder of a log, the number of the entry up to which it is marked"""
        self.reachable: set[Digest] = set(kept)
        """without parts of large blobs"""
        self._parts: set[Digest] = set()
        """of large blobs that are reachable"""
        self.packs: set[str] = set()
        """packs whose recipes are known, or can't be read"""
        self.unread = False
        """whether a pack couldn't be read, which may have recipes"""
        self._recipes: list[tuple[Digest, tuple[Segment, ...] | None]] = []
        """large blobs with the segments that one of their recipes names; None for one that can't be read"""
        self._live: dict[str, int] = {}
        """by folder of a collection's log, its number of live versions"""
        self.refresh()

    def __contains__(self, digest: object, /) -> bool:
        return digest in self.reachable or digest in self._parts

    @property
    def versions(self) -> int:
        """The number of live versions that were marked. A link is one."""
        return sum(self._live.values())

    def refresh(self) -> None:
        """Mark what became reachable since the last call. Cost: one listing for each log, and reading those that grew."""
        if self._objects.here and not os.path.isdir(self._objects.here.path("refs")):
            raise DamagedLog("refs/ is missing: nothing is collected", hint="restore it from a copy")
        for folder in self._refs.paths():
            for attempt in range(_TRIES):
                head = last_number(Log(self._objects.storage, folder).listing())
                if self._heads.get(folder) == head:
                    break
                state = self._refs.read_folder(folder, checkpoints=False)
                try:
                    self._mark_collection(state)
                except MissingObject:
                    # Perhaps the version was deleted and collected since the log was read. Then the log has grown, and
                    # is read again. Otherwise the object is lost.
                    if attempt == _TRIES - 1 or last_number(Log(self._objects.storage, folder).listing()) == head:
                        raise
                    continue
                if state.pending is None:  # otherwise the next entry of another log can change what it reaches
                    self._heads[folder] = head
                break
        for folder in self._runs.paths():
            self._mark_run(folder)
        self._mark_segments()

    def _mark_segments(self) -> None:
        """Mark the parts of reachable blobs. Each copy of a recipe counts: readers and savers may rely on any.

        Packs are listed anew each time: a blob may have been packed since, on parts that nothing else needs.
        """
        packs, large = self._objects.packs, self._objects.large
        while new := packs.refresh() - self.packs:
            for name in sorted(new):
                self.packs.add(name)
                try:
                    if packs.has_frames(name):
                        self._recipes += large.packed.recipes_in(name)
                except FileNotFoundError:
                    continue  # merged: what was in it is in a pack of the next listing
                except (Damage, OSError, StorageError):
                    self.unread = True
        for blob, segments in self._recipes:
            if blob not in self.reachable:
                continue
            if segments is not None:
                self._parts.update(part.digest for segment in segments for part in segment.parts)
            elif blob not in large.sizes([blob]):
                raise DamagedObject(f"the recipe of blob {short(blob)} is damaged: nothing is collected", hint=HEAL)

    def recipes(self) -> Iterator[tuple[Digest, tuple[Segment, ...]]]:
        """The reachable blobs that have recipes, with the segments that one of them names. Wrong recipes are left out."""
        return ((blob, segments) for blob, segments in self._recipes if segments and blob in self.reachable)

    def _mark_run(self, folder: str) -> None:
        """Mark the sealed parts of a run's history and files."""
        for attempt in range(_TRIES):
            head = last_number(Log(self._objects.storage, folder).listing())
            if self._heads.get(folder) == head:
                return
            state = self._runs.read_folder(folder, checkpoints=False)
            try:
                self._mark_trees({tree.digest for tree in state.folders()})
            except MissingObject:  # as for a collection: perhaps another tree has replaced it
                if attempt == _TRIES - 1 or last_number(Log(self._objects.storage, folder).listing()) == head:
                    raise
                continue
            self.reachable.update(state.blobs())
            self._heads[folder] = head
            return

    def _mark_collection(self, state: State) -> None:
        """Mark everything that the live versions of a collection reach."""
        # 1. Long metadata and descriptions.
        live = [v for v in state.live() if f"{state.path.folder}@{v['id']}" not in self._without]
        self.reachable.update(property_blobs(state, live))
        # 2. Read the records of versions that are not marked yet: an unreadable one is an error.
        new = {id_of_state(version): version for version in live if id_of_state(version) not in self.reachable}
        for _ in self._objects.read_many(dict.fromkeys(new, VERSION)):
            pass
        # 3. Their trees, and the trees of unfinished versions.
        self._mark_trees({digest_of_state(version) for version in new.values()} | part_trees(state))
        # 4. Mark the versions themselves last: if a tree is lost, the next try reads them again.
        self.reachable.update(new)
        self._live[state.path.folder] = len(live)

    def _mark_trees(self, roots: set[Digest]) -> None:
        add_reached(self._objects, roots, self.reachable, self._monitor)


def add_reached(objects: ObjectStore, level: Set[Digest], reachable: set[Digest], monitor: Monitor) -> None:
    """Add trees and everything below them to what is reachable, unless they are in it already.

    Level by level: at a distant place each level is one round of requests.
    """
    while level := level - reachable:
        below: set[Digest] = set()
        for _, digest, data in objects.read_many(dict.fromkeys(level, TREE)):
            for entry in decode_tree(bytes(data), digest):
                if entry.kind in (DIRECTORY, PART):
                    below.add(entry.digest)
                elif entry.kind != REFERENCE:
                    reachable.add(entry.digest)
            reachable.add(digest)
            monitor.advance(1)
        level = below


def property_blobs(state: State, live: list[VersionState]) -> Iterator[Digest]:
    """The blobs that hold long properties of a collection and of its live versions, and extras of unfinished ones."""
    for owner in ({"description": state.description, "blobs": state.blobs}, *live):
        yield from property_digests(owner)
    for part in (part for parts in state.upserts.values() for part in parts if part.get("extras")):
        yield from_hex(part["extras"])


def part_trees(state: State) -> set[Digest]:
    """The root trees of all parts of unfinished versions."""
    return {from_hex(part["tree"]) for parts in state.upserts.values() for part in parts}
