"""What tests of the pages share: a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.pages import launched


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launched()
