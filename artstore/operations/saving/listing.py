"""Listing a folder for a save: its files and subfolders, without those that are ignored or protected."""

import errno
import os
import stat
from typing import NamedTuple

from artstore.backends.files import has_download_rules, kind_of, read_rules
from artstore.backends.owner import left_by
from artstore.domain.ignore import DOWNLOADS, GIT_IGNORE_FILE, IGNORE_FILE, PathFilter, Rules, ignored
from artstore.domain.names import check_component, check_root_component, is_protected, printable
from artstore.errors import InvalidValue
from artstore.operations.saving.problems import VANISHED, Problems, reason_of
from artstore.store.statcache import Stat


class OpenFolder(NamedTuple):
    """A folder that is open for reading."""

    fd: int
    path: bytes
    """below the root, with a slash at its end; empty for the root"""
    device: int
    inode: int

    @classmethod
    def of(cls, fd: int, path: bytes) -> "OpenFolder":
        """The folder that this descriptor is open on. Cost: one stat."""
        st = os.fstat(fd)
        return cls(fd, path, st.st_dev, st.st_ino)

    @property
    def identity(self) -> tuple[int, int]:
        """(device, inode): the same for every path that leads to the folder, and different for every other folder."""
        return self.device, self.inode


class Listing:
    """The files and subfolders of one folder."""

    def __init__(self) -> None:
        self.seen: dict[str, Stat] = {}
        """stats of files and subfolders, in the system's order"""
        self.linked: set[str] = set()
        """files that are read through a symlink"""
        self.folders: dict[str, None] = {}
        """names of subfolders, in the system's order"""
        self.refused: dict[str, str] = {}
        """what can't be saved, such as FIFOs and dangling symlinks, with the reasons: a problem unless it is ignored"""

    def add_folder(self, name: str, inode: int) -> None:
        """Add a subfolder, or a symlink that leads to a folder."""
        self.seen[name] = (stat.S_IFDIR, inode)
        self.folders[name] = None

    def drop(self, name: str) -> None:
        """Leave out a file or subfolder."""
        self.seen.pop(name, None)
        self.refused.pop(name, None)
        self.linked.discard(name)
        self.folders.pop(name, None)


class Lister:
    """Lists the folders of one walk."""

    def __init__(self, own: set[tuple[int, int]], chosen: PathFilter, problems: Problems) -> None:
        """`own` has the devices and inodes of the repository's own folders, which are never saved."""
        self._own = own
        self.left_out: list[str] = []
        """protected folders (.git, .artifacts) that are not saved, and the repository itself"""
        self._filter = chosen
        self._problems = problems

    def leave_out(self, path: bytes) -> None:
        """Note that this file or folder is not saved."""
        self.left_out.append(printable(path))

    def list_folder(self, folder: OpenFolder, rules: list[Rules]) -> tuple[Listing, list[Rules]]:
        """List an open folder. Also returns the ignore rules for it: those of the folders above and its own.

        Entries that can't be saved are added to the problems.
        """
        # 1. List it, with stats.
        path = folder.path
        listing = self._scan(folder)
        # 2. Drop what is ignored before kinds and names are checked, so that a FIFO or a bad name can be ignored.
        if IGNORE_FILE in listing.seen:
            try:
                rules = [*rules, read_rules(folder.fd, path)]
            except OSError as error:
                self._problems.add(path + IGNORE_FILE.encode(), reason_of(error))
        if rules or self._filter:
            self._drop_ignored(path, listing, rules)
        # 3. Drop protected names, and temporary files of checkouts (`left_by`): running ones, and killed ones.
        for name in [*listing.seen, *listing.refused]:
            if name[0] == "." and (is_protected(os.fsencode(name)) or left_by(name)):
                self.leave_out(path + os.fsencode(name))
                listing.drop(name)
            elif "\\" in name or ":" in name:
                self._check_name(path, os.fsencode(name))
        # 4. Drop what a download wrote.
        if listing.seen.get(GIT_IGNORE_FILE, ())[2:3] == (len(DOWNLOADS),) and has_download_rules(folder.fd):
            listing.drop(GIT_IGNORE_FILE)
        # 5. Report the rest of what can't be saved.
        for name, reason in listing.refused.items():
            self._problems.add(path + os.fsencode(name), reason)
        return listing, rules

    def _scan(self, folder: OpenFolder) -> Listing:
        """List an open folder with stats. What is gone before its stat is read is refused as vanished."""
        fd, path, device, _ = folder
        listing = Listing()
        seen = listing.seen
        try:
            # The hot loop of an unchanged re-save: one stat and one tuple per file. Names stay strings, and is_file()
            # needs no system call.
            with os.scandir(fd) as entries:
                for entry in entries:
                    name = entry.name
                    if entry.is_file(follow_symlinks=False):
                        try:
                            st = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            listing.refused[name] = VANISHED
                            continue
                        seen[name] = (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
                    elif entry.is_dir(follow_symlinks=False):
                        if self._admits(path, name, (device, entry.inode())):
                            listing.add_folder(name, entry.inode())
                    else:
                        self._follow(fd, path, name, listing)
        except FileNotFoundError:  # the folder was removed after it was opened
            self._problems.add(path, VANISHED)
        except OSError as error:
            self._problems.add(path, reason_of(error))
        return listing

    def _follow(self, fd: int, path: bytes, name: str, listing: Listing) -> None:
        """Add the file or folder that a symlink leads to. Any other kind of target is refused, and so are FIFOs."""
        try:
            st = os.stat(name, dir_fd=fd)
        except FileNotFoundError:
            target = _link_target(fd, name)
            listing.refused[name] = f"dangling symlink to {target}" if target else VANISHED
            return
        except OSError as error:
            listing.refused[name] = "symlink loop" if error.errno == errno.ELOOP else reason_of(error)
            return
        if stat.S_ISREG(st.st_mode):
            listing.linked.add(name)
            listing.seen[name] = stat_of(st, True)
        elif stat.S_ISDIR(st.st_mode):
            if self._admits(path, name, (st.st_dev, st.st_ino)):
                listing.add_folder(name, st.st_ino)
        else:
            listing.refused[name] = f"is a {kind_of(st.st_mode)}, not a file"

    def _admits(self, path: bytes, name: str, folder: tuple[int, int]) -> bool:
        """Whether a subfolder is saved. Not if it is protected, or the repository itself."""
        if folder in self._own or is_protected(os.fsencode(name)):
            self.leave_out(path + os.fsencode(name))
            return False
        return True

    def _drop_ignored(self, path: bytes, listing: Listing, rules: list[Rules]) -> None:
        below = os.fsdecode(path)
        for name in [*listing.seen, *listing.refused]:
            is_folder = name in listing.folders
            full = below + name
            out = self._filter.excludes(full, is_folder) or ignored(rules, full, is_folder)
            if out or (not is_folder and self._filter and not self._filter.passes(full)):
                listing.drop(name)

    def _check_name(self, path: bytes, name: bytes) -> None:
        try:
            (check_component if path else check_root_component)(name)
        except InvalidValue as error:
            self._problems.add(path + name, str(error).removeprefix("Invalid artifact path: "))


def stat_of(st: os.stat_result, follow: bool) -> Stat:
    """A file's stat in the form of listings. With its device if it was reached through a symlink (`follow`)."""
    plain = (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    return (*plain, st.st_dev) if follow else plain


def _link_target(fd: int, name: str) -> str | None:
    try:
        return printable(os.readlink(name, dir_fd=fd))
    except OSError:
        return None
