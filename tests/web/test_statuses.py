"""The statuses of HTTP for errors, on pages and in the protocol of a served remote."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from artstore import errors
from artstore.domain.wire import PROTOCOL
from artstore.errors import ArtstoreError, FilesDiffer, SourceError
from artstore.server.asking import told
from artstore.web.render import status_of

ON_PAGES = {
    "NotFound": 404, "InvalidValue": 400, "Conflict": 409, "Refused": 403, "AuthenticationError": 401, "StorageError": 503,
    "UnsupportedFormat": 501,
}  # fmt: skip
"""Others are of these classes, or are bugs, but for `Damage`: that of a repository is 500."""
NEVER_HERE = {"ArtstoreError", "CommError", "FilesDiffer", "SourceError", "WandbCoreNotAvailableError"}
"""What no page and no request of the protocol meets: bases, and errors of saves, comparisons and W&B's scripts."""


def classes() -> Iterator[type[ArtstoreError]]:
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, ArtstoreError):
            yield value


def made(kind: type[ArtstoreError]) -> ArtstoreError:
    if issubclass(kind, FilesDiffer):
        return kind("x", missing=[], changed=[], extra=[])
    return kind("x", problems=[]) if issubclass(kind, SourceError) else kind("x")


@pytest.mark.parametrize("kind", list(dict.fromkeys(classes())), ids=lambda kind: kind.__name__)
def test_every_error_that_a_page_or_a_request_can_meet_has_a_status(kind: type[ArtstoreError]) -> None:
    lineage = {base.__name__ for base in kind.__mro__}
    expected = next((status for name, status in ON_PAGES.items() if name in lineage), 500)
    assert status_of(made(kind)) == expected
    assert (expected == 500) is (kind.__name__ in NEVER_HERE or "Damage" in lineage), "name it in the table of statuses"
    answer = told(made(kind))
    assert answer.status_code == (422 if "Damage" in lineage else expected)
    assert json.loads(bytes(answer.body))["kind"] == kind.__name__


def test_the_page_of_the_protocol_has_each_status_and_class() -> None:
    page = (Path(__file__).parents[2] / "PROTOCOL.md").read_text()
    assert f"Version {PROTOCOL}." in page
    rows = dict(re.findall(r"^\| (\d{3}) \| (.*) \|$", page, re.MULTILINE))
    for name, status in {**ON_PAGES, "Damage": 422}.items():
        assert f"(`{name}`)" in rows[str(status)], name
