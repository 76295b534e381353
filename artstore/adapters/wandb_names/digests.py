"""W&B's digests of files and texts, MD5 in base64 or hex, for code that imports them. artstore's own are BLAKE3."""

import base64
import hashlib
import os
from enum import Enum


class ArtifactState(Enum):
    """The values that an artifact's `state` may have, and those that only W&B's server gives."""

    PENDING = "PENDING"
    COMMITTED = "COMMITTED"
    DELETED = "DELETED"
    GARBAGE_COLLECTED = "GARBAGE_COLLECTED"
    PENDING_DELETION = "PENDING_DELETION"


def md5_string(string: str) -> str:
    """The MD5 of a text in base64."""
    return hex_to_b64_id(hashlib.md5(string.encode(), usedforsecurity=False).hexdigest())


def md5_file_b64(*paths: str | os.PathLike[str]) -> str:
    """The MD5 in base64 of files, read one after another in the order of their paths."""
    return hex_to_b64_id(md5_file_hex(*paths))


def md5_file_hex(*paths: str | os.PathLike[str]) -> str:
    """The MD5 in hex of files, read one after another in the order of their paths."""
    digest = hashlib.md5(usedforsecurity=False)
    for path in sorted(os.fspath(path) for path in paths):
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def b64_to_hex_id(string: str) -> str:
    """A digest in base64, in hex."""
    return base64.standard_b64decode(string).hex()


def hex_to_b64_id(encoded_string: str | bytes) -> str:
    """A digest in hex, in base64."""
    text = encoded_string.decode() if isinstance(encoded_string, bytes) else encoded_string
    return base64.standard_b64encode(bytes.fromhex(text)).decode()
