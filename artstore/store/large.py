"""Large blobs, each a file below objects/blobs, and notes of those that were verified."""

import os
import stat
import struct
from collections.abc import Callable, Iterator, Set

from artstore.backends.files import closing_fd, hash_file, is_own
from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.digest import Digest, from_hex, is_hex, short
from artstore.domain.names import printable
from artstore.errors import Damage, DamagedObject, MissingObject, StorageError, storage_error, translated
from artstore.store.trash import trashed

BLOBS = "objects/blobs"
HEAL = (
    "save the same content again, or let `artstore fsck --repair` look for a copy "
    "(of a remote: `artstore fsck REMOTE --repair`)"
)

_NOTE = struct.Struct(">32sQQQqq")  # digest, device, inode, size, mtime, ctime
_PATH = "cache/verified"


def blob_path(digest: bytes) -> str:
    name = digest.hex()
    return f"{BLOBS}/{name[:2]}/{name}"


class LargeBlobs:
    """The large blobs of a storage. With `kept`, damaged ones are moved into bad/.

    Any thread may call `copy`; all other methods must be called by one thread.
    """

    def __init__(self, storage: Storage, *, kept: bool = True, here: FolderStorage | None) -> None:
        """`here` is the storage itself if it is a repository on this host, else None."""
        self._storage = storage
        self._here = here
        self._kept = kept
        self.verified = VerifiedNotes(here)

    def sizes(self, digests: list[Digest]) -> dict[Digest, int]:
        """The size in bytes of each of these blobs that is in objects/."""
        found = self._storage.sizes([blob_path(digest) for digest in digests])
        return {digest: found[blob_path(digest)] for digest in digests if blob_path(digest) in found}

    def readable(self, digests: Set[Digest]) -> dict[Digest, int]:
        """The size in bytes of each of these blobs that can be read: it is in objects/, or waits in the trash."""
        found = self.sizes(list(digests))
        absent = {digest.hex(): digest for digest in digests - found.keys()}
        for path in trashed(self._storage) if absent else ():
            digest = absent.get(path.rpartition("/")[2])
            if digest is not None and (size := self._storage.size(path)) is not None:
                found[digest] = size
        return found

    def there(self, large: dict[Digest, int]) -> set[Digest]:
        """Which of these blobs are in objects/ with the right size."""
        sizes = self.sizes(list(large))
        return {digest for digest, size in large.items() if sizes.get(digest) == size}

    def has(self, digest: Digest, size: int) -> bool:
        """Whether a large blob is in objects/ with the right size. It is always looked up anew."""
        return self._storage.size(blob_path(digest)) == size

    def may_rely_on(self, digest: Digest, size: int) -> bool:
        """Whether a large blob is stored and right. A file that changed since it was hashed is hashed again.

        A damaged one is moved into bad/.
        """
        if self._here is None:
            return self._storage.sizes([blob_path(digest)]) == {blob_path(digest): size}
        try:
            status = self._here.stat(blob_path(digest))
        except OSError:
            return False
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return False
        if not self.verified.contradicts(digest, status):
            return True
        try:
            self.check(digest, size)
        except (Damage, StorageError):
            return False
        return True

    def all(self) -> Iterator[tuple[Digest, int]]:
        """(digest, size) of each large blob in objects/."""
        for path, size in sorted(self._storage.below(BLOBS)):
            name = path.rpartition("/")[2]
            if is_hex(name) and path == blob_path(bytes.fromhex(name)):
                yield from_hex(name), size

    def find(self, digest: Digest) -> str | None:
        """The path of a large blob in objects/ or trash/, or None.

        Both are searched twice, because the blob may be moved from one to the other meanwhile.
        """
        name = digest.hex()
        for _ in range(2):
            if self._storage.size(blob_path(digest)) is not None:
                return blob_path(digest)
            if found := next((path for path in trashed(self._storage) if path.endswith("/" + name)), None):
                return found
        return None

    def open(self, digest: Digest, size: int) -> tuple[int, str]:
        """(descriptor, path) of a large blob with the right size, not hashed. Raises MissingObject or DamagedObject."""
        for attempt in range(4):
            path = blob_path(digest) if attempt == 0 and self._here is not None else self.find(digest)
            if path is None:
                break
            try:
                fd = self._storage.open(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise storage_error(error, f"open blob {short(digest)}") from error
            if os.fstat(fd).st_size == size:
                return fd, path
            with closing_fd(fd):
                self._judge_size(digest, fd, size)
        if any(name.startswith(digest.hex() + ".") for name in self._storage.names("bad")):
            raise DamagedObject(f"blob {short(digest)} is damaged, and was set aside in bad/", hint=HEAL)
        raise MissingObject(f"blob {short(digest)} is missing from {printable(self._storage.root)}", hint=HEAL)

    def copy(
        self, digest: Digest, size: int, target: int, advance: Callable[[int], None], *, there: int | None = None
    ) -> tuple[Digest, int]:
        """Copy a large blob into an open file. Returns (digest, bytes) of what was written, for the caller to compare.

        `there` is the size that `sizes` returned, if known. Raises MissingObject, and DamagedObject for another size.
        Any thread may call this.
        """
        path = blob_path(digest) if there is not None else self.find(digest)
        actual = there if there is not None else self._storage.size(path) if path is not None else None
        if path is None or actual is None:
            raise MissingObject(f"blob {short(digest)} is missing from {printable(self._storage.root)}", hint=HEAL)
        if actual != size:
            where = printable(self._storage.root)
            raise DamagedObject(f"blob {short(digest)} in {where} has {actual} bytes instead of {size}", hint=HEAL)
        try:
            return self._storage.copy_out(path, target, advance)
        except FileNotFoundError as error:
            raise MissingObject(f"blob {short(digest)} was collected while it was copied", hint=HEAL) from error

    def _judge_size(self, digest: Digest, fd: int, size: int) -> None:
        """Find out whether a blob or the tree that records another size for it is wrong, and raise DamagedObject.

        If the blob is wrong, it is moved into bad/.
        """
        actual = os.fstat(fd).st_size
        if self._hashed(digest, fd) == digest:
            claim = f"a tree says that blob {short(digest)} has {size} bytes"
            raise DamagedObject(f"{claim}, and it has {actual}", hint=HEAL)
        self.set_aside(digest, os.fstat(fd))
        raise DamagedObject(f"blob {short(digest)} is damaged: it has {actual} bytes instead of {size}", hint=HEAL)

    def verify(self, digest: Digest, fd: int, size: int) -> None:
        """Hash a large blob, unless it is unchanged since it was last hashed.

        If it is wrong in two reads, it is moved into bad/ and DamagedObject is raised.
        """
        if not self.verified.holds(digest, os.fstat(fd)):
            self.hash(digest, fd, size)

    def hash(self, digest: Digest, fd: int, size: int) -> None:
        """Hash a large blob, whatever is noted. If it is wrong, do as `verify` does."""
        if self._hashed(digest, fd) != digest and self._hashed(digest, fd) != digest:
            self.set_aside(digest, os.fstat(fd))
            raise DamagedObject(f"blob {short(digest)} is damaged", hint=HEAL)
        self.verified.note([(digest, os.fstat(fd))])

    def check(self, digest: Digest, size: int) -> None:
        """Open and hash a stored large blob. If it is wrong in two reads, move it into bad/ and raise DamagedObject."""
        with closing_fd(self.open(digest, size)[0]) as fd:
            self.hash(digest, fd, size)

    def _hashed(self, digest: Digest, fd: int) -> Digest:
        with translated(f"read blob {short(digest)} in {printable(self._storage.root)}"):
            return hash_file(fd)[0]

    def read(self, digest: Digest) -> bytes:
        path = self.find(digest)
        size = (self._storage.size(path) if path else None) or 0
        with closing_fd(self.open(digest, size)[0]) as fd:
            self.verify(digest, fd, size)
            return os.pread(fd, size, 0)

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


class VerifiedNotes:
    """Notes of which stored files were hashed and found right. A file counts as verified while its stat is as noted.

    The stat includes the ctime, which can't be set back as the mtime can; the mode isn't compared. The notes are in an
    append-only file, 72 bytes each. The last note of a digest counts, and a torn note matches nothing. A file that
    others can have written is replaced, not read: they could make wrong bytes pass as right.
    """

    def __init__(self, storage: FolderStorage | None) -> None:
        """Without a storage there are no notes, and none are kept."""
        self._storage = storage
        self._notes: dict[bytes, tuple[int, ...]] | None = None

    def _load(self) -> dict[bytes, tuple[int, ...]]:
        if self._notes is None:
            if self._storage is None:
                return {}
            try:
                data = self._storage.read(_PATH, own=True)
            except (FileNotFoundError, StorageError):
                data = b""
            whole = len(data) - len(data) % _NOTE.size
            self._notes = {note[0]: note[1:] for note in _NOTE.iter_unpack(data[:whole])}
            if len(self._notes) * 2 < whole // _NOTE.size - 1000 or whole < len(data):
                self._write()
        return self._notes

    def holds(self, digest: Digest, status: os.stat_result) -> bool:
        return self._load().get(digest) == _key(status)

    def contradicts(self, digest: Digest, status: os.stat_result) -> bool:
        """Whether the file has changed since it was hashed. False if there is no note."""
        noted = self._load().get(digest)
        return noted is not None and noted != _key(status)

    def note(self, files: list[tuple[Digest, os.stat_result]]) -> None:
        """Note these files as verified. The notes are lost if the cache can't be written."""
        notes = self._load()
        new = [(digest, _key(status)) for digest, status in files if notes.get(digest) != _key(status)]
        notes.update(new)
        if new:
            self._append(b"".join(_NOTE.pack(digest, *key) for digest, key in new))

    def _append(self, data: bytes) -> None:
        """Append notes, only to a file of our own and never through a symlink."""
        if self._storage is None:
            return
        try:
            self._storage.make_folder("cache")
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with closing_fd(os.open(self._storage.path(_PATH), flags, 0o644)) as fd:
                if not is_own(os.fstat(fd)):
                    raise PermissionError
                os.write(fd, data)
        except (OSError, StorageError):
            self._write()

    def _write(self) -> None:
        if self._storage is None or self._notes is None:
            return
        try:
            self._storage.replace(_PATH, b"".join(_NOTE.pack(digest, *note) for digest, note in self._notes.items()))
        except StorageError:
            pass  # a cache: the next reader hashes again


def _key(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
