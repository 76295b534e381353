"""Repositories that this process has open: one handle for each thread and place, opened when first needed."""

import os
import threading
import weakref

from artstore.repository import Repository

_threads = threading.local()


def opened(root: str) -> Repository:
    """This thread's handle of the repository in folder `root`. Raises NotFound when there is none (any more)."""
    handles: dict[str, tuple[tuple[int, int], Repository]] = _threads.__dict__.setdefault("handles", {})
    try:
        status = os.stat(f"{root}/format")
        same = status.st_dev, status.st_ino
    except OSError:
        same = 0, 0
    found = handles.get(root)
    if found is None or found[0] != same:
        repository = Repository(root)
        weakref.finalize(repository, repository.objects.close)  # when the thread ends
        found = handles[root] = same, repository
    return found[1]
