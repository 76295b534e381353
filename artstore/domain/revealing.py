"""Names of files that reveal what is in them: those that have its digest, in hex, base64 or base32."""

import math
import re
from itertools import pairwise

_MEDIA = b"media/"
"""The folder of W&B's media, whose names have a part of their digests."""
_HEX = re.compile(rb"(?<![0-9a-f])[0-9a-f]{20,}(?![0-9a-f])", re.IGNORECASE)
"""A digest, or the part of one that W&B puts in names of media."""
_BASE64 = [
    re.compile(rb"(?<![A-Za-z0-9])(?=([\w+/-]{%d})(?![A-Za-z0-9])(=?))" % size, re.ASCII) for size in (22, 27, 43, 86)
]
"""Texts as long as a digest of 16, 20, 32 or 64 bytes, between characters that aren't letters or digits."""
_BASE32 = re.compile(
    rb"(?<![A-Za-z0-9])(?:[A-Z0-9]{26}|[A-Z0-9]{32}|[A-Z0-9]{52}|[a-z0-9]{26}|[a-z0-9]{32}|[a-z0-9]{52}|[A-Z0-9]{103}|[a-z0-9]{103})(?![A-Za-z0-9])"
)
_KINDS = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", b"A" * 26 + b"a" * 26 + b"0" * 10
)


def tells_content(path: bytes) -> bool:
    """Whether the name of a file says what it holds: it is one of W&B's media, or has what looks like a digest.

    A digest in base64 or base32 differs from words in how often letters and digits alternate. Of a hundred random
    digests of 16 bytes, up to four look like words; of longer ones, hardly any.
    """
    return (
        path.startswith(_MEDIA)
        or _HEX.search(path) is not None
        or (not path.islower() and any(_is_base64(*found) for each in _BASE64 for found in each.findall(path)))
        or any(_changes(_kinds(found)) >= 2 for found in _BASE32.findall(path))
    )


def _is_base64(text: bytes, padding: bytes) -> bool:
    """Whether the kind of character changes as often as in random letters and digits, but for 2.9 deviations."""
    kinds = _kinds(text)
    if b"A" not in kinds or b"a" not in kinds or not (b"0" in kinds or padding):
        return False
    pairs = len(kinds) - 1
    return _changes(kinds) >= 0.645 * pairs - 2.9 * 0.479 * math.sqrt(pairs)


def _kinds(text: bytes) -> bytes:
    """The kind of each letter and digit. Other characters are left out, because they separate words."""
    return text.translate(_KINDS, b"+/-_")


def _changes(kinds: bytes) -> int:
    return sum(one != other for one, other in pairwise(kinds))
