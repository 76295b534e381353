"""Packing: large blobs that are files become segments in packs, small ones groups; what had them goes last."""

import os
from collections import Counter, deque
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import islice
from typing import NamedTuple

from artstore.backends.files import forget_pages
from artstore.domain.cutting import Piece, cuts
from artstore.domain.digest import BLOB, Digest, digest_of, from_hex, is_hex, short
from artstore.domain.frames import encode
from artstore.domain.recipes import MOST_SEGMENTS, Recipe, Segment
from artstore.errors import ArtstoreError, Damage, DamagedObject, NoSpace, StorageError, translated
from artstore.operations.upkeep.ancestry import Ancestry
from artstore.operations.upkeep.beside import Candidate
from artstore.operations.upkeep.blobs import BlobPack
from artstore.operations.upkeep.grouping import Grouper
from artstore.operations.upkeep.mark import Marks
from artstore.operations.upkeep.merge import MERGE_GRACE, publish
from artstore.operations.upkeep.removal import Everything, Removal, Removed, sweep
from artstore.progress import Monitor
from artstore.store.checkouts import Checkouts
from artstore.store.content import Content
from artstore.store.framed import FramedWriter
from artstore.store.objects import ObjectStore
from artstore.store.paths import BLOBS, blob_path, pack_path
from artstore.store.refs import Refs
from artstore.store.runs import Runs
from artstore.store.transaction import Transaction

WORTH = 0.97
"""A blob is packed if it then takes this part of its size or less."""
_SAMPLES = 8
"""Pieces of a blob that are encoded to estimate what it takes when it is packed."""
_ROLL = 256 << 20
"""Bytes after which a pack is finished: then the files that are in it can go."""


class Packing(NamedTuple):
    """The result of packing."""

    blobs: int
    """large blobs that were packed"""
    blob_bytes: int
    """of their files"""
    stored_bytes: int
    """of the packs that hold what was not stored yet"""
    small_blobs: int
    """small blobs that were put together in compressed groups"""
    small_bytes: int
    """of the packs that had them"""
    small_stored_bytes: int
    """of the packs that have them now"""
    linked: int
    """blobs that stay files because something else links to them"""
    trashed_bytes: int
    """of files and packs that wait in the trash, for gc to delete them"""
    waits_for: tuple[str, ...]
    """open transactions, because of which the files wait in the trash"""
    problems: tuple[str, ...]

    @property
    def freed_bytes(self) -> int:
        """Bytes that the repository takes less, once nothing waits in the trash."""
        return self.blob_bytes - self.stored_bytes + self.small_bytes - self.small_stored_bytes


class Packer:
    """Packs the blobs of a repository. Others may save, read and collect meanwhile."""

    def __init__(self, objects: ObjectStore, refs: Refs, runs: Runs, monitor: Monitor) -> None:
        self._objects = objects
        self._refs = refs
        self._runs = runs
        self._monitor = monitor
        self._problems: list[str] = []
        self._linked = 0

    def foresee(self) -> Packing:
        """What `run` would do, by samples. Changes nothing."""
        return self._foreseen(self._worth_packing(self._candidates()))

    def _foreseen(self, todo: list[Candidate]) -> Packing:
        size, stored = sum(one.size for one in todo), int(sum(one.size * one.part for one in todo))
        small = Grouper(self._objects, self._monitor).foresee()
        return Packing(len(todo), size, stored, *small[:3], self._linked, 0, (), tuple(self._problems))

    def run(
        self, *, is_enough: Callable[[Packing], bool] | None = None, packed: Callable[[], None] = lambda: None
    ) -> Packing:
        """Pack all blobs that are worth it, the small ones last.

        Each pack is published, and read back, before the files and packs go that had what is in it.

        Args:
            is_enough: Is given what `foresee` would return. If it says no, nothing is packed.
            packed: Is called each time after files went.

        Raises:
            NoSpace: There is no space for a pack. What was packed before stays so.
        """
        sweep(self._objects.storage)
        with Transaction(self._objects, "gc") as tx:
            todo = deque(self._worth_packing(self._candidates()))
            if is_enough is not None and not is_enough(self._foreseen([*todo])):
                return Packing(0, 0, 0, 0, 0, 0, self._linked, 0, (), tuple(self._problems))
            self._monitor.start("packing", "blob")
            self._monitor.expect(len(todo), sum(one.size for one in todo))
            blobs = blob_bytes = stored = trashed = 0
            waits = dict[str, None]()
            while todo:
                some, size = self._pack_some(tx, todo)
                tx.ensure()
                stored += size
                if some := [digest for digest in some if self._reads_back(digest)]:
                    blobs += len(some)
                    blob_bytes += sum(self._objects.large.sizes(some).values())
                    removed = self._let_go(tx, some)
                    packed()
                    trashed += removed.kept_bytes
                    waits |= dict.fromkeys(removed.waits_for)
            small = Grouper(self._objects, self._monitor).run(tx)
        waits |= dict.fromkeys(small.waits_for)
        trashed, problems = trashed + small.trashed_bytes, (*self._problems, *small.problems)
        return Packing(blobs, blob_bytes, stored, *small[:3], self._linked, trashed, tuple(waits), problems)

    # -- what to pack --

    def _candidates(self) -> list[Candidate]:
        """The reachable blobs that are files, with the pieces into which each is cut and an estimate by samples."""
        if not (files := list(self._objects.large.files())):
            return []
        self._monitor.start("looking", "blob")
        marks = Marks(self._objects, self._refs, self._runs, Monitor())
        elders = Ancestry(self._objects, self._refs, self._runs).elders
        order = {digest: number for number, digest in enumerate(elders)}
        held, found = self._held(), []
        for digest, size in sorted(files, key=lambda one: order.get(one[0], -1)):
            if digest not in marks:
                continue
            try:
                if (names := self._names_of(digest)) != 1 or digest in held:
                    self._linked += names > 0
                    continue
                with self._objects.large.open(digest, size) as content:
                    pieces = list(islice(cuts(size, content.read), MOST_SEGMENTS + 1))
                    if len(pieces) <= MOST_SEGMENTS:  # else the file stays: no recipe has more
                        part = _estimate(content, pieces)
                        found.append(Candidate(digest, size, pieces, elders.get(digest, []), part))
            except (Damage, StorageError) as error:
                self._problems.append(str(error))
            self._monitor.advance(1)
        return found

    def _held(self) -> set[Digest]:
        """The blobs to whose files a checkout on this host has symbolic links."""
        here, found = self._objects.here, set[Digest]()
        root = os.path.realpath(here.path(BLOBS)) if here is not None else ""
        for noted in Checkouts(here).all() if here is not None else ():
            for folder, _, names in os.walk(noted.folder):
                for name in names:
                    path = os.path.join(folder, name)
                    parent, _, blob = os.path.realpath(path).rpartition("/") if os.path.islink(path) else ("", "", "")
                    if parent.startswith(f"{root}/") and is_hex(blob):
                        found.add(from_hex(blob))
        return found

    def _names_of(self, digest: Digest) -> int:
        """The number of names of a blob's file: if it has others, removing this one frees nothing. 0 if it is gone."""
        here = self._objects.here
        with translated(f"look at blob {short(digest)}"), suppress(FileNotFoundError):
            return 1 if here is None else here.stat(blob_path(digest)).st_nlink
        return 0

    def _worth_packing(self, found: list[Candidate]) -> list[Candidate]:
        """Those that get smaller: their segments shrink, or others have the same ones. The others are hashed for this."""
        recipes = {one.digest: self._recipe_of(one) for one in found if one.part > WORTH}
        times = Counter(segment for recipe in recipes.values() for segment in set(recipe.segments))
        absent = set(self._objects.packs.locate_many({segment.digest for segment in times}, parts=True)[1])

        def part(one: Candidate) -> float:
            segments = recipes[one.digest].segments if one.digest in recipes else ()
            new = sum(segment.length / times[segment] for segment in segments if segment.digest in absent)
            return new / one.size if segments else one.part

        return [one._replace(part=part(one)) for one in found if part(one) <= WORTH]

    def _recipe_of(self, one: Candidate) -> Recipe:
        with self._objects.large.open(one.digest, one.size) as content:
            hashed = ((piece.length, content.read(piece.offset, piece.length)) for piece in one.pieces)
            return Recipe(one.size, tuple(Segment(length, digest_of(BLOB, data)) for length, data in hashed))

    # -- packing --

    def _pack_some(self, tx: Transaction, todo: deque[Candidate]) -> tuple[list[Digest], int]:
        """Publish a pack with the next blobs. Returns them, and the bytes of the pack; 0 if nothing new was needed."""
        self._objects.packs.refresh()
        with tx.storage.writing(), closing(FramedWriter(tx.staged())) as writer:
            pack = BlobPack(tx, writer, self._monitor.advance)
            while todo and writer.size < _ROLL:
                try:
                    pack.add(todo.popleft())
                except (Damage, StorageError) as error:
                    if isinstance(error, NoSpace):
                        raise
                    self._problems.append(str(error))
            if not len(writer):  # nothing was packed, or only blobs that are segments of others
                return pack.blobs, 0
            publish(tx, writer)
        if self._objects.here is not None:
            forget_pages(self._objects.here.path(pack_path(writer.name)))
        return pack.blobs, writer.size

    # -- letting go --

    def _reads_back(self, digest: Digest) -> bool:
        """Whether a blob can be read from packs, from the disk, and all of it is right."""
        large = self._objects.large
        try:
            if (packed := large.packed.find(digest)) is None:
                raise DamagedObject(f"blob {short(digest)} can't be found in the packs after it was packed")
            with large.packed.open(packed) as content:
                content.check()
        except (ArtstoreError, FileNotFoundError) as error:
            self._problems.append(f"{error}; its file stays")
            return False
        return True

    def _let_go(self, tx: Transaction, packed: list[Digest]) -> Removed:
        """Remove the files of packed blobs, or move them to the trash where others may still use an old listing."""
        grace = 0.0 if self._objects.storage.local else MERGE_GRACE
        with Removal(self._objects, "merge", own_transaction=str(tx.owner)) as removal:
            for digest in packed:
                removal.take_blob(digest)
            return removal.finish(Everything(), keep_mine=grace > 0)


def _estimate(content: Content, pieces: list[Piece]) -> float:
    """The part of its size that a blob takes as segments, by encoding some of them."""
    step = max(1, len(pieces) // _SAMPLES)
    size = stored = 0
    for piece in pieces[::step]:
        data = content.read(piece.offset, piece.length)
        size += len(data)
        stored += len(encode(data, piece.widths).stored)
    return stored / size if size else 1.0
