"""Parts of files: what RFC 9110 asks of a server."""

import pytest
from starlette.requests import Request

from artstore.web.ranges import part_asked


def request(**headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return Request({"type": "http", "headers": named})


@pytest.mark.parametrize(
    ("asked", "size", "status", "part", "length"),
    [
        ("bytes=0-", 10, 206, "bytes 0-9/10", 10), ("bytes=3-5", 10, 206, "bytes 3-5/10", 3),
        ("bytes=9-", 10, 206, "bytes 9-9/10", 1), ("BYTES=3-99", 10, 206, "bytes 3-9/10", 7),
        ("bytes=-4", 10, 206, "bytes 6-9/10", 4), ("bytes=-99", 10, 206, "bytes 0-9/10", 10),
        ("bytes=10-", 10, 416, "bytes */10", 0), ("bytes=-0", 10, 416, "bytes */10", 0),
        ("bytes=0-", 0, 416, "bytes */0", 0), ("bytes=5-3", 10, 416, "bytes */10", 0),
        ("bytes=0-1,4-5", 10, 200, None, 10), ("bytes=-", 10, 200, None, 10), ("lines=0-3", 10, 200, None, 10),
        ("bytes=\u0661-", 10, 200, None, 10), ("bytes=" + "9" * 19 + "-", 10, 200, None, 10),
    ],
)  # fmt: skip
def test_a_part_of_a_file_is_answered_as_http_says(
    asked: str, size: int, status: int, part: str | None, length: int
) -> None:
    found = part_asked(request(range=asked), size)
    assert (found.status, found.headers.get("content-range"), found.length) == (status, part, length)
    assert found.headers["accept-ranges"] == "bytes"
    assert status == 416 or found.headers["content-length"] == str(length)


def test_a_part_of_a_file_that_must_not_have_changed_is_the_whole_file() -> None:
    assert part_asked(request(range="bytes=3-", if_range='"x"'), 10).status == 200
    assert part_asked(request(if_range='"x"'), 10).length == 10
