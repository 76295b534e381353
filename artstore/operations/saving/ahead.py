"""Looking ahead of a walk: how many files and bytes it will find, for a progress bar."""

import os
import time

from artstore.backends.owner import left_by
from artstore.domain.ignore import IGNORE_FILE
from artstore.domain.names import is_protected
from artstore.progress import Expected

_MOST_SIZES = 2_000
"""Files whose sizes are asked for: a few microseconds each. Of more, how long they take depends on their number."""
_MANY = 16_000
"""Files a second. If a walk is slower, counting takes less than a hundredth of its time: half a microsecond a file."""
_LONGEST = 2.0
"""Seconds after which a count ends."""


def expected_below(root: str, done: int, since: float) -> Expected:
    """What a walk of a folder will find. It isn't known if rules or links decide about it, or if to count is too slow.

    Raises OSError if a folder can't be listed.

    Args:
        done: The files that the walk has found.
        since: The seconds that it took for them.
    """
    if done > _MANY * since:
        return Expected()
    end = time.monotonic() + _LONGEST
    files, size, todo = 0, 0, [root]
    while todo:
        if time.monotonic() > end:
            return Expected()
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                name = entry.name
                if name == IGNORE_FILE:
                    return Expected()
                if name[0] == "." and (is_protected(os.fsencode(name)) or left_by(name)):
                    continue
                if entry.is_dir():
                    if entry.is_symlink():
                        return Expected()
                    todo.append(entry.path)
                    continue
                files += 1
                if files <= _MOST_SIZES:
                    size += entry.stat().st_size
    return Expected(files, size if files <= _MOST_SIZES else None)
