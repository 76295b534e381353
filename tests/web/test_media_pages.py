"""Media on pages: of a run's history, of tables and of artifacts, charts, and what hostile records do."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from artstore.api.plots.charts import RecordedChart
from artstore.web.drawing import bars, coloured_mask, over_steps
from artstore.web.media import items_of, media_in
from artstore.web.panels import Found
from artstore.web.plots import drawn
from tests.support.commands import environment
from tests.support.marks import mostly_long
from tests.support.pages import Served, Watched, seen_by_a_browser, serve, until, violations, watched

pytest.importorskip("numpy")
pytest.importorskip("PIL")
HOSTILE = "<img src=x onerror=alert(1)>"
MAKE = r"""
import numpy as np
import artstore as wandb
def picture(seed, size=32):
    return np.full((size, size, 3), (seed * 40 % 256, 200, 90), "uint8")
def image(step):
    mask = np.zeros((32, 32), "uint8")
    mask[8:24, 8:24] = 1
    box = {"position": {"minX": 0.25, "minY": 0.25, "maxX": 0.75, "maxY": 0.75}, "class_id": 1, "scores": {"p": 0.9}}
    far = {"position": {"middle": [4, 4], "width": 8, "height": 8}, "domain": "pixel", "class_id": 2, "box_caption": HOSTILE}
    return wandb.Image(picture(step), caption=f"step {step}",
        boxes={"truth": {"box_data": [box, far], "class_labels": {1: "cat", 2: "dog"}}},
        masks={"guess": {"mask_data": mask, "class_labels": {0: "ground", 1: "cat"}}})
class Figure:
    def to_plotly_json(self):
        return {"data": [{"y": [1, 2]}], "layout": {}}
Figure.__module__ = "plotly.graph_objs"
HOSTILE = "<img src=x onerror=alert(1)>"
with wandb.init(project="p", id="media", name="with media") as run:
    for step in range(4):
        run.log({"loss": 1, "image": image(step), "inner": {"many": [wandb.Image(picture(at)) for at in range(15)]},
                 "weights": wandb.Histogram([step, step, step + 1.0]), "page": wandb.Html(f"<p>page {step}</p>")})
    run.log({"sounds": [wandb.Audio(np.zeros(800), sample_rate=8000, caption="silence")] * 2, "cloud": wandb.Object3D(np.zeros((7, 3))),
             "figure": wandb.Plotly(Figure()), HOSTILE: wandb.Image(picture(1), caption=HOSTILE),
             "table": wandb.Table(columns=["picture", "n", "bars"], data=[[wandb.Image(picture(n)), n, wandb.Histogram([n, n + 1])] for n in range(12)])})
    lines = wandb.Table(columns=["x", "y"], data=[[x, x * x] for x in range(9)])
    run.log({"line": wandb.plot.line(lines, "x", "y", title=HOSTILE), "bar": wandb.plot.bar(lines, "x", "y"),
             "points": wandb.plot.scatter(lines, "x", "y"), "histogram": wandb.plot.histogram(lines, "y"),
             "roc": wandb.plot.roc_curve([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], labels=["cat", HOSTILE]),
             "matrix": wandb.plot.confusion_matrix(y_true=[0, 1], preds=[0, 0], class_names=["cat", "dog"])})
    run.summary["best"] = image(9)
with wandb.init(project="p", id="huge") as run:
    names = [f"media/images/{at}.png" for at in range(100_000)]
    run.log({"many": {"_type": "images/separated", "count": len(names), "filenames": names}})
artifact = wandb.Artifact("results", "evaluation")
for name in ("absent", "joined"):
    with artifact.new_file(f"{name}.json") as out:
        out.write('{"_type": "image-file", "path": "x.png"}' if name == "absent" else '{"_type": "joined-table", "table1": "a"}')
classes = wandb.Classes([{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}])
artifact.add(wandb.Image(picture(3), classes=classes, masks={"guess": {"mask_data": np.ones((32, 32), "uint8")}}), "cat")
artifact.add(wandb.Table(columns=["picture", "sound"],
    data=[[wandb.Image(picture(n)), wandb.Audio(np.zeros(800), sample_rate=8000)] for n in range(3)]), "deep/table")
artifact.save()
box = lambda **more: {"position": {"minX": 0, "maxX": 1, "minY": 0, "maxY": 1}, "class_id": 1} | more
file = lambda path, **more: {"_type": "image-file", "path": path} | more
table = lambda **more: {"_type": "table-file", "nrows": 1, "ncols": 1} | more
with wandb.init(project="p", id="hostile", config={"_wandb": {"visualize": {"chart": {"panel_config": {"panelDefId": "wandb/line/v0"}},
        "odd": 3, "c2": {"panel_config": {"panelDefId": "wandb/bar/v0", "fieldSettings": {"label": 1}}}}, "viz": []}}) as run:
    run._recording.add_file("media/table/c.table.json",
        b'{"_type": "table", "columns": ["a"], "data": [[1e400], ["x"], [null]], "column_types": {"params": {"type_map": {}}}}')
    run._recording.add_file("bad.table.json", b'{"columns": [')
    run._recording.add_file("text.png", b"<script>alert(1)</script>")
    run._recording.add_file("boxes.json", b'{"box_data": [1, {}, {"position": []}, {"position": {"middle": ["a", 1], "width": 1, "height": 2}}], "class_labels": 3}')
    run.log({f"h{at}": value for at, value in enumerate([
        file("../../../etc/passwd"), file("/etc/passwd"), file("javascript:alert(1)"), file("absent.png"), file(""), file("a\0b"), file(7),
        file(None), {"_type": "image-file"}, file("text.png", width="a", height=-3, caption=[1], masks=[1], boxes=7),
        file("text.png", masks={"m": 1, "n": {"path": 7}, "o": {"path": "text.png", "class_labels": {"x": 1, "1": HOSTILE}}}),
        file("text.png", width=1e999, boxes={"b": {"path": "boxes.json"}, "c": [box(class_id="x" * 999, box_caption=HOSTILE)], "d": {"path": "../x"}}),
        file("text.png", classes={"path": "boxes.json"}, boxes={"e": [box(position={"minX": 1e308, "minY": -1e308, "maxX": 1e308, "maxY": 0})]}),
        {"_type": "images/separated", "filenames": "abc"}, {"_type": "images/separated", "filenames": [1, None, "../x"], "captions": 3, "all_boxes": {}},
        {"_type": "audio", "audio": [None, 3, {"_type": "audio-file", "path": []}]}, {"_type": "videos"}, {"_type": "object3D", "filenames": ["../../x", 1]},
        {"_type": "histogram"}, {"_type": "histogram", "values": [1, "a"], "bins": [0, 1, 2]}, {"_type": "histogram", "values": [1], "bins": [0, 0]},
        {"_type": "histogram", "values": list(range(5000)), "bins": list(range(5001))}, {"_type": "histogram", "values": [10 ** 400, 1], "bins": [0, 1, 2]},
        {"_type": "histogram", "values": [1, 2], "packedBins": {"min": 0, "size": 1, "count": 2}},
        table(), table(path="bad.table.json"), table(path="text.png"), table(artifact_path="javascript:alert(1)"), table(path="media/table/c.table.json"),
        table(artifact_path="artstore-artifact://local/p/none@0/x"), table(artifact_path="wandb-artifact://" + "0" * 64 + "/x.table.json"),
        table(artifact_path="artstore-artifact://local/p/results:v0/cat.image-file.json"), table(artifact_path="x://"), table(artifact_path="x://a/b/c/%ff"),
        {"_type": "joined-table", "x": HOSTILE}, [{"_type": "image-file", "path": "x"}, 3, None, {"_type": HOSTILE}], {"_type": "html-file", "path": "text.png"},
    ])} | {"chart_table": table(path="media/table/c.table.json"), "c2_table": table(path="bad.table.json")})
"""
ROOT = Path(__file__).parents[2]
RUN = "/run-media/local/p/media"
PAGES = {
    "media": RUN,
    "more media": f"{RUN}?start=20",
    "an image": f"{RUN}?key=image&step=1",
    "a histogram": f"{RUN}?key=weights",
    "a list": f"{RUN}?key=inner.many",
    "a chart": f"{RUN}?key=line_table",
    "a table": "/files/local/uncategorized/results/0?path=deep/table.table.json",
    "one object": "/files/local/uncategorized/results/0?path=cat.image-file.json",
    "no media": f"{RUN}?key=nothing",
    "summary": "/run/local/p/media",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("media")
    told = environment(folder, ARTSTORE_DIR=str(folder / ".artifacts"), PYTHONPATH=str(ROOT))
    subprocess.run([sys.executable, "-c", MAKE], check=True, env=told, cwd=folder)
    yield from serve(folder, folder)


@pytest.fixture
def tab(browser: Browser, served: Served) -> Iterator[Watched]:
    found = watched(browser, served)
    yield found
    found.page.context.close()
    assert found.wrong == []


def said(served: Served, path: str) -> str:
    response, body = served.ask(path)
    assert response.status == 200, body
    return body.decode()


@seen_by_a_browser
@pytest.mark.parametrize("scheme", mostly_long(["light", "dark"], "light"))
def test_pages_with_media_are_accessible_and_need_no_network(browser: Browser, served: Served, scheme: str) -> None:
    tab = watched(browser, served, scheme)
    for name, path in PAGES.items():
        page = tab.open(path)
        found = violations(page)
        assert [(v["id"], v["nodes"][0]["html"]) for v in found] == [], name
        assert tab.wrong == [], name
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth") or page.locator(".charts").count(), (
            name
        )
        page.set_viewport_size({"width": 1200, "height": 800})
    tab.page.context.close()


@seen_by_a_browser
def test_an_image_of_a_step_has_its_mask_and_boxes_over_it(tab: Watched) -> None:
    page = tab.open(f"{RUN}?key=image&step=2")
    until(page, "[...document.images].every((image) => image.complete && image.naturalWidth === 32)")
    assert page.locator("img").count() == 2 and "step 2" in page.inner_text("figcaption")
    place = """() => { const [image, box] = [".shot img", ".boxes rect"].map((one) => document.querySelector(one).getBoundingClientRect());
        return [box.left - image.left, box.top - image.top, box.width, box.height].map((each, at) => each / (at % 2 ? image.height : image.width)); }"""
    assert page.evaluate(place) == pytest.approx([0.25, 0.25, 0.5, 0.5], abs=0.02)
    pixel = """([x, y]) => { const image = document.querySelector("img.mask"), canvas = document.createElement("canvas");
        canvas.width = canvas.height = 32; const context = canvas.getContext("2d"); context.drawImage(image, 0, 0);
        return [...context.getImageData(x, y, 1, 1).data]; }"""
    inside, outside = page.evaluate(pixel, [16, 16]), page.evaluate(pixel, [2, 2])
    assert inside[3] > 2 * outside[3] and inside[0] > inside[2], "the class is orange, the ground fainter"
    assert page.locator("label", has_text="guess").count() == 1
    page.get_by_label("guess").uncheck()
    assert not page.locator("img.mask").is_visible() and page.locator(".boxes").is_visible()
    page.get_by_label("truth").uncheck()
    assert not page.locator(".boxes rect").first.is_visible()


@seen_by_a_browser
def test_a_slider_and_links_lead_through_the_steps(tab: Watched) -> None:
    page = tab.open(f"{RUN}?key=page")
    assert page.frame_locator("iframe").locator("p").inner_text() == "page 3"
    page.get_by_role("slider").fill("1")
    page.wait_for_selector('.content[data-step="1"]')
    assert page.frame_locator("iframe").locator("p").inner_text() == "page 1"
    assert page.inner_text("output") == "1"
    page.get_by_role("link", name="Step 2").click()
    assert page.frame_locator("iframe").locator("p").inner_text() == "page 2" and "step=2" in page.url
    assert page.locator("iframe").get_attribute("sandbox") == ""


@seen_by_a_browser
def test_sounds_of_a_list_are_played(tab: Watched) -> None:
    page = tab.open(f"{RUN}?key=sounds")
    assert page.locator("audio").count() == 2 and "silence" in page.inner_text(".objects")
    page.evaluate(
        "new Promise((done) => { const a = document.querySelector('audio'); a.onloadedmetadata = done; a.load(); a.preload = 'auto'; })"
    )
    assert page.evaluate("document.querySelector('audio').duration") == pytest.approx(0.1)


@seen_by_a_browser
def test_cells_of_tables_have_pictures_and_players(tab: Watched) -> None:
    page = tab.open("/files/local/uncategorized/results/0?path=deep/table.table.json")
    until(page, "[...document.images].every((image) => image.complete && image.naturalWidth === 32)")
    assert page.locator("td img").count() == page.locator("td audio").count() == 3
    page.locator("td a").first.click()
    assert page.locator("img.preview").evaluate("image => image.decode().then(() => image.naturalWidth)") == 32
    page = tab.open(f"{RUN}?key=table")
    assert page.locator("td img").count() == page.locator("td svg").count() == 10
    page.get_by_role("link", name="The whole table").click()
    assert page.locator("td img").count() == 12


def test_what_a_run_logged_is_shown_by_key(served: Served) -> None:
    assert "All 15" in said(served, RUN) and len(re.findall('class="shot', said(served, f"{RUN}?key=inner.many"))) == 15
    text = said(served, f"{RUN}?key=cloud")
    assert "7 points" in text and re.search(r'href="/run-raw/[^"]+pts.json[^"]*" download', text)
    assert re.search(r'href="/run-raw/[^"]+plotly.json[^"]*" download', said(served, f"{RUN}?key=figure"))
    assert "steps 0 to 3, values from 0 to 4" in said(served, f"{RUN}?key=weights")
    assert "in the summary" in said(served, f"{RUN}?key=best")
    text = said(served, "/run/local/p/media")
    assert "image media/images/best_summary_" in text and "_wandb" not in text


def test_an_object_of_an_artifact_is_shown_with_the_names_of_its_classes(served: Served) -> None:
    text = said(served, PAGES["one object"])
    for name in ("absent", "joined"):
        shown = said(served, f"/files/local/uncategorized/results/0?path={name}.json")
        assert "<figure" not in shown and 'aria-label="Preview">{' in shown
    assert "</i>cat</span>" in text and 'class="mask l0" src="/mask/local/uncategorized/results/0?path=media' in text


@pytest.mark.parametrize("key", ["line", "bar", "points", "histogram", "roc", "matrix"])
def test_a_plot_is_drawn_of_its_table(served: Served, key: str) -> None:
    text = said(served, f"{RUN}?key={key}_table")
    assert re.search(r'<svg class="(plot|bars)"[^>]*role="img" aria-label="[^"]+">', text) and "NaN" not in text
    assert HOSTILE not in text and "The whole table" in text


def test_hostile_records_become_notes(served: Served) -> None:
    seen, path = "", "/run-media/local/p/hostile"
    while path:
        text = said(served, path)
        seen += text
        following = re.search(r'href="([^"]+)" rel="next"', text)
        path = following[1].replace("&amp;", "&") if following else ""
    assert len(re.findall('<section class="panel"', seen)) == 39
    assert (
        "<img src=x" not in seen
        and "nan" not in seen
        and 'href="javascript' not in seen
        and 'src="javascript' not in seen
    )
    assert (
        "/etc/passwd" in seen
        and "There is no file" in seen
        and "names no file" in seen
        and "The table is not here." in seen
    )
    for address in set(re.findall(r'(?:src|href)="(/[^"]+)"', seen)):
        response, body = served.ask(address.replace("&amp;", "&"))
        assert response.status in (200, 404) and b"a bug" not in body, address
    for key in ("h13", "h14", "h26", "h35"):
        said(served, f"/run-media/local/p/hostile?key={key}&start=99999999")


@pytest.mark.damaged
def test_damaged_files_of_media_hide_nothing_else(served: Served, tmp_path: Path) -> None:
    shutil.copytree(served.folder, tmp_path / "copy")
    for pack in (tmp_path / "copy/.artifacts/objects/packs").glob("*.pack"):
        data = pack.read_bytes()
        pack.chmod(0o644)
        pack.write_bytes(data.replace(b'{"box_data"', b'["box_data"'))
    for copy in serve(tmp_path / "copy", tmp_path):
        text = said(copy, f"{RUN}?key=image")
        assert 'class="shot' in text and "truth" in text and "<rect" not in text and "a bug" not in text
        assert "<rect" in said(served, f"{RUN}?key=image")
        for path in (RUN, f"{RUN}?start=20"):
            said(copy, path)


def test_a_list_of_100_000_images_is_paged(served: Served) -> None:
    text = said(served, "/run-media/local/p/huge?key=many&start=99950")
    assert "99,951–100,000 of 100,000" in text and text.count("There is no file media/images/") == 50
    assert len(said(served, "/run-media/local/p/huge")) < 10_000 and "100,000 images" in said(
        served, "/run/local/p/huge"
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{RUN}?step=x", 400), (f"{RUN}?start=-1", 400), (f"{RUN}?key=%ff%00", 200), ("/run-media/local/p/nobody", 404),
        (f"{RUN}?key=image&step=99999", 200), ("/run-mask/local/p/hostile?path=text.png", 404), ("/run-mask/local/p/media?path=x", 404),
    ],
)  # fmt: skip
def test_addresses_of_media_that_make_no_sense_are_answered(served: Served, path: str, status: int) -> None:
    response, body = served.ask(path)
    assert response.status == status and b"a bug" not in body


# -- values --


def test_one_step_of_each_key_is_kept_with_its_neighbours() -> None:
    for wanted, (before, step, after) in {None: (8, 10, None), 5: (2, 4, 6), 4: (2, 4, 6), 0: (None, 2, 4)}.items():
        found = Found(wanted)
        for each in (2, 4, 6, 8, 10):
            found.add(each, {"_type": "histogram", "n": each})
        assert (found.before, found.step, found.after, found.value["n"]) == (before, step, after, step), wanted
        assert (found.first, found.last, found.count, len(found.samples)) == (2, 10, 5, 5)
    for each in range(11, 100_000):
        found.add(each, {"_type": "histogram"})
    assert len(found.samples) <= 60 and found.samples[0][0] == 2 and found.samples[-1][0] > 95_000


def test_a_mask_gets_a_palette_and_keeps_its_pixels() -> None:
    import io

    import numpy as np
    from PIL import Image

    ids = np.arange(256, dtype="uint8").reshape(16, 16)
    for mode in ("L", "P"):
        out, given = io.BytesIO(), Image.fromarray(ids)
        if mode == "P":
            given.putpalette(bytes(range(256)) * 3)
        given.save(out, "png")
        picture = Image.open(io.BytesIO(coloured_mask(out.getvalue()) or b""))
        assert picture.mode == "P" and (np.array(picture) == ids).all()
        alpha = np.array(picture.convert("RGBA"))[..., 3]
        assert alpha[0, 0] == 60 and (alpha.ravel()[1:] == 150).all()
    for bad in (b"", b"\x89PNG\r\n\x1a\n", out.getvalue()[:30], b"<svg>", b"\x89PNG\r\n\x1a\n" + b"\xff" * 40):
        assert coloured_mask(bad) is None


def test_a_huge_list_is_not_unfolded() -> None:
    value = {"_type": "images/separated", "filenames": [f"{at}.png" for at in range(100_000)], "captions": ["first"]}
    items = items_of(value)
    assert items.total == 100_000 and items.at(99_999)["path"] == "99999.png" and items.at(0)["caption"] == "first"
    assert media_in({"a": {"b": value, "c": [1]}, "d": 1}) == [("a.b", value)]


@pytest.mark.parametrize("kind", ["line", "line_series", "scatter", "bar", "histogram", "curve", "confusion_matrix"])
def test_a_chart_of_any_values_is_drawn_or_left_out(kind: str) -> None:
    names = ("x", "y", "label", "value", "step", "lineKey", "lineVal", "class", "Actual", "Predicted", "nPredictions")
    values: list[Any] = [
        1,
        "a",
        None,
        float("nan"),
        float("inf"),
        -1e308,
        1e308,
        10**400,
        [1],
        {"a": 1},
        True,
        HOSTILE,
        "x" * 9999,
    ]
    for rows in ([], [[value] for value in values], *([[value]] for value in values), [[5]] * 3, [[1e-320], [0]]):
        for fields in (dict.fromkeys(names, "c"), {"x": "absent"}, {}):
            picture = drawn(RecordedChart("k", kind, "k_table", fields, {}), ["c"], rows)
            assert picture is None or not re.search("nan|inf|<img", picture), (rows, fields)
    many = [[number] for number in range(5000)]
    picture = drawn(RecordedChart("k", kind, "k_table", dict.fromkeys(names, "c"), {}), ["c"], many)
    assert picture is not None and len(picture) < 300_000


def test_long_names_beside_bars_and_classes_are_whole() -> None:
    name = "a class of forty letters, which are many"
    bar = RecordedChart("k", "bar", "k_table", {"label": "n", "value": "v"}, {})
    classes = RecordedChart(
        "k", "confusion_matrix", "k_table", {"Actual": "n", "Predicted": "n", "nPredictions": "v"}, {}
    )
    for chart in (bar, classes):
        picture = drawn(chart, ["n", "v"], [[name, 1.0], ["b", 2.0]])
        found = re.search(rf'<text x="([\d.]+)" y="[\d.]+" text-anchor="end">{name}<', str(picture))
        assert found is not None and float(found[1]) >= 6.5 * len(name), "letters are 6 or 7 wide"


def test_histograms_of_any_values_are_drawn_or_left_out() -> None:
    for counts, edges in (([0, 0], [1, 2, 3]), ([-5, 1], [1, 2, 3]), ([1e308, 1e308], [-1e308, 0, 1e308])):
        for picture in (
            bars({"values": counts, "bins": edges}),
            over_steps([(0, {"values": counts, "bins": edges})] * 3),
        ):
            assert not re.search("nan|inf", json.dumps(picture))
    assert over_steps([]) is None and bars({"values": [], "bins": [1]}) is None


def test_the_first_page_leaves_out_the_tables_of_runs_until_they_are_asked_for(served: Served) -> None:
    text = said(served, "/")
    assert "Tables that runs logged are not listed." in text and ">run_table<" not in text
    every = said(served, "/?all=1")
    assert ">run_table<" in every and "are not listed" not in every
