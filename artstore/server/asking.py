"""What requests ask: their bodies, read with a limit and checked, and answers in frames."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from artstore import errors
from artstore.domain.names import printable
from artstore.domain.wire import FRAMES, MOST_ASKED, MOST_SENT, MOST_WANTED, frame
from artstore.errors import ArtstoreError, Damage, InvalidValue
from artstore.server.tries import Busy
from artstore.web.given import FileAnswer
from artstore.web.render import status_of

_PIECE = 128 << 10
"""Bytes that are sent at once. Each piece costs a switch between threads."""
_IN_MEMORY = 512 << 10
"""Bytes of an answer that is made whole; a longer one is a file."""
_MOST_VALUES = 1_000_000
"""Values in the JSON of a request: a byte of an empty list takes 32 bytes of memory."""
_SOON = 10.0
"""Seconds after which there may be space for another long answer."""


class TooLarge(InvalidValue):
    """A request is larger than the protocol allows."""


_OWN_STATUS: dict[type[ArtstoreError], int] = {TooLarge: 413, Damage: 422}
"""Of errors that have another status in the protocol than on pages."""


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


async def json_of(request: Request, most: int) -> bytes:
    """The body of a request that is JSON. Raises TooLarge, also if it would take far more memory than it has bytes."""
    body = await body_of(request, most)
    if sum(body.count(sign) for sign in (b",", b"[", b"{")) > _MOST_VALUES:
        raise TooLarge(f"a request with more than {_MOST_VALUES} values")
    return body


async def asked(request: Request) -> dict[str, Any]:
    """The JSON object in the body of a request. Raises InvalidValue."""
    body = await json_of(request, MOST_ASKED)
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


class Spools:
    """Counts the bytes of long answers, which are files until their clients have taken them."""

    def __init__(self, most: int = 4 << 30, share: int = 1 << 30) -> None:
        self._most = most
        self._share = share
        self._lock = Lock()
        self._of: Counter[str] = Counter()
        self._taken: deque[tuple[str, int]] = deque()
        """what was taken since bytes were counted last"""

    def grow(self, who: str, size: int) -> None:
        """Count bytes of an answer. Raises Busy if its client, or all together, have too many."""
        with self._lock:
            while self._taken:
                one, taken = self._taken.popleft()
                self._of[one] -= taken
            self._of += Counter()  # forgets who has none
            if self._of[who] + size > self._share or self._of.total() + size > self._most:
                raise Busy("the answers that are being sent take too much space", _SOON)
            self._of[who] += size

    def shrink(self, who: str, size: int) -> None:
        """Count bytes of an answer that has been taken.

        It takes no lock: Python closes an answer that nobody took at any time, also while this thread has the lock.
        """
        if size:
            self._taken.append((who, size))


def framed(frames: Iterable[list[Any]], who: str, spools: Spools) -> Response:
    """An answer in frames, which is made whole before it is sent.

    So an error has its status, and no handle of the repository waits for a slow client. A long answer is on disk.
    """
    spool = _Spool(who, spools)
    try:
        for values in chain(frames, [["end"]]):
            spool.write(frame(*values))
            spool.count()
        size = spool.tell()
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return FileAnswer(spool, size, _PIECE, media_type=FRAMES)


class _Spool(SpooledTemporaryFile[bytes]):
    """The bytes of an answer that is made whole, which count until it is closed."""

    def __init__(self, who: str, spools: Spools) -> None:
        super().__init__(max_size=_IN_MEMORY)
        self._who = who
        self._spools = spools
        self._counted = 0

    def count(self) -> None:
        """Count what was written since the last time, unless it is little. Raises Busy."""
        if (more := self.tell() - self._counted) >= _PIECE:
            self._spools.grow(self._who, more)
            self._counted += more

    def close(self) -> None:
        """Close it. Its bytes don't count any more."""
        super().close()
        self._spools.shrink(self._who, self._counted)
        self._counted = 0


def flowing(frames: Iterable[list[Any]], shown: Callable[[ArtstoreError], ArtstoreError]) -> Response:
    """An answer in frames that is sent while it is made. An error after its first frame is a frame, as `shown`."""
    sending = iter(frames)
    first = next(sending, None)
    return StreamingResponse(_pieces(first, sending, shown), media_type=FRAMES)


def _pieces(
    first: list[Any] | None, rest: Iterator[list[Any]], shown: Callable[[ArtstoreError], ArtstoreError]
) -> Iterator[bytes]:
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
        told = _told(shown(error))
        gathered.append(frame("error", told["kind"], told["error"], told["hint"]))
    yield b"".join(gathered)


def told(error: ArtstoreError) -> Response:
    """The answer that tells an error."""
    status = next((status for kind, status in _OWN_STATUS.items() if isinstance(error, kind)), status_of(error))
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    if isinstance(error, Busy):
        status, headers = 429, {"retry-after": f"{error.seconds:.0f}"}
    return JSONResponse(_told(error), status, headers)


def _told(error: ArtstoreError) -> dict[str, str | None]:
    """An error for a client. The words may have what it sent, also text that has no UTF-8."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    hint = printable(error.hint) if error.hint is not None else None
    return {"error": printable(error.message), "hint": hint, "kind": kind}
