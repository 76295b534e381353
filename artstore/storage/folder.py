"""A folder on a file system as storage: with links, renames and paths for those who map or clone files."""

import os
import stat

from artstore.errors import StorageError, storage_error, translated
from artstore.files import is_local, link_new, remove_if_there, remove_tree, replace_file, sync_folder, write_file
from artstore.names import printable
from artstore.owner import this_process

YOUNG = 60.0
"""Seconds after which a name has reached the medium without our doing: ext4 commits every 5 s, XFS and btrfs every 30
s.
"""


class FolderStorage:
    """`Storage` over a folder, and what only a file system can do. Symlinks below the folder are never followed for
    data.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.local = is_local(root)

    def path(self, path: str) -> str:
        return f"{self.root}/{path}"

    # -- the protocol --

    def names(self, folder: str) -> list[str]:
        try:
            return os.listdir(self.path(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise storage_error(error, f"list {printable(self.path(folder))}") from error

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        try:
            fd = self.open(path)
            try:
                size = os.fstat(fd).st_size
                return os.pread(fd, size - offset if length is None else length, offset)
            finally:
                os.close(fd)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_error(error, f"read {printable(self.path(path))}") from error

    def size(self, path: str) -> int | None:
        try:
            status = os.stat(self.path(path), follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error, f"look at {printable(self.path(path))}") from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def create(self, path: str, data: bytes) -> bool:
        folder = path.rpartition("/")[0]
        temporary = self.temporary()
        with translated(f"write {printable(self.path(path))}"):
            self.make_folder(folder)
            try:
                write_file(temporary, data, mode=0o444, sync=True)
                try:
                    link_new(temporary, self.path(path))
                except FileExistsError:
                    return False
                self.sync_names([folder])
            finally:
                remove_if_there(temporary)
        return True

    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None:
        with translated(f"write {printable(self.path(path))}"):
            self.make_folder(path.rpartition("/")[0])
            replace_file(self.path(path), data, self.temporary(), sync=sync)

    def settle(self, folder: str) -> None:
        try:
            young = self.is_young(folder)
        except FileNotFoundError:
            return
        if young:
            self.sync_names([folder])

    def remove(self, path: str) -> bool:
        with translated(f"remove {printable(self.path(path))}"):
            return remove_if_there(self.path(path))

    # -- what only a file system can do --

    def open(self, path: str) -> int:
        """A descriptor of a regular file for reading; never through a symlink, never hangs. OSError as the system gives
        it.
        """
        fd = os.open(self.path(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise StorageError(
                f"{printable(self.path(path))} is not a regular file", hint="somebody else put it there; move it away"
            )
        return fd

    def temporary(self) -> str:
        """A path under tmp/ that names its owner, so that it can be swept when that is dead."""
        return self.path(f"tmp/{this_process()}")

    def make_folder(self, folder: str) -> None:
        os.makedirs(self.path(folder), exist_ok=True)

    def publish(self, staged: str, path: str) -> bool:
        """Give a finished, synced file its final name by a link (the staged name may remain). False when the name was
        taken.
        """
        with translated(f"write {printable(self.path(path))}"):
            self.make_folder(path.rpartition("/")[0])
            try:
                link_new(staged, self.path(path))
            except FileExistsError:
                return False
        return True

    def move(self, path: str, target: str) -> bool:
        """Rename within the storage; False when `path` is gone. The target's folder exists and its name is not in use."""
        with translated(f"move {printable(self.path(path))}"):
            try:
                os.rename(self.path(path), self.path(target))
            except FileNotFoundError:
                if not os.path.isdir(self.path(target.rpartition("/")[0])):
                    raise
                return False
        return True

    def sync_names(self, folders: list[str]) -> None:
        """Make the names in these folders durable, and the folders' own names where they may be young."""
        with translated(f"sync {printable(self.root)}"):
            todo = set(folders)
            for folder in folders:
                while folder:
                    folder = folder.rpartition("/")[0]
                    if self.is_young(folder):
                        todo.add(folder)
            for folder in sorted(todo, key=len, reverse=True):
                sync_folder(self.path(folder) if folder else self.root)

    def is_young(self, folder: str) -> bool:
        """Whether a name was added to (or taken from) this folder so lately that it may not have reached the medium."""
        return os.stat(self.path(folder)).st_mtime > self.now() - YOUNG

    def now(self, *, probe: bool = False) -> float:
        """Seconds since 1970 by the clock that stamps this storage's files, as of when somebody last began to write.

        Another host's clock may be off by hours, and ages must not: tmp/ changes with every transaction and entry, and
        (`probe`) with an empty file made for this.
        """
        if probe:
            temporary = self.temporary()
            try:
                write_file(temporary, b"", sync=False)
                remove_if_there(temporary)
            except OSError:
                pass  # read-only: nobody writes here, and the clock stands still
        try:
            return os.stat(self.path("tmp")).st_mtime
        except FileNotFoundError:
            return 0.0  # nobody ever wrote: everything counts as young

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with all in it; absent is fine."""
        with translated(f"remove {printable(self.path(folder))}"):
            try:
                remove_tree(self.path(folder))
            except FileNotFoundError:
                if os.path.lexists(self.path(folder)):
                    raise
            except NotADirectoryError:
                remove_if_there(self.path(folder))
