"""Verified authors on the pages, apart from what users claim."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import artstore
from artstore.repository import Repository
from tests.support.authors import accepted_by_a_server
from tests.support.folders import make_tree
from tests.support.pages import Served, serve


@pytest.fixture
def served(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("LOGNAME", "<strong>ci</strong>, claimed ada")
    with Repository.init(str(here / ".artifacts")) as repository:
        make_tree(here / "data", {"f": "1"})
        with accepted_by_a_server("ci<b>"):
            repository.put(str(here / "data"), "data", aliases=("prod",))
            with artstore.init(project="uncategorized", id="r"):
                pass
        repository.put(str(make_tree(here / "other", {"f": "2"})), "other", aliases=("prod",))
    yield from serve(here, here)


def test_an_author_is_shown_where_a_claimed_name_is_and_cannot_be_imitated(served: Served) -> None:
    claimed = b"&lt;strong&gt;ci&lt;/strong&gt;, claimed ada"
    home = "local/uncategorized"
    for page in (f"/artifact/{home}/data", f"/aliases/{home}/data", f"/version/{home}/data/0", f"/run/{home}/r"):
        assert b"<strong>ci&lt;b&gt;</strong>" in (text := served.ask(page)[1]) and claimed in text, page
    for page in (f"/artifact/{home}/other", f"/aliases/{home}/other", f"/version/{home}/other/0"):
        assert b"<strong>" not in (text := served.ask(page)[1]) and claimed in text, page
