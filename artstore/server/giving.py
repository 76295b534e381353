"""Giving a large blob: from the bucket, by the proxy, or in pieces, whole or in part."""

import os
from collections.abc import Iterator, Mapping
from io import RawIOBase

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from artstore.server.objects import Blob
from artstore.web.ranges import part_asked

BYTES = "application/octet-stream"
_PIECE = 512 << 10
"""Bytes that are sent at once, since uvicorn has no sendfile: half of it takes twice the time, twice of it the memory."""


def given(one: Blob, request: Request, proxied: str | None, headers: Mapping[str, str] | None = None) -> Response:
    """The answer with a large blob, or with the range of it that a request asks for. The blob is closed."""
    more = dict(headers or {})
    if one.address is not None:
        return Response(status_code=302, headers=more | {"location": one.address})
    if proxied is not None:
        os.close(one.fd)
        return Response(headers=more | {"x-accel-redirect": f"{proxied}/{one.path}"}, media_type=BYTES)
    part = part_asked(request, one.size)
    if part.status == 416:
        os.close(one.fd)
        return Response(status_code=416, headers=part.headers)
    file = open(one.fd, "rb", buffering=0)  # an answer that nobody takes closes it, too
    return StreamingResponse(_pieces(file, part.start, part.length), part.status, more | part.headers, BYTES)


def _pieces(file: RawIOBase, start: int, length: int) -> Iterator[bytes]:
    """The bytes of a range of a file, in pieces. The file is closed at the end."""
    with file:
        while length > 0 and (piece := os.pread(file.fileno(), min(_PIECE, length), start)):
            yield piece
            start, length = start + len(piece), length - len(piece)
