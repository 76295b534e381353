"""References to files on this host: `file:///folder` or `file:///folder/name`."""

import os
import re
from collections.abc import Iterator
from urllib.parse import quote_from_bytes, unquote_to_bytes

from artstore.backends.files import closing_fd, hash_file, open_regular
from artstore.backends.references import Reference, Target, changed
from artstore.domain.names import printable
from artstore.domain.tree import BLAKE3, ETAG, URI
from artstore.errors import MissingReference, SourceError, storage_error, translated

_PIECE = 1 << 20


class FileHandler:
    """Identifies content by its BLAKE3 digest, or without `checksum` only by the URI."""

    def find(self, uri: str, *, checksum: bool) -> Iterator[Target]:
        path = _named(uri)
        if os.path.isfile(path):
            yield Target("", _reference(path, checksum))
        elif os.path.isdir(path):
            problems: list[tuple[str, str]] = []
            for name in _files(path, b"", [_identity(path)], problems):
                try:
                    yield Target(os.fsdecode(name), _reference(os.path.join(path, name), checksum))
                except SourceError as error:
                    problems += error.problems
            if problems:
                raise SourceError(f"{printable(path)} holds what can't be referenced", problems=problems)
        else:
            reason = "it is not a file or folder" if os.path.lexists(path) else "it is not there"
            raise SourceError(
                f"Path '{printable(uri)}' must be a valid file or directory path",
                problems=[(os.fsdecode(path), reason)],
                hint=_SPELLED if re.search("[%#?]", uri) else None,
            )

    def read(self, reference: Reference) -> Iterator[bytes]:
        path = path_of(reference.uri)
        if reference.check == ETAG:
            raise changed(reference, "a file has no ETag")
        try:
            fd = open_regular(path, follow=True)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingReference(f"{printable(reference.uri)} is not there any more") from error
        except OSError as error:
            raise storage_error(error, f"read {printable(path)}") from error
        with open(fd, "rb", buffering=0) as file, translated(f"read {printable(path)}"):
            while piece := file.read(_PIECE):
                yield piece


_SPELLED = "Path(…).as_uri() gives a file's URI: `%` is `%25` in it, `#` is `%23`, `?` is `%3F`"


def path_of(uri: str) -> bytes:
    """The path that a `file:` URI names.

    `file://name/…`, with a name in place of a host, is relative to the working folder, as in W&B. There is no query and
    no fragment: `?` and `#` belong to the name.
    """
    return os.path.abspath(unquote_to_bytes(_text(uri)))


def _named(uri: str) -> bytes:
    """The path that a user means: the decoded one, or the URI's text without decoding if only that file exists."""
    path, literal = path_of(uri), os.path.abspath(os.fsencode(_text(uri)))
    return literal if os.path.lexists(literal) and not os.path.lexists(path) else path


def _text(uri: str) -> str:
    text = uri.partition("://")[2]
    return text.removeprefix("localhost") if text.startswith("localhost/") else text


def _reference(path: bytes, checksum: bool) -> Reference:
    uri = f"file://{quote_from_bytes(path)}"
    try:
        with closing_fd(open_regular(path, follow=True)) as fd:
            if not checksum:
                return Reference(uri, None, URI, uri, None)
            digest, size = hash_file(fd)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SourceError(f"cannot read {printable(path)}: {reason}", problems=[(os.fsdecode(path), reason)]) from error
    return Reference(uri, size, BLAKE3, digest.hex(), None)


def _identity(path: bytes) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _files(
    folder: bytes, prefix: bytes, above: list[tuple[int, int]], problems: list[tuple[str, str]]
) -> Iterator[bytes]:
    """Paths of all files below a folder, in order. Links are followed; anything else is added to `problems`."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        problems.append((os.fsdecode(folder), (error.strerror or str(error)).lower()))
        return
    for entry in entries:
        try:
            kind = "file" if entry.is_file() else "folder" if entry.is_dir() else "it is not a file, or a broken link"
        except OSError as error:
            kind = (error.strerror or str(error)).lower()
        if kind == "file":
            yield prefix + entry.name
        elif kind == "folder":
            if (identity := _identity(entry.path)) in above:
                problems.append((os.fsdecode(entry.path), "it links to a folder around it"))
            else:
                yield from _files(entry.path, prefix + entry.name + b"/", [*above, identity], problems)
        else:
            problems.append((os.fsdecode(entry.path), kind))
