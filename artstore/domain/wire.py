"""The wire: what a client and a served remote send each other, as PROTOCOL.md has it."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgpack

from artstore.domain.codec import MAX_BYTES
from artstore.errors import ArtstoreError, Damage

PROTOCOL = 1
PREFIX = "/v1"
FRAMES = "application/vnd.artstore.frames"
"""The media type of frames."""
TRANSACTION = "artstore-transaction"
"""The header that names the transaction under which an entry is appended."""
MOST_WANTED = 10_000
"""Most digests, logs or entries that one request asks for."""
MOST_OBJECTS = 2_000
"""Most objects that one request asks for: what is known of each is in memory while a client takes them."""
MOST_ASKED = 8 << 20
"""Most bytes of a request that asks for something: 10,000 digests, through 100,000 versions."""
MOST_SENT = 8 << 20
"""Bytes of small objects that a client sends at once. One object that is larger is sent alone."""
_FED = 1 << 20
"""Bytes that are given to the decoder at once."""
MOST_TOGETHER = 50_000
"""Most objects that a client sends at once: what is known of each takes memory at the server."""
LONGEST_FRAME = MAX_BYTES + (64 << 10)
"""Most bytes of one frame: a tree of the largest size and its digest."""
_MOST_VALUES = 4_000_000
"""Most values of one frame, in all its lists and maps: the state of a collection of 100,000 versions."""

Through = list[tuple[str, list[str]]]
"""Through what objects are asked for: folders of logs, each with the ids of versions in it, in hex.

Without ids it is what the log itself names: long properties of a collection and its versions, or the history and the
files of a run.
"""


class Hello(NamedTuple):
    """The answer to the first request: what is served, and to whom."""

    protocol: int
    repository: str
    """the id of the repository, which its copies share"""
    format: dict[str, Any]
    """the content of its `format` file"""
    entity: str
    """the entity of names that have none"""
    author: str
    """the name of the token"""
    role: str
    """the largest role that the token has in any project"""
    scope: str
    """A digest of what the token may see. If it changes, so may logs that name what it didn't see, or doesn't now."""


def frame(*values: Any) -> bytes:
    """One frame: a msgpack array of these values."""
    return msgpack.packb(values, use_bin_type=True)  # type: ignore[no-any-return]


class _Budget:
    """Counts the values in the lists and maps of one frame: a byte of an empty list takes 64 bytes of memory."""

    def __init__(self) -> None:
        self.left = _MOST_VALUES

    def of(self, made: Any) -> Any:
        """A list or map, as it is. Raises ValueError if there are too many values with those before."""
        self.left -= len(made) + 1
        if self.left < 0:
            raise ValueError(f"one has more than {_MOST_VALUES} values")
        return made


def frames(pieces: Iterable[bytes], what: str) -> Iterator[list[Any]]:
    """The frames in a stream that arrives in pieces. Memory: one frame, and the piece that ends it.

    Raises Damage, with the name `what`, for anything else, for a frame of too many bytes or values and for a stream
    that ends within a frame.
    """
    budget = _Budget()
    unpacker = msgpack.Unpacker(
        raw=False, use_list=True, strict_map_key=True, max_buffer_size=LONGEST_FRAME + _FED,
        max_array_len=_MOST_VALUES, max_map_len=_MOST_VALUES, list_hook=budget.of, object_hook=budget.of,
    )  # fmt: skip
    fed = ended = 0
    try:
        for piece in pieces:
            for start in range(0, len(piece), _FED):
                part = piece[start : start + _FED] if len(piece) > _FED else piece
                unpacker.feed(part)
                fed += len(part)
                for values in unpacker:
                    if type(values) is not list:
                        raise Damage(f"{what} sent something else than frames")
                    budget.left = _MOST_VALUES
                    yield values
                    ended = unpacker.tell()
    except ArtstoreError:
        raise  # of whoever gives the pieces
    except (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException, msgpack.BufferFull) as error:
        raise Damage(f"{what} sent frames that can't be decoded: {str(error) or type(error).__name__}") from error
    if ended != fed:
        raise Damage(f"the answer of {what} ended early")


def objects_in(body: bytes, what: str) -> Iterator[tuple[int, memoryview]]:
    """The objects that a client sends, from frames [kind, bytes]. Raises Damage, with the name `what`, for others.

    It is read byte by byte, because msgpack would make lists of what is nested, with 60 times the memory.
    """
    at, view = 0, memoryview(body)
    while at < len(body):
        start = at + 3 + _WIDTHS.get(body[at + 2], 0) if at + 3 <= len(body) else 0
        size = int.from_bytes(body[at + 3 : start], "big")
        if start <= at + 3 or body[at] != _PAIR or body[at + 1] > 0x7F or start + size > len(body):
            raise Damage(f"{what} sent something else than frames of objects")
        yield body[at + 1], view[start : start + size]
        at = start + size


_PAIR = 0x92
"""Where a msgpack array of two values begins; a small number is its own byte."""
_WIDTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4}
"""Bytes of the length of msgpack's three kinds of byte strings."""
