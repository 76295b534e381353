"""The files of runs on pages: listed and previewed, console output, environment; and a collection's retention rule."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from artstore.repository import Repository
from artstore.web.console import coloured, patched
from tests.support.commands import QUIET, environment
from tests.support.folders import make_tree
from tests.support.marks import mostly_long
from tests.support.pages import Served, Watched, seen_by_a_browser, serve, until, violations, watched

ROOT = Path(__file__).parents[2]
MAKE = r"""
import os, struct
import artstore as wandb
from artstore.repository import Repository
from tests.support.example import png

def wav(seconds):
    data = bytes(8000 * seconds)
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8, b"data", len(data)) + data

from pathlib import Path
png(Path("one.png"), 1)
with wandb.init(project="p", id="full", name="a whole run") as run:
    run.log({"loss": 1})
    add = run._recording.add_file
    add("notes/read.md", b"# Notes\n\n![one](../media/images/one.png) and [no](missing.txt)\n")
    add("media/images/one.png", "one.png")
    add("sound.wav", wav(2))
    page = "<link rel=preconnect href='{0}'><script>alert(1)</script><p>seven of eight</p><img src='{0}/x.png'>" \
           "<link rel=stylesheet href='{0}/x.css'><meta http-equiv=refresh content='0;url={0}'>"
    add("page.html", page.format("http://127.0.0.1:" + os.environ["NOBODY"]).encode())
    add("rows.csv", b"a,b\n1,2\n")
    add("odd/<img src=x onerror=alert(1)>.txt", b"<script>alert(1)</script>")
    add("odd/caf\udce9.txt", b"latin")
    lines = b"".join(b"line %d\n" % number for number in range(40_000))
    add("output.log", lines + b" 10%\r100%\n\x1b[31mfailed\x1b[0m <b>not bold</b>\x1b]0;title\x07\x1b[2J\nthe end\n")
    add("wandb-metadata.json", b'{"host": "atlas", "gpu": {"name": "<i>H100</i>"}, "python": "3.11"}')
    add("requirements.txt", b"numpy==2.0\n")
    sample = '{"_timestamp": %d, "_runtime": %d, "system.cpu": %d, "<b>": 1, "note": "x"}'
    first = [sample % (100 + second, second, second) for second in (0, 15, 30)]
    again = [sample % (500 + second, second, 50) for second in (5, 20)]
    add("wandb-events.jsonl", "\n".join([*first, "[1]", '{"_runtime": -1}', *again, '{"_runtime": 35, "system']).encode())
    add("diff.patch", b"--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-rate = 1\n+rate = 2 # <script>\n")
with wandb.init(project="p", id="bare"):
    pass
with wandb.init(project="p", id="odd") as run:
    run._recording.add_file("wandb-metadata.json", b"[1, 2")
    run._recording.add_file("requirements.txt", b"\xff\xfe" * 200_000)
with wandb.init(project="p", id="hostile") as run:
    rows = ["[]", "[" * 10_000, '{"_runtime": 1e999}', '{"_runtime": "x"}', "1" * 300_000]
    rows += ['{"_runtime": 1, "a": NaN, "b": 1%s, "c": [1], "d": true, "\\ud800": 1}' % ("0" * 400)]
    rows += ['{"_runtime": %d, "m%d": 1}' % (n, n) for n in range(2, 300)]
    run._recording.add_file("wandb-events.jsonl", "\n".join([*rows, ""]).encode())
with wandb.init(project="p", id="many") as run:
    for number in range(1200):
        run._recording.add_file(f"media/images/im_{number:05}.png", b"%d" % number)
repository = Repository(".artifacts")
os.mkdir("data")
for number in range(4):
    Path("data/x").write_text(str(number))
    repository.put("data", "kept")
    repository.put("data", "unkept")
repository.keep("kept", "last:2")
repository.keep("unkept", "best:loss:min")
"""
PAGES = {
    "its files": "/run-files/local/p/full",
    "a folder": "/run-files/local/p/full?path=media/images",
    "an image": "/run-files/local/p/full?path=media/images/one.png",
    "a sound": "/run-files/local/p/full?path=sound.wav",
    "a table": "/run-files/local/p/full?path=rows.csv",
    "Markdown": "/run-files/local/p/full?path=notes/read.md",
    "console": "/run-console/local/p/full",
    "environment": "/run-environment/local/p/full",
    "no files": "/run-files/local/p/bare",
    "no console": "/run-console/local/p/bare",
    "no environment": "/run-environment/local/p/bare",
    "retention": "/artifact/local/uncategorized/kept",
}


@pytest.fixture(scope="module")
def nobody() -> Iterator[socket.socket]:
    """A server on this host that no page may ask."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        yield listener


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, nobody: socket.socket) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("files")
    port = str(nobody.getsockname()[1])
    told = environment(folder, ARTSTORE_DIR=str(folder / ".artifacts"), PYTHONPATH=str(ROOT), NOBODY=port, **QUIET)
    subprocess.run([sys.executable, "-c", MAKE], check=True, env=told, cwd=folder)
    yield from serve(folder, folder)


@pytest.fixture
def tab(browser: Browser, served: Served) -> Iterator[Watched]:
    found = watched(browser, served)
    yield found
    found.page.context.close()


def said(served: Served, path: str) -> str:
    response, body = served.ask(path)
    assert response.status == 200, body
    return body.decode()


@seen_by_a_browser
@pytest.mark.parametrize("scheme", mostly_long(["light", "dark"], "light"))
def test_pages_of_a_runs_files_are_accessible_and_need_no_network(
    browser: Browser, served: Served, scheme: str
) -> None:
    tab = watched(browser, served, scheme)
    for name, path in PAGES.items():
        page = tab.open(path)
        found = violations(page)
        assert [(v["id"], v["nodes"][0]["html"]) for v in found] == [], name
        assert tab.wrong == [], name
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        page.set_viewport_size({"width": 1200, "height": 800})
    tab.page.context.close()


def test_samples_of_the_machine_go_on_where_a_continued_run_ended(served: Served) -> None:
    (told,) = json.loads(said(served, "/run-samples/local/p/full"))
    assert told["metrics"]["system.cpu"]["steps"] == [0, 15, 30, 35, 50]
    assert (
        told["metrics"]["system.cpu"]["values"] == [0, 15, 30, 50, 50] and told["metrics"]["<b>"]["axis"] == "seconds"
    )
    assert told["error"] == "2 lines of wandb-events.jsonl can't be read."
    assert json.loads(said(served, "/run-samples/local/p/bare"))[0]["metrics"] == {}
    assert "System" not in said(served, "/run/local/p/bare")


def test_samples_that_are_damaged_or_of_too_many_metrics_are_counted(served: Served) -> None:
    (told,) = json.loads(said(served, "/run-samples/local/p/hostile"))
    assert sorted(told["metrics"]) == sorted(["a", "b", "\\ud800", *(f"m{n}" for n in range(2, 199))])
    assert told["metrics"]["a"]["marks"] == [{"step": 1, "text": "NaN from seconds 1"}]
    assert told["error"] == "6 lines of wandb-events.jsonl can't be read. The first 200 metrics are shown."


@seen_by_a_browser
def test_charts_of_the_machine_are_drawn_when_they_come_into_sight(tab: Watched) -> None:
    page = tab.open("/run/local/p/full")
    system = page.get_by_role("region", name="System")
    system.scroll_into_view_if_needed()
    system.locator("figure canvas").first.wait_for()
    assert system.locator("figcaption").all_inner_texts() == ["<b>", "system.cpu"]
    assert "2 lines of wandb-events.jsonl can't be read." in system.inner_text()
    assert page.get_by_role("region", name="Metrics").locator("figcaption").all_inner_texts() == ["loss"]


@seen_by_a_browser
def test_the_files_of_a_run_are_listed_previewed_and_downloaded(tab: Watched) -> None:
    page = tab.open("/run/local/p/full")
    for name in ("Files", "media/", "images/", "one.png"):
        page.get_by_role("link", name=name, exact=True).first.click()
    assert page.locator("img.preview").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    page.goto(f"{tab.origin}/run-files/local/p/full?path=notes/read.md")
    assert page.locator(".prose img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    assert page.locator(".prose a").count() == 0, "a link to a file that isn't there is text"
    page.goto(f"{tab.origin}/run-files/local/p/full?path=rows.csv")
    assert page.locator("tbody td").all_inner_texts() == ["1", "2"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes() == b"a,b\n1,2\n"
    assert tab.wrong == []


@seen_by_a_browser
def test_a_sound_is_played_and_sought(tab: Watched) -> None:
    page = tab.open("/run-files/local/p/full?path=sound.wav")
    until(page, "document.querySelector('audio').readyState >= 1")
    assert page.evaluate("document.querySelector('audio').duration") == 2
    page.evaluate(
        "new Promise((done) => { const a = document.querySelector('audio'); a.onseeked = done; a.currentTime = 1.5; })"
    )
    assert page.evaluate("document.querySelector('audio').currentTime") == 1.5 and tab.wrong == []


@pytest.mark.parametrize(
    ("asked", "status", "part", "size"),
    [
        ("bytes=0-3", 206, "bytes 0-3/16044", 4), ("bytes=16000-", 206, "bytes 16000-16043/16044", 44),
        ("bytes=5-99999999", 206, "bytes 5-16043/16044", 16039), ("bytes=16044-", 416, "bytes */16044", 0),
        ("bytes=9-3", 416, "bytes */16044", 0), ("bytes=-4", 206, "bytes 16040-16043/16044", 4), ("pages=1", 200, None, 16044),
    ],
)  # fmt: skip
def test_a_player_gets_the_part_that_it_asks_for(
    served: Served, asked: str, status: int, part: str | None, size: int
) -> None:
    response, body = served.ask("/run-play/local/p/full?path=sound.wav", Range=asked)
    assert (response.status, response.getheader("Content-Range"), len(body)) == (status, part, size)


@seen_by_a_browser
def test_a_stored_page_runs_nothing_and_asks_nobody_in_its_frame(tab: Watched, nobody: socket.socket) -> None:
    page = tab.open("/run-files/local/p/full?path=page.html")
    frame = page.frame_locator("iframe")
    assert frame.locator("p").inner_text() == "seven of eight"
    page.wait_for_timeout(300)  # ms; a refresh would come at once
    assert page.locator("iframe").get_attribute("sandbox") == "" and page.url.endswith("page.html")
    assert not [wrong for wrong in tab.wrong if "dialog" in wrong or wrong.startswith("error")]
    with pytest.raises(BlockingIOError):  # nobody has connected
        nobody.accept()


def test_a_stored_page_is_served_with_the_policy_of_a_sandbox(served: Served) -> None:
    response, body = served.ask("/run-html/local/p/full?path=page.html")
    policy = response.getheader("Content-Security-Policy") or ""
    assert policy.endswith("; sandbox") and "default-src 'none'" in policy and "script-src" not in policy
    assert b"<link" not in body and response.getheader("Content-Type") == "text/html; charset=utf-8"


def test_any_name_of_a_runs_file_leads_to_it_and_is_escaped(served: Served) -> None:
    text = said(served, "/run-files/local/p/full?path=odd")
    assert "<img" not in text and "caf\\xe9.txt" in text
    for link in re.findall(r'<th scope="row"><a href="([^"]+)"', text):
        assert "<script>" not in said(served, link.replace("&amp;", "&"))


def test_a_large_folder_of_a_run_is_paged(served: Served) -> None:
    path, seen = "/run-files/local/p/many?path=media/images", list[str]()
    while path:
        text = said(served, path)
        seen += re.findall(r">im_(\d{5})\.png</a>", text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        path = following[1].replace("&amp;", "&") if following else ""
    assert seen == [f"{number:05}" for number in range(1200)]


@seen_by_a_browser
def test_console_output_begins_with_its_end_and_has_colours(tab: Watched) -> None:
    page = tab.open("/run-console/local/p/full")
    assert page.inner_text(".tail").endswith("100%\nfailed <b>not bold</b>\nthe end\n")
    assert page.inner_text(".colour-1") == "failed" and " 10%" not in page.inner_text(".tail")
    in_sight = (
        "document.querySelector('.tail').scrollTop === 0 && document.querySelector('.tail').scrollHeight > innerHeight"
    )
    assert page.evaluate(in_sight), "which is the end, because it is laid out from the bottom"
    seen = page.inner_text(".tail").splitlines()
    while page.get_by_role("link", name="Earlier output").count():
        page.get_by_role("link", name="Earlier output").click()
        seen = page.inner_text(".tail").splitlines() + seen
    assert seen[:40_000] == [f"line {number}" for number in range(40_000)] and tab.wrong == []


def test_the_environment_of_a_run_is_shown(served: Served) -> None:
    text = said(served, "/run-environment/local/p/full")
    assert "atlas" in text and "&lt;i&gt;H100&lt;/i&gt;" in text and "numpy==2.0" in text
    assert '<span class="added">+rate = 2 # &lt;script&gt;</span>' in text
    assert "No environment was recorded." in said(served, "/run-environment/local/p/bare")
    text = said(served, "/run-environment/local/p/odd")
    assert "wandb-metadata.json is not JSON." in text and "Of requirements.txt the first 256 KiB are shown." in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/run-files/local/p/full?path=../../etc/passwd", 404), ("/run-files/local/p/full?path=no/such", 404),
        ("/run-raw/local/p/full?path=media", 404), ("/run-raw/local/p/full?path=", 404), ("/run-image/local/p/full?path=rows.csv", 404),
        ("/run-play/local/p/full?path=rows.csv", 404), ("/run-files/local/p/nobody", 404), ("/run-console/local/%ff/x", 404),
        ("/run-console/local/p/full?before=x", 400), ("/run-raw/local/p/full?path=a%00b", 404),
    ],
)  # fmt: skip
def test_a_file_that_a_run_has_not_is_said_in_a_sentence(served: Served, path: str, status: int) -> None:
    response, body = served.ask(path)
    assert response.status == status and b"Traceback" not in body and b"a bug" not in body


def test_a_rule_of_a_collection_is_shown_with_what_it_would_delete(served: Served) -> None:
    text = said(served, "/artifact/local/uncategorized/kept")
    assert "<code>last:2</code>" in text and "It would delete 2 versions now. Each save here applies it." in text
    text = said(served, "/artifact/local/uncategorized/unkept")
    assert "It can't be applied: no version of unkept has a number under &#39;loss&#39;" in text


def test_a_rule_that_came_from_elsewhere_is_shown_with_how_to_accept_it(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"x": "1"})), "data")
    repo.keep("data", "last:1")
    (tmp_path / ".artifacts/accepted").unlink()
    for served in serve(tmp_path, tmp_path):
        text = said(served, "/artifact/local/uncategorized/data")
        assert "artstore keep local/uncategorized/data --accept" in text and "does nothing here" in text


def test_only_colours_of_console_output_have_an_effect() -> None:
    for given, shown in (
        ("\x1b[1;32mok\x1b[0m.", '<span class="bold colour-2">ok</span>.'),
        ("\x1b[38;5;200mpink\x1b[38;2;1;2;3m rgb\x1b[m", "pink rgb"),
        ("\x1b[91mred\x1b[39m plain", '<span class="colour-1">red</span> plain'),
        ("a\rb\r\nc", "b\nc"),
        ("\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07", "link"),
        ("\x1b[" + "1;" * 999 + "m<x>\x1b", "&lt;x&gt;"),
        ("\x07\x08", "\\x07\\x08"),
        ("x" * 5000, "x" * 4000 + "…"),
    ):
        assert coloured(given) == shown
    assert patched("+<b>\n a") == '<span class="added">+&lt;b&gt;</span>\n a'
