"""A remote's place: opening the repository at a path or URL, making a new one there, and trying what the place can do."""

import errno
import os

from artstore.backends.addresses import spelled
from artstore.backends.owner import this_process
from artstore.backends.places import is_served
from artstore.backends.storage import FolderStorage, Storage, is_url
from artstore.domain.codec import encode_json
from artstore.domain.names import printable
from artstore.domain.wording import near, typed
from artstore.errors import Conflict, InvalidValue, NotFound, Refused, StorageError, translated
from artstore.store.layout import check_format, make, new_format, storage_at
from artstore.store.settings import FOLDER, Settings
from artstore.store.sides import AnyStore
from artstore.store.store import Store
from artstore.sync.notes import Tracking

_UNMOUNTED = "check the path; an unmounted share looks like this too"


def open_remote(
    place: str,
    settings: Settings,
    *,
    here: FolderStorage | None,
    writing: bool = False,
    notes: bool = False,
    given: bool = False,
    looking: bool = False,
) -> AnyStore:
    """Open the repository at a path or URL for one operation. Its content isn't trusted: entries and objects
    are checked.

    Args:
        place: The path or URL.
        settings: Of our repository.
        here: Our repository, which caches indexes of the remote's packs.
        writing: Whether to change the remote.
        notes: Note damage in the remote, if it may be written to. Implied by `writing`.
        given: The user has named this place, and not a file: a token of the environment may be sent there.
        looking: For people who look: a served remote is asked for what they look at, not for whole logs.

    Raises:
        NotFound: There is no repository. An unmounted share looks like this, too.
        UnsupportedFormat: This artstore doesn't know its format.
    """
    if is_served(place):
        from artstore.store.served.opening import open_served  # only for these: it loads TLS

        return open_served(place, settings.identity, writing=writing, given=given, looking=looking)
    storage = storage_at(place, here)
    try:
        format = check_format(storage, "write" if writing else "read")
    except NotFound as error:
        hint = "check the bucket and the path" if storage.distant else _UNMOUNTED
        raise NotFound(str(error), hint=hint) from error
    return Store(storage, format, settings.identity, cache=here, notes=writing or notes, foreign=True)


def note_if_served(place: str) -> None:
    """Note that this user named a served remote: see `note_named`."""
    if is_served(place):
        from artstore.backends.credentials import note_named

        note_named(place)


def check_identity(remote: AnyStore, tracking: Tracking) -> None:
    """Raise Conflict unless the repository at a place is the one that was there the last time.

    It can be another one if another share is mounted there, for example. The first time, its id is noted.
    """
    known = tracking.id()
    if known in (None, remote.id) and tracking.scope() != remote.scope:
        tracking.drop_logs()  # another token sees other parts of them
    if known is None or (known == remote.id and tracking.scope() != remote.scope):
        tracking.set_id(remote.id, remote.scope)
    elif known != remote.id:
        name = tracking.name
        message = f"remote '{name}' is another repository than before, at {printable(remote.storage.root)}"
        hint = f"is the right share mounted? If it was replaced: {typed('remote rm', name)}, and add it again"
        raise Conflict(message, hint=hint)


def is_relative(place: str) -> bool:
    """Whether a remote's place is a path relative to the current folder."""
    return not is_url(place) and not os.path.isabs(os.path.expanduser(place))


def place_of(place: str) -> str:
    """A remote's place as settings store it: the absolute path of a folder, or the URL of a bucket. No request is made."""
    if is_served(place):
        from artstore.backends.served.address import address_of

        return address_of(place).url
    if is_url(place) and not place.lower().startswith("file://"):
        return place
    return storage_at(place, None).root


def make_remote(place: str, here: FolderStorage, *, shared: bool = False) -> None:
    """Make an empty repository at a path or URL, unless there is one."""
    if is_served(place):
        hint = f"leave out --init if one is served there; {spelled(place)}"
        raise InvalidValue(
            f"artstore knows how to make a repository in a folder or bucket, not at {place_of(place)}", hint=hint
        )
    storage = storage_at(place, here)
    if storage.size("format") is not None:
        return
    if isinstance(storage, FolderStorage):
        there = set(os.listdir(storage.root)) if os.path.isdir(storage.root) else set()
        if there - _DISKS_OWN:
            hint = f"choose an empty folder, or a new one in it, such as {printable(storage.root)}/store"
            raise Refused(f"{printable(storage.root)} is not empty, and is not a repository", hint=hint)
        is_disk = there or os.path.ismount(storage.root)  # nothing can be renamed to its name
        with translated(f"make a repository in {printable(storage.root)}"):
            make(f"{storage.root}/{FOLDER}" if is_disk else storage.root, shared=shared)
    else:
        storage.create("format", encode_json(new_format()))


_DISKS_OWN = {
    "lost+found", "System Volume Information", "$RECYCLE.BIN", ".Trashes", ".fseventsd", ".Spotlight-V100", ".DS_Store",
}  # fmt: skip
"""What file systems and systems put at the top of an empty disk."""


def probe(storage: Storage) -> bool:
    """Try the operations that a remote must support: exclusive creation, reading ranges, listing, removal.

    Returns False if the place may only be read. Raises InvalidValue if an operation isn't supported: without exclusive
    creation, for example, one of two writers would lose its work.
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
            hint = "it lacks conditional writes (If-None-Match: *); use a server that has them, or a folder"
            raise InvalidValue(f"{where} lets a second writer replace a file that another one created", hint=hint)
        if storage.read(path) != data or storage.read(path, 5, 7) != data[5:12]:
            raise InvalidValue(f"{where} does not return the bytes that were written", hint="use another server")
        if [name for name, _ in storage.below(folder)] != [path]:
            raise InvalidValue(f"{where} does not list a file that was just written", hint="use another server")
    finally:
        storage.remove_folder(folder)
    return True


def require_remote(settings: Settings, name: str, other: str | None = None) -> str:
    """The URL of a remote of the repository here.

    Raises NotFound if there is no such remote, nor an `other` thing of that name, such as `an artifact`. Raises Refused
    if the repository isn't the user's own and they didn't allow its remotes.
    """
    remotes = settings.remotes()
    if name not in remotes:
        known = f"the remotes are {', '.join(remotes)}" if remotes else "`artstore remote add NAME URL` adds one"
        what = f"neither a remote nor {other}" if other else "no remote"
        raise NotFound(f"there is {what} '{printable(name)}'", hint=near(name, remotes) or known)
    if (name, remotes[name].url) not in settings.given and (doubt := settings.doubt()):
        hint = "if you trust that place, `artstore remote allow` lets this repository's remotes be contacted"
        raise Refused(f"{doubt}: its remote '{printable(name)}' is {printable(remotes[name].url)}", hint=hint)
    return remotes[name].url
