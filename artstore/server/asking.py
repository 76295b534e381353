"""What requests ask: their bodies, read with a limit and checked, and answers in frames."""

import json
from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from artstore import errors
from artstore.domain.names import printable
from artstore.domain.wire import FRAMES, MOST_ASKED, MOST_SENT, MOST_WANTED, frame
from artstore.errors import (
    ArtstoreError,
    AuthenticationError,
    Conflict,
    Damage,
    InvalidValue,
    NotFound,
    Refused,
    StorageError,
)
from artstore.server.tries import Busy
from artstore.web.given import FileAnswer

_PIECE = 128 << 10
"""Bytes that are sent at once. Each piece costs a switch between threads."""
_IN_MEMORY = 512 << 10
"""Bytes of an answer that is made whole; a longer one is a file."""


class TooLarge(InvalidValue):
    """A request is larger than the protocol allows."""


_STATUS: list[tuple[type[ArtstoreError], int]] = [
    (AuthenticationError, 401), (Refused, 403), (NotFound, 404), (Conflict, 409), (TooLarge, 413), (Damage, 422),
    (InvalidValue, 400), (StorageError, 503),
]  # fmt: skip


async def body_of(request: Request, most: int) -> bytes:
    """The body of a request. Raises TooLarge before more than `most` bytes are in memory; without a length, MOST_SENT."""
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal():
        most = min(most, MOST_SENT)
    elif int(declared) > most:
        raise TooLarge(f"a request of {declared} bytes: at most {most} are read")
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise TooLarge(f"a request of more than {most} bytes: at most {most} are read")
        pieces.append(piece)
    return b"".join(pieces)


async def asked(request: Request) -> dict[str, Any]:
    """The JSON object in the body of a request. Raises InvalidValue."""
    body = await body_of(request, MOST_ASKED)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"the request is not JSON: {error}") from error
    if type(value) is not dict:
        raise InvalidValue("the request is not a JSON object")
    return value


def list_in(asked: dict[str, Any], key: str) -> list[Any]:
    """A list of what is asked for. Raises InvalidValue, also if there are too many."""
    value = asked.get(key)
    if type(value) is not list:
        raise InvalidValue(f"the request has no list '{key}'")
    if len(value) > MOST_WANTED:
        raise InvalidValue(f"{len(value)} '{key}' in one request: at most {MOST_WANTED} are answered")
    return value


def text_in(asked: dict[str, Any], key: str) -> str | None:
    """A text, or None. Raises InvalidValue."""
    value = asked.get(key)
    if value is not None and type(value) is not str:
        raise InvalidValue(f"'{key}' in the request is not text")
    return value


def framed(frames: Iterable[list[Any]]) -> Response:
    """An answer in frames, which is made whole before it is sent.

    So an error has its status, and no handle of the repository waits for a slow client. A long answer is on disk.
    """
    spool = SpooledTemporaryFile(max_size=_IN_MEMORY)
    try:
        for values in frames:
            spool.write(frame(*values))
        spool.write(frame("end"))
        size = spool.tell()
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return FileAnswer(spool, size, _PIECE, media_type=FRAMES)


def flowing(frames: Iterable[list[Any]]) -> Response:
    """An answer in frames that is sent while it is made. An error after its first frame is a frame."""
    sending = iter(frames)
    first = next(sending, None)
    return StreamingResponse(_pieces(first, sending), media_type=FRAMES)


def _pieces(first: list[Any] | None, rest: Iterator[list[Any]]) -> Iterator[bytes]:
    gathered, size = [], 0
    try:
        while first is not None:
            data = frame(*first)
            gathered.append(data)
            size += len(data)
            if size >= _PIECE:
                yield b"".join(gathered)
                gathered, size = [], 0
            first = next(rest, None)
        gathered.append(frame("end"))
    except ArtstoreError as error:
        told = _told(error)
        gathered.append(frame("error", told["kind"], told["error"], told["hint"]))
    yield b"".join(gathered)


def told(error: ArtstoreError) -> Response:
    """The answer that tells an error."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    if isinstance(error, Busy):
        status, headers = 429, {"retry-after": f"{error.seconds:.0f}"}
    return JSONResponse(_told(error), status, headers)


def _told(error: ArtstoreError) -> dict[str, str | None]:
    """An error for a client. The words may have what it sent, also text that has no UTF-8."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    hint = printable(error.hint) if error.hint is not None else None
    return {"error": printable(error.message), "hint": hint, "kind": kind}
