"""Transactions: adding objects to the store, in a way that no collector removes what they rely on.

A transaction's folder under tmp/ tells collectors that a process relies on stored objects.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Self

from artstore.backends.durability import WholeSync
from artstore.backends.files import closing_fd, copy_hashed, hash_file, remove_if_there, write_file
from artstore.backends.owner import this_process
from artstore.domain.codec import MAX_BYTES
from artstore.domain.digest import BLOB, KIND_NAMES, TREE, VERSION, Digest, ObjectKind, digest_of, short
from artstore.domain.frames import Encoded
from artstore.domain.names import printable
from artstore.domain.recipes import Part, Recipe, Segment, encode_recipe
from artstore.domain.version import MAX_VERSION
from artstore.errors import InvalidValue, MissingObject, StorageError, UnknownOutcome, storage_error
from artstore.store.copying import copied
from artstore.store.framed import FramedWriter
from artstore.store.layout import Operation, check_format
from artstore.store.objects import ObjectStore
from artstore.store.packs import LARGE, PackWriter, Row
from artstore.store.paths import PACKS, blob_path, pack_path
from artstore.store.publishing import publish_all, sync_files
from artstore.store.relied import AGAIN, Relied
from artstore.store.segments import Packed
from artstore.store.sides import Objects, Source
from artstore.store.trash import bring_back

_MOST = {TREE: MAX_BYTES, VERSION: MAX_VERSION}
"""Most bytes of a tree and of a version: readers accept no more."""
_LOOKS = 10
_PAUSE = 0.001
"""Seconds by which each next wait is longer. A collector's run needs time to see that it has to give something back."""
_SYNC_WHOLE_FROM = 16
"""With this many large files or more, two `syncfs` (before and after the links) are faster than an fsync for each file.

Tested with power cuts on ext4, XFS and btrfs.
"""


class Transaction:
    """Objects that are being added, and those that are relied on. Unpublished objects are discarded at `close`.

    Open it before the first look-up of an object, and close it after `ensure`. Order of use: `add`/`add_large`/`rely` →
    `publish` → the log entry → `ensure` → `close`. One thread adds; any thread may call `copy_large`.
    """

    def __init__(self, objects: ObjectStore, operation: Operation = "write", *, source: Source | None = None) -> None:
        """Claim a folder. Raises UnsupportedFormat if the operation needs a feature that this artstore lacks."""
        self._source = source
        self._relied = Relied(objects)
        self.objects = objects
        self.storage = objects.storage
        self.owner = this_process()
        self.folder = f"tmp/{self.owner}"
        self.new_objects = 0
        self.new_bytes = 0
        self._pid = os.getpid()
        self._failed = self._leave = False
        self._writer: PackWriter | None = None
        self._segments: FramedWriter | None = None
        self._unchecked: list[Packed] = []
        """large blobs of others, whose recipes may be wrong"""
        self._finished: list[PackWriter] = []
        self._copied: dict[str, str] = {}  # final path → staged path of large blobs that were hashed as copied
        self._new_trees: dict[Digest, tuple[PackWriter, int]] = {}
        self._sizes: set[int] | None = None
        self._numbers = itertools.count(1)  # shared by the threads that copy
        with self.storage.writing():
            self._staging = self.storage.claim(self.folder)
        try:
            with self.storage.writing():
                self._sync = WholeSync(self._staging)
            check_format(self.storage, operation)
            objects.packs.refresh()
        except BaseException:
            self.storage.remove_folder(self.folder)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, UnknownOutcome):
            self._leave = True  # the entry may have been written: its objects stay claimed until `gc --abandon`
        try:
            self.close()
        except StorageError:
            if error is None:
                raise

    def close(self) -> None:
        """Remove the folder and everything left in it. In a forked child, only close descriptors."""
        self._end_pack()
        for writer in self._finished:
            writer.close()
        self._sync.close()
        if os.getpid() == self._pid and not self._leave:
            copied = self.objects.large.own_copies(self._copied)
            self.storage.remove_folder(self.folder)
            self.objects.large.note_copied(copied)

    @property
    def sends_later(self) -> bool:
        """Whether bytes go to the place when they are published: then it is a distant one."""
        return self.storage.distant

    def staged(self) -> str:
        """A new path in this transaction's folder. Any thread may call this."""
        return f"{self._staging}/{next(self._numbers)}"

    # -- adding --

    def knows(self, digest: Digest) -> bool:
        """Whether this transaction has added or relied on an object."""
        return digest in self._relied.small or digest in self._relied.large

    def add(self, kind: ObjectKind, data: bytes | memoryview, digest: Digest | None = None) -> Digest:
        """Store a small object, or rely on it if it is stored already."""
        digest = digest or digest_of(kind, data)
        if digest in self._relied.small or self._rely_small(digest):
            return digest
        if kind != BLOB and len(data) > _MOST[kind]:
            what = f"a {KIND_NAMES[kind]} would have {len(data)} bytes; nobody reads more than {_MOST[kind]}"
            raise InvalidValue(what, hint="spread what one folder holds over several, or name fewer parents")
        self._begin_writing()
        writer = self._writer
        try:
            if writer is None:
                writer = self._writer = PackWriter(self.staged())
            if kind == TREE:
                self._new_trees[digest] = writer, len(writer)
            writer.add(kind, digest, data)
        except OSError as error:
            raise storage_error(error, f"write to {printable(self.storage.root)}") from error
        self._failed = False
        self._relied.small[digest] = None
        self.new_objects += 1
        self.new_bytes += len(data)
        self._end_pack(self.storage.roll_at)
        return digest

    def _begin_writing(self) -> None:
        """Count this transaction as failed until the write is done: after an error the pack's content is unknown."""
        if self._failed:
            raise StorageError("an earlier write of this transaction failed", hint=AGAIN)
        self._failed = True

    def _end_pack(self, size: int = 0) -> None:
        """Write to another pack from now on, if the open one has at least `size` bytes."""
        if self._writer is not None and self._writer.size >= size:
            self._finished.append(self._writer)
            self._writer = None
        if self._segments is not None and self._segments.size >= size:
            self._finished.append(self._segments)
            self._segments = None

    def add_missing(self, objects: list[tuple[Digest, memoryview]]) -> None:
        """Store small blobs that `rely_many` didn't find."""
        fresh = [(digest, data) for digest, data in objects if digest not in self._relied.small]
        self._begin_writing()
        with self.storage.writing():
            writer = self._writer = self._writer or PackWriter(self.staged())
            before = writer.size
            writer.add_many(BLOB, fresh)
        self._failed = False
        self._relied.small.update(dict.fromkeys((digest for digest, _ in fresh), None))
        self.new_objects += len(fresh)
        self.new_bytes += writer.size - before
        self._end_pack(self.storage.roll_at)

    def write_through(self) -> None:
        """Write what was added, whose bytes nobody needs to keep any more. It isn't published by this."""
        for writer in (self._writer, self._segments):
            if writer is not None:
                self._begin_writing()
                with self.storage.writing():
                    writer.write_through()
                self._failed = False

    def rely_large(self, large: dict[Digest, int]) -> set[Digest]:
        """Rely on those of these large blobs (digest → size) that are stored, and return their digests."""
        if self.objects.here is not None:
            return {digest for digest, size in large.items() if self.rely(BLOB, digest, size)}
        there = self.objects.large.sizes(list(large))
        own = {digest: size for digest, (size, _) in self._relied.large.items()}
        found = {digest for digest, size in large.items() if own.get(digest, there.get(digest)) == size}
        for digest in found:
            self._relied.large.setdefault(digest, (large[digest], None))
        return found

    def bring_large(
        self, source: Objects, digest: Digest, size: int, advance: Callable[[int], None], there: int | None
    ) -> str:
        """Copy a large blob of another place into the transaction. Returns the staged path. Any thread may call this."""
        return copied(source, digest, size, self.staged, advance, there)

    def add_missing_large(self, digest: Digest, size: int, staged: str) -> None:
        """Add a staged large blob that `rely_large` didn't find."""
        self._relied.large[digest] = size, staged
        self.new_objects += 1
        self.new_bytes += size

    def rely_on(
        self, small: Iterable[Digest], large: dict[Digest, int]
    ) -> tuple[Mapping[Digest, int | None], set[Digest]]:
        """Rely on those of these objects that are stored: see `rely_many` and `rely_large`."""
        return self.rely_many(small), self.rely_large(large)

    def rely_many(self, digests: Iterable[Digest]) -> dict[Digest, int | None]:
        """Rely on those of these small objects that are stored.

        Returns their sizes; None for one that was added here.
        """
        known: dict[Digest, int | None] = {digest: None for digest in digests if digest in self._relied.small}
        places, _ = self.objects.packs.locate_many(set(digests) - known.keys())
        for pack, rows in places:
            known.update((row.digest, row.size) for row in rows)
            self._relied.small.update((row.digest, pack) for row in rows)
        return known

    # -- segments of large blobs --

    def rely_on_parts(self, parts: Set[Part]) -> set[Part]:
        """Rely on those of these segments and deltas that are in packs, and return them."""
        places, _ = self.objects.packs.locate_many({part.digest for part in parts}, parts=True)
        rows = {row.digest: (pack, row) for pack, some in places for row in some}
        found = set[Part]()
        for part in parts:
            pack, row = rows.get(part.digest, ("", None))
            if row is not None and part.fits(row.kind, row.size):
                self._relied.small.setdefault(part.digest, pack)
                found.add(part)
            elif part.digest in self._relied.small:  # it was added here
                found.add(part)
        return found

    def add_part(self, row: Row, stored: memoryview) -> None:
        """Store a segment or delta as another pack of frames stores it. Its bytes are written later."""
        with self._adding(row.digest, row.length) as writer:
            writer.copy(row, stored)

    def add_segment(self, segment: Segment, encoded: Encoded) -> None:
        """Store a segment whole."""
        with self._adding(segment.digest, len(encoded.stored)) as writer:
            writer.add_frame(encoded, segment.length, [(BLOB, segment.digest, 0, segment.length)])

    @contextmanager
    def _adding(self, digest: Digest, size: int) -> Iterator[FramedWriter]:
        """The writer of the pack of frames. What is added in the block is relied on."""
        self._begin_writing()
        with self.storage.writing():
            self._segments = self._segments or FramedWriter(self.staged())
            yield self._segments
        self._failed = False
        self._relied.small[digest] = None
        self.new_objects += 1
        self.new_bytes += size

    def add_packed(self, blob: Packed, *, checked: bool) -> None:
        """Add a large blob of which all parts were added or relied on.

        Unless it was `checked` that they make up this blob, `publish` does so.
        """
        if (named := Recipe(blob.size, blob.segments)).is_needed:
            recipe = encode_recipe(named)
            self._begin_writing()
            with self.storage.writing():
                writer = self._segments = self._segments or FramedWriter(self.staged())
                writer.add_recipe(blob.digest, recipe)
            self._failed = False
            self.new_bytes += len(recipe)
        self._unchecked += [] if checked else [blob]
        self._relied.large[blob.digest] = blob.size, None
        self._end_pack(self.storage.roll_at)

    def _rely_small(self, digest: Digest) -> bool:
        pack = self.objects.packs.holding(digest)
        if pack is None:
            return False
        self._relied.small[digest] = pack
        return True

    def rely(self, kind: ObjectKind, digest: Digest, size: int) -> bool:
        """Rely on an object that should be stored.

        Returns False if it isn't, or is damaged: then it must be read again.
        """
        if digest in self._relied.large:
            return self._relied.large[digest][0] == size
        if digest in self._relied.small:
            return True
        if kind != BLOB or size < LARGE:
            return self._rely_small(digest)
        if self.objects.large.may_rely_on(digest, size):
            self._relied.large[digest] = size, None
            return True
        return False

    def recover(self, kind: ObjectKind, digest: Digest, size: int) -> bool:
        """Rely on an object, and bring it back from the trash if a collector took it. Returns False if it is gone.

        It is gone if ten look-ups find it in neither place: between two look-ups runs may move it back and forth.
        """
        for look in range(_LOOKS):
            if self.rely(kind, digest, size):
                return True
            if kind == BLOB and size >= LARGE:
                brought = self._relied.bring_large_back(digest)
            else:
                pack = self.objects.packs.in_trash(digest)
                brought = {pack_path(pack)} if pack and bring_back(self.storage, pack_path(pack)) else set()
            self.objects.packs.refresh()
            if brought:
                self.storage.sync_names(sorted({path.rpartition("/")[0] for path in brought}))
            else:
                time.sleep(look * _PAUSE)
        return self.rely(kind, digest, size)

    def recover_large(self, digest: Digest) -> bool:
        """Rely on a large blob whose size isn't known, or bring it back from the trash, like `recover`."""
        size = self.objects.large.readable({digest}).get(digest, 0)
        return size >= LARGE and self.recover(BLOB, digest, size)

    def copy_large(self, source: int, size: int, advance: Callable[[int], None]) -> tuple[Digest, str | None] | None:
        """Copy a large file into the transaction and hash the copy.

        Returns (digest, staged path), or None if the file ended early. The path is None if the blob is stored already.
        If a stored blob has the same size, the file is hashed first, because it is probably stored; else it is copied
        at once.
        """
        if self._sizes is None:
            self._sizes = self.objects.large.all_sizes()
        if size in self._sizes:
            digest, read = hash_file(source, advance)
            if read == size and self.objects.large.may_rely_on(digest, size):
                return digest, None
            advance(-read)
            if read != size:
                return None
            os.lseek(source, 0, os.SEEK_SET)
        staged = self.staged()
        with closing_fd(os.open(staged, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)) as target:
            try:
                copied = copy_hashed(source, target, size, own=target, advance=advance)
            except BaseException:
                remove_if_there(staged)
                raise
        if copied is None:
            remove_if_there(staged)
            return None
        return copied, staged

    def add_large(self, digest: Digest, size: int, staged: str | None) -> None:
        """Add or rely on a large blob that `copy_large` returned. A staged file that isn't needed is removed."""
        if digest in self._relied.large or staged is None:
            self._relied.large.setdefault(digest, (size, None))
        elif self.objects.large.may_rely_on(digest, size):
            self._relied.large[digest] = size, None
        else:
            self.add_missing_large(digest, size, staged)
            return
        if staged is not None:
            remove_if_there(staged)

    def add_bytes(self, data: bytes) -> Digest:
        """Store a blob of any size from memory."""
        if len(data) < LARGE:
            return self.add(BLOB, data)
        digest, staged = digest_of(BLOB, data), self.staged()
        with self.storage.writing():
            write_file(staged, data, mode=0o444, sync=False)
        self.add_large(digest, len(data), staged)
        return digest

    def add_staged(self, path: str, advance: Callable[[int], None]) -> tuple[Digest, int]:
        """Add a file that was written at a `staged` path. Returns (digest, size). `advance` counts the bytes read."""
        with self.storage.writing():
            with closing_fd(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
                digest, size = hash_file(fd, advance)
                if size < LARGE:
                    self.add(BLOB, os.pread(fd, size, 0), digest)
                else:
                    os.fchmod(fd, 0o444)
                    self.add_large(digest, size, path)
                    return digest, size
            remove_if_there(path)
        return digest, size

    def read_tree(self, digest: Digest) -> bytes:
        """The bytes of a tree that was added here or is stored."""
        if found := self._new_trees.get(digest):
            writer, number = found
            with self.storage.writing():  # what was added before it may not be written yet
                return writer.object(number)
        return self.objects.read_tree(digest)

    # -- publishing --

    def publish(self, sent: Callable[[int], None] = lambda n: None) -> None:
        """Give everything that was added so far its final name, durably.

        Bytes are synced before their name appears, because other processes may rely on a name at once. `sent` counts
        those that are sent to a distant place.
        """
        self._begin_writing()  # a failed sync is final: what is staged is never synced again
        with self.storage.writing():
            # Finish the packs, which syncs them.
            self._end_pack()
            targets: dict[str, str] = {}
            for writer in self._finished:
                name = writer.finish(sync=not self.storage.distant).hex()
                targets[pack_path(name)] = writer.path
                self.objects.packs.know(name, writer.known)
            staged = {writer.name: writer.path for writer in self._finished}
            self.objects.large.packed.check_new(self._unchecked, staged)
            self._finished, self._unchecked = [], []
            self._new_trees = {}  # they are read from the store now
            # Sync the large blobs: all at once if there are many.
            large = {blob_path(digest): staged for digest, (_, staged) in self._relied.large.items() if staged}
            large = {path: staged for path, staged in large.items() if path not in self._relied.published}
            whole = len(large) >= _SYNC_WHOLE_FROM and self._sync.run()
            if not whole and not self.storage.distant:
                sync_files(large.values())
            # Give all their names, then make the names durable.
            targets.update(large)
            publish_all(self.objects, targets, sent)
            self._relied.published.update(targets)
            if not (whole and self._sync.run()):
                self.storage.sync_names(self._relied.folders_to_sync(targets))
            self._copied.update(large)
        self._failed = False

    # -- after the commit --

    def ensure(self) -> None:
        """Check that every pack and large blob that was written or relied on is there, and put back what was collected.

        A collector moves files first and then reads the refs; a transaction publishes its entry first and then calls
        this. So whichever looks second sees what the other did. Raises MissingObject if something is gone for good:
        then what was committed must be withdrawn.
        """
        for _ in range(100):
            restored = self._restore_packs() | self._restore_large()
            if not restored:
                return
            self.storage.sync_names(sorted({path.rpartition("/")[0] for path in restored}))
        what = f"a collector keeps taking what is saved in {printable(self.storage.root)}"
        raise MissingObject(what, hint="find out what runs `gc` in a loop")

    def _restore_packs(self) -> set[str]:
        restored, lost = self._relied.restore_packs()
        for digest in lost:
            if self._source is None or (found := self._source.small(digest)) is None:
                raise MissingObject(f"object {short(digest)} was collected while this relied on it", hint=AGAIN)
            del self._relied.small[digest]
            self.add(*found, digest)
            restored.add(f"{PACKS}/")
        if self._writer is not None:
            self.publish()
        return restored

    def _restore_large(self) -> set[str]:
        restored, lost = self._relied.restore_large()
        for digest in lost:
            size, staged = self._relied.large[digest]
            again = None if staged or self._source is None else self._source.large(digest, size, self.staged)
            if again is not None:
                self._relied.large[digest] = size, again
                self.storage.publish(again, blob_path(digest))
                restored.add(blob_path(digest))
            elif not self.objects.large.has(digest, size):
                raise MissingObject(f"blob {short(digest)} was collected while this relied on it", hint=AGAIN)
        return restored
