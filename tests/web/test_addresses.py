"""Addresses of the pages: aliases and numbers that lead to versions, and links that lead where they say."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import artstore as wandb
from artstore.api.handles import opened
from tests.support.commands import Cli
from tests.support.pages import Served, serve
from tests.support.runs import root


@pytest.fixture
def served(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A model in two versions, made by anna in the run `train`; ben linked the second into a registry."""
    monkeypatch.setenv("USER", "anna")
    monkeypatch.setenv("LOGNAME", "anna")
    with wandb.init(project="digits", id="train") as run:
        for text in ("one", "two"):
            (here / "weights.txt").write_text(text)
            run.log_artifact("weights.txt", name="model").wait()
    monkeypatch.setenv("USER", "ben")
    monkeypatch.setenv("LOGNAME", "ben")
    opened(root()).link(opened(root()).find("digits/model:v1"), "registry-models/classifier", ("prod",))
    opened(root()).put("weights.txt", "images/model")
    yield from serve(here, here)


def text_of(served: Served, path: str) -> str:
    response, body = served.ask(path)
    assert response.status == 200, path
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", "", body.decode().partition("<main")[2]))


def test_an_alias_or_vn_in_an_address_leads_to_the_version(served: Served) -> None:
    for page in ("version", "files", "lineage", "raw", "image"):
        base = f"/{page}/local/registry-models/classifier"
        for name in ("prod", "latest", "v0"):
            response, _ = served.ask(f"{base}/{name}?path=weights.txt&a=b%2Fc")
            assert (response.status, response.getheader("Location")) == (307, f"{base}/0?path=weights.txt&a=b%2Fc")
            assert served.ask(f"{base}/{name}")[0].getheader("Location") == f"{base}/0"
    for name, status in (
        ("nobody", 404),
        ("v9", 404),
        ("9", 404),
        ("a:b", 400),
        ("%0d%0aX:y", 400),
        ("a" * 3000, 400),
    ):
        response, body = served.ask(f"/version/local/digits/model/{name}")
        assert response.status == status and b"Traceback" not in body, name
    assert served.ask("/version/local/digits/model/0")[0].status == 200


def test_a_difference_names_projects_where_they_differ(served: Served) -> None:
    across = text_of(served, "/diff?old=digits/model:v1&new=images/model:v0")
    assert "local/digits/model:v1 → local/images/model:v0" in across
    within = text_of(served, "/diff?old=digits/model:v0&new=digits/model:v1")
    assert " local/digitsmodel:v0 → model:v1 " in within
    title = served.ask("/diff?old=digits/model:v1&new=images/model:v0")[1].decode()
    assert "<title>local/digits/model:v1 → local/images/model:v0 – artstore</title>" in title


def test_a_link_says_who_linked_it_and_who_saved_its_source(served: Served, cli: Cli, here: Path) -> None:
    text = text_of(served, "/version/local/registry-models/classifier/0")
    day = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    assert re.search(
        rf"Linked{day} by ben on \S+ Link tolocal/digits/model:v1 Saved{day} by anna on \S+ Made by", text
    ), text
    assert "linked by ben on" in text_of(served, "/artifact/local/registry-models/classifier")
    assert re.search(rf"Saved{day} by anna on", text_of(served, "/version/local/digits/model/1"))
    shown = cli("show", "registry-models/classifier:v0", cwd=here).out
    assert re.search(r"saved +\S+\nlinked +by ben on \S+\nlink to +local/digits/model:v1\n", shown), shown
    opened(root()).delete("digits/model:v1", delete_aliases=True)
    text = text_of(served, "/version/local/registry-models/classifier/0")
    assert "Link tolocal/digits/model:v1, which was deleted" in text and "by anna" in text


def test_a_run_links_to_the_versions_that_it_logged_as_they_are_called_now(
    served: Served, cli: Cli, here: Path
) -> None:
    page = served.ask("/run/local/digits/train")[1].decode()
    for number in (0, 1):
        assert f'<a href="/version/local/digits/model/{number}">digits/model:v{number}</a>' in page
    assert cli("mv", "digits/model", "digits/net", cwd=here).code == 0
    assert cli("rm", "digits/net:v0", cwd=here).code == 0
    page = served.ask("/run/local/digits/train")[1].decode()
    assert '<a href="/version/local/digits/net/1">digits/net:v1</a>' in page
    assert "digits/model:v0 (deleted)" in page and "/net/0" not in page and "/model/0" not in page
