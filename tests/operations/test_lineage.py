"""Lineage: what a version came from and what came from it, and its drawings, which no name can break."""

import json
import os
import random
import re
import shutil
import time
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import artstore as wandb
from artstore.api.handles import opened
from artstore.operations.lineage.drawing import as_json, dot, mermaid, tree
from artstore.operations.lineage.graph import DELETED, ELSEWHERE, LIVE, Edge, Graph, Node
from artstore.operations.lineage.svg import Box, layout, svg
from artstore.repository import Repository
from tests.support.artifacts import draft, log
from tests.support.checks import check

HOSTILE = ['"', "'", "a]b[", "</text><script>alert(1)</script>", "a\nb", "\\", '"]; x[label="', "&amp;", "%%", "\x00\x1b[31m",
           "\ufffe", "\udcff", "#quot;", "-->", "end", "`", "(((", "{}", "\u202eevil", "日本" * 40, "]]>", "\\n", ""]  # fmt: skip


def root() -> str:
    return str(Path(".artifacts").resolve())


def lineage(spec: str, **more: Any) -> Graph:
    repository = opened(root())
    return repository.lineage(repository.find(spec), **more)


def step(run: str, used: list[str] = [], logged: list[str] = [], **more: Any) -> None:  # noqa: B006  # never changed
    with wandb.init(id=run, **more) as active:
        for name in used:
            active.use_artifact(name)
        for name in logged:
            active.log_artifact(draft(name, f"{run} {name}"))


def names(graph: Graph) -> set[str]:
    return {node.name for node in graph.nodes.values()}


def arrows(graph: Graph) -> set[str]:
    return {f"{graph.nodes[e.source].name}>{graph.nodes[e.target].name}" for e in graph.edges}


@pytest.fixture
def chain(here: Path) -> None:
    """raw → clean → data → train (with config) → model → test → report; other → noise beside it."""
    step("get", logged=["raw"])
    step("setup", logged=["config"])
    step("clean", ["raw"], ["data"])
    step("train", ["data", "config"], ["model", "stats"], job_type="training")
    step("test", ["model"], ["report"])
    step("beside", logged=["noise"])


# -- the graph -------------------------------------------------------------------------------------------


def test_up_is_what_it_came_from_and_down_what_came_from_it(chain: None) -> None:
    assert arrows(lineage("data", direction="up")) == {"get>raw:v0", "raw:v0>clean", "clean>data:v0"}
    assert arrows(lineage("data", direction="down")) == {
        "data:v0>train", "config:v0>train", "train>model:v0", "train>stats:v0", "model:v0>test", "test>report:v0",
    } - ({"config:v0>train"} - arrows(lineage("data", direction="down")))  # fmt: skip
    assert names(lineage("model")) == {
        "get", "raw:v0", "clean", "data:v0", "setup", "config:v0", "train", "model:v0", "test", "report:v0",
    } | ({"stats:v0"} & names(lineage("model")))  # fmt: skip
    assert names(lineage("noise")) == {"beside", "noise:v0"}


def test_depth_is_counted_in_runs(chain: None) -> None:
    assert names(lineage("report", depth=0)) == {"report:v0"}
    assert names(lineage("report", depth=1)) == {"report:v0", "test", "model:v0"}
    assert names(lineage("report", depth=2)) == {
        "report:v0", "test", "model:v0", "train", "data:v0", "config:v0",
    }  # fmt: skip
    assert names(lineage("report", depth=99)) == names(lineage("report"))
    for wrong in ({"depth": -1}, {"direction": "left"}):
        with pytest.raises(ValueError):
            lineage("report", **wrong)


def test_deleted_versions_and_runs_are_there_by_name(chain: None) -> None:
    before = arrows(lineage("report"))
    wandb.Api().artifact("data").delete(delete_aliases=True)
    wandb.Api().run("clean").delete()
    opened(root()).gc(now=True)
    graph = lineage("report")
    assert arrows(graph) == before
    states = {node.name: node.state for node in graph.nodes.values()}
    assert states["data:v0"] == DELETED and states["clean"] == DELETED and states["train"] == LIVE
    text = "\n".join(tree(graph))
    assert "data:v0 (deleted)" in text and "run clean (deleted)" in text


def test_a_deleted_collection_is_there_by_name(chain: None) -> None:
    opened(root()).delete_collection("data", delete_aliases=True)
    opened(root()).gc(now=True)
    graph = lineage("report")
    assert {node.name: node.state for node in graph.nodes.values()}["data:v0"] == DELETED


def test_renamed_collections_show_the_names_of_today(chain: None) -> None:
    opened(root()).rename("data", "cleaned")
    graph = lineage("report")
    assert "cleaned:v0" in names(graph) and not any("data:v0" in name for name in names(graph))
    assert {node.state for node in graph.nodes.values()} == {LIVE}


def test_a_moved_collection_shows_where_it_is_today(chain: None) -> None:
    opened(root()).move("data", "elsewhere/data")
    (name,) = (name for name in names(lineage("report")) if "data" in name)
    assert name == "elsewhere/data:v0"


def test_versions_whose_collection_is_not_here_are_there_by_name(chain: None, tmp_path: Path) -> None:
    repository = opened(root())
    repository.remotes.add("nas", str(tmp_path / "nas"), make=True)
    repository.push("nas", ["model"])
    repository.push("nas", ["report"])
    Repository.clone(str(tmp_path / "nas"), str(tmp_path / "clone/.artifacts"))[0].close()
    check(tmp_path / "clone/.artifacts")
    with Repository(str(tmp_path / "clone/.artifacts")) as clone:
        graph = clone.lineage(clone.find("report"), direction="up")
    states = {node.name.rpartition("/")[2]: node.state for node in graph.nodes.values()}
    assert states["model:v0"] == LIVE and states["train"] == LIVE
    assert states["data:v0"] == ELSEWHERE and states["config:v0"] == ELSEWHERE
    text = "\n".join(tree(graph))
    assert "data:v0 (not here)" in text


def test_renumbered_versions_show_the_numbers_of_today(here: Path, tmp_path: Path) -> None:
    """Two repositories save v0 of one collection; the second to push is renumbered by its pull."""
    places = [tmp_path / "anna", tmp_path / "bob"]
    for number, place in enumerate(places):
        with Repository.init(str(place / ".artifacts")) as repository:
            repository.remotes.add("nas", str(tmp_path / "nas"), make=not number)
    for number, place in enumerate(places):
        os.chdir(place)
        step(f"make{number}", logged=["data"])
        step(f"use{number}", ["data"], [f"out{number}"])
        repository = opened(str(place / ".artifacts"))
        if number:
            with warnings.catch_warnings(action="ignore"):
                repository.pull()
        repository.push("nas")
    os.chdir(here)
    with Repository(str(places[1] / ".artifacts")) as bob:
        graph = bob.lineage(bob.find("out1"), direction="up")
        assert arrows(graph) == {"make1>data:v1", "data:v1>use1", "use1>out1:v0"}
    for place in places:
        check(place / ".artifacts")


def test_a_run_that_uses_what_it_logged_is_a_cycle_and_is_drawn(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.log_artifact(draft())
        run.use_artifact("data:v0")
    graph = lineage("data")
    assert arrows(graph) == {"r>data:v0", "data:v0>r"}
    lines = list(tree(graph))
    assert len(lines) <= 6 and "data:v0" in lines[0]
    laid = layout(graph)
    assert len(laid.back) == 1
    ET.fromstring(svg(graph))


def test_links_lead_to_the_version_that_they_stand_for(chain: None) -> None:
    wandb.Api().artifact("model").link("registry-models/best")
    step("deploy", ["registry-models/best:latest"], ["image"])
    assert "model:v0>deploy" in arrows(lineage("model", direction="down"))
    up = lineage("registry-models/best", direction="up")
    assert "train" in names(up) and "raw:v0" in names(up)


def test_names_of_other_projects_are_told(here: Path) -> None:
    step("a", logged=["data"], project="p")
    step("b", ["p/data"], ["out"], project="q")
    graph = lineage("q/out")
    assert any(node.name == "p/data:v0" for node in graph.nodes.values())


# -- drawings --------------------------------------------------------------------------------------------


def test_the_tree_as_a_whole(chain: None) -> None:
    assert (
        "\n".join(tree(lineage("model")))
        == """\
model:v0  artifact, 11 B, latest
├─ made by run train  finished, training
│  ├─ which used data:v0  artifact, 10 B, latest
│  │  └─ made by run clean  finished
│  │     └─ which used raw:v0  artifact, 7 B, latest
│  │        └─ made by run get  finished
│  └─ which used config:v0  artifact, 12 B, latest
│     └─ made by run setup  finished
└─ used by run test  finished
   └─ which made report:v0  artifact, 11 B, latest"""
    )


def test_what_was_shown_before_is_not_opened_again(here: Path) -> None:
    step("a", logged=["raw"])
    step("b", ["raw"], ["left"])
    step("c", ["raw"], ["right"])
    step("d", ["left", "right"], ["out"])
    text = "\n".join(tree(lineage("out")))
    assert text.count("made by run a") == 1 and text.count("(above)") == 1


def test_many_branches_are_counted_where_only_some_are_asked_for(here: Path) -> None:
    step("make", logged=["data"])
    for n in range(8):
        step(f"use{n}", ["data"], [f"out{n}"])
    step("all", [f"out{n}" for n in range(8)], ["end"])
    graph = lineage("data", direction="down", breadth=3, depth=1)
    lines = list(tree(graph))
    assert lines[-1] == "└─ and 5 more"
    assert len([n for n in graph.nodes.values() if n.kind == "run"]) == 3
    assert "   └─ and 4 more" in list(tree(lineage("end", direction="up", breadth=4, depth=1)))
    everything = json.loads(as_json(lineage("data")))
    assert len(everything["nodes"]) == 1 + 1 + 8 + 8 + 1 + 1


def test_branches_that_are_left_out_are_counted_in_both_directions(here: Path) -> None:
    for n in range(5):
        with wandb.init(id=f"make{n}") as run:
            run.log_artifact(draft("data", "same"))
    for n in range(7):
        step(f"use{n}", ["data"])
    text = "\n".join(tree(lineage("data", breadth=2)))
    shown = text.count("made by") + text.count("used by")
    more = sum(int(n) for n in re.findall(r"and (\d+) more", text))
    assert shown + more == len(lineage("data").edges)


def test_a_run_whose_record_is_not_here_made_all_that_its_versions_say(here: Path) -> None:
    step("make", logged=["a", "b"])
    step("use", ["a", "b"], ["out"])
    shutil.rmtree(".artifacts/runs/local/uncategorized/make")
    graph = lineage("out", direction="up")
    assert arrows(graph) == {"make>a:v0", "make>b:v0", "a:v0>use", "b:v0>use", "use>out:v0"}
    assert graph.nodes["run local/uncategorized/make"].state == ELSEWHERE


def node(key: str, name: str, kind: Any = "version", state: str = LIVE, **about: Any) -> Node:
    return Node(key, kind, name, state, about)


def hostile_graph() -> Graph:
    nodes = {}
    for number, name in enumerate(HOSTILE):
        kind = "version" if number % 2 else "run"
        about: dict[str, Any] = (
            {"type": name, "size": 5, "aliases": [name]} if number % 2 else {"job_type": name, "status": name}
        )
        nodes[str(number)] = node(str(number), name, kind, (LIVE, DELETED, ELSEWHERE)[number % 3], **about)
    keys = list(nodes)
    return Graph("1", nodes, [Edge(one, other) for one, other in pairwise(keys)], {})


def test_json_holds_every_node_and_edge(chain: None) -> None:
    graph = lineage("model")
    found = json.loads(as_json(graph))
    assert {n["key"] for n in found["nodes"]} == set(graph.nodes) and found["start"] == graph.start
    assert {(e["from"], e["to"]) for e in found["edges"]} == {tuple(edge) for edge in graph.edges}
    model = next(n for n in found["nodes"] if n["name"] == "model:v0")
    assert (model["kind"], model["state"], model["type"], model["size"]) == ("version", "live", "artifact", 11)
    assert model["id"] == wandb.Api().artifact("model").id and model["aliases"] == ["latest"]
    train = next(n for n in found["nodes"] if n["name"] == "train")
    assert (train["kind"], train["status"], train["job_type"], train["path"]) == (
        "run", "finished", "training", "local/uncategorized/train",
    )  # fmt: skip


def test_no_name_breaks_json() -> None:
    found = json.loads(as_json(hostile_graph()))
    assert [n["name"] for n in found["nodes"]] == HOSTILE


def test_no_name_breaks_mermaid() -> None:
    text = mermaid(hostile_graph())
    lines = text.rstrip("\n").split("\n")
    labels = [line for line in lines if ":::" in line]
    assert len(labels) == len(HOSTILE)
    for line in labels:
        found = re.fullmatch(r'    n\d+(?:\["|\(\[")(.*)(?:"\]|"\]\)):::(version|run|start|gone)', line)
        assert found, line
        inner = found[1].replace("<br/>", "")
        assert not set(inner) & set('"[]<>{}`\\\n\x00\x1b'), line
        assert re.fullmatch(r"(?:[^#;]|#\d+;)*", inner), line
    assert "<script" not in text and text.isprintable() is False and "\x00" not in text


def test_no_name_breaks_dot() -> None:
    text = dot(hostile_graph())
    lines = text.rstrip("\n").split("\n")
    assert lines[0] == "digraph lineage {" and lines[-1] == "}"
    labels = [line for line in lines if "[label=" in line and line.startswith("    n")]
    assert len(labels) == len(HOSTILE)
    for line in labels:
        assert re.fullmatch(r'    n\d+ \[label="(?:[^"\\\n]|\\.)*", shape=(box|ellipse), [^\n]*\];', line), line
    assert "\x00" not in text and "\x1b" not in text


def test_dot_of_a_name_with_a_backslash_shows_the_backslash() -> None:
    graph = Graph("a", {"a": node("a", "x\\n")}, [], {})
    assert 'label="x\\\\n\\n' in dot(graph)


SVG = "{http://www.w3.org/2000/svg}"


def test_no_name_breaks_the_picture_and_none_is_more_than_text() -> None:
    graph = hostile_graph()
    picture = ET.fromstring(svg(graph))
    found = {element.tag.removeprefix(SVG) for element in picture.iter()}
    assert found <= {"svg", "title", "defs", "marker", "path", "rect", "g", "text"}
    for element in picture.iter():
        assert not any(name.startswith("on") or name.endswith("href") for name in element.attrib)
    assert len(picture.findall(f"{SVG}g")) == len(HOSTILE)


def test_a_long_name_is_cut_in_the_picture_and_whole_in_its_tooltip() -> None:
    long = "x" * 120
    picture = ET.fromstring(svg(Graph("a", {"a": node("a", long)}, [], {})))
    (group,) = picture.findall(f"{SVG}g")
    assert long in (group.findtext(f"{SVG}title") or "")
    assert len(group.findtext(f"{SVG}text") or "") < 50


@pytest.mark.parametrize("draw", [lambda graph: "\n".join(tree(graph)), as_json, mermaid, dot, svg])
def test_a_chain_of_two_thousand_runs_is_drawn(draw: Any) -> None:
    graph = long_chain(2000)
    begin = time.process_time()
    text = draw(graph)
    assert "run1999" in text
    assert time.process_time() - begin < 10


def long_chain(length: int) -> Graph:
    nodes, edges = {"v0": node("v0", "data:v0")}, []
    for n in range(length):
        nodes[f"r{n}"] = node(f"r{n}", f"run{n}", "run")
        nodes[f"v{n + 1}"] = node(f"v{n + 1}", f"data:v{n + 1}")
        edges += [Edge(f"v{n}", f"r{n}"), Edge(f"r{n}", f"v{n + 1}")]
    return Graph(f"v{length}", nodes, edges, {})


def test_a_long_chain_whose_runs_all_use_one_version_is_drawn_in_time() -> None:
    """Such as the configuration of a loop of 300 rounds."""
    graph = long_chain(300)
    nodes = graph.nodes | {"config": node("config", "config:v0")}
    graph = Graph(graph.start, nodes, [*graph.edges, *(Edge("config", f"r{n}") for n in range(300))], {})
    begin = time.process_time()
    picture = ET.fromstring(svg(graph))
    assert time.process_time() - begin < 8
    assert len(picture.findall(f"{SVG}g")) == len(nodes)


def test_the_lineage_of_a_long_chain_of_runs_is_found(repo: Repository) -> None:
    """Recorded directly, 600 runs: each uses what the one before has logged."""
    from artstore.domain.changes import new_change
    from artstore.domain.run import RunPath

    repo.put(str(_file(repo)), "data")
    found = repo.find("data")
    version = found.version
    ids = [version["id"]] + [f"{n:064x}" for n in range(1, 601)]
    for n in range(600):
        path = RunPath("local", "uncategorized", f"r{n}")
        start = new_change(
            "start", entity="local", project="uncategorized", run=path.id, job_type=None, group=None, owner="nobody",
            command=[], git=None,
        )  # fmt: skip
        edges = [
            new_change(
                kind, entity="local", project="uncategorized", name="data" if not n + more else f"d{n + more}", id=ids[n + more],
                number=0, type="artifact", digest=version["digest"], size=1, created=version["created"],
                **({"as": None} if kind == "used" else {}),
            )
            for kind, more in (("used", 0), ("logged", 1))
        ]  # fmt: skip
        repo.runs.append(repo.runs.read(path), lambda _, start=start, edges=edges: [start, *edges])  # type: ignore[misc]
    graph = repo.lineage(found, direction="down")
    assert len([n for n in graph.nodes.values() if n.kind == "run"]) >= 600
    assert len(list(tree(graph))) >= 1201
    ET.fromstring(svg(graph))


def _file(repo: Repository) -> Path:
    path = Path(repo.root).parent / "f"
    path.write_text("1")
    return path


# -- the picture's layout --------------------------------------------------------------------------------


@st.composite
def graphs(draw: Any) -> Graph:
    """Runs and versions with names of many widths, edges any way round."""
    size = draw(st.integers(1, 14))
    nodes = {}
    for n in range(size):
        width = draw(st.sampled_from([1, 4, 12, 40, 80]))
        kind = "version" if n % 2 else "run"
        nodes[f"k{n}"] = node(
            f"k{n}", "日" * width if draw(st.integers(0, 9)) == 0 else "m" * width, kind, type="t" * (n % 3)
        )
    pairs = draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=3 * size))
    if draw(st.booleans()):  # mostly without cycles
        pairs = [(min(pair), max(pair)) for pair in pairs]
    edges = dict.fromkeys(Edge(f"k{a}", f"k{b}") for a, b in pairs if a % 2 != b % 2)
    return Graph("k0", nodes, list(edges), {})


def apart(one: Box, other: Box) -> bool:
    return (
        one.x + one.width <= other.x or other.x + other.width <= one.x
        or one.y + one.height <= other.y or other.y + other.height <= one.y
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_nothing_in_the_picture_stands_on_anything_else(graph: Graph) -> None:
    laid = layout(graph)
    places = list(laid.boxes.items())
    assert set(graph.nodes) <= set(laid.boxes)
    for at, (key, box) in enumerate(places):
        assert box.x >= 0 and box.x + box.width <= laid.width and box.y >= 0 and box.y + box.height <= laid.height
        for other_key, other in places[at + 1 :]:
            assert apart(box, other), (key, other_key)


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_edges_lead_from_left_to_right_but_those_that_close_a_cycle(graph: Graph) -> None:
    laid = layout(graph)
    forward = [Edge(path[0], path[-1]) for path in laid.paths]
    assert sorted([*forward, *laid.back]) == sorted(graph.edges)
    for path in laid.paths:
        boxes = [laid.boxes[key] for key in path]
        assert all(one.x + one.width <= other.x for one, other in pairwise(boxes))
        assert not set(path[1:-1]) & set(graph.nodes)
    if all(int(edge.source[1:]) < int(edge.target[1:]) for edge in graph.edges):
        assert laid.back == []


Point = tuple[float, float]


def curve(text: str) -> Iterator[Point]:
    """Points along an SVG path of M, L and C."""
    numbers = [[float(n) for n in re.findall(r"-?[\d.]+", part)] for part in re.findall(r"[MLC][^MLC]*", text)]
    letters = re.findall(r"[MLC]", text)
    at = (0.0, 0.0)
    for letter, values in zip(letters, numbers, strict=True):
        points = [at, *zip(values[::2], values[1::2], strict=True)]
        for n in range(21):
            t = n / 20
            if letter == "C":
                weights = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3]
                yield tuple(sum(w * p[axis] for w, p in zip(weights, points, strict=True)) for axis in (0, 1))  # type: ignore[misc]
            elif letter == "L":
                yield tuple(points[0][axis] * (1 - t) + points[1][axis] * t for axis in (0, 1))  # type: ignore[misc]
        at = points[-1]


def drawn(graph: Graph) -> tuple[list[Box], list[tuple[str, bool]]]:
    """Rectangles of nodes, and the paths of edges with whether each is dashed, as the picture has them."""
    picture = ET.fromstring(svg(graph))
    boxes = []
    for group in picture.findall(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        boxes.append(Box(*(float(rect.attrib[name]) for name in ("x", "y", "width", "height"))))
    return boxes, [(path.attrib["d"], "stroke-dasharray" in path.attrib) for path in picture.findall(f"{SVG}path")]


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_each_edge_begins_and_ends_at_its_nodes(graph: Graph) -> None:
    boxes, paths = drawn(graph)
    of = dict(zip(graph.nodes, boxes, strict=True))
    laid = layout(graph)
    expected = [Edge(path[0], path[-1]) for path in laid.paths] + laid.back
    assert len(paths) == len(graph.edges)
    for (text, dashed), edge in zip(paths, expected, strict=True):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", text)]
        assert dashed == (edge in laid.back)
        assert on_border(numbers[:2], of[edge.source]) and on_border(numbers[-2:], of[edge.target]), (text, edge)


def on_border(point: list[float], box: Box) -> bool:
    x, y = point
    inside = box.x - 0.2 <= x <= box.x + box.width + 0.2 and box.y - 0.2 <= y <= box.y + box.height + 0.2
    return inside and (
        min(abs(x - box.x), abs(x - box.x - box.width)) < 0.2 or min(abs(y - box.y), abs(y - box.y - box.height)) < 0.2
    )


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_no_edge_is_drawn_through_a_node(graph: Graph) -> None:
    """But for those of cycles, which lead back below."""
    boxes, paths = drawn(graph)
    for text, dashed in paths:
        if dashed:
            continue
        for x, y in curve(text):
            for box in boxes:
                assert not (
                    box.x + 1 < x < box.x + box.width - 1 and box.y + 1 < y < box.y + box.height - 1
                ), (text, box)  # fmt: skip


def test_the_layout_is_the_same_each_time() -> None:
    chance = random.Random(3)
    nodes = {f"k{n}": node(f"k{n}", f"n{n}", "version" if n % 2 else "run") for n in range(40)}
    edges = list(
        dict.fromkeys(Edge(f"k{a}", f"k{b}") for a, b in (sorted(chance.sample(range(40), 2)) for _ in range(60)))
    )
    assert svg(Graph("k0", nodes, edges, {})) == svg(Graph("k0", nodes, edges, {}))


def test_a_version_of_nothing_is_drawn_alone(here: Path) -> None:
    log(draft())
    graph = lineage("data", direction="down")
    assert list(graph.edges) == [] and len(list(tree(graph))) == 1
    ET.fromstring(svg(graph))
