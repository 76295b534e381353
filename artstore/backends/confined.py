"""Writing only below a target folder: by descriptors of open folders, never through a symlink."""

import errno
import os

from artstore.backends.files import closing_fd, kind_of
from artstore.domain.names import check_component, printable
from artstore.errors import Refused

CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags for making a file below a target: never replaces anything, never follows a symlink."""


class Confined:
    """A target folder. All writing below it goes through this class.

    Names are checked, and each parent folder is opened from its parent's descriptor without following a symlink. Checks
    of paths as text can be fooled by links, and resolved paths by races and over-long names (CPython's tarfile filter,
    2025); descriptors can't. A symlink in place of a folder is an error; a symlink in place of a file is replaced, and
    nothing is written through it.
    """

    def __init__(self, root: str, forbidden: str | None) -> None:
        """`forbidden` is a folder into which nothing may be written, at any depth below the root: the repository."""
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
        """The kind of thing at a path, in words; None if nothing is there or a symlink is on the way."""
        try:
            with closing_fd(self.open_folder(parts[:-1], create=False)) as fd:
                return kind_of(os.stat(parts[-1], dir_fd=fd, follow_symlinks=False).st_mode)
        except (OSError, Refused):
            return None

    def open_folder(self, parts: tuple[bytes, ...], *, create: bool = True) -> int:
        """A descriptor of the folder at `parts`, which the caller closes. With `create`, missing folders are made."""
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


def open_child(parent: int, name: bytes, *, create: bool) -> int:
    """A descriptor of the folder `name` in an open one, never through a symlink.

    With `create` it is made if missing.
    """
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
    """A descriptor of a new file in an open folder, for writing. Raises FileExistsError if the name is taken.

    The mode is the usual one under the umask, with the executable bits if `executable`.
    """
    check_component(name)
    return os.open(name, CREATE, 0o777 if executable else 0o666, dir_fd=parent)


def kind_at(parent: int, name: bytes) -> str:
    """The kind of thing at `name`, in words."""
    try:
        return kind_of(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return "something else"
