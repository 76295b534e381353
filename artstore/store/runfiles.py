"""The files of a run, such as its images and its console output: first in a folder beside its log, later in trees.

The folder belongs to the process that records. When it is sealed, its files become blobs and a tree that the run's
log names, so they are stored once, collected, pushed and checked like everything else.
"""

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from artstore.backends.confined import Confined
from artstore.backends.files import clone, closing_fd, copy_windows, copying, open_regular, remove_if_there, write_file
from artstore.backends.owner import this_process
from artstore.backends.storage import FolderStorage
from artstore.domain.names import is_protected, normal_path, parse_path, printable
from artstore.domain.run import RunState
from artstore.domain.tree import DIRECTORY, Entry, find, walk
from artstore.errors import InvalidValue, NoEntry, translated
from artstore.store.runs import FILES, RunFile, Runs
from artstore.store.sides import Objects

UNFINISHED = ".artstore-"
"""The beginning of the names of files that are being written, directly in a run's folder of unsealed files."""


class StagedFiles:
    """Adds files to a folder beside a run's log. Each process has its own folder.

    A killed process loses no file that it added; a power cut may lose those of the last seconds.
    """

    def __init__(self, storage: FolderStorage, folder: str, *, named: bool) -> None:
        """Add files to the run whose log is in `folder`. `named`: whether names may contain this host's name."""
        self._storage = storage
        self._folder = folder
        self._named = named
        self._open: str | None = None
        self.count = 0
        self.bytes = 0

    @property
    def name(self) -> str | None:
        """The name of the folder to which files are added; None if it isn't begun."""
        return None if self._open is None else self._open.rpartition("/")[2]

    def add(self, path: str, source: bytes | str) -> None:
        """Add a file with this content, or a copy of a local file. It replaces an earlier file at the same path.

        Raises InvalidValue for a path that isn't valid.
        """
        parts = checked_parts(path)
        while True:
            folder = self._begun()
            temporary = f"{folder}/{UNFINISHED}{os.urandom(8).hex()}"
            try:
                size = self._write(temporary, source)
                with _folder_in(folder, parts[:-1]) as fd:
                    os.replace(temporary, parts[-1], dst_dir_fd=fd)
                break
            except FileNotFoundError:
                if os.path.isdir(folder):
                    raise
                self._open = None  # a signal handler has sealed it: begin another one
            except BaseException:
                remove_if_there(temporary)
                raise
        self.count += 1
        self.bytes += size

    def _write(self, temporary: str, source: bytes | str) -> int:
        if isinstance(source, bytes):
            with self._storage.writing():
                write_file(temporary, source, sync=False)
            return len(source)
        with closing_fd(open_regular(source, follow=True)) as fd:
            out = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            with closing_fd(out), copying(source, out):
                if not clone(fd, out):
                    for _ in copy_windows(fd, out, os.fstat(fd).st_size):
                        pass
                return os.fstat(out).st_size

    def local(self, path: str) -> str:
        """The path at which to write a file that grows, such as console output, directly in the folder.

        Whoever opens it follows no link: in a repository that others write to, one may have been put there.
        """
        parts = checked_parts(path)
        folder = self._begun()
        return os.fsdecode(os.path.join(os.fsencode(folder), *parts))

    def _begun(self) -> str:
        """The folder on this host to which files are added."""
        if self._open is None:
            self._open = f"{self._folder}/{FILES}{this_process(named=self._named)}"
            self._storage.make_folder(self._open)
        return self._storage.path(self._open)

    def end(self) -> None:
        """Add no more to this folder, so that it can be sealed. The next file begins another folder."""
        self._open = None
        self.count = self.bytes = 0


def checked_parts(path: str) -> tuple[bytes, ...]:
    """The names in the path of a run's file. Raises InvalidValue for a path that isn't valid."""
    parts = parse_path(normal_path(path))
    if any(map(is_protected, parts)) or parts[0].startswith(UNFINISHED.encode()):
        raise InvalidValue(f"a run's file can't be called '{printable(path)}'", hint="choose another name")
    return parts


@contextmanager
def _folder_in(folder: str, parts: tuple[bytes, ...]) -> Iterator[int]:
    """A descriptor of a folder below another one. It is made, and reached through no link, which others may put there."""
    writing = translated(f"write to {printable(folder)}")
    with writing, Confined(folder, None) as confined, closing_fd(confined.open_folder(parts)) as fd:
        yield fd


def staged_in(folder: str) -> Iterator[tuple[bytes, str, int]]:
    """The whole files in a folder of unsealed files: path, path on this host, size. Each folder is in order.

    Only artstore writes there, but an unpacked repository may hold anything: symlinks, special files and names that no
    file of a run can have are left out.
    """
    root = os.fsencode(folder)
    if os.path.islink(root):
        return
    for here, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_protected(name))
        for name in sorted(names):
            if is_protected(name) or (here == root and name.startswith(UNFINISHED.encode())):
                continue
            place = os.path.join(here, name)
            size = _size_at(place)
            if size is not None:
                yield os.path.relpath(place, root), os.fsdecode(place), size


def _staged_at(folder: str, path: str, parts: tuple[bytes, ...]) -> RunFile | None:
    """The file at a path in a folder of unsealed files, if `staged_in` finds it there."""
    place = os.fsencode(folder)
    for part in parts:
        if os.path.islink(place):
            return None
        place = os.path.join(place, part)
    size = _size_at(place)
    return None if size is None else RunFile(path, size, None, os.fsdecode(place))


def _size_at(place: bytes) -> int | None:
    """The size of a file; None if there is none, or something else."""
    try:
        status = os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _unsealed(objects: Objects, listed: list[str], now: RunState) -> list[str]:
    """Those of a run's folders of files, as paths on this host, that its log doesn't name. At a bucket there are none."""
    storage = objects.here
    return [] if storage is None else [storage.path(one) for one in listed if one.rpartition("/")[2] not in now.files]


def files_of(objects: Objects, runs: Runs, state: RunState) -> dict[str, RunFile]:
    """All files of a run by their paths, in the order of these. Cost: a walk through its trees."""
    found: dict[str, RunFile] = {}
    objects.through(state.path.folder, ())
    listed = runs.file_folders(state)  # before the log is read: a folder that is sealed after this is named there
    now = runs.read_folder(state.path.folder)
    for tree in now.folders():
        for raw, entry in walk(tree.digest, objects.read_tree):
            if entry[1] != DIRECTORY:
                path = os.fsdecode(raw)
                found[path] = RunFile(path, entry.size or 0, entry, None)
    for folder in _unsealed(objects, listed, now):
        for raw, place, size in staged_in(folder):
            path = os.fsdecode(raw)
            found[path] = RunFile(path, size, None, place)
    return dict(sorted(found.items()))


def file_at(objects: Objects, runs: Runs, state: RunState, path: str) -> RunFile:
    """The file of a run at a path. Raises NoEntry if there is none."""
    objects.through(state.path.folder, ())
    parts = parse_path(normal_path(path))
    can_be_staged = not any(map(is_protected, parts)) and not parts[0].startswith(UNFINISHED.encode())
    listed = runs.file_folders(state) if can_be_staged else []  # before the log is read, as in `files_of`
    now = runs.read_folder(state.path.folder)
    for folder in reversed(_unsealed(objects, listed, now)):
        if (found := _staged_at(folder, path, parts)) is not None:
            return found
    for tree in reversed(now.folders()):
        entry = find(tree.digest, parts, objects.read_tree)
        if entry is not None and entry.kind != DIRECTORY:
            return RunFile(path, entry.size or 0, entry, None)
    raise NoEntry(f"run {state.path} has no file '{printable(path)}'")


def open_file_of(
    objects: Objects, runs: Runs, state: RunState, path: str, open_entry: Callable[[Entry], BinaryIO]
) -> BinaryIO:
    """Open a file of a run for reading; `open_entry` opens one that is sealed. Raises NoEntry if there is none."""
    while True:
        file = file_at(objects, runs, state, path)
        if file.entry is not None:
            return open_entry(file.entry)
        try:
            return open(open_regular(file.staged or ""), "rb", buffering=io.DEFAULT_BUFFER_SIZE)
        except FileNotFoundError:
            continue  # it was sealed meanwhile
