"""References: entries whose bytes stay at a URI. Finds a URI's objects and reads them, checked; by scheme.

A handler for another scheme can be registered with `register`, or as an entry point of the group `artstore.references`
with the scheme as its name.
"""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

from blake3 import blake3

from artstore.backends.files import write_fully
from artstore.backends.references.keys import name_in
from artstore.domain.ignore import NO_FILTER, PathFilter
from artstore.domain.names import printable
from artstore.domain.redaction import HIDDEN, redacted, secret_in_query, secret_in_uri
from artstore.domain.tree import BLAKE3, ETAG, REFERENCE, URI, Entry
from artstore.errors import ChangedReference, InvalidValue, NotFound, UnsupportedFormat

__all__ = ["MAX_OBJECTS", "Handler", "Reference", "Target", "fetch", "find", "named_targets", "register", "scheme_of"]

MAX_OBJECTS = 10_000_000
"""Most entries that one call adds by default; W&B's number."""

_BUCKETS = ("s3", "gs", "az")
_LONGEST = 1 << 16
"""Most characters of an address, tag or version in a tree: readers of large trees accept no longer rows."""


class Reference(NamedTuple):
    """A reference, as a tree's entry records it."""

    uri: str
    size: int | None
    """bytes; None if it isn't known"""
    check: str
    text: str
    version: str | None
    """the place's own name for the object's version"""

    @classmethod
    def of(cls, entry: Entry) -> "Reference":
        return cls(entry.uri, entry.size, *entry[4:7])

    def entry(self, name: bytes) -> Entry:
        """The tree's entry for this reference. Raises InvalidValue if a text is too long for readers."""
        if any(len(text) > _LONGEST for text in (self.uri, self.text, self.version or "")):
            raise InvalidValue(f"'{printable(self.uri[:80])}…' is longer than {_LONGEST} characters")
        return Entry((name, REFERENCE, self.size, self.uri, self.check, self.text, self.version))


class Target(NamedTuple):
    """One object that a URI names."""

    path: str
    """relative to the URI; empty if the URI names the object itself"""
    reference: Reference


class Handler(Protocol):
    """The handler of a scheme.

    Its methods raise SourceError or InvalidValue if a URI names nothing, and StorageError if the place fails.
    """

    def find(self, uri: str, *, checksum: bool) -> Iterator[Target]:
        """The objects that a URI names, in the order of their paths.

        Without `checksum` their content isn't examined.
        """

    def read(self, reference: Reference) -> Iterator[bytes]:
        """An object's bytes, in pieces.

        Raises MissingReference if it is gone, and ChangedReference if the place reports that it has changed.
        """


_handlers: dict[str, Callable[[], Handler]] = {}


def register(scheme: str, handler: Callable[[], Handler]) -> None:
    """Use `handler()` for the URIs of a scheme from now on, in this process."""
    _handlers[scheme.lower()] = handler


def scheme_of(uri: str) -> str:
    """The scheme of a URI, in lower case. Raises InvalidValue if it isn't a URI."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", uri)
    if match is None or "://" not in uri:
        what = f"References must be URIs, not '{_shown(uri)}'. To reference a local file, use file://"
        raise InvalidValue(what, hint=_file_uri(uri) if _shown(uri) == printable(uri) else None)
    return match[1].lower()


def _file_uri(path: str) -> str | None:
    try:
        return f"file://{quote_from_bytes(os.path.abspath(os.fsencode(path)))}"
    except UnicodeEncodeError:
        return None  # no file can have such a name


def _handler(scheme: str, chosen: PathFilter = NO_FILTER) -> Handler | None:
    if scheme in _handlers:
        return _handlers[scheme]()
    if scheme == "file":
        from artstore.backends.references.file import FileHandler

        return FileHandler(chosen)
    if scheme in ("http", "https"):
        from artstore.backends.references.http import HttpHandler

        return HttpHandler()
    if scheme in _BUCKETS:
        from artstore.backends.references.bucket import BucketHandler

        return BucketHandler()
    from importlib.metadata import entry_points

    found = next(iter(entry_points(group="artstore.references", name=scheme)), None)
    return None if found is None else found.load()()


def find(uri: str, *, checksum: bool = True, most: int = MAX_OBJECTS, chosen: PathFilter = NO_FILTER) -> list[Target]:
    """The objects that a URI names. A URI of an unknown scheme is one object, with nothing known about its content.

    Of the objects below a URI only those are found that pass `chosen`.

    Raises InvalidValue if there are more than `most`.
    """
    if any(ord(c) < 32 or "\ud800" <= c <= "\udfff" for c in uri):
        raise InvalidValue(f"'{_shown(uri)}' is not a URI: it has control characters, or is not valid Unicode")
    if most < 0:
        raise InvalidValue(f"max_objects is {most}: it is a number of objects")
    scheme = _checked_scheme(uri)
    handler = _handler(scheme, chosen)
    if secret := secret_in_query(uri) if scheme == "file" else secret_in_uri(uri):
        what = f"'{printable(secret)}' in the URI of '{printable(redacted(urlsplit(uri).netloc))}'"
        raise InvalidValue(f"{what} is a secret, or made with one: a reference must not hold any", hint=_KEPT)
    if handler is None:
        return [Target("", Reference(uri, None, URI, uri, None))]
    found: list[Target] = []
    for target in handler.find(uri, checksum=checksum):
        if chosen and target.path and not chosen.passes(target.path):
            continue
        if len(found) == most:
            hint = "max_objects=N takes more; nothing was added"
            raise InvalidValue(f"{printable(uri)} names more than {most:,} objects", hint=hint)
        found.append(target)
    return found


def named_targets(
    uri: str,
    name: str | None = None,
    *,
    checksum: bool = True,
    most: int = MAX_OBJECTS,
    chosen: PathFilter = NO_FILTER,
) -> tuple[str | None, list[Target]]:
    """(name, objects) for a URI: the objects that it names, and the name under which they are added.

    If no name is given, a single object gets its own name. Raises InvalidValue if it has none.
    """
    if name is None and not is_known(scheme_of(uri)):
        raise InvalidValue(
            f'You must pass name="<entry_name>" when tracking references with unknown schemes. ref: {_shown(uri)}'
        )
    targets = find(uri, checksum=checksum, most=most, chosen=chosen)
    if name is None and [target.path for target in targets] == [""]:
        name = _own_name(uri, targets[0].reference.uri, checksum)
        if not name:
            raise InvalidValue(f"{printable(uri)} has no name of its own", hint="give it one")
    return name, targets


def _own_name(given: str, found: str, checksum: bool) -> str:
    """The last part of the path that a URI names. For a file or an object in a bucket, it is the found one's name.

    In a bucket that wasn't asked, nobody knows what is a folder there: the name is the whole key, as in W&B.
    """
    if scheme_of(given) in _BUCKETS:
        bucket, key, _ = name_in(found)
        return os.path.basename(key) if checksum else key.strip("/") or bucket.partition("://")[2]
    path = found.partition("://")[2] if scheme_of(given) == "file" else urlsplit(given).path.rstrip("/")
    return os.path.basename(os.fsdecode(unquote_to_bytes(path)).rstrip("/"))


def _checked_scheme(uri: str) -> str:
    """The scheme of a URI. Raises InvalidValue if it isn't a URI, or contains credentials."""
    scheme = scheme_of(uri)
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise InvalidValue(f"'{_shown(uri)}' is not a URI") from error
    if "@" in parts.netloc:
        place = printable(parts.netloc.rpartition("@")[2])
        raise InvalidValue(f"a reference to '{place}' must not contain credentials", hint=_KEPT)
    return scheme


def _shown(uri: str) -> str:
    """A URI that was refused, without what may be a password."""
    return printable(re.sub(r"^([A-Za-z][\w+.-]*:/*|//)?[^/?#]*@", rf"\1{HIDDEN}@", redacted(uri)))


_KEPT = "references are stored with the version, and travel with it"


def is_known(scheme: str) -> bool:
    """Whether there is a handler for a scheme."""
    return _handler(scheme) is not None


def fetch(reference: Reference, target: int, advance: Callable[[int], None] = lambda n: None) -> None:
    """Write an object's bytes to an open file, and check them as far as the reference allows.

    Raises NotFound if no handler knows the scheme, MissingReference and ChangedReference.
    """
    scheme, uri = _checked_scheme(reference.uri), printable(reference.uri)
    handler = _handler(scheme)
    if reference.check not in (ETAG, BLAKE3, URI):
        what = f"{uri} is to be checked by '{printable(reference.check)}', which this artstore does not know"
        raise UnsupportedFormat(what, hint="update artstore")
    if handler is None:
        hint = "artstore.references.register() teaches it a scheme; `--exclude` gets the other files"
        raise NotFound(f"{uri} can't be fetched: nothing here knows '{printable(scheme)}://'", hint=hint)
    hasher, size = blake3(), 0
    for piece in handler.read(reference):
        size += len(piece)
        if reference.size is not None and size > reference.size:
            break  # the reply may be endless
        write_fully(target, piece)
        advance(len(piece))
        if reference.check == BLAKE3:
            hasher.update(piece)
    if reference.size not in (None, size):
        than = "more" if size > (reference.size or 0) else "fewer"
        raise changed(reference, f"it has {than} than {reference.size} bytes now")
    if reference.check == BLAKE3 and hasher.hexdigest() != reference.text:
        raise changed(reference, "it has another content now")


def changed(reference: Reference, what: str) -> ChangedReference:
    return ChangedReference(
        f"{printable(reference.uri)} is not what was referenced: {what}",
        hint="bring the old content back there, or add the reference to a new version",
    )


def plain_tag(etag: Any) -> str:
    """An ETag without its quotes, "" if there is none. A weak one (`W/"…"`) stays as it is."""
    tag = str(etag or "")
    return tag[1:-1] if tag.startswith('"') and tag.endswith('"') and len(tag) > 1 else tag
