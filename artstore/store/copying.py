"""Copying a large blob from another place. The copy is checked."""

import os
from collections.abc import Callable

from artstore.backends.files import closing_fd, remove_if_there
from artstore.domain.digest import Digest, short
from artstore.domain.names import printable
from artstore.errors import DamagedObject, translated
from artstore.store.content import HEAL
from artstore.store.sides import Objects


def copied(
    source: Objects,
    digest: Digest,
    size: int,
    staged: Callable[[], str],
    advance: Callable[[int], None],
    there: int | None,
) -> str:
    """Copy a large blob to a path that `staged` returns, and check it. If the copy is wrong, try once more.

    Returns the path. Raises DamagedObject. `there` is the size of the blob at the source, if it is known.
    """
    for _ in range(2):
        path = staged()
        with closing_fd(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)) as fd:
            try:
                found = source.large.copy(digest, size, fd, advance, there=there)
            except BaseException:
                remove_if_there(path)
                raise
        if found == (digest, size):
            return path
        with translated(f"remove {path}"):
            remove_if_there(path)
    message = f"blob {short(digest)} in {printable(source.storage.root)} is damaged: its copy has another digest"
    raise DamagedObject(message, hint=HEAL)
