"""A lineage as an SVG picture, from left to right. Runs and versions look different, and nothing overlaps.

Layers follow Sugiyama, Tagawa and Toda (1981), "Methods for visual understanding of hierarchical system structures":
each node is right of all nodes from which its data came; an edge that crosses layers gets a place of its own in each;
within a layer, nodes are ordered by the mean position of their neighbours.
"""

from collections.abc import Callable
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import NamedTuple

from artstore.operations.lineage.drawing import details, title, xml
from artstore.operations.lineage.graph import LIVE, Edge, Graph, Node

_CHARACTER = 7.4
"""Pixels of a bold character at 12 px: more than most fonts need."""
_WIDEST = 44
"""Characters. Longer lines are cut; the node's tooltip has the whole text."""
_LINE, _PADDING, _BETWEEN, _GAP, _MARGIN = 16, 10, 22, 70, 20
_THIN = 6
"""Height of the place of an edge in a layer that it crosses."""
_SWEEPS = 12


class Box(NamedTuple):
    """The place of a node or edge, in pixels: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The vertical middle of the box."""
        return self.y + self.height / 2


class Layout(NamedTuple):
    """The places of all nodes and edges."""

    boxes: dict[str, Box]
    borders: dict[str, tuple[float, float]]
    """left and right border of the column of each box: edges only bend between columns"""
    paths: list[list[str]]
    """for each edge, the keys of the boxes through which it goes"""
    back: list[Edge]
    """edges that lead back, in a cycle"""
    width: float
    height: float


def svg(graph: Graph, link: Callable[[Node], str | None] = lambda node: None) -> str:
    """Draw a lineage as an SVG file, without scripts, style sheets or fonts from elsewhere.

    A page may colour its classes: background, edge, version, run, gone, start. `link` returns the address for a node.
    """
    laid = layout(graph)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{laid.width:.0f}" height="{laid.height:.0f}" '
        f'viewBox="0 0 {laid.width:.0f} {laid.height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="12">',
        f"<title>lineage of {xml(graph.nodes[graph.start].name)}</title>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#8a94a6"/></marker></defs>',
        '<rect class="background" width="100%" height="100%" fill="#ffffff"/>',
    ]
    out += [_edge([(laid.boxes[key], *laid.borders[key]) for key in path]) for path in laid.paths]
    out += [_back(laid.boxes[edge.source], laid.boxes[edge.target]) for edge in laid.back]
    out += [_node(graph, node, laid.boxes[key], link(node)) for key, node in graph.nodes.items()]
    return "\n".join([*out, "</svg>"]) + "\n"


class Picture(Graph):
    """A graph that notebooks show as a picture."""

    @classmethod
    def of(cls, graph: Graph) -> "Picture":
        """The same graph, as a picture."""
        return cls(graph.start, graph.nodes, graph.edges, graph.omitted)

    def _repr_svg_(self) -> str:
        return svg(self)


# -- layout --------------------------------------------------------------------------------------


def layout(graph: Graph) -> Layout:
    """Compute the places of all nodes and edges."""
    # 1. Set edges aside that close a cycle, so that all others lead to the right.
    back = _cycles(graph)
    turned = set(back)
    forward = [edge for edge in graph.edges if edge not in turned]
    # 2. Give each node a layer, and each edge a place in the layers that it crosses.
    layer = _layers(graph, forward)
    columns: list[list[str]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for key in graph.nodes:
        columns[layer[key]].append(key)
    paths = [_way(edge, layer, columns) for edge in forward]
    # 3. Order the nodes within each layer so that few edges cross, then compute pixels.
    _untangle(columns, paths)
    return _placed(graph, columns, paths, back)


def _cycles(graph: Graph) -> list[Edge]:
    """The edges that close a cycle, found by a depth-first search from the nodes without an edge to them."""
    back, done, open_ = list[Edge](), set[str](), set[str]()
    for root in [*(key for key in graph.nodes if not graph.before(key)), *graph.nodes]:
        if root in done:
            continue
        stack = [(root, iter(graph.after(root)))]
        open_.add(root)
        while stack:
            key, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                open_.discard(key)
                done.add(key)
            elif following in open_:
                back.append(Edge(key, following))
            elif following not in done:
                open_.add(following)
                stack.append((following, iter(graph.after(following))))
    return back


def _layers(graph: Graph, edges: list[Edge]) -> dict[str, int]:
    """The layer of each node: one right of the rightmost node before it. First nodes are as far right as possible."""
    before: dict[str, list[str]] = {key: [] for key in graph.nodes}
    after: dict[str, list[str]] = {key: [] for key in graph.nodes}
    for edge in edges:
        before[edge.target].append(edge.source)
        after[edge.source].append(edge.target)
    layer: dict[str, int] = {}
    for key in TopologicalSorter(before).static_order():
        layer[key] = max((layer[source] + 1 for source in before[key]), default=0)
    for key, targets in after.items():
        if targets and not before[key]:
            layer[key] = min(layer[target] for target in targets) - 1
    return layer


def _way(edge: Edge, layer: dict[str, int], columns: list[list[str]]) -> list[str]:
    """The keys of the places of an edge: both ends, and one in each layer between them. Adds the latter to the columns."""
    way = [edge.source]
    for number in range(layer[edge.source] + 1, layer[edge.target]):
        way.append(f"{edge.source} → {edge.target} {number}")
        columns[number].append(way[-1])
    return [*way, edge.target]


def _untangle(columns: list[list[str]], paths: list[list[str]]) -> None:
    """Sort each layer by the mean position of its nodes' neighbours in the layer before, or after: in turn,
    _SWEEPS times.
    """
    left: dict[str, list[str]] = {}
    right: dict[str, list[str]] = {}
    for path in paths:
        for one, other in pairwise(path):
            left.setdefault(other, []).append(one)
            right.setdefault(one, []).append(other)
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        order = range(1, len(columns)) if forth else range(len(columns) - 2, -1, -1)
        for number in order:
            beside = {key: at for at, key in enumerate(columns[number - 1 if forth else number + 1])}
            middle: dict[str, float] = {}
            for at, key in enumerate(columns[number]):
                places = [beside[other] for other in (left if forth else right).get(key, ())]
                middle[key] = sum(places) / len(places) if places else at
            columns[number].sort(key=middle.__getitem__)


def _placed(graph: Graph, columns: list[list[str]], paths: list[list[str]], back: list[Edge]) -> Layout:
    """Compute the pixels of all boxes: each column is as wide as its widest node, and centred vertically."""
    boxes, borders = dict[str, Box](), dict[str, tuple[float, float]]()
    sizes = {key: _size(node) for key, node in graph.nodes.items()}
    heights = [sum(sizes.get(key, (0, _THIN))[1] + _BETWEEN for key in column) - _BETWEEN for column in columns]
    tallest, x = max(heights, default=0.0), float(_MARGIN)
    for column, height in zip(columns, heights, strict=True):
        width = max((sizes[key][0] for key in column if key in sizes), default=_THIN)
        y = _MARGIN + (tallest - height) / 2
        for key in column:
            own = sizes.get(key, (width, _THIN))
            boxes[key] = Box(x + (width - own[0]) / 2, y, *own)
            borders[key] = (x, x + width)
            y += own[1] + _BETWEEN
        x += width + _GAP
    return Layout(boxes, borders, paths, back, x - _GAP + _MARGIN, tallest + 2 * _MARGIN + (30 if back else 0))


def _size(node: Node) -> tuple[float, float]:
    lines = _lines(node)
    width = max(sum(2 if ord(c) > 0x2E7F else 1 for c in line) for line in lines)
    return width * _CHARACTER + 2 * _PADDING + (12 if node.kind == "run" else 0), len(lines) * _LINE + _PADDING


def _lines(node: Node) -> list[str]:
    lines = [("run " if node.kind == "run" else "") + title(node), details(node)]
    return [line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…" for line in lines if line]


# -- shapes --------------------------------------------------------------------------------------


def _node(graph: Graph, node: Node, box: Box, address: str | None) -> str:
    fill, stroke = ("#e8f0fe", "#3b6fc4") if node.kind == "version" else ("#fff4e0", "#c98a1b")
    text, dashed = "#1f2937", ""
    if node.state != LIVE:
        fill, stroke, text, dashed = "#f4f4f4", "#9a9a9a", "#6a6a6a", ' stroke-dasharray="4 3"'
    width = 3 if node.key == graph.start else 1.2
    radius = 4 if node.kind == "version" else box.height / 2
    shape = (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius:.1f}" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="{width}"{dashed}/>'
    )
    lines, middle = _lines(node), box.x + box.width / 2
    looks = ('font-weight="bold"', 'font-size="11"')
    texts = [
        f'<text x="{middle:.1f}" y="{box.y + _PADDING / 2 + 12 + number * _LINE:.1f}" text-anchor="middle" '
        f'fill="{text}" {look}>{xml(line)}</text>'
        for number, (line, look) in enumerate(zip(lines, looks, strict=False))
    ]
    classes = [node.kind, *(["gone"] if node.state != LIVE else []), *(["start"] if node.key == graph.start else [])]
    name = f"<title>{xml(title(node))} {xml(details(node))}</title>"
    drawn = f'<g class="{" ".join(classes)}">{name}{shape}{"".join(texts)}</g>'
    return drawn if address is None else f'<a href="{xml(address)}">{drawn}</a>'


_LINE_STYLE = 'class="edge" fill="none" stroke="#8a94a6" stroke-width="1.3" marker-end="url(#arrow)"'


def _edge(places: list[tuple[Box, float, float]]) -> str:
    """A curve from the right side of the first box to the left side of the last. It only bends between columns."""
    first, _, right = places[0]
    y = first.middle
    path = f"M{first.x + first.width:.1f},{y:.1f} L{right:.1f},{y:.1f}"
    for box, left, far in places[1:]:
        half = (right + left) / 2
        path += f" C{half:.1f},{y:.1f} {half:.1f},{box.middle:.1f} {left:.1f},{box.middle:.1f}"
        right, y = far, box.middle
        path += f" L{box.x if box is places[-1][0] else far:.1f},{y:.1f}"
    return f'<path d="{path}" {_LINE_STYLE}/>'


def _back(source: Box, target: Box) -> str:
    """A dashed curve for an edge that leads back, below both of its nodes."""
    low = max(source.y + source.height, target.y + target.height) + 24
    x, end = source.x + source.width / 2, target.x + target.width / 2
    start_y, end_y = source.y + source.height, target.y + target.height
    path = f"M{x:.1f},{start_y:.1f} C{x:.1f},{low:.1f} {end:.1f},{low:.1f} {end:.1f},{end_y:.1f}"
    return f'<path d="{path}" stroke-dasharray="5 4" {_LINE_STYLE}/>'
