"""The folder in which a served repository's tokens and audit are, outside of everything that the repository shares."""

import os

from artstore.backends.files import check_private, write_file
from artstore.backends.homes import state_folder
from artstore.backends.places import is_served
from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.names import printable
from artstore.domain.redaction import redacted
from artstore.errors import InvalidValue, translated
from artstore.store.layout import check_format
from artstore.store.settings import server_root


def check_servable(place: str) -> None:
    """Raise InvalidValue if another host serves the repository at a place. Nothing is contacted."""
    if is_served(place):
        what = f"{printable(redacted(place))} is served by another host"
        raise InvalidValue(what, hint="do this there: its tokens and its audit are kept beside the repository")


def server_folder(storage: Storage) -> str:
    """The path of a served repository's folder, which need not be there yet.

    It is beside a repository in a folder. That of a bucket is in this user's state folder, because whoever may write to
    the bucket must not give out tokens.
    """
    if isinstance(storage, FolderStorage):
        return server_root(storage.root)
    return os.path.join(state_folder(), "servers", check_format(storage, "read").id)


def make_server_folder(folder: str) -> None:
    """Make the folder if it isn't there. Raises InvalidValue if somebody else could read or write in it."""
    with translated(f"make {printable(folder)}"):
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        try:
            os.mkdir(folder, 0o700)
            write_file(os.path.join(folder, ".gitignore"), b"*\n", sync=False)
        except FileExistsError:
            pass
    check_private(folder)
