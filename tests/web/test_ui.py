"""The page of a repository: seen by a real browser, and by who asks the server directly."""

import html
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

import artstore as wandb
from artstore.repository import Repository
from tests.support import example
from tests.support.commands import environment
from tests.support.folders import make_tree
from tests.support.marks import mostly_long
from tests.support.pages import Served, Watched, seen_by_a_browser, serve, until, violations, watched

HOME = "local/digits"
PAGES = {
    "artifacts": "/",
    "artifacts of a project": f"/?project={HOME}",
    "an artifact": f"/artifact/{HOME}/images",
    "moves of aliases": f"/aliases/{HOME}/images",
    "a version": f"/version/{HOME}/images/0",
    "a link": "/version/local/registry-models/digits/0",
    "a folder": f"/files/{HOME}/images/0",
    "text": f"/files/{HOME}/images/0?path=page.html",
    "Markdown": f"/files/{HOME}/images/0?path=README.md",
    "JSON": f"/files/{HOME}/images/0?path=meta.json",
    "CSV": f"/files/{HOME}/images/0?path=labels.csv",
    "an image": f"/files/{HOME}/images/0?path=images/00.png",
    "a drawing": f"/files/{HOME}/images/0?path=drawing.svg",
    "bytes": f"/files/{HOME}/model/0?path=weights.bin",
    "a table": f"/files/{HOME}/report/0?path=results.table.json&sort=3&order=down",
    "a difference": f"/diff?old={HOME}/images:v0&new={HOME}/images:v1",
    "rows that differ": f"/diff?old={HOME}/report:v0&new={HOME}/report:v1&table=results.table.json&key=image",
    "lineage": f"/lineage/{HOME}/model/2?depth=5",
    "runs": "/runs",
    "a run": f"/run/{HOME}/train-1",
    "runs compared": f"/compare?run={HOME}/train-1&run={HOME}/train-2&run={HOME}/train-3",
    "storage": "/storage",
    "storage of a version": f"/storage?version={HOME}/model:v2",
    "search": "/search?q=checked",
    "nothing": f"/version/{HOME}/images/9",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("example")
    subprocess.run(
        [sys.executable, "-m", "tests.support.example", str(folder)],
        check=True,
        env=environment(folder),
        cwd=Path(__file__).parents[2],
    )
    yield from serve(folder, folder)


@pytest.fixture
def tab(browser: Browser, served: Served) -> Iterator[Watched]:
    found = watched(browser, served)
    yield found
    found.page.context.close()
    assert found.wrong == []


# -- seen by a browser --


@seen_by_a_browser
@pytest.mark.parametrize("scheme", mostly_long(["light", "dark"], "light"))
def test_every_page_is_accessible_runs_nothing_of_users_and_needs_no_network(
    browser: Browser, served: Served, scheme: str
) -> None:
    tab = watched(browser, served, scheme)
    for name, path in PAGES.items():
        page = tab.open(path)
        found = violations(page)
        serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], name
        assert tab.wrong == [], name
        if folder := os.environ.get("PICTURES"):
            page.screenshot(path=f"{folder}/{name.replace(' ', '-')}-{scheme}.png")
        page.set_viewport_size({"width": 390, "height": 844})
        until(page, "document.documentElement.scrollWidth <= innerWidth")
        page.set_viewport_size({"width": 1200, "height": 800})
    tab.page.context.close()


@seen_by_a_browser
def test_what_users_wrote_is_shown_and_never_run(tab: Watched) -> None:
    page = tab.open(f"/version/{HOME}/images/0")
    assert example.HOSTILE in page.inner_text("main") and page.locator("main img").count() == 0
    assert page.locator('a[href^="javascript"]').count() == 0 and page.locator(".prose strong").inner_text() == "area"
    page = tab.open(f"/files/{HOME}/images/0?path=page.html")
    assert page.inner_text("pre") == "<script>alert(1)</script>"
    page = tab.open(f"/files/{HOME}/images/0?path=drawing.svg")
    assert page.locator("img.preview").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


@seen_by_a_browser
def test_pages_lead_to_one_another(tab: Watched) -> None:
    page = tab.open("/")
    for name in ("images", "v1", "Files", "images/", "00.png"):
        page.get_by_role("link", name=name, exact=True).first.click()
    assert page.locator("img.preview").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    page.get_by_role("link", name=f"{HOME}/images").click()
    page.get_by_role("button", name="Compare the two").click()
    assert "1 removed" in page.inner_text("main") and "300" in page.locator("td.removed").all_inner_texts()
    page.get_by_role("link", name="images:v1").first.click()
    page.get_by_role("link", name=f"{HOME}/prepare-2").click()
    assert page.inner_text("h1") == "prepare-2"
    with page.expect_download() as download:
        page.goto(f"{tab.origin}/files/{HOME}/images/1?path=labels.csv")
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes().startswith(b"image,digit,area\n")


@seen_by_a_browser
def test_lineage_is_panned_zoomed_and_followed(tab: Watched) -> None:
    page = tab.open(f"/lineage/{HOME}/model/2?depth=1")

    def place() -> str:
        page.wait_for_timeout(400)  # ms; longer than the picture takes to move
        return str(page.evaluate("document.querySelector('.canvas').style.transform"))

    few, places = page.locator(".graph g").count(), [place()]
    page.get_by_role("button", name="Zoom in").click()
    places.append(place())
    page.locator(".graph").focus()
    page.keyboard.press("ArrowRight")
    places.append(place())
    page.get_by_role("button", name="Reset").click()
    assert place() == places[0] and len(set(places)) == 3
    box = page.locator(".graph").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 10, box["y"] + box["height"] - 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + box["height"] - 60, steps=4)
    page.mouse.up()
    dragged = place()
    page.mouse.wheel(0, -200)
    assert len({places[0], dragged, place()}) == 3
    page.select_option("select[name=depth]", "5")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**depth=5")
    assert page.locator(".graph g").count() > few
    page.locator(".graph a", has_text="train-3").click()
    page.wait_for_url("**/run/**")
    assert page.inner_text("h1") == "train-3"


@seen_by_a_browser
def test_metrics_of_several_runs_are_drawn_together(tab: Watched) -> None:
    page = tab.open("/runs")
    for number in (1, 3):
        page.get_by_label(f"Compare train-{number}", exact=True).check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("figure canvas")
    assert page.locator("figcaption").all_inner_texts() == ["accuracy", "loss"]
    legend = page.locator("figure").first.inner_text()
    assert "train-1" in legend and "train-3" in legend and "train-2" not in legend
    drawn = """() => { const canvas = document.querySelector("figure canvas");
        return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0); }"""
    assert page.evaluate(drawn)
    assert "model.layers" in page.inner_text("tr.changed:has-text('model')")


@seen_by_a_browser
def test_tables_are_sorted_and_paged(tab: Watched) -> None:
    page = tab.open(f"/files/{HOME}/report/0?path=results.table.json")
    cells = page.locator("tbody td:nth-child(1)")
    assert cells.first.inner_text() == "0" and cells.count() == 100
    page.get_by_role("link", name="Next").click()
    assert cells.first.inner_text() == "100"
    page.get_by_role("link", name="image").last.click()
    page.get_by_role("link", name="image").last.click()
    assert cells.first.inner_text() == "499" and page.locator("th[aria-sort=descending]").count() == 1
    page.get_by_role("link", name="Next").click()
    assert cells.first.inner_text() == "399"


@seen_by_a_browser
def test_the_keyboard_is_enough(tab: Watched) -> None:
    page = tab.open("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("/")
    page.keyboard.type("checked")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=checked")
    assert page.get_by_role("link", name=f"{HOME}/images:v1").count() == 1


# -- asked directly --


def test_it_listens_to_this_host_alone(served: Served) -> None:
    assert served.address.startswith("http://127.0.0.1:")
    listening = subprocess.run(["cat", "/proc/net/tcp"], capture_output=True, text=True, check=True).stdout
    places = re.findall(rf"(\w+):{served.port:04X} 00000000:0000", listening)
    assert places == ["0100007F"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421), ({"Host": "evil.example:8642"}, 421), ({"Host": "127.0.0.1.evil.example"}, 421), ({"Host": ""}, 421),
        ({"Cookie": ""}, 403), ({"Cookie": "artstore=wrong"}, 403), ({"Host": "localhost"}, 200), ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:8642"}, 200), ({"Cookie": 'foo={"a": 1}; a b=1; x="'}, 403),
    ],
)  # fmt: skip
def test_only_who_was_given_the_address_is_answered(served: Served, headers: dict[str, str], status: int) -> None:
    for path in ("/", "/static/style.css", f"/raw/{HOME}/images/0?path=labels.csv"):
        response, body = served.ask(path, **headers)
        assert response.status == status, path
        assert status == 200 or b"digits" not in body


def test_the_secret_is_given_once_and_kept_in_a_cookie(served: Served) -> None:
    response, _ = served.ask(f"/runs?secret={served.secret}", Cookie="")
    assert (response.status, response.getheader("Location")) == (303, "/runs")
    assert "HttpOnly; SameSite=Strict" in (response.getheader("Set-Cookie") or "")
    assert served.ask("/runs?secret=wrong", Cookie="")[0].status == 403


@pytest.mark.parametrize(
    "path", ["//evil.example/", "//evil.example/runs", "/\\evil.example/", "///evil", "http://evil.example/"]
)
def test_an_address_with_the_secret_leads_to_no_other_host(served: Served, path: str) -> None:
    response, _ = served.ask(f"{path}?secret={served.secret}", Cookie="", Host="localhost")
    assert (response.status, response.getheader("Location")) == (303, "/")


def test_cookies_of_others_lock_nobody_out(served: Served) -> None:
    own = f"artstore-{served.port}={served.secret}"
    assert served.ask("/", Cookie=f'foo={{"a": 1}}; {own}; x="unterminated')[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(served: Served, method: str) -> None:
    response, body = served.ask("/", method)
    assert response.status == 405 and body == b"these pages can't change anything\n"


def test_every_answer_says_what_browsers_may_do_with_it(served: Served) -> None:
    for path in [*PAGES.values(), "/static/page.js", f"/history?run={HOME}/train-1"]:
        response, _ = served.ask(path)
        policy = response.getheader("Content-Security-Policy") or ""
        assert "script-src 'self'" in policy and "default-src 'none'" in policy and "unsafe" not in policy, path
        assert response.getheader("X-Content-Type-Options") == "nosniff", path
        assert response.getheader("X-DNS-Prefetch-Control") == "off", path


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "README.md", example.HOSTILE.replace("/", "-")])
def test_a_file_is_downloaded_and_not_opened(served: Served, name: str) -> None:
    response, body = served.ask(f"/raw/{HOME}/images/0?path={quote(name)}")
    assert body == (served.folder / "data" / name).read_bytes()
    assert response.getheader("Content-Type") == "application/octet-stream"
    assert (response.getheader("Content-Disposition") or "").startswith("attachment; ")
    assert "sandbox" in (response.getheader("Content-Security-Policy") or "")


def test_the_keys_of_an_entry_are_shown_beside_it(served: Served) -> None:
    _, body = served.ask(f"/files/{HOME}/images/0?path=images/00.png")
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td class="value">(.*?)</td></tr>', body.decode())
    shown = {html.unescape(key): html.unescape(value) for key, value in rows}
    assert shown == {"label.digit": "7", example.HOSTILE: example.HOSTILE}
    assert b'"Extra"' not in served.ask(f"/files/{HOME}/images/0?path=images/01.png")[1]


def test_an_image_that_is_opened_by_itself_runs_nothing(served: Served) -> None:
    response, body = served.ask(f"/image/{HOME}/images/0?path=drawing.svg")
    assert b"<script>" in body and response.getheader("Content-Type") == "image/svg+xml"
    policy = response.getheader("Content-Security-Policy") or ""
    assert "sandbox" in policy and "default-src 'none'" in policy and "script" not in policy
    assert served.ask(f"/image/{HOME}/images/0?path=page.html")[0].status == 404


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/version/local/digits/nothing/0", 404, "there is no artifact &#39;nothing&#39;"),
        (f"/files/{HOME}/images/0?path=no/such", 404, "has no &#39;no/such&#39;"),
        (f"/files/{HOME}/images/0?path=../../etc/passwd", 400, "name"),
        (f"/raw/{HOME}/images/0?path=images", 400, "is a folder"),
        (f"/files/{HOME}/images/0?path=labels.csv&sort=99", 400, "there is no column 99"),
        (f"/files/{HOME}/images/0?path=labels.csv&start=x", 400, "start must be a number"),
        (f"/diff?old={HOME}/images:v0&new=", 400, "artifact name"),
        ("/run/local/digits/nobody", 404, "nobody"),
        ("/compare", 400, "choose 1 to 20 runs"),
        ("/runs?project=%ff", 400, "project"),
        ("/compare?run=%ff/a/b", 400, "project"),
        (f"/run/{'a' * 300}/b/c", 400, "project"),
        (f"/?start={'1' * 5000}", 400, "start must be a number"),
        (f"/version/{HOME}/images/{'9' * 5000}", 404, "there is no version"),
        (f"/diff?old={HOME}/images:v0&new={HOME}/images:v1&table=labels.csv&key=a", 400, "is not a table"),
        ("/compare?run=a", 400, "is not a run"),
        ("/no/such/page", 404, "there is no page"),
        ("/static/../server.py", 404, ""),
        ("/static/%2e%2e/server.py", 404, ""),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(served: Served, path: str, status: int, said: str) -> None:
    response, body = served.ask(path)
    assert response.status == status and said in body.decode()
    assert b"Traceback" not in body


def test_search_finds_names_tags_aliases_metadata_and_runs(served: Served) -> None:
    for text, hit in (
        ("REPORT", f"/artifact/{HOME}/report"), ("clean", f"/version/{HOME}/images/1"), ("checked", f"/version/{HOME}/images/1"),
        ("dpi", f"/version/{HOME}/images/0"), ("scanned digits", f"/version/{HOME}/images/0"), ("train-2", f"/run/{HOME}/train-2"),
        ("evaluation", f"/artifact/{HOME}/report"),
    ):  # fmt: skip
        assert f'href="{hit}"' in served.ask(f"/search?q={quote(text)}")[1].decode(), text
    assert "Nothing found" in served.ask("/search?q=nowhere")[1].decode()


# -- what is awkward --


@pytest.fixture
def awkward(repo: Repository, tmp_path: Path, root: Path) -> Iterator[Served]:
    source = make_tree(
        tmp_path / "src", {f"many/{number:05}": "" for number in range(1300)} | {"a b/ü#?.txt": "ü", "empty": None}
    )
    (source / os.fsdecode(b"caf\xe9.txt")).write_text("1")
    (source / "bad.table.json").write_text("{no table}")
    (source / "bad.json").write_text("{")
    (source / "cut.txt").write_bytes(b"x" * (256 << 10) + "ü".encode() * 1000)
    (source / "latin.txt").write_bytes(b"caf\xe9")
    (source / "Makefile").write_bytes("all:\r\n\tgo\u3000on \x1b[31m\n".encode())
    (source / "wide.csv").write_text(",".join(["x"] * 100_000) + "\n" + ",".join(["y" * 3000] * 3) + "\n")
    (source / "long.csv").write_text("a,b\n1,2\n" + "x," * 300_000 + "\n3,4\n")
    (source / "huge.csv").write_text("n\n" + "9" * 400 + "\n5\nx\n")
    repo.put(str(source), "data set")
    assert root == tmp_path / ".artifacts"
    yield from serve(tmp_path, tmp_path)


def test_a_large_folder_is_paged_by_name(awkward: Served) -> None:
    path, seen = "/files/local/uncategorized/data%20set/0?path=many", list[str]()
    while path:
        text = awkward.ask(path)[1].decode()
        seen += re.findall(r">(\d{5})</a>", text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        path = following[1].replace("&amp;", "&") if following else ""
    assert seen == [f"{number:05}" for number in range(1300)]
    assert ">01234</a>" in awkward.ask("/files/local/uncategorized/data%20set/0?path=many&from=01234")[1].decode()


def test_any_name_leads_to_its_file(awkward: Served) -> None:
    base = "/files/local/uncategorized/data%20set/0"
    text = awkward.ask(base)[1].decode()
    assert "caf\\xe9.txt" in text, "bytes that are no text are shown as such"
    for link in re.findall(r'<th scope="row"><a href="([^"]+)"', text):
        response, body = awkward.ask(link.replace("&amp;", "&"))
        assert response.status == 200, (link, body)
    assert "ü" in awkward.ask(f"{base}?path={quote('a b/ü#?.txt')}")[1].decode()
    assert awkward.ask("/raw/local/uncategorized/data%20set/0?path=caf%E9.txt")[1] == b"1"
    assert "the first 256 KiB" in awkward.ask(f"{base}?path=cut.txt")[1].decode()
    shown = awkward.ask(f"{base}?path=Makefile")[1].decode()
    assert "all:\n\tgo\u3000on \\x1b[31m" in shown, "tabs and spaces are what they are, and escapes are not"
    for name in ("wide.csv", "long.csv", "huge.csv"):
        for more in ("", "&sort=0", "&sort=0&order=down"):
            response, body = awkward.ask(f"{base}?path={name}{more}")
            assert response.status == 200 and len(body) < 200_000, name
    assert "not readable as CSV from here on" in awkward.ask(f"{base}?path=long.csv")[1].decode()
    assert "No preview for this type of file." in awkward.ask(f"{base}?path=latin.txt")[1].decode()


def test_a_set_in_a_table_is_shown_and_sorted_in_one_order(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"w{number}" for number in range(9)]
    artifact = wandb.Artifact("sets", "dataset")
    artifact.add(wandb.Table(columns=["s"], data=[[{*words}], [{*words[1:]}]]), "t")
    artifact.save()
    for served in serve(tmp_path, tmp_path):
        shown = served.ask("/files/local/uncategorized/sets/0?path=t.table.json&sort=0&order=up")[1].decode()
        cells = re.findall(r"<td>(.*?)</td>", shown, re.DOTALL)
        assert [re.findall(r"w\d", cell) for cell in cells] == [words, words[1:]]


@pytest.mark.damaged
def test_damage_is_told_where_it_is_and_the_rest_is_shown(awkward: Served, root: Path) -> None:
    pack = next((root / "objects/packs").glob("*.pack"))
    data = bytearray(pack.read_bytes())
    data[data.index(b"caf\xe9", 9)] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(data)
    response, body = awkward.ask("/files/local/uncategorized/data%20set/0?path=latin.txt")
    assert response.status == 500 and b"damaged" in body and b"fsck" in body
    assert awkward.ask("/files/local/uncategorized/data%20set/0?path=cut.txt")[0].status == 200


def test_an_empty_repository_says_how_to_begin(repo: Repository, tmp_path: Path) -> None:
    for served in serve(tmp_path, tmp_path):
        for path, said in (
            ("/", "artstore put"),
            ("/runs", "No runs have been recorded"),
            ("/storage", "0 versions: 0 B of files stored in 0 B"),
            ("/search?q=x", "Nothing found"),
        ):
            assert said in served.ask(path)[1].decode(), path


def test_without_the_extra_it_says_what_to_install(repo: Repository, tmp_path: Path) -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from artstore.cli import main; sys.argv[1:] = ['ui']; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4 and "uvicorn, which is not installed" in done.stderr and "artstore[ui]" in done.stderr


def test_a_port_that_is_taken_is_told(repo: Repository, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = subprocess.run(
            [sys.executable, "-m", "artstore", "ui", "--no-browser", "--port", str(other.getsockname()[1])],
            cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 9 and "can't be used" in done.stderr and "--port" in done.stderr
