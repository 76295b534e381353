"""Opening a view of the repository at a place."""

from __future__ import annotations

from functools import partial

from artstore.backends.storage import FolderStorage
from artstore.errors import NotFound
from artstore.store.settings import Settings
from artstore.view.view import View


def view_of(place: str, here: FolderStorage | None, *, writing: bool = False, given: bool = True) -> View:
    """Open a view of the repository at a path or URL, or of a remote.

    Args:
        place: A path, a URL, or the name of a remote of the repository `here`.
        here: The repository here; None if there is none.
        writing: For maintenance: damage is noted there.
        given: The user has named a place that isn't a remote's name, and not a file: see `open_remote`.

    Raises:
        NotFound: There is no repository.
        Conflict: Another repository is at the remote's place than the last time.

    >>> saved = repository.put("dataset", "data")
    >>> with view_of(".artifacts", None) as view:
    ...     view.find("data").name
    'data:v0'
    """
    from artstore.sync.notes import Tracking
    from artstore.sync.place import check_identity, open_remote, require_remote

    settings = Settings(here.root if here is not None else None)
    name = place if here is not None and place in settings.remotes() else None
    try:
        url, given = (require_remote(settings, name), False) if name else (place, given)
        remote = open_remote(url, settings, here=here, notes=writing, given=given, looking=True)
    except NotFound:
        if name is None and "/" not in place and settings.remotes():
            require_remote(settings, place, "a repository")
        raise
    view = View(remote, settings)
    view.asking = here
    if name is not None and here is not None:
        check_identity(remote, tracking := Tracking(here, name))
        view._gone = partial(tracking.gone, remote.storage)
    return view
