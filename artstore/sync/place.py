"""A remote: another place that is itself a repository, opened for reading, for a push, or to be kept well."""

import errno
import os

from artstore.backends.owner import this_process
from artstore.backends.storage import FolderStorage, Storage, is_url
from artstore.domain.codec import encode_json
from artstore.domain.names import printable
from artstore.domain.wording import typed
from artstore.errors import Conflict, InvalidValue, NotFound, Refused, StorageError
from artstore.store.layout import check_format, make, new_format, storage_at
from artstore.store.settings import Settings
from artstore.store.store import Store
from artstore.sync.notes import Tracking

_UNMOUNTED = "check the path; an unmounted share looks like this too"


def open_remote(
    place: str, settings: Settings, *, here: FolderStorage | None, writing: bool = False, notes: bool = False
) -> Store:
    """Open the repository at a path or URL for one operation. Nothing that it says is trusted: entries are decoded
    strictly, objects checked.

    `here` is our repository, where what is known of the place is kept; with `notes`, damage that is met there is noted
    there, if one may write. Raises NotFound when there is no repository (which is what an unmounted share looks like),
    UnsupportedFormat when it is of another kind.
    """
    storage = storage_at(place, here)
    try:
        format = check_format(storage, "write" if writing else "read")
    except NotFound as error:
        hint = "check the bucket and the path" if storage.distant else _UNMOUNTED
        raise NotFound(str(error), hint=hint) from error
    return Store(storage, format, settings.identity, cache=here, notes=writing or notes, foreign=True)


def check_identity(remote: Store, tracking: Tracking) -> None:
    """The repository at this place is the one that was there the last time (not a restored copy or another mount). Raises
    Conflict.
    """
    known = tracking.id()
    if known is None:
        tracking.set_id(remote.id)
    elif known != remote.id:
        name = tracking.name
        raise Conflict(
            f"the repository at {printable(remote.storage.root)} is not the one that remote '{name}' was",
            hint=f"is the right share mounted? If it was replaced: {typed('remote rm', name)}, and add it again",
        )


def is_relative(place: str) -> bool:
    """Whether a remote is given as a path from the current folder."""
    return not is_url(place) and not os.path.isabs(os.path.expanduser(place))


def place_of(place: str) -> str:
    """A remote's place as settings hold it: a folder's absolute path, or the URL of a bucket. Contacts nobody."""
    if is_url(place) and not place.lower().startswith("file://"):
        return place
    return storage_at(place, None).root


def make_remote(place: str, here: FolderStorage, *, shared: bool = False) -> None:
    """Make an empty repository at a path or URL, unless there is one."""
    storage = storage_at(place, here)
    if storage.size("format") is not None:
        return
    if isinstance(storage, FolderStorage):
        if os.path.isdir(storage.root) and os.listdir(storage.root):
            raise Refused(
                f"{printable(storage.root)} is not empty, and no repository", hint="choose a folder of its own"
            )
        make(storage.root, shared=shared)
    else:
        storage.create("format", encode_json(new_format()))


def probe(storage: Storage) -> bool:
    """Try what a remote has to be able to: exclusive creation, ranges, listing, removal; False where one may only read.
    Raises InvalidValue for one that can't: without compare-and-swap one of two writers would lose its work.
    """
    folder, data = f"tmp/{this_process()}", os.urandom(64)
    path = f"{folder}/probe"
    where = printable(storage.root)
    try:
        first = storage.create(path, data)
    except StorageError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return False
        raise
    try:
        second = storage.create(path, data[::-1])
        if not first or second:
            raise InvalidValue(
                f"{where} does not keep a second writer from replacing what the first has written",
                hint="it lacks conditional writes (If-None-Match: *); use a server that has them, or a folder",
            )
        if storage.read(path) != data or storage.read(path, 5, 7) != data[5:12]:
            raise InvalidValue(f"{where} does not give back (ranges of) what was written", hint="use another server")
        if [name for name, _ in storage.below(folder)] != [path]:
            raise InvalidValue(f"{where} does not list what was just written", hint="use another server")
    finally:
        storage.remove_folder(folder)
    return True


def require_remote(settings: Settings, name: str) -> str:
    """The URL of a remote of ours that may be contacted. Raises NotFound, Refused."""
    remotes = settings.remotes()
    if name not in remotes:
        hint = f"there are {', '.join(remotes)}" if remotes else "`artstore remote add NAME URL` adds one"
        raise NotFound(f"there is no remote '{printable(name)}'", hint=hint)
    if doubt := settings.doubt():
        raise Refused(
            f"{doubt}: its remote '{printable(name)}' is {printable(remotes[name].url)}",
            hint="if you trust that place, `artstore remote allow` lets this repository's remotes be contacted",
        )
    return remotes[name].url
