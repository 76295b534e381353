"""Opening a served remote: its address is checked, and a token is found for it."""

from contextlib import closing

from artstore.backends.credentials import token_for
from artstore.backends.served.address import address_of
from artstore.backends.served.client import Client
from artstore.backends.served.storage import ServedStorage
from artstore.domain.wire import Hello


def open_served_storage(url: str, *, given: bool) -> ServedStorage:
    """The storage of the served remote at a URL. Nothing is contacted yet.

    `given` says that the user has named the URL, and not a file: see `token_for`.
    """
    address = address_of(url)
    return ServedStorage(Client(address, token_for(address.url, given=given)))


def hello_to(url: str, token: str) -> Hello:
    """What the server at a URL says of itself to whoever has this token. Raises AuthenticationError if it isn't valid."""
    with closing(ServedStorage(Client(address_of(url), token))) as storage:
        return storage.hello
