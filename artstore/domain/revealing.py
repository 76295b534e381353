"""Names of files that reveal what is in them: those that have its digest, in hex, base64 or base32."""

import re
from itertools import pairwise

from artstore.domain.wordlike import kinds_of, likeness_to_words

_MEDIA = b"media/"
"""The folder of W&B's media, whose names have a part of their digests."""
_HEX = re.compile(rb"(?<![0-9a-f])[0-9a-f]{20,}(?![0-9a-f])", re.IGNORECASE)
"""A digest, or the part of one that W&B puts in names of media."""
_BASE64 = [
    re.compile(rb"(?<![A-Za-z0-9])(?=([\w+/-]{%d})(?![A-Za-z0-9]))" % size, re.ASCII) for size in (22, 27, 43, 86)
]
"""Texts as long as a digest of 16, 20, 32 or 64 bytes, between characters that aren't letters or digits."""
_BASE32 = re.compile(
    rb"(?<![A-Za-z0-9])(?:[A-Z0-9]{26}|[A-Z0-9]{32}|[A-Z0-9]{52}|[a-z0-9]{26}|[a-z0-9]{32}|[a-z0-9]{52}|[A-Z0-9]{103}|[a-z0-9]{103})(?![A-Za-z0-9])"
)
_WORDS = 3.0
"""Bits by which a text is words rather than base64. Of random digests of 16 bytes three in a thousand have more."""


def tells_content(path: bytes) -> bool:
    """Whether the name of a file says what it holds: it is one of W&B's media, or has what looks like a digest.

    A digest in base64 doesn't look like words, and letters and digits of one in base32 alternate. Of names of words
    that are as long as a digest, up to one in ten are hidden, too, if they have many digits or abbreviations.
    """
    return (
        path.startswith(_MEDIA)
        or _HEX.search(path) is not None
        or (not path.islower() and any(_is_base64(found) for each in _BASE64 for found in each.findall(path)))
        or any(_alternates(found) for found in _BASE32.findall(path))
    )


def _is_base64(text: bytes) -> bool:
    kinds = kinds_of(text)
    return b"A" in kinds and b"a" in kinds and likeness_to_words(text) <= _WORDS


def _alternates(text: bytes) -> bool:
    return sum(one != other for one, other in pairwise(kinds_of(text))) >= 2
