"""Charts of runs: what the page draws of a history, read back from a real browser."""

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from artstore.web.curves import Curve, Curves
from tests.support.commands import QUIET, environment
from tests.support.pages import Served, Watched, seen_by_a_browser, serve, until, watched

RUNS = """
import artstore as wandb
with wandb.init(project="p", id="long", config={"lr": 1}) as run:
    for step in range(5000):
        loss = 50.0 if step == 2345 else 0.25 if step == 4999 else 1.0
        run.log({"loss": loss, "grad": float("nan") if step > 3000 else 1.0, "early": 1.0,
                 "hole": float("nan") if 1000 <= step < 2000 else 1.0} if step < 4000
                else {"loss": loss, "grad": float("nan")})
with wandb.init(project="p", id="broken") as run:
    for step in range(4000):
        run.log({"loss": step / 4000})
with wandb.init(project="p", id="blinking") as run:
    for step in range(60):
        run.log({"loss": float("nan") if step % 2 else step})
with wandb.init(project="p", id="epochs") as run:
    run.define_metric("epoch")
    run.define_metric("val/*", step_metric="epoch")
    for step in range(30):
        run.log({"epoch": step // 10 + 1, "train": step})
        if step % 10 == 9:
            run.log({"val/acc": step / 30})
with wandb.init(project="p", id="without epochs") as run:
    run.log({"val/acc": 0.5, "tiny": 0.0002})
    run.log({"val/acc": 0.6, "tiny": 0.00025})
    run.log({"tiny": float("nan")})
with wandb.init(project="p", id="hides") as run:
    for name in ("epoch", "raw/*"):
        run.define_metric(name, hidden=True)
    run.log({"epoch": 1, "raw/a": 2, "loss": 3})
with wandb.init(project="p", id="wide") as run:
    run.log({f"metric {number:03}": number for number in range(250)})
with wandb.init(project="p", id="silent"):
    pass
for id in ("twin-1", "twin-2"):
    with wandb.init(project="p", id=id, name="lion") as run:
        run.log({"loss": 1})
for number in range(12):
    with wandb.init(project="p", id=f"of-many-{number}") as run:
        run.log({"only": number} if number == 11 else {"loss": number})
"""
RECORDER = """window.plots = {};
    let known;
    Object.defineProperty(window, "uPlot", { configurable: true, get: () => known, set: (made) => {
        known = new Proxy(made, { construct: (target, given) => {
            const plot = new target(...given);
            return window.plots[given[2].querySelector("figcaption").textContent] = plot;
        } });
    } });"""
"""Keeps each chart that a page makes by its metric."""
DRAWN = """([name, line, step]) => {
    const plot = plots[name], series = plot.series[line], value = plot.data[line][plot.data[0].indexOf(step)];
    const x = Math.round(plot.valToPos(step, "x", true)), y = Math.round(plot.valToPos(value, "y", true));
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(series.stroke().slice(at, at + 2), 16));
    const { data } = plot.ctx.getImageData(x - 4, y - 4, 9, 9);
    for (let at = 0; at < data.length; at += 4)
        if (data[at + 3] > 200 && Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue) < 40)
            return true;
    return false;
}"""
"""Whether a pixel in the line's colour is where a step's value belongs."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("runs")
    told = environment(folder, ARTSTORE_DIR=str(folder / ".artifacts"), **QUIET)
    subprocess.run([sys.executable, "-c", RUNS], check=True, env=told, cwd=folder)
    yield from serve(folder, folder)


@pytest.fixture
def tab(browser: Browser, runs: Served) -> Iterator[Watched]:
    found = watched(browser, runs)
    found.page.add_init_script(RECORDER)
    yield found
    found.page.context.close()
    assert found.wrong == []


def damage(root: Path) -> None:
    """Flip a byte of the history of the run `broken`, in the pack that holds it."""
    for pack in (root / "objects/packs").glob("*.pack"):
        data = bytearray(pack.read_bytes())
        if (at := data.find(b'"loss":0.5}')) > 0:
            data[at] ^= 1
            pack.chmod(0o644)
            pack.write_bytes(data)


@seen_by_a_browser
def test_a_spike_the_last_step_and_nan_of_a_long_run_are_drawn(tab: Watched) -> None:
    page = tab.open("/run/local/p/long")
    data = page.evaluate("plots.loss.data")
    assert max(data[1], key=lambda value: value or 0) == 50 and data[0][data[1].index(50)] == 2345
    assert data[0][-1] == 4999 and data[1][-1] == 0.25
    for step in (2345, 4999, 0):
        assert page.evaluate(DRAWN, ["loss", 1, step]), step
    grad = page.evaluate("plots.grad.data")
    assert grad[1][-1] is None and grad[0][-1] == 4999
    assert page.locator("figure", has_text="grad").locator("p").inner_text() == "long: NaN from step 3,001"
    dotted = """() => { const x = Math.round(plots.grad.valToPos(3001, "x", true)), { top, height } = plots.grad.bbox;
        const { data } = plots.grad.ctx.getImageData(x - 1, top, 3, height);
        let marked = 0;
        for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200 && data[at + 2] > 150 && data[at] < 100) marked++;
        return marked; }"""
    assert page.evaluate(dotted) > 50


@seen_by_a_browser
def test_all_charts_of_a_run_have_the_same_steps(tab: Watched) -> None:
    page = tab.open("/run/local/p/long")
    ranges = page.evaluate("Object.values(plots).map((plot) => [plot.scales.x.min, plot.scales.x.max])")
    assert ranges == [[0, 4999]] * 4
    assert page.evaluate(DRAWN, ["early", 1, 3999])


@seen_by_a_browser
def test_charts_are_as_wide_as_their_place_when_the_window_changes(tab: Watched) -> None:
    page = tab.open("/run/local/p/long")
    fits = "() => Object.values(plots).every((plot) => plot.width === plot.root.parentElement.clientWidth - 16)"
    for width in (360, 900, 390):
        page.set_viewport_size({"width": width, "height": 800})
        until(page, fits)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    assert page.evaluate(DRAWN, ["loss", 1, 2345]), "the spike is drawn at its new place"


@seen_by_a_browser
def test_a_metric_is_drawn_over_its_step_metric(tab: Watched) -> None:
    page = tab.open("/run/local/p/epochs")
    assert page.evaluate("plots['val/acc'].data") == [[1, 2, 3], [0.3, pytest.approx(19 / 30), pytest.approx(29 / 30)]]
    assert page.evaluate("plots['val/acc'].axes[0].label") == "epoch"
    assert page.evaluate("plots.train.axes[0].label") == "step"
    assert page.evaluate("plots.train.data[1].filter((value) => value != null)") == list(range(30))
    assert page.evaluate("plots.epoch.axes[0].label") == "step"


@seen_by_a_browser
def test_what_charts_are_drawn_over_can_be_chosen_and_stays_in_the_address(tab: Watched) -> None:
    page = tab.open("/run/local/p/epochs")
    choice = page.get_by_label("Over")
    assert choice.locator("option").all_inner_texts() == ["epoch, as defined", "step", "time"]
    choice.select_option("step")
    until(page, "plots['val/acc'].axes[0].label === 'step'")
    assert page.evaluate("plots['val/acc'].data[0]") == [0, 10, 21, 32]
    choice.select_option("time")
    until(page, "plots.train.axes[0].label === 'seconds'")
    page.reload()
    until(page, "window.plots.train?.axes[0].label === 'seconds'")
    assert choice.input_value() == "time" and page.evaluate("plots.train.data[1].filter((v) => v != null).length") == 30


@seen_by_a_browser
def test_runs_without_the_axis_of_a_metric_are_compared_over_steps(tab: Watched) -> None:
    page = tab.open("/compare?run=local/p/epochs&run=local/p/without epochs")
    assert page.evaluate("plots['val/acc'].axes[0].label") == "step"
    assert page.evaluate("plots['val/acc'].data[0]") == [0, 1, 10, 21, 32]


@seen_by_a_browser
def test_numbers_at_an_axis_differ_and_the_last_value_is_read_without_a_cursor(tab: Watched) -> None:
    page = tab.open("/run/local/p/without epochs")
    numbers = page.evaluate("plots.tiny.axes[1]._values")
    assert {"2.0e-4", "2.2e-4"} <= set(numbers) and len(set(numbers)) == len(numbers)
    legend = page.locator("figure", has_text="tiny").locator(".u-legend .u-value")
    assert legend.all_inner_texts() == ["1", "0.00025"], "the step of the last number, not of NaN"


@seen_by_a_browser
def test_a_finger_on_a_chart_shows_the_values_below_it(browser: Browser, runs: Served) -> None:
    page = browser.new_context(viewport={"width": 360, "height": 800}, has_touch=True, is_mobile=True).new_page()
    page.goto(runs.address)
    page.goto(f"{runs.origin}/run/local/p/epochs")
    box = page.locator(".u-over").nth(1).bounding_box()
    assert box is not None
    touch = page.context.new_cdp_session(page)
    y = box["y"] + 40
    for kind, x in (("Start", 1.0), ("Move", box["width"] / 2), ("Move", box["width"] - 1)):
        points = [{"x": box["x"] + x, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    legend = page.locator("figure", has_text="train").locator(".u-legend .u-value")
    assert legend.all_inner_texts() == ["31", "29"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.close()


@seen_by_a_browser
def test_no_line_is_drawn_over_steps_without_a_finite_value(tab: Watched) -> None:
    page = tab.open("/run/local/p/long")
    steps = page.evaluate("plots.hole.data[0].filter((step, at) => plots.hole.data[1][at] === null)")
    assert 1000 <= steps[0] < steps[-1] < 2000
    page.evaluate("plots.hole.data[1] = plots.hole.data[1].map((value) => value ?? 1)")  # where a line would be
    assert not page.evaluate(DRAWN, ["hole", 1, steps[len(steps) // 2]])
    assert page.evaluate(DRAWN, ["hole", 1, 3999])
    assert "NaN in steps 1,000 to 1,999" in page.inner_text("figure:has-text('hole')")
    page = tab.open("/run/local/p/blinking")
    assert page.evaluate(DRAWN, ["loss", 1, 30]), "a number alone between others is a point"
    assert "and in 25 places between" in page.inner_text("figure")


@seen_by_a_browser
def test_runs_of_one_name_have_labels_of_their_own(tab: Watched) -> None:
    page = tab.open("/compare?run=local/p/twin-1&run=local/p/twin-2&run=local/p/long")
    assert page.evaluate("plots.loss.series.map((line) => line.label)") == [
        "step",
        "lion (twin-1)",
        "lion (twin-2)",
        "long",
    ]
    assert page.locator("thead a").all_inner_texts()[:3] == ["lion (twin-1)", "lion (twin-2)", "long"]


@seen_by_a_browser
def test_a_run_has_one_look_in_all_charts_and_no_two_runs_have_the_same(tab: Watched) -> None:
    names = [f"of-many-{number}" for number in range(12)]
    page = tab.open("/compare?" + "&".join(f"run=local/p/{name}" for name in names))
    look = "(line) => [line.label, line.stroke(), String(line.dash)]"
    looks: list[list[str]] = page.evaluate(f"plots.loss.series.slice(1).map({look})")
    looks += page.evaluate(f"plots.only.series.slice(1).map({look})")
    assert [label for label, _, _ in looks] == names
    assert len({(stroke, dash) for _, stroke, dash in looks}) == 12
    borders = "[...document.querySelectorAll('figure:first-of-type .u-marker')].map((e) => e.style.borderStyle || e.style.border)"
    assert any("dashed" in border for border in page.evaluate(borders))


@seen_by_a_browser
def test_a_damaged_history_is_told_beside_the_charts_of_the_other_runs(
    browser: Browser, runs: Served, tmp_path: Path
) -> None:
    shutil.copytree(runs.folder, tmp_path / "copy")
    damage(tmp_path / "copy/.artifacts")
    for served in serve(tmp_path / "copy", tmp_path):
        tab = watched(browser, served)
        tab.page.add_init_script(RECORDER)
        page = tab.open("/compare?run=local/p/broken&run=local/p/twin-1")
        assert "Not all metrics of broken can be shown: " in page.inner_text(".charts .warning")
        assert page.evaluate("plots.loss.series.map((line) => line.label)") == ["step", "lion"]
        assert tab.wrong == []
        tab.page.context.close()


@pytest.mark.damaged
def test_a_run_whose_log_is_damaged_is_told_beside_the_other_runs(runs: Served, tmp_path: Path) -> None:
    shutil.copytree(runs.folder, tmp_path / "copy")
    for file in (tmp_path / "copy/.artifacts/runs/local/p/twin-2").iterdir():
        file.chmod(0o644)
        file.write_bytes(b"{")
    asked = "run=local/p/long&run=local/p/twin-2&run=local/p/twin-1"
    for served in serve(tmp_path / "copy", tmp_path):
        response, body = served.ask(f"/compare?{asked}")
        assert response.status == 200 and b"2 runs compared" in body and b"Damaged, so not shown" in body
        first, damaged, last = json.loads(served.ask(f"/history?{asked}")[1])
        assert (
            first["metrics"]["loss"]["steps"][-1] == 4999
            and last["metrics"]
            and first["error"] is last["error"] is None
        )
        assert damaged["label"] == "twin-2" and damaged["metrics"] == {} and "twin-2" in damaged["error"]


@seen_by_a_browser
def test_charts_that_cannot_be_loaded_are_told_and_so_is_a_run_without_metrics(browser: Browser, runs: Served) -> None:
    tab = watched(browser, runs)
    tab.page.route(re.compile("/history"), lambda route: route.fulfill(status=500))
    tab.page.goto(tab.origin + "/run/local/p/long")
    tab.page.wait_for_selector(".charts .warning")
    assert tab.page.inner_text(".charts") == "The metrics can't be shown: the server answered with status 500."
    tab.page.unroute_all()
    tab.page.goto(tab.origin + "/run/local/p/silent")
    tab.page.get_by_text("No metrics were logged.").wait_for()
    assert b"Charts need JavaScript." in runs.ask("/run/local/p/long")[1]


def test_metrics_that_are_not_drawn_are_counted(runs: Served) -> None:
    (told,) = json.loads(runs.ask("/history?run=local/p/hides")[1])
    assert (list(told["metrics"]), told["unshown"]) == (["loss"], 0)
    (told,) = json.loads(runs.ask("/history?run=local/p/wide")[1])
    assert len(told["metrics"]) == 200 and told["unshown"] == 50
    response, body = runs.ask("/history?run=local/p/wide&over=<b>")
    assert response.status == 400 and b"over must be step or time, not &#39;&lt;b&gt;&#39;" in body


def test_the_storage_page_tells_versions_and_histories_apart(runs: Served) -> None:
    text = re.sub("<[^>]+>", " ", runs.ask("/storage")[1].decode())
    found = re.search(
        r"(\d+) versions?: (\S+ \S+) of files stored in (\S+) B. +(\d+) runs: histories and files of ([\d.]+) KiB", text
    )
    assert found is not None and found.group(1, 2, 4) == ("0", "0 B", "21"), text
    assert int(found[3]) < 10_000 and 500 < float(found[5]) < 1024


def test_a_curve_keeps_extremes_and_ends_of_any_length() -> None:
    for length in (1, 2, 499, 500, 501, 1000, 5001, 12345):
        values = [math.sin(step) for step in range(length)]
        values[length // 3] = 50.0
        values[length // 2] = -50.0
        curve = Curve()
        for step, value in enumerate(values):
            curve.add(step, value)
        drawn = curve.plain()
        assert all(values[step] == value for step, value in zip(drawn["steps"], drawn["values"], strict=True))
        assert max(drawn["values"]) == max(values) and min(drawn["values"]) == min(values)
        assert drawn["steps"] == sorted(set(drawn["steps"])) and drawn["steps"][-1] == length - 1
        assert len(drawn["steps"]) < 2000 and (length > 500 or len(drawn["steps"]) == length)


def test_stretches_that_are_not_finite_are_marked() -> None:
    curve = Curve()
    for step in range(40):
        curve.add(step, math.inf if step in (3, 4) else math.nan if step == 9 or (step % 2 and 20 < step < 36) else 1.0)
    said: dict[str, Any] = curve.plain()
    texts = [mark["text"] for mark in said["marks"]]
    assert texts[:3] == ["Infinity in steps 3 to 4", "NaN at step 9", "NaN at step 21"]
    assert texts[-1] == "NaN at step 35" and said["unmarked"] == 5
    json.dumps(said, allow_nan=False)


def test_a_metric_that_was_defined_so_is_drawn_over_another_one() -> None:
    curves = Curves({"val/*": "epoch", "exact": "other", "epoch": "never"})
    for step in range(6):
        curves.add_row({"_step": step, "val/early": step} | ({"epoch": step // 2} if step > 1 else {}))
    curves.add_row({"_step": 6, "val/late": math.nan, "exact": 1, "epoch": math.inf})
    curves.add_row({"_step": 7, "val/back": 1, "epoch": 5})
    curves.add_row({"_step": 8, "val/back": 2, "epoch": 4})
    drawn = {key: curve.plain() for key, curve in curves.items()}
    assert drawn["val/early"] | {"axis": "epoch", "steps": [1, 2], "values": [3, 5]} == drawn["val/early"]
    assert drawn["val/late"]["marks"] == [{"step": 2, "text": "NaN from epoch 2"}]
    assert drawn["val/back"]["steps"] == [4, 5] and drawn["val/back"]["values"] == [2, 1]
    assert "axis" not in drawn["exact"] and drawn["exact"]["steps"] == [6]
    assert "axis" not in drawn["epoch"]
