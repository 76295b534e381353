"""Giving a large blob: from the bucket, by the proxy, or in pieces, whole or in part."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from artstore.server.objects import Blob
from artstore.web.given import FileAnswer
from artstore.web.ranges import part_asked

BYTES = "application/octet-stream"
_PIECE = 512 << 10
"""Bytes that are sent at once, since uvicorn has no sendfile: half of it takes twice the time, twice of it the memory."""


def given(one: Blob, request: Request, proxied: str | None, headers: Mapping[str, str] | None = None) -> Response:
    """The answer with a large blob, or with the range of it that a request asks for. The blob is closed."""
    more = dict(headers or {})
    if one.file is None:
        assert one.address is not None
        return Response(status_code=302, headers=more | {"location": one.address})
    if proxied is not None and one.path:
        one.file.close()
        return Response(headers=more | {"x-accel-redirect": f"{proxied}/{one.path}"}, media_type=BYTES)
    part = part_asked(request, one.size)
    if part.status == 416:
        one.file.close()
        return Response(status_code=416, headers=part.headers)
    one.file.seek(part.start)
    return FileAnswer(one.file, part.length, _PIECE, status=part.status, media_type=BYTES, headers=more | part.headers)
