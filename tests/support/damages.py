"""A repository, the places in it that can be damaged, and the ways to damage them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from artstore.domain.digest import BLOB, TREE, VERSION, Digest, ObjectKind
from artstore.errors import ArtstoreError
from artstore.repository import Repository
from tests.support.folders import snapshot

PAGE = 4096
OLD: dict[str, str | bytes | None] = {
    "a.txt": "first" * 3000,
    "sub/b.txt": "b" * 9000,
    "sub/c.txt": "c",
    "big": b"B" * ((1 << 20) + PAGE),
}
NEW: dict[str, str | bytes | None] = {**OLD, "a.txt": "second" * 3000}
OTHER: dict[str, str | bytes | None] = {"other.txt": "other" * 3000, "other.big": b"O" * ((1 << 20) + 1)}


class Region(NamedTuple):
    """Which bytes of which file."""

    path: Path
    offset: int
    length: int


class Stored(NamedTuple):
    """A repository with data:v0 and v1 and other:v0, and the folders that they were saved from."""

    root: Path
    sources: dict[str, Path]
    """by spec"""

    def open(self) -> Repository:
        return Repository(str(self.root))


def _object(stored: Stored, kind: ObjectKind, digest: Digest) -> Region:
    with stored.open() as repository:
        place = next((p, r) for p, r in repository.objects.packs.places(digest) if r.kind == kind)
        pack, row = place
        return Region(stored.root / "objects/packs" / f"{pack.name}.pack", row.offset, row.length)


def _blob_object(stored: Stored) -> Region:
    with stored.open() as repository:
        found = repository.find("data:v1")
        return _object(stored, BLOB, repository.entry(found, "a.txt")[3])


def _tree_object(stored: Stored) -> Region:
    with stored.open() as repository:
        return _object(stored, TREE, repository.find("data:v1").tree)


def _version_object(stored: Stored) -> Region:
    with stored.open() as repository:
        return _object(stored, VERSION, Digest(bytes.fromhex(repository.find("data:v1").version["id"])))


def _pack_index(stored: Stored) -> Region:
    blob = _blob_object(stored)
    with stored.open() as repository:
        pack = repository.objects.packs.open(blob.path.stem)
        return Region(blob.path, pack.index.objects_end, len(pack.index.data))


def _pack_footer(stored: Stored) -> Region:
    index = _pack_index(stored)
    return Region(index.path, index.offset + index.length, 56)


def _large_blob(stored: Stored) -> Region:
    with stored.open() as repository:
        name = repository.entry(repository.find("data:v1"), "big")[3].hex()
    return _whole(stored.root / "objects/blobs" / name[:2] / name)


def _whole(path: Path) -> Region:
    return Region(path, 0, path.stat().st_size)


def _entry(stored: Stored, number: int) -> Region:
    return _whole(stored.root / f"refs/local/uncategorized/data/{number:08}.json")


def _last(stored: Stored) -> int:
    with stored.open() as repository:
        return repository.collection("data").number


OBJECTS: dict[str, Callable[[Stored], Region]] = {
    "pack object": _blob_object,
    "tree": _tree_object,
    "version": _version_object,
    "pack index": _pack_index,
    "pack footer": _pack_footer,
    "large blob": _large_blob,
}
LOGS: dict[str, Callable[[Stored], Region]] = {
    "first entry": lambda stored: _entry(stored, 1),
    "middle entry": lambda stored: _entry(stored, 3),
    "last entry": lambda stored: _entry(stored, _last(stored)),
}
CACHES: dict[str, Callable[[Stored], Region]] = {
    "checkpoint": lambda stored: _whole(next((stored.root / "refs/local/uncategorized/data").glob("*.checkpoint"))),
    "objects.idx": lambda stored: _whole(stored.root / "cache/objects.idx"),
    "stat cache": lambda stored: _whole(
        max((stored.root / "cache/stat").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    ),
    "verified notes": lambda stored: _whole(stored.root / "cache/verified"),
}


def _delete(region: Region) -> None:
    region.path.unlink()


def _truncate(region: Region) -> None:
    os.truncate(region.path, region.offset + min(region.length // 2, PAGE) if region.path.name != "config" else 3)


def _flip(region: Region) -> None:
    at = region.offset + (region.length // 2 if region.path.name != "config" else 0)
    data = bytearray(region.path.read_bytes())
    data[at] ^= 1
    region.path.write_bytes(data)


def _zero(region: Region) -> None:
    data = bytearray(region.path.read_bytes())
    start = (region.offset + region.length // 2) // PAGE * PAGE
    length = min(PAGE, len(data) - start)
    data[start : start + length] = bytes(length)
    region.path.write_bytes(data)


DAMAGES: dict[str, Callable[[Region], None]] = {"delete": _delete, "truncate": _truncate, "flip": _flip, "zero": _zero}


def _get(stored: Stored, spec: str, target: Path, newest: str = "data:v1") -> ArtstoreError | None:
    """Get it: exactly right (None), or an error of ours. `newest` is what `latest` should name in `data`."""
    try:
        with stored.open() as repository:
            found = repository.find(spec)
            repository.get(found, str(target))
            told = repository.properties(found)[1], sorted(found.state.aliases_of(found.version["id"]))
    except ArtstoreError as error:
        return error
    assert snapshot(target) == snapshot(stored.sources[spec]), f"{spec} came back wrong"
    aliases = [f"alias{n}" for n in range(63)] if spec == "data:v0" else ["best"] if spec == "data:v1" else []
    aliases += ["latest"] if spec in (newest, "other:v0") else []
    assert told == ({"of": "v0"} if spec == "data:v0" else {}, sorted(aliases)), (
        f"{spec} has other properties than it was given"
    )
    return None
