"""Digests: BLAKE3 of content, with a separate context for trees, for versions and for packs."""

from typing import Literal, NewType

from blake3 import blake3

from artstore.errors import InvalidValue

Digest = NewType("Digest", bytes)
"""32 bytes; shown as lower-case hex, 12 characters when shortened."""

ObjectKind = Literal[1, 2, 3]
BLOB: ObjectKind = 1
TREE: ObjectKind = 2
VERSION: ObjectKind = 3
KIND_NAMES = {BLOB: "blob", TREE: "tree", VERSION: "version"}

PackedKind = Literal[1, 2, 3, 4, 5]
RECIPE: Literal[4] = 4
"""In packs only: says of which segments a large blob consists. It is found by the blob's digest."""
DELTA: Literal[5] = 5
"""In packs only: a segment of a large blob as the difference from another segment."""
PACKED_NAMES: dict[PackedKind, str] = {
    BLOB: "blob",
    TREE: "tree",
    VERSION: "version",
    RECIPE: "recipe of blob",
    DELTA: "delta",
}

# With BLAKE3's key derivation no blob can have a tree's digest, whatever its bytes (BLAKE3 specification, section 2.2).
_CONTEXTS = {TREE: "artstore 2026-11-21 tree", VERSION: "artstore 2026-11-21 version"}
_PACK_CONTEXT = "artstore 2026-11-21 pack"


def digest_of(kind: ObjectKind, data: bytes | memoryview) -> Digest:
    """Digest of a whole object in memory."""
    if kind == BLOB:
        return Digest(blake3(data).digest())
    return Digest(blake3(data, derive_key_context=_CONTEXTS[kind]).digest())


def pack_digest(header: bytes, index: bytes | memoryview) -> Digest:
    """A pack's name: the digest of its header and index. The index holds the digests of all objects in the pack."""
    return Digest(blake3(header, derive_key_context=_PACK_CONTEXT).update(index).digest())


def plain_digest(data: bytes | memoryview) -> Digest:
    """Plain BLAKE3, as `b3sum` prints it. Used for log entries, checkpoints and names."""
    return Digest(blake3(data).digest())


def short(digest: bytes) -> str:
    return digest.hex()[:12]


def is_hex(text: str) -> bool:
    """Whether text is a digest in hex: 64 lower-case hex digits."""
    return len(text) == 64 and not text.strip("0123456789abcdef")


def from_hex(text: str) -> Digest:
    """Parse a digest. Raises InvalidValue unless `text` is 64 lower-case hex digits."""
    if not is_hex(text):
        raise InvalidValue(f"'{text[:80]}' is not a digest: 64 lower-case hex digits are")
    return Digest(bytes.fromhex(text))
