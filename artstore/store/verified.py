"""Notes of which stored files were hashed and found right, so that they need not be hashed again."""

import os
import struct

from artstore.backends.files import closing_fd, is_own
from artstore.backends.storage import FolderStorage
from artstore.domain.digest import Digest
from artstore.errors import StorageError

_KEY = struct.Struct(">QQQqq")  # device, inode, size, mtime, ctime; of a blob in packs a digest and eight zeros
_NOTE = struct.Struct(">32sQQQqq")  # digest, key
_PATH = "cache/verified"


class VerifiedNotes:
    """A file counts as verified while its stat is as noted.

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

    def holds_way(self, digest: Digest, way: bytes) -> bool:
        """Whether a blob was found right when it was put together in this way: a digest of how."""
        return self._load().get(digest) == _KEY.unpack(way + bytes(8))

    def note_way(self, digest: Digest, way: bytes) -> None:
        """Note that a blob is right when it is put together in this way."""
        self._note([(digest, _KEY.unpack(way + bytes(8)))])

    def contradicts(self, digest: Digest, status: os.stat_result) -> bool:
        """Whether the file has changed since it was hashed. False if there is no note."""
        noted = self._load().get(digest)
        return noted is not None and noted != _key(status)

    def note(self, files: list[tuple[Digest, os.stat_result]]) -> None:
        """Note these files as verified. The notes are lost if the cache can't be written."""
        self._note([(digest, _key(status)) for digest, status in files])

    def _note(self, found: list[tuple[Digest, tuple[int, ...]]]) -> None:
        notes = self._load()
        new = [(digest, key) for digest, key in found if notes.get(digest) != key]
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
