"""Opening one file of a version. Its whole content is checked before the first byte can be read."""

import io
from typing import BinaryIO

from artstore.domain.digest import BLOB
from artstore.domain.names import printable
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry
from artstore.errors import InvalidValue, translated
from artstore.store.packs import LARGE
from artstore.store.sides import Objects


def open_file(objects: Objects, entry: Entry) -> BinaryIO:
    """Open a file of a version for reading. A reference is fetched first. Raises InvalidValue for a folder."""
    name, kind, size, digest = entry[:4]
    if kind == REFERENCE:
        return _referenced(entry)
    if kind == DIRECTORY:
        raise InvalidValue(f"'{printable(name)}' is a folder")
    if size < LARGE:
        return io.BytesIO(objects.read(BLOB, digest))
    content = objects.large.open(digest, size)
    try:
        content.verify()
        return content.as_file()
    except BaseException:
        content.close()
        raise


def _referenced(entry: Entry) -> BinaryIO:
    """Fetch the bytes of a reference into a file without a name, and check them. Raises the errors of `fetch`."""
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
