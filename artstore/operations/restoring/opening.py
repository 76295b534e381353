"""Opening one file of a version: its bytes are checked before the first one is given out."""

import io
import os
from typing import BinaryIO

from artstore.domain.digest import BLOB
from artstore.domain.names import printable
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry
from artstore.errors import InvalidValue, translated
from artstore.store.objects import ObjectStore
from artstore.store.packs import LARGE


def open_file(objects: ObjectStore, entry: Entry) -> BinaryIO:
    """A file's content for reading. A reference is fetched. Raises InvalidValue for a folder."""
    name, kind, size, digest = entry[:4]
    if kind == REFERENCE:
        return _referenced(entry)
    if kind == DIRECTORY:
        raise InvalidValue(f"'{printable(name)}' is a folder")
    if size < LARGE:
        return io.BytesIO(objects.read(BLOB, digest))
    fd, _ = objects.large.open(digest, size)
    try:
        objects.large.verify(digest, fd, size)
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return open(fd, "rb", buffering=io.DEFAULT_BUFFER_SIZE)  # given, so that nothing asks whether it is a terminal


def _referenced(entry: Entry) -> BinaryIO:
    """The bytes of a reference, fetched into a file without a name and checked. Raises what `fetch` does."""
    import tempfile

    from artstore.backends.references import Reference, fetch

    file = tempfile.TemporaryFile(buffering=0)
    try:
        with translated(f"fetch '{printable(entry.name)}'"):
            fetch(Reference.of(entry), file.fileno())
            file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
