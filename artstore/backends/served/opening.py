"""Opening a served remote: its address is checked, and a token is found for it."""

from artstore.backends.credentials import token_for
from artstore.backends.served.address import address_of
from artstore.backends.served.client import Client
from artstore.backends.served.storage import ServedStorage


def open_served_storage(url: str, *, given: bool) -> ServedStorage:
    """The storage of the served remote at a URL. Nothing is contacted yet.

    `given` says that the user has named the URL, and not a file: see `token_for`.
    """
    address = address_of(url)
    return ServedStorage(Client(address, token_for(address.url, given=given)))
