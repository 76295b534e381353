"""Names that a file system forbids, such as `a:b` on NTFS: found by trying them, and listed before anything is written."""

import errno
import os
import re
from collections.abc import Iterable

from artstore.backends.confined import Confined
from artstore.backends.files import closing_fd, remove_tree
from artstore.backends.owner import this_process
from artstore.domain.names import printable
from artstore.domain.wording import first_of
from artstore.errors import Conflict

REFUSALS = (errno.EINVAL, errno.ENOENT, errno.EILSEQ, errno.ENAMETOOLONG, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP)
"""Errors with which file systems refuse a name."""
_ODD = re.compile(
    rb'.*[\x00-\x1f<>:"|?*\\].*|.*[. ]|(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.{141,}', re.DOTALL | re.IGNORECASE
)
"""Names that some file system forbids or changes. All others are taken everywhere, if they are UTF-8."""


def refuse_forbidden(target: Confined, paths: Iterable[bytes]) -> None:
    """Raise Conflict, which names all, if the target's file system doesn't take the names of these paths."""
    odd: dict[bytes, bytes] = {}
    for path in paths:
        for name in path.split(b"/"):
            if name not in odd and _is_odd(name):
                odd[name] = path
    if odd and (forbidden := _forbidden(target, list(odd))):
        listed = first_of([f"'{printable(odd[name])}'" for name in forbidden])
        what = "this name" if len(forbidden) == 1 else "these names"
        hint = "choose a --root on another file system, or leave them out with --exclude"
        raise Conflict(f"{listed} can't be written: the target's file system forbids {what}", hint=hint)


def _is_odd(name: bytes) -> bool:
    if _ODD.fullmatch(name):
        return True
    try:
        name.decode()
    except UnicodeDecodeError:
        return True
    return False


def _forbidden(target: Confined, names: list[bytes]) -> list[bytes]:
    """Those of some names that no file can have here, or that change. They are tried in a folder of our own."""
    own = f".artstore-{this_process()}-names"
    with closing_fd(target.open_folder(())) as top:
        os.mkdir(own, dir_fd=top)
        try:
            with closing_fd(os.open(own, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=top)) as fd:
                return [name for name in names if not _can_be(fd, name)]
        finally:
            remove_tree(os.path.join(target.root, own), ignore_errors=True)


def _can_be(fd: int, name: bytes) -> bool:
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=fd))
        kept = name in map(os.fsencode, os.listdir(fd))
        os.unlink(name, dir_fd=fd)
        return kept
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        return False
