"""The kinds of places: which storage a path or URL opens, and what is known of each kind without contacting it."""

import os
from collections.abc import Callable
from typing import NamedTuple

from artstore.backends.storage import FolderStorage, Storage, is_url
from artstore.domain.names import printable
from artstore.errors import InvalidValue


class PlaceKind(NamedTuple):
    """A kind of place, chosen by the scheme of its URL."""

    schemes: tuple[str, ...]
    open: Callable[[str, str | None, bool], Storage]
    """from (url, folder for files on their way there, whether others may have made links and devices)"""
    has_credentials: Callable[[], bool] | None = None
    """Whether the environment has credentials. Without this function the kind needs none, and costs no request."""
    lasts: bool = True
    """whether others can reach it later, so that a lock file may name it"""


def _folder(url: str, scratch: str | None, foreign: bool) -> Storage:
    from urllib.parse import unquote, urlsplit

    from artstore.domain.redaction import redacted

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise InvalidValue(f"'{printable(redacted(url))}' names another host", hint="file:///path is a folder here")
    return FolderStorage(os.path.abspath(unquote(parts.path)), foreign=foreign)


def _bucket(url: str, scratch: str | None, foreign: bool) -> Storage:
    from artstore.backends.bucket.storage import BucketStorage

    return BucketStorage(url, scratch=scratch)


def _has_bucket_credentials() -> bool:
    from artstore.backends.bucket.opening import has_credentials  # raises InvalidValue if obstore isn't installed

    return has_credentials()


def _served(url: str, scratch: str | None, foreign: bool) -> Storage:
    from artstore.backends.served.opening import open_served_storage

    return open_served_storage(url, given=False)


SERVED = ("https", "http")
"""The schemes of served remotes. An http address must be on this host."""
KINDS = (
    PlaceKind(("file",), _folder),
    PlaceKind(("s3", "gs", "az"), _bucket, _has_bucket_credentials),
    PlaceKind(("memory",), _bucket, _has_bucket_credentials, lasts=False),
    PlaceKind(SERVED, _served),
)


def is_served(place: str) -> bool:
    """Whether a place is the address of a served remote. Nothing is contacted."""
    return place.partition("://")[0].lower() in SERVED and is_url(place)


def kind_of(url: str) -> PlaceKind:
    """The kind of a place given as a URL. Raises InvalidValue for a scheme of none."""
    scheme = url.partition("://")[0].lower()
    for kind in KINDS:
        if scheme in kind.schemes:
            return kind
    from artstore.backends.addresses import spelled
    from artstore.domain.redaction import redacted

    raise InvalidValue(f"'{printable(redacted(url))}' is not a kind of place that artstore knows", hint=spelled(url))


def open_storage(place: str, *, scratch: str | None = None, foreign: bool = False) -> Storage:
    """The storage at a path or URL.

    `scratch` is a folder for files that are going to a distant place. A `foreign` folder is one in which others may
    have made links and devices.
    """
    if not is_url(place):
        return FolderStorage(os.path.abspath(place), foreign=foreign)
    return kind_of(place).open(place, scratch, foreign)
