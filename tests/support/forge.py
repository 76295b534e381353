"""Repositories as an attacker with write access would leave them: packs, versions and log entries of any content."""

import os
import secrets
from pathlib import Path
from typing import Any

from artstore.domain.changes import new_change
from artstore.domain.codec import encode_json, encode_rows
from artstore.domain.digest import BLOB, TREE, VERSION, Digest, ObjectKind, digest_of, plain_digest
from artstore.domain.names import file_name_of
from artstore.domain.version import VersionRecord
from artstore.store.logs import check_of
from artstore.store.packs import PackWriter

EMPTY = digest_of(BLOB, b"")
NAMES = ("local", "uncategorized")


class Forger:
    """Writes into a repository's folder through the lower layers, which check nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def pack(self, *objects: tuple[ObjectKind, bytes] | tuple[ObjectKind, bytes, Digest]) -> Path:
        """Publish one pack of these objects; a third item is the digest that the pack claims for the bytes."""
        writer = PackWriter(str(self.root / "tmp" / secrets.token_hex(4)))
        for kind, data, *claimed in objects:
            writer.add(kind, claimed[0] if claimed else digest_of(kind, data), data)
        target = self.root / "objects/packs" / f"{writer.finish().hex()}.pack"
        os.rename(writer.path, target)
        return target

    def blob(self, data: bytes) -> Digest:
        self.pack((BLOB, data))
        return digest_of(BLOB, data)

    def tree(self, *entries: Any) -> Digest:
        return self.raw_tree(encode_rows(list(entries)))

    def raw_tree(self, data: bytes) -> Digest:
        self.pack((TREE, data))
        return digest_of(TREE, data)

    def large(self, data: bytes, name: Digest | None = None) -> Path:
        """A file under objects/blobs, under the name of other content if `name` says so."""
        text = (name or digest_of(BLOB, data)).hex()
        path = self.root / "objects/blobs" / text[:2] / text
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def version(self, name: str, tree: Digest, size: int = 0, files: int = 1) -> str:
        """A collection with one version of this tree; its id."""
        record = VersionRecord(tree, size, files, "artifact", 1_700_000_000_000_000_000, None, ()).encode()
        self.pack((VERSION, record))
        id = digest_of(VERSION, record).hex()
        self.entry(name, *version_changes(name, id, tree, size, files))
        return id

    def folder(self, name: str) -> Path:
        return self.root.joinpath("refs", *map(file_name_of, (*NAMES, name)))

    def entry(self, name: str, *changes: dict[str, Any], **fields: Any) -> Path:
        """The next entry of a log; `fields` replace or add to its own."""
        return self.raw_entry(name, encode_json(self.value(name, *changes, **fields)))

    def value(self, name: str, *changes: dict[str, Any], **fields: Any) -> dict[str, Any]:
        before = sorted(self.folder(name).glob("*.json"))
        own = {"changes": list(changes), "host": None, "user": None, "time": "2026-11-21T00:00:00.000000Z"}
        chain = {"number": len(before) + 1, "prev": plain_digest(before[-1].read_bytes()).hex() if before else None}
        return sealed(own | chain | {"write": secrets.token_hex(16)} | fields)

    def raw_entry(self, name: str, data: bytes) -> Path:
        folder = self.folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{len(list(folder.glob('*.json'))) + 1:08}.json"
        path.write_bytes(data)
        return path


def version_changes(
    name: str, id: str, tree: Digest, size: int = 0, files: int = 1, number: int = 0
) -> list[dict[str, Any]]:
    named = new_change("collection", entity=NAMES[0], project=NAMES[1], name=name, type="artifact")
    about = {"id": id, "number": number, "digest": tree.hex(), "size": size, "files": files}
    return [named, new_change("version", **about, created=1_700_000_000_000_000_000, run=None, parents=[])]


def sealed(entry: dict[str, Any]) -> dict[str, Any]:
    """With the `check` that belongs to what an entry says, whatever that is."""
    body = {key: value for key, value in entry.items() if key != "check"}
    return body | {"check": check_of(body)}


def file(name: bytes, digest: Digest = EMPTY, size: int = 0) -> tuple[Any, ...]:
    return (name, 0, size, digest)


def directory(name: bytes, digest: Digest, size: int = 0, files: int = 0) -> tuple[Any, ...]:
    return (name, 2, size, digest, files)
