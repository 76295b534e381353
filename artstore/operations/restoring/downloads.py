"""The folder that versions are downloaded to by default, which is kept out of git."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from artstore.domain.ignore import DOWNLOADS, GIT_IGNORE_FILE


@contextmanager
def kept_out_of_git(folder: str) -> Iterator[None]:
    """If the block makes this folder in a git working tree, write a `.gitignore` into it that names all of its files.

    No save takes that file for the user's. A folder that was there before is left alone: it may hold files of git's.
    """
    was_there = os.path.lexists(folder)
    yield
    if not was_there and _is_in_git(folder):
        with suppress(OSError), open(os.path.join(folder, GIT_IGNORE_FILE), "xb") as file:
            file.write(DOWNLOADS)


def _is_in_git(folder: str) -> bool:
    above = os.path.abspath(folder)
    while (parent := os.path.dirname(above)) != above:
        if os.path.lexists(os.path.join(parent, ".git")):
            return True
        above = parent
    return False
