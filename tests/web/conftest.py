"""What tests of the pages share: a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.pages import launched


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One for the files of this folder: each test has a context of its own in it."""
    yield from launched()
