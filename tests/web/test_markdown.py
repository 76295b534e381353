"""Markdown as people write it: aligned columns, task lists, headings, images and links of the same version."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from artstore.repository import Repository
from artstore.web.markdown import rendered
from tests.support.example import png
from tests.support.folders import make_tree
from tests.support.pages import Served, seen_by_a_browser, serve, violations, watched

README = """# Card

Text before ![a curve](img/a%20b.png) and ![its twin](./img/../img/caf%C3%A9.png?raw=true "twin").
![from the top](/img/a%20b.png) ![gone](img/none.png) ![far away](https://example.com/x.png)
[![badge](https://example.com/badge.svg)](https://example.com/ci) ![dot](data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7)
[the guide](docs/guide.md#start), [lost](docs/none.md), [the folder](img/), [out](https://example.com/), [top](#card)
![odd](c:/x.png) [broken](http://[) ![](img/none.png)

## Below

- [x] cleaned `twice`
- [ ] published
  - [X] inner

| name | count | middle |
|:-----|------:|:------:|
| a    |    10 |   b    |
"""


@pytest.fixture
def card(repo: Repository, tmp_path: Path, root: Path) -> Iterator[Served]:
    source = make_tree(
        tmp_path / "src", {"README.md": README, "docs/guide.md": "![up](../img/a%20b.png)\n\n###### low"}
    )
    (source / "img").mkdir()
    for number, name in enumerate(("a b.png", "café.png")):
        png(source / "img" / name, number)
    repo.put(str(source), "data", description="![shown](img/a%20b.png) [guide](docs/guide.md)")
    yield from serve(tmp_path, tmp_path)


@seen_by_a_browser
def test_a_readme_is_shown_as_it_was_meant_with_the_images_of_its_version(browser: Browser, card: Served) -> None:
    tab = watched(browser, card)
    base = "/files/local/uncategorized/data/0"
    page = tab.open(f"{base}?path=README.md")
    measured = "image => image.decode().then(() => [image.alt, image.naturalWidth])"
    sizes = page.locator(".prose img").evaluate_all(f"images => Promise.all(images.map({measured}))")
    assert sizes == [["a curve", 64], ["its twin", 64], ["from the top", 64], ["dot", 1]]
    assert page.locator("h1").count() == 1 and page.locator(".prose h2").inner_text() == "Card"
    assert page.locator(".prose h3").inner_text() == "Below"
    aligned = page.locator(".prose td").evaluate_all("cells => cells.map(cell => getComputedStyle(cell).textAlign)")
    assert aligned == ["left", "right", "center"]
    tasks = page.locator(".prose .task").evaluate_all("signs => signs.map(sign => [sign.textContent, sign.ariaLabel])")
    assert tasks == [["☑", "done"], ["☐", "to do"], ["☑", "done"]] and "[x]" not in page.inner_text("main")
    for text, address in (
        ("far away", "https://example.com/x.png"),
        ("badge", "https://example.com/ci"),
        ("top", "#card"),
    ):
        assert page.locator(".prose a", has_text=text).get_attribute("href") == address
    assert "gone" in page.inner_text(".prose") and page.locator(".prose a", has_text="lost").count() == 0
    assert [v["id"] for v in violations(page)] == []
    page.get_by_role("link", name="the guide").click()
    page.wait_for_url("**/files/**guide.md")
    assert page.locator(".prose img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    assert page.locator(".prose h2").inner_text() == "low"
    page = tab.open("/version/local/uncategorized/data/0")
    assert page.locator(".prose img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    page.get_by_role("link", name="guide").click()
    page.wait_for_url("**/files/**guide.md")
    assert tab.wrong == [], "the console stays empty"
    tab.page.context.close()


def test_no_style_and_nothing_that_is_not_there_is_left_in_the_html_of_a_text_without_a_version() -> None:
    html = rendered(README)
    assert "style=" not in html and "<img" not in html.replace('<img src="data:', "")
    assert 'class="align-right"' in html and "gone" in html
    assert rendered("[a](/runs) ![b](<http://[:]>) ![c](//evil/y.png)") == '<p>a b <a href="//evil/y.png">c</a></p>\n'


def test_headings_are_below_the_title_of_the_page_and_leave_out_no_level() -> None:
    html = rendered(
        "## a\n\n#### b\n\n#### c\n\n## d\n\n# e\n\n## f\n\n" + "\n\n".join("#" * n + " g" for n in range(1, 7))
    )
    assert re.findall(r"<(h\d)>(\w)</\1>", html)[:6] == [
        ("h2", "a"), ("h3", "b"), ("h3", "c"), ("h2", "d"), ("h2", "e"), ("h3", "f"),
    ]  # fmt: skip
    assert [tag for tag, text in re.findall(r"<(h\d)>(\w)</\1>", html) if text == "g"] == [
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "h6",
    ]
