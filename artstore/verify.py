"""A folder on disk compared with a version: missing, changed and extra files, by content."""

import os
import stat
from typing import NamedTuple

from artstore.digest import Digest
from artstore.errors import SourceError, storage_error
from artstore.files import hash_file, open_regular
from artstore.names import is_protected, printable
from artstore.objects import ObjectStore
from artstore.progress import Monitor
from artstore.tree import DIRECTORY, EXECUTABLE, REFERENCE, Entry, check_depth, read_folder


class Verified(NamedTuple):
    """A folder against a version; paths in order."""

    files: int
    missing: list[str]
    changed: list[str]
    extra: list[str]

    @property
    def ok(self) -> bool:
        return not (self.missing or self.changed or self.extra)


def verify(objects: ObjectStore, tree: Digest, root: str, monitor: Monitor) -> Verified:
    """Compare every file below a folder with a version, by content: nothing is taken from a cache."""
    result = Verified(0, [], [], [])
    try:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise SourceError(
            f"cannot open {printable(root)}: {reason}",
            problems=[(root, reason)],
            hint="`artstore get` puts the files there",
        ) from error
    try:
        files = _verify_folder(objects, fd, b"", tree, result, monitor)
    except OSError as error:
        raise storage_error(error, f"read {printable(root)}") from error
    finally:
        os.close(fd)
    for paths in (result.missing, result.changed, result.extra):
        paths.sort()
    return result._replace(files=files)


def _verify_folder(objects: ObjectStore, fd: int, path: bytes, tree: Digest, result: Verified, monitor: Monitor) -> int:
    check_depth(path)
    entries = {entry[0]: entry for entry in read_folder(tree, objects.read_tree)}
    files = 0
    with os.scandir(fd) as listed:
        names = {os.fsencode(item.name) for item in listed}
    result.extra.extend(printable(path + name) for name in names - entries.keys() if not is_protected(name))
    for name, entry in entries.items():
        if name not in names:
            result.missing.append(printable(path + name))
        elif entry[1] == DIRECTORY:
            try:
                child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
            except OSError:
                result.changed.append(printable(path + name))
                continue
            try:
                files += _verify_folder(objects, child, path + name + b"/", entry[3], result, monitor)
            finally:
                os.close(child)
        elif entry[1] != REFERENCE:
            files += 1
            if not _has_content(fd, entry, monitor):
                result.changed.append(printable(path + name))
    return files


def _has_content(fd: int, entry: Entry, monitor: Monitor) -> bool:
    try:
        source = open_regular(entry[0], dir_fd=fd, follow=True)
    except OSError:
        return False  # a dangling link, a loop, something that is no file
    try:
        st = os.fstat(source)
        if (
            not stat.S_ISREG(st.st_mode)
            or st.st_size != entry[2]
            or bool(st.st_mode & 0o100) != (entry[1] == EXECUTABLE)
        ):
            return False
        return hash_file(source, lambda n: monitor.advance(0, n))[0] == Digest(entry[3])
    finally:
        os.close(source)
