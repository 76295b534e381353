"""The part of a file that a request asks for: all of it, or one range."""

import re
from typing import NamedTuple

from starlette.requests import Request

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII | re.IGNORECASE)


class Asked(NamedTuple):
    """A part of a file, and what the answer says of it."""

    start: int
    length: int
    status: int
    """200 for all of the file, 206 for a range, 416 for a range that begins behind its end"""
    headers: dict[str, str]


def part_asked(request: Request, size: int) -> Asked:
    """The part that a request asks for, as RFC 9110 has it.

    It is all of the file if several ranges are asked for, or one of a file that must not have changed (`If-Range`).
    """
    headers = {"accept-ranges": "bytes"}
    asked = _RANGE.fullmatch(request.headers.get("range", "")) if "if-range" not in request.headers else None
    if asked is None:
        return Asked(0, size, 200, headers | {"content-length": str(size)})
    first, last = int(asked[1] or 0), min(int(asked[2] or size - 1), size - 1)
    if asked[3] is not None:  # the last bytes
        first, last = max(size - int(asked[3]), 0), size - 1
    if first > last:
        return Asked(0, 0, 416, headers | {"content-range": f"bytes */{size}"})
    headers |= {"content-range": f"bytes {first}-{last}/{size}", "content-length": str(last - first + 1)}
    return Asked(first, last - first + 1, 206, headers)
