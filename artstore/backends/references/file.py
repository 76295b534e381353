"""References to files on this host: `file:///folder` or `file:///folder/name`."""

import os
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote_from_bytes, unquote_to_bytes

from artstore.backends.files import closing_fd, hash_file, kind_of, open_regular, read_rules
from artstore.backends.references import Reference, Target, changed
from artstore.domain.ignore import IGNORE_FILE, NO_FILTER, PathFilter, Rules, ignored
from artstore.domain.names import is_protected, printable
from artstore.domain.tree import BLAKE3, ETAG, URI
from artstore.domain.wording import first_of
from artstore.errors import InvalidValue, MissingReference, SourceError, storage_error, translated

_PIECE = 1 << 20


class FileHandler:
    """Identifies content by its BLAKE3 digest, or without `checksum` only by the URI."""

    def __init__(self, chosen: PathFilter = NO_FILTER) -> None:
        """Of a folder, only what passes `chosen` is looked at."""
        self._chosen = chosen

    def find(self, uri: str, *, checksum: bool) -> Iterator[Target]:
        if not _text(uri):
            raise InvalidValue(f"'{printable(uri)}' names no file or folder")
        path = _named(uri)
        if os.path.isfile(path):
            yield Target("", _reference(path, checksum))
        elif os.path.isdir(path):
            problems: list[tuple[str, str]] = []
            for name in self._files(path, b"", [_identity(path)], [], problems):
                try:
                    yield Target(os.fsdecode(name), _reference(os.path.join(path, name), checksum))
                except SourceError as error:
                    problems += error.problems
            if problems:
                listed = first_of([f"{printable(one)}: {reason}" for one, reason in problems], 1)
                what = f"{printable(path)} holds what can't be referenced: {listed}"
                raise SourceError(what, problems=problems, hint=_LEAVE_OUT)
        else:
            reason = _why_neither(path)
            raise SourceError(
                f"Path '{printable(uri)}' must be a valid file or directory path: {reason}",
                problems=[(os.fsdecode(path), reason)],
                hint=_SPELLED if re.search("[%#?]", uri) else None,
            )

    def _files(
        self,
        folder: bytes,
        below: bytes,
        above: list[tuple[int, int]],
        rules: Sequence[Rules],
        problems: list[tuple[str, str]],
    ) -> Iterator[bytes]:
        """Paths of all files in a folder, in order, but for those that are ignored, protected or not chosen.

        Links are followed. Anything else is added to `problems`. No FIFO is opened.

        Args:
            below: The folder's path below the one that is referenced: empty, or with a slash at its end.
            above: Identities of this folder and of those that hold it.
            rules: Ignore rules of the folders above.
        """
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            if any(entry.name == IGNORE_FILE.encode() and entry.is_file(follow_symlinks=False) for entry in entries):
                with closing_fd(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
                    rules = [*rules, read_rules(fd, below)]
        except OSError as error:
            problems.append((os.fsdecode(folder), (error.strerror or str(error)).lower()))
            return
        for entry in entries:
            kind, name = _kind(entry), os.fsdecode(below + entry.name)
            if is_protected(entry.name) or self._chosen.excludes(name, kind == "folder"):
                continue
            if ignored(rules, name, kind == "folder"):
                continue
            if kind == "folder":
                if (identity := _identity(entry.path)) in above:
                    problems.append((os.fsdecode(entry.path), "it links to a folder around it"))
                else:
                    inside = below + entry.name + b"/"
                    yield from self._files(entry.path, inside, [*above, identity], rules, problems)
            elif not self._chosen.passes(name):
                continue
            elif kind == "file":
                yield below + entry.name
            else:
                problems.append((os.fsdecode(entry.path), kind))

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


_LEAVE_OUT = f"mend or remove them, or leave them out with {IGNORE_FILE}; nothing was added"
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


def _kind(entry: "os.DirEntry[bytes]") -> str:
    """`file` or `folder`, also through a link; for anything else, why it can't be referenced."""
    try:
        return "file" if entry.is_file() else "folder" if entry.is_dir() else _why_neither(entry.path)
    except OSError as error:
        return (error.strerror or str(error)).lower()


def _why_neither(path: bytes) -> str:
    """Why a path is neither that of a file nor of a folder."""
    try:
        return f"it is a {kind_of(os.stat(path).st_mode)}"
    except (OSError, ValueError):
        return "it is a broken link" if os.path.lexists(path) else "it is not there"
