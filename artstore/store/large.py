"""Large blobs: files below objects/blobs, or stored in packs."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Set
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.digest import Digest, from_hex, is_hex, short
from artstore.domain.names import printable
from artstore.errors import Damage, DamagedObject, MissingObject, StorageError, storage_error
from artstore.store.content import HEAL, Content, FileContent
from artstore.store.packset import PackSet
from artstore.store.paths import BLOBS, blob_path
from artstore.store.trash import trashed
from artstore.store.verified import VerifiedNotes

if TYPE_CHECKING:
    from artstore.store.packed import PackedBlobs
    from artstore.store.segments import Packed, PackedContent

_LOOKS = 4


class LargeBlobs:
    """The large blobs of a storage. With `kept`, damaged ones are moved into bad/.

    Any thread may call `copy`; all other methods must be called by one thread.
    """

    def __init__(self, storage: Storage, packs: PackSet, *, kept: bool = True, here: FolderStorage | None) -> None:
        """`here` is the storage itself if it is a repository on this host, else None."""
        self._storage = storage
        self._here = here
        self._kept = kept
        self.verified = VerifiedNotes(here)
        self._packs = packs
        self._lock = Lock()

    @cached_property
    def packed(self) -> PackedBlobs:
        """Those that are in packs."""
        from artstore.store.packed import PackedBlobs  # most commands meet none

        return PackedBlobs(self._packs, self.verified, self._lock)

    def _in_packs(self, digest: Digest) -> Packed | None:
        """A blob that is in packs with all its segments, as of the last listing."""
        there = next(self._packs.places(digest), None)
        return self.packed.find(digest) if there is not None else None

    def sizes(self, digests: list[Digest]) -> dict[Digest, int]:
        """The size in bytes of each of these blobs that is in objects/, as a file or in packs."""
        there = self._storage.sizes([blob_path(digest) for digest in digests])
        found = {digest: there[blob_path(digest)] for digest in digests if blob_path(digest) in there}
        packed = (self._in_packs(digest) for digest in digests if digest not in found)
        return found | {blob.digest: blob.size for blob in packed if blob is not None}

    def readable(self, digests: Set[Digest]) -> dict[Digest, int]:
        """The size in bytes of each of these blobs that can be read: it is in objects/, or waits in the trash."""
        found = self.sizes(list(digests))
        if len(found) == len(digests):
            return found
        absent = {digest.hex(): digest for digest in digests - found.keys()}
        waiting = trashed(self._storage)
        for path in waiting:
            digest = absent.get(path.rpartition("/")[2])
            if digest is not None and (size := self._storage.size(path)) is not None:
                found[digest] = size
        if digests - found.keys():  # one may have been given back, or packed, since it was looked for in objects/
            self._packs.refresh()
            found |= self.sizes(list(digests - found.keys()))
        if any(path.endswith(".pack") for path in waiting):
            packed = (self.packed.find_anywhere(digest) for digest in digests - found.keys())
            found |= {blob.digest: blob.size for blob in packed if blob is not None}
        return found

    def there(self, large: dict[Digest, int]) -> set[Digest]:
        """Which of these blobs are in objects/ with the right size."""
        sizes = self.sizes(list(large))
        return {digest for digest, size in large.items() if sizes.get(digest) == size}

    def has(self, digest: Digest, size: int) -> bool:
        """Whether a large blob is in objects/ with the right size. A file is always looked up anew."""
        return self._storage.size(blob_path(digest)) == size or self.is_packed(digest, size)

    def is_packed(self, digest: Digest, size: int) -> bool:
        """Whether a large blob with this size is in packs with all its segments, as of the last listing."""
        packed = self._in_packs(digest)
        return packed is not None and packed.size == size

    def may_rely_on(self, digest: Digest, size: int) -> bool:
        """Whether a large blob is stored and right. A file that changed since it was hashed is hashed again.

        A damaged one is moved into bad/. One in packs is hashed once on each host: others may have made its recipe.
        """
        if self._here is None:
            return self.sizes([digest]) == {digest: size}
        try:
            status = self._here.stat(blob_path(digest))
        except OSError:
            return self.is_right_in_packs(digest, size)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return False
        if not self.verified.contradicts(digest, status):
            return True
        try:
            self.check(digest, size)
        except (Damage, StorageError):
            return False
        return True

    def is_right_in_packs(self, digest: Digest, size: int) -> bool:
        """Whether a large blob with this size is in packs, and right: see `Content.verify`."""
        packed = self._in_packs(digest)
        if packed is None or packed.size != size:
            return False
        try:
            with self.packed.open(packed) as content:
                content.verify()
        except (DamagedObject, FileNotFoundError, StorageError):
            return False
        return True

    def files(self) -> Iterator[tuple[Digest, int]]:
        """(digest, size) of each large blob that is a file in objects/."""
        for path, size in sorted(self._storage.below(BLOBS)):
            name = path.rpartition("/")[2]
            if is_hex(name) and path == blob_path(bytes.fromhex(name)):
                yield from_hex(name), size

    def all_sizes(self) -> set[int]:
        """The sizes of all large blobs. A file of another size isn't stored yet."""
        framed = self._packs.have_frames()
        return {size for _, size in (*self.files(), *(self.packed.all() if framed else ()))}

    def find(self, digest: Digest) -> str | None:
        """The path of a large blob that is a file in objects/ or trash/, or None.

        Both are searched twice, because the blob may be moved from one to the other meanwhile.
        """
        name = digest.hex()
        for _ in range(2):
            if self._storage.size(blob_path(digest)) is not None:
                return blob_path(digest)
            if found := next((path for path in trashed(self._storage) if path.endswith("/" + name)), None):
                return found
        return None

    def open(self, digest: Digest, size: int) -> Content:
        """Open a large blob with the right size, not hashed. Raises MissingObject or DamagedObject."""
        if (content := self._look_for(digest)) is not None:
            if content.size != size:
                with content:
                    content.refuse_size(size)
            return content
        if any(name.startswith(digest.hex() + ".") for name in self._storage.names("bad")):
            raise DamagedObject(f"blob {short(digest)} is damaged, and was set aside in bad/", hint=HEAL)
        raise self._missing(digest)

    def _look_for(self, digest: Digest) -> FileContent | PackedContent | None:
        """Open a large blob, whatever its size is. None if it is nowhere.

        Whoever moves it stores it elsewhere first, or in the trash. It may be moved between two looks: then it is
        looked for again.
        """
        for _ in range(_LOOKS):
            try:
                if (content := self._found(digest)) is not None:
                    return content
            except FileNotFoundError:
                continue  # one of its packs is gone since it was found
        return None

    def _found(self, digest: Digest) -> FileContent | PackedContent | None:
        """A large blob, if it is where one look finds it. Raises FileNotFoundError if a pack with it is gone since."""
        if (file := self._file(digest, blob_path(digest))) is not None:
            return file
        if (packed := self._in_packs(digest)) is not None:
            return self.packed.open(packed)
        if (path := self.find(digest)) is not None and (file := self._file(digest, path)) is not None:
            return file
        packed = self.packed.find_anywhere(digest)
        return self.packed.open(packed) if packed is not None else None

    def _file(self, digest: Digest, path: str) -> FileContent | None:
        try:
            fd = self._storage.open(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error, f"open blob {short(digest)}") from error
        return FileContent(fd, digest, path=path, notes=self.verified, aside=self.set_aside)

    def copy(
        self, digest: Digest, size: int, target: int, advance: Callable[[int], None], *, there: int | None = None
    ) -> tuple[Digest, int]:
        """Copy a large blob into an open file. Returns (digest, bytes) of what was written, for the caller to compare.

        `there` is the size that `sizes` returned, if known. Raises MissingObject, and DamagedObject for another size.
        Any thread may call this.
        """
        path = blob_path(digest) if there is not None else self.find(digest)
        for _ in range(_LOOKS):
            try:
                if path is not None:
                    self._compare_size(path, digest, size, there)
                    return self._storage.copy_out(path, target, advance)
                if (packed := self.packed.find_anywhere(digest)) is None:
                    break
                with self.packed.open(packed) as content:
                    content.copy_to(target, advance)
                return digest, packed.size
            except FileNotFoundError:  # it was moved since it was found
                path, there = self.find(digest), None
        raise self._missing(digest)

    def _compare_size(self, path: str, digest: Digest, size: int, known: int | None) -> None:
        """Raises DamagedObject for another size than that recorded, FileNotFoundError if the file is gone."""
        actual = known if known is not None else self._storage.size(path)
        if actual is None:
            raise FileNotFoundError(path)
        if actual != size:
            where = printable(self._storage.root)
            raise DamagedObject(f"blob {short(digest)} in {where} has {actual} bytes instead of {size}", hint=HEAL)

    def _missing(self, digest: Digest) -> MissingObject:
        return MissingObject(f"blob {short(digest)} is missing from {printable(self._storage.root)}", hint=HEAL)

    def check(self, digest: Digest, size: int) -> None:
        """Open and hash a stored large blob. If it is wrong in two reads, move it into bad/ and raise DamagedObject."""
        with self.open(digest, size) as content:
            content.check()

    def read(self, digest: Digest) -> bytes | None:
        """The bytes of a large blob, checked. None if it is nowhere. Raises DamagedObject."""
        if (content := self._look_for(digest)) is None:
            return None
        with content:
            content.verify()
            return content.read(0, content.size)

    def own_copies(self, copied: dict[str, str]) -> list[tuple[str, os.stat_result]]:
        """(path, stat) of the stored blobs that are the same files as the staged ones that we hashed.

        `copied` maps the blobs' final paths to the staged paths.
        """
        if self._here is None:
            return []
        found = []
        for path, staged in copied.items():
            try:
                status = self._here.stat(path)
                if os.path.samestat(status, os.stat(staged)):
                    found.append((path, status))
            except OSError:
                continue  # a collector took it, or the file system has no hard links
        return found

    def note_copied(self, copied: list[tuple[str, os.stat_result]]) -> None:
        """Note the files that `own_copies` found as verified.

        Their stats are read again, because removing the staged names has changed their ctimes.
        """
        if self._here is None:
            return
        notes = []
        for path, before in copied:
            try:
                after = self._here.stat(path)
            except OSError:
                continue
            if (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns):
                notes.append((from_hex(path.rpartition("/")[2]), after))
        self.verified.note(notes)

    def set_aside(self, digest: Digest, read: os.stat_result) -> None:
        """Move a damaged large blob into bad/, so that its name is free for the next save. Evidence is never deleted.

        Only the same file that was `read` is moved: another reader may have moved that one already, and a save may have
        stored the blob again.
        """
        try:
            if self._kept:
                self._storage.set_aside(blob_path(digest), f"bad/{digest.hex()}.{os.urandom(4).hex()}", read)
        except (OSError, StorageError):
            pass  # a read-only repository: the error says that it is damaged all the same
