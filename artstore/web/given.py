"""Answers with the bytes of an open file, which is closed whether or not anybody takes them."""

from collections.abc import Iterator, Mapping
from typing import IO

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class FileAnswer(StreamingResponse):
    """Some bytes of a file, from where it is, in pieces.

    The file is closed at the end, and also if the client goes away before it begins: a generator that was never begun
    would close nothing.
    """

    def __init__(
        self,
        file: IO[bytes],
        size: int,
        piece: int,
        *,
        status: int = 200,
        media_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take over a file. At most `piece` bytes are read at once."""
        self._file = file
        super().__init__(self._pieces(size, piece), status, headers, media_type)

    def _pieces(self, left: int, piece: int) -> Iterator[bytes]:
        while left > 0 and (data := self._file.read(min(piece, left))):
            left -= len(data)
            yield data

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()

    def __del__(self) -> None:
        self._file.close()  # another answer took its place
