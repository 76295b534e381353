"""Writing below a target folder and nowhere else: by folder descriptors, never through a symlink."""

import errno
import os

from artstore.backends.files import kind_of
from artstore.domain.names import check_component, printable
from artstore.errors import Refused

CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""How files are made below a target: never over anything, never through a symlink."""


class Confined:
    """The only way to write below a target folder: names are checked, and every parent is opened by descriptor without
    following a symlink.

    Lexical checks alone can be fooled by links, resolved paths by races and over-long names (CPython's tarfile filter,
    2025); descriptors can't. A symlink that stands where a folder is needed is an error; one that stands where a file goes is
    replaced, never written through.
    """

    def __init__(self, root: str, forbidden: str | None) -> None:
        """`forbidden` is a folder (the repository, where it is one) into which nothing is written, wherever it lies below
        the root.
        """
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._forbidden = os.stat(forbidden) if forbidden is not None else None
        self.root = root

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> "Confined":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def kind(self, parts: tuple[bytes, ...]) -> str | None:
        """What stands at a path, in words; None when nothing does, or when it can't be reached without following a link."""
        try:
            fd = self.open_folder(parts[:-1], create=False)
        except (OSError, Refused):
            return None
        try:
            return _kind_or_none(fd, parts[-1])
        finally:
            os.close(fd)

    def open_folder(self, parts: tuple[bytes, ...], *, create: bool = True) -> int:
        """A descriptor of the folder at `parts`, made with its parents where missing. The caller closes it."""
        fd = os.dup(self._fd)
        for number, name in enumerate(parts):
            try:
                child = open_child(fd, name, create=create)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    where = printable(b"/".join(parts[: number + 1]))
                    raise Refused(
                        f"'{where}' in {printable(self.root)} is in the way: it is a {kind_at(fd, name)}, and a folder is needed",
                        hint="move it away, or choose another folder",
                    ) from error
                raise
            finally:
                os.close(fd)
            fd = child
            if self._forbidden is not None and os.path.samestat(os.fstat(fd), self._forbidden):
                os.close(fd)
                where = printable(b"/".join(parts[: number + 1]))
                raise Refused(f"'{where}' in {printable(self.root)} is a repository; nothing is put in a repository")
        return fd


def _kind_or_none(parent: int, name: bytes) -> str | None:
    try:
        return kind_of(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return None


def open_child(parent: int, name: bytes, *, create: bool) -> int:
    """The folder `name` in an open folder, never through a symlink; made when missing if `create`."""
    check_component(name)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    try:
        os.mkdir(name, dir_fd=parent)
    except FileExistsError:
        pass
    return os.open(name, flags, dir_fd=parent)


def create_file(parent: int, name: bytes, executable: bool) -> int:
    """A new file for writing in an open folder; FileExistsError when the name is taken. Only the executable bit is set,
    under the umask.
    """
    check_component(name)
    return os.open(name, CREATE, 0o777 if executable else 0o666, dir_fd=parent)


def kind_at(parent: int, name: bytes) -> str:
    """What a person would call the thing at `name`."""
    try:
        return kind_of(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return "something else"
