"""Versions: the immutable record of a saved tree. The record's digest is the version's id."""

from typing import NamedTuple

from artstore.domain.codec import decode, encode_rows
from artstore.domain.collection import VersionState
from artstore.domain.digest import VERSION, Digest, digest_of, from_hex
from artstore.errors import Damage

MAX_VERSION = 1 << 20
"""Most bytes of a record: enough for 30,000 parents."""


class VersionRecord(NamedTuple):
    """The record of a version. Number, aliases and metadata aren't in it: they can change, so they are in the log."""

    tree: Digest
    size: int
    """bytes of all files"""
    files: int
    type: str
    created: int
    """nanoseconds since 1970 UTC"""
    run: str | None
    """entity/project/id of the producing run"""
    parents: tuple[Digest, ...]
    """ids, sorted"""

    def encode(self) -> bytes:
        return encode_rows(tuple(self))


def record_of(version: VersionState, type: str) -> bytes:
    """Rebuild a version's record from its state in the log. Its digest is the version's id, unless the log is wrong."""
    parents = tuple(from_hex(parent) for parent in version["parents"])
    tree, totals = from_hex(version["digest"]), (version["size"], version["files"])
    return VersionRecord(tree, *totals, type, version["created"], version["run"], parents).encode()


def version_id(data: bytes) -> Digest:
    return digest_of(VERSION, data)


def decode_version(data: bytes, id: Digest) -> VersionRecord:
    """Decode what `VersionRecord.encode` wrote. Raises Damage for anything else."""
    what = f"version {id.hex()[:12]}"
    value = decode(data, what, rows=True, most=MAX_VERSION)
    if type(value) is not tuple or len(value) != 7:
        raise Damage(f"{what} does not have seven fields")
    tree, size, files, type_, created, run, parents = value
    good = (
        _is_digest(tree)
        and all(type(n) is int and 0 <= n < 1 << 63 for n in (size, files, created))
        and type(type_) is str
        and type(run) in (str, type(None))
        and type(parents) is tuple
        and all(_is_digest(p) for p in parents)
        and list(parents) == sorted(set(parents))
    )
    if not good:
        raise Damage(f"{what} has a malformed field")
    return VersionRecord(*value)


def _is_digest(value: object) -> bool:
    return type(value) is bytes and len(value) == 32
