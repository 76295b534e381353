"""A folder on a file system as storage, with what only file systems have: hard links, renames and paths."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import TypeVar

from artstore.backends import durability, files
from artstore.backends.descriptors import RangeReader, read_at
from artstore.backends.mounts import is_local
from artstore.backends.naming import NO_LINKS, link_new
from artstore.backends.owner import this_process
from artstore.backends.reserve import give_up, set_aside
from artstore.domain.digest import Digest
from artstore.domain.names import printable
from artstore.errors import StorageError, storage_error, translated

T = TypeVar("T")

_ABOVE_LOGS = 3
"""Slashes in the path of the folder that has a log's: `/refs/entity/project`."""

MOST = 256 << 20
"""Most bytes of a file that is read whole: no log entry, cache or note of ours is larger."""
YOUNG = 60.0
"""Seconds after which a name is durable without a sync of ours: ext4 commits every 5 s, XFS and btrfs every 30 s."""


class FolderStorage:
    """`Storage` in a folder, with the extra methods of a file system. Data is never read through a symlink."""

    distant = False
    restates = False
    roll_at = 256 << 20

    def __init__(self, root: str, *, foreign: bool = False) -> None:
        """A `foreign` folder may contain links and devices that others made: nothing is read or written through them.

        A folder that other users can write to is always foreign.
        """
        self.root = root
        self.local = self.coherent = is_local(root)
        self._foreign = foreign or files.others_write(root)
        self._named: dict[str, int] = {}
        """the inodes of the folders whose own names this process made durable, by folder"""

    def path(self, path: str) -> str:
        if self._foreign:
            self._refuse_links(path)
        return f"{self.root}/{path}"

    @cached_property
    def _shared(self) -> int:
        """The root's permissions if it is shared with its group, else 0.

        A folder is shared if it is setgid and group-writable, like one of git's `sharedRepository`.
        """
        try:
            mode = os.stat(self.root).st_mode
        except OSError:
            return 0
        return mode & 0o777 if mode & 0o2020 == 0o2020 else 0

    def _refuse_links(self, path: str) -> None:
        """Raise StorageError if a folder above a path is a symlink: in a foreign place even `objects` may be one."""
        parent = path.rpartition("/")[0]
        while parent:
            try:
                if stat.S_ISLNK(os.lstat(f"{self.root}/{parent}").st_mode):
                    raise _link(f"{self.root}/{parent}")
            except (FileNotFoundError, NotADirectoryError):
                pass
            except OSError as error:
                raise storage_error(error, f"look at {printable(f'{self.root}/{parent}')}") from error
            parent = parent.rpartition("/")[0]

    def _folder(self, folder: str) -> str:
        """The path of a folder to list or write to.

        In a foreign place the folder itself must not be a symlink either.
        """
        return self.path(f"{folder}/").rstrip("/")

    # -- the protocol --

    def names(self, folder: str) -> list[str]:
        try:
            return os.listdir(self._folder(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise storage_error(error, f"list {printable(self.path(folder))}") from error

    def steady_names(self, folder: str) -> list[str]:
        """Lists until the folder's mtime doesn't change: a listing during a merge can miss the old and the new file."""
        with translated(f"list {printable(self.path(folder))}"):
            where = self._folder(folder)
            while True:
                before = os.stat(where).st_mtime_ns
                names = os.listdir(where)
                if os.stat(where).st_mtime_ns == before:
                    return names

    def paths(self, folder: str) -> list[str]:
        return [file.path[len(self.root) + 1 :] for file in self._files(folder)]

    def below(self, folder: str) -> list[tuple[str, int]]:
        found = []
        for file in self._files(folder):
            try:
                found.append((file.path[len(self.root) + 1 :], file.stat(follow_symlinks=False).st_size))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise storage_error(error, f"list {printable(file.path)}") from error
        return found

    def _files(self, folder: str) -> Iterator["os.DirEntry[str]"]:
        """The regular files below a folder.

        In a foreign place a link or device in a log's folder is among them, so that reading that log fails: whatever is
        missing would be taken as absent. Raises StorageError for one above logs, and for a folder that can't be listed.
        """
        strict = self._foreign and folder.startswith(("refs", "runs"))
        waiting = [self._folder(folder)]
        while waiting:
            where = waiting.pop()
            plain, folders, odd = list["os.DirEntry[str]"](), list[str](), list[str]()
            in_log = strict and where.count("/", len(self.root)) > _ABOVE_LOGS
            with translated(f"list {printable(where)}"):
                try:
                    with os.scandir(where) as listing:
                        for found in listing:
                            if found.is_dir(follow_symlinks=False) and not (strict and found.name.endswith(".json")):
                                folders.append(found.path)
                            elif in_log or found.is_file(follow_symlinks=False):
                                plain.append(found)
                            else:
                                odd.append(found.path)
                except FileNotFoundError:
                    continue
            if strict and any(map(os.path.lexists, odd)):  # if a listing has no types, a vanished file seems odd too
                raise _link(min(odd))
            yield from plain
            waiting += sorted(folders, reverse=True)

    def read_each(self, paths: list[str], most: int | None = None) -> Iterator[bytes]:
        return (self.read(path, 0, most) for path in paths)

    def read(self, path: str, offset: int = 0, length: int | None = None, *, own: bool = False) -> bytes:
        """With `own`, opens the file by `open_own`."""
        try:
            fd = self.open_own(path) if own else self.open(path)
            try:  # not `closing_fd`, which costs a microsecond: each entry of a log is read here
                size = os.fstat(fd).st_size
                wanted = max(0, size - offset) if length is None else length
                if length is None and wanted > MOST:
                    raise StorageError(
                        f"{printable(self.path(path))} has {size} bytes: more than anything of its kind that artstore writes",
                        hint="somebody else put it there; move it away",
                    )
                return read_at(fd, offset, min(wanted, max(0, size - offset)))
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

    def sizes(self, paths: list[str]) -> dict[str, int]:
        found = {path: self.size(path) for path in paths}
        return {path: size for path, size in found.items() if size is not None}

    def stamp(self, path: str) -> float | None:
        with translated(f"look at {printable(path)} in {printable(self.root)}"):
            try:
                return os.stat(self.path(path)).st_mtime
            except FileNotFoundError:
                return None

    def create(self, path: str, data: bytes) -> bool:
        with translated(f"write {printable(self.path(path))}"):
            return self._with_space(lambda: self._create(path, data))

    def _create(self, path: str, data: bytes) -> bool:
        folder, temporary = path.rpartition("/")[0], self.temporary()
        self.make_folder(folder)
        try:
            files.write_file(temporary, data, mode=0o444, sync=True)
            self._share_file(temporary)
            try:
                link_new(temporary, self.path(path), self._claims)
            except FileExistsError:
                return False
            self.sync_names([folder])
        finally:
            files.remove_if_there(temporary)
        return True

    def _with_space(self, make: Callable[[], T]) -> T:
        """Call `make`. If the disk is full, give up the caches, then the reserve bit by bit, and call it again.

        So on a full disk versions can be deleted, and their space freed.
        """
        while True:
            try:
                return make()
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not give_up(self._folder("cache")):
                    raise

    def reserve(self) -> None:
        """Set space aside that `_with_space` gives up, if there is room for it."""
        set_aside(self.path("cache"), self.temporary())
        if os.path.isfile(self.path("cache/reserve")):
            self._share_file(self.path("cache/reserve"))

    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None:
        with translated(f"write {printable(self.path(path))}"):
            self.make_folder(path.rpartition("/")[0])
            files.replace_file(self.path(path), data, self.temporary(), sync=sync)
            self._share_file(self.path(path))

    def make_durable(self, folder: str) -> None:
        try:
            if self.is_young(folder):
                self.sync_names([folder])
        except FileNotFoundError:
            return

    def remove(self, path: str) -> bool:
        with translated(f"remove {printable(self.path(path))}"):
            return files.remove_if_there(self.path(path))

    def writing(self) -> AbstractContextManager[None]:
        return translated(f"write to {printable(self.root)}")

    # -- who is at work --

    def claim(self, folder: str) -> str:
        self.make_folder(folder.rpartition("/")[0])
        self._with_space(lambda: os.mkdir(self.path(folder)))
        self._share_folder(self.path(folder))
        return self.path(folder)

    def folders(self, folder: str) -> list[str]:
        return [name for name in self.names(folder) if os.path.isdir(self.path(f"{folder}/{name}"))]

    def rename_folder(self, folder: str, target: str) -> bool:
        return self.move(folder, target)

    # -- stored files --

    def open(self, path: str) -> int:
        try:
            fd = os.open(self.path(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _link(self.path(path)) from error
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise StorageError(
                f"{printable(self.path(path))} is not a regular file", hint="somebody else put it there; move it away"
            )
        return fd

    def open_own(self, path: str) -> int:
        """Open a cache or note, whose content isn't checked. Raises StorageError if others can have written it."""
        fd = self.open(path)
        if not files.is_own(os.fstat(fd)):
            os.close(fd)
            raise StorageError(f"{printable(self.path(path))} could be written by somebody else")
        return fd

    def reader(self, path: str) -> tuple[int, Callable[[int, int], bytes], Callable[[], None]]:
        reader = RangeReader(partial(self.open, path))
        return os.fstat(reader.file.fd).st_size, reader.read, reader.close

    # -- what only a file system can do --

    def stat(self, path: str) -> os.stat_result:
        """The stat of a file itself, not of a symlink's target. Raises the system's OSError."""
        return os.stat(self.path(path), follow_symlinks=False)

    def temporary(self) -> str:
        """A new path under tmp/ with this process's name in it, so that the file can be removed if the process dies."""
        return self.path(f"tmp/{this_process()}")

    def make_folder(self, folder: str) -> None:
        """Make a folder and its parents. In a shared repository they are group-writable, whatever the umask."""
        if not self._shared:
            os.makedirs(self._folder(folder), exist_ok=True)
        elif not os.path.isdir(self.path(folder)):
            self.make_folder(folder.rpartition("/")[0])
            try:
                os.mkdir(self.path(folder))
            except FileExistsError:
                return
            self._share_folder(self.path(folder))

    def _claims(self) -> str:
        """Make the folder for claims of names. What a dead process leaves in it means nothing."""
        self.make_folder("cache/claims")
        return self.path("cache/claims")

    def _share_folder(self, path: str) -> None:
        if self._shared:
            os.chmod(path, self._shared | 0o2000)

    def _share_file(self, path: str) -> None:
        if self._shared and os.stat(path).st_uid == os.geteuid():
            os.chmod(path, self._shared & 0o444)

    def publish(self, staged: str, path: str, sent: Callable[[int], None] = lambda n: None) -> bool:
        with translated(f"write {printable(self.path(path))}"):
            self.make_folder(path.rpartition("/")[0])
            self._share_file(staged)
            try:
                link_new(staged, self.path(path), self._claims)
            except FileExistsError:
                return False
        return True

    def move(self, path: str, target: str) -> bool:
        """Rename within the storage.

        Returns False if `path` is gone. The target's folder must exist, its name be free.
        """
        with translated(f"move {printable(self.path(path))}"):
            try:
                os.rename(self.path(path), self.path(target))
            except FileNotFoundError:
                if not os.path.isdir(self.path(target.rpartition("/")[0])):
                    raise
                return False
        return True

    def take(self, path: str, folder: str) -> bool:
        return self.move(path, f"{folder}/{path.rpartition('/')[2]}")

    def give_back(self, trashed: str, path: str) -> None:
        self.rescue(trashed, path)
        self.sync_names([path.rpartition("/")[0]])
        self.remove(trashed)

    def rescue(self, trashed: str, path: str) -> bool:
        """Makes a second link. The collector's run removes its own later."""
        self.publish(self.path(trashed), path)
        return True

    def purge(self, trashed: str) -> int:
        """Frees no bytes while the file has another name in objects/ or bad/."""
        freed = self.only_here(trashed)
        self.remove(trashed)
        return freed

    def only_here(self, path: str) -> int:
        """Bytes that removing a file would free: 0 if it has another name."""
        with translated(f"look at {printable(path)} in {printable(self.root)}"):
            try:
                status = os.stat(self.path(path), follow_symlinks=False)
            except FileNotFoundError:
                return 0
        return status.st_size if status.st_nlink == 1 else 0

    def copy_out(self, path: str, target: int, advance: Callable[[int], None] = lambda n: None) -> tuple[Digest, int]:
        """Clones the file if the file system can."""
        with files.closing_fd(self.open(path)) as fd, files.copying(printable(self.path(path)), target):
            size = os.fstat(fd).st_size
            digest = files.copy_hashed(fd, target, size, own=target, advance=advance)
        if digest is None:
            raise StorageError(f"{printable(self.path(path))} was cut short while it was copied", hint="try again")
        return digest, size

    def keep(self, path: str, aside: str) -> None:
        with translated(f"keep {printable(self.path(path))} in bad/"):
            self.make_folder(aside.rpartition("/")[0])
            try:
                self._link_or_copy(path, aside)
            except FileNotFoundError:
                return

    def _link_or_copy(self, path: str, target: str) -> None:
        try:
            os.link(self.path(path), self.path(target), follow_symlinks=False)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            self._copy(path, target)

    def _copy(self, path: str, target: str) -> None:
        with files.closing_fd(self.open(path)) as source, files.new_file(self.path(target)) as out:
            for _ in files.copy_windows(source, out.fileno(), os.fstat(source).st_size):
                pass

    def set_aside(self, path: str, aside: str, seen: os.stat_result | None = None) -> bool:
        """Brings the file back if it isn't the one that was seen: another reader may have set that aside, and a save
        stored the content again.
        """
        if seen is not None and not os.path.samestat(os.stat(self.path(path), follow_symlinks=False), seen):
            return False
        self.make_folder(aside.rpartition("/")[0])
        if not self.move(path, aside):
            return False
        if seen is not None and not os.path.samestat(os.stat(self.path(aside)), seen):
            self.publish(self.path(aside), path)
            self.remove(aside)
            return False
        return True

    def sync_names(self, folders: list[str]) -> None:
        """Make the names in these folders durable, and once also the folders' own names if they may be new."""
        with translated(f"sync {printable(self.root)}"):
            todo, named = set(folders), dict[str, int]()
            for folder in folders:
                while folder:
                    inside, folder = folder, folder.rpartition("/")[0]
                    inode = os.stat(self.path(inside)).st_ino
                    if self._named.get(inside) != inode and self.is_young(folder):
                        todo.add(folder)
                        named[inside] = inode
            for folder in sorted(todo, key=len, reverse=True):
                durability.sync_folder(self.path(folder) if folder else self.root)
            self._named.update(named)

    def is_young(self, folder: str) -> bool:
        """Whether a name was added or removed in this folder so recently that this may not be durable yet.

        False if there is no such folder.
        """
        try:
            return os.stat(self.path(folder)).st_mtime > self.now() - YOUNG
        except FileNotFoundError:
            return False

    def now(self, *, probe: bool = False) -> float:
        """Seconds since 1970, by the clock that sets this storage's file times, when somebody last began to write.

        It is the mtime of tmp/, which changes with each transaction and log entry, and with `probe` is changed now, by
        an empty file. This host's clock isn't used: it may differ from a server's by hours, and ages must be right.
        """
        if probe:
            temporary = self.temporary()
            try:
                files.write_file(temporary, b"", sync=False)
                files.remove_if_there(temporary)
            except OSError:
                pass  # read-only: nobody writes here, so the last write's time is right
        return self.stamp("tmp") or 0.0  # without one, nobody ever wrote: everything counts as new

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with everything in it. It may be absent."""
        with translated(f"remove {printable(self.path(folder))}"):
            try:
                files.remove_tree(self.path(folder))
            except FileNotFoundError:
                if os.path.lexists(self.path(folder)):
                    raise
            except NotADirectoryError:
                files.remove_if_there(self.path(folder))


def _link(path: str) -> StorageError:
    return StorageError(
        f"{printable(path)} is a symlink, or no file",
        hint="a repository has none: find out who made it; nothing was read or written through it",
    )
