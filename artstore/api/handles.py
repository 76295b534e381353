"""The repositories that this process has open: one handle for each thread and repository."""

import os
import threading
import weakref
from typing import Any, cast
from urllib.parse import quote

from artstore.backends.addresses import expanded, refuse_address
from artstore.backends.storage import is_url
from artstore.domain.names import printable
from artstore.errors import NotFound, Refused
from artstore.repository import Repository
from artstore.store.settings import find_root
from artstore.view import View, view_of

_threads = threading.local()


class _Elsewhere:
    """A repository at a URL, in the place of one that is here. It can be read; every change raises Refused."""

    def __init__(self, place: str) -> None:
        self._view = view_of(place, None)

    def __getattr__(self, name: str) -> Any:
        if not hasattr(View, name) and hasattr(Repository, name):
            raise Refused(
                f"{printable(self._view.storage.root)} can only be read from here, not changed",
                hint="`artstore clone` it, change the clone, and push",
            )
        return getattr(self._view, name)


def opened(root: str) -> Repository:
    """This thread's handle of the repository in folder `root`, or at a URL. It is opened when it is first needed.

    Raises NotFound if there is no repository there, or none any more.
    """
    handles: dict[str, tuple[tuple[int, ...], Repository]] = _threads.__dict__.setdefault("handles", {})
    found = handles.get(root)
    if is_url(root):
        if found is None:
            found = handles[root] = (), cast(Repository, _Elsewhere(root))
        return found[1]
    try:
        status = os.stat(f"{root}/format")
        same: tuple[int, ...] = status.st_dev, status.st_ino, status.st_mtime_ns  # they differ once a feature was added
    except OSError:
        same = ()
    if found is None or found[0] != same:
        repository = Repository(root)
        weakref.finalize(repository, repository.objects.close)  # when the thread ends
        found = handles[root] = same, repository
    return found[1]


def root_of(folder: str) -> str:
    """The repository that a path means: that folder itself, or the nearest `.artifacts` in it or above.

    A URL stays as it is.

    Raises NotFound if there is none.
    """
    if is_url(folder):
        return folder
    if os.path.isfile(os.path.join(place := expanded(folder), "format")):
        return os.path.abspath(place)
    refuse_address(folder)
    root = find_root(place, environment=False)
    if root is None:
        raise NotFound(f"there is no repository in {folder}", hint="`artstore init` makes one")
    return root


def url_in(root: str, folder: str = "") -> str:
    """The URL of a folder in a repository: `file://`, or below the URL of a repository elsewhere."""
    place = root if is_url(root) else f"file://{quote(root)}"
    return f"{place}/{quote(folder)}".rstrip("/")
