"""Listings: what a role that can only look gets of a version's files. They become trees that look like stored ones.

A listing has paths, kinds and sizes, and no digests. The trees that are made of it are those of a version whose files
all have the same unknown digest, so everything that shows trees can show them.
"""

from typing import Any

from artstore.backends.served.client import Client
from artstore.domain.digest import Digest
from artstore.domain.names import MAX_DEPTH
from artstore.domain.tree import DIRECTORY, EXECUTABLE, REFERENCE, UNKNOWN, URI, Row, encode_folder, tree_digest
from artstore.errors import Damage

_MOST_BYTES = 1 << 30
"""Most bytes of all paths of a listing."""
_Folder = dict[bytes, Any]
"""The rows of a folder by name; a dict for each folder in it."""


class Listings:
    """The listings of versions that were looked at, as trees."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.roots: dict[Digest, tuple[str, str]] = {}
        """by root tree, the folder of the log and the id of a version that has it"""
        self._trees: dict[Digest, bytes] = {}

    def tree(self, digest: Digest) -> bytes | None:
        """A tree that was made of a listing, or None."""
        return self._trees.get(digest)

    def read(self, root: Digest) -> bytes | None:
        """The root tree of a version, made of its listing; None if no version is known that has it."""
        if (place := self.roots.get(root)) is None:
            return None
        top: _Folder = {}
        room = _MOST_BYTES
        asked = {"folder": place[0], "id": place[1], "prefix": ""}
        for values in self._client.frames("/listing", asked):
            path, row = self._row(values)
            room -= len(path) + 64
            if room < 0:
                raise Damage(f"{self._client.what} lists too many files")
            folder = top
            for name in path.split(b"/")[:-1]:
                folder = folder.setdefault(name, {})
                if type(folder) is not dict:
                    raise Damage(f"{self._client.what} lists a file as a folder")
            if row is None:
                folder.setdefault(path.rpartition(b"/")[2], {})
            else:
                folder[row[0]] = row
        made = self._add(top)
        self._trees[root] = self._trees[made[3]]
        return self._trees[root]

    def _row(self, values: list[Any]) -> tuple[bytes, Row | None]:
        """The path and row of a listed file; no row for a folder."""
        path, kind, size = values[:3] if len(values) == 4 else (None, None, None)
        if type(path) is not bytes or path.count(b"/") >= MAX_DEPTH or not all(path.split(b"/")):
            raise Damage(f"{self._client.what} sent something else than a listing")
        if type(kind) is not int or not 0 <= kind <= REFERENCE:
            raise Damage(f"{self._client.what} sent something else than a listing")
        name = path.rpartition(b"/")[2]
        if kind == DIRECTORY:
            return path, None
        if kind == REFERENCE:
            return path, (name, REFERENCE, size, "", URI, "", None)
        if kind > EXECUTABLE or type(size) is not int:
            raise Damage(f"{self._client.what} sent something else than a listing")
        return path, (name, kind, size, UNKNOWN)

    def _add(self, folder: _Folder, name: bytes = b"") -> Row:
        rows = [self._add(row, key) if type(row) is dict else row for key, row in sorted(folder.items())]
        made = encode_folder(rows, self._keep)
        return (name, DIRECTORY, made.size, made.digest, made.files)

    def _keep(self, data: bytes) -> Digest:
        digest = tree_digest(data)
        self._trees[digest] = data
        return digest
