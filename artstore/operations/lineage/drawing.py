"""Drawings of a lineage as text: a tree for terminals, mermaid, dot, JSON. Pure; `svg` draws it as a picture."""

import json
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from artstore.domain.names import printable
from artstore.domain.wording import human
from artstore.operations.lineage.graph import DELETED, ELSEWHERE, LIVE, Graph, Node

BREADTH = 20
"""The default number of neighbours of one node in a tree for terminals."""


def title(node: Node) -> str:
    """The name of a node, and whether it was deleted or is not here."""
    return printable(node.name) + {LIVE: "", DELETED: " (deleted)", ELSEWHERE: " (not here)"}[node.state]


def details(node: Node) -> str:
    """A version's type, size and aliases, or a run's status and job type."""
    about = node.about
    if node.kind == "version":
        aliases = ", ".join(about.get("aliases", ()))
        parts = [about.get("type"), human(about["size"]) if "size" in about else None, aliases]
    else:
        parts = [about.get("status"), about.get("job_type")]
    return printable(", ".join(part for part in parts if part))


def tree(graph: Graph) -> Iterator[str]:
    """The lines of a tree for terminals.

    Below a version come the run that made it, with the versions which that run used, then the runs that used it, with
    the versions which they made. Below a run come the versions that it used, then those that it made. The branches of
    a node are drawn once. Without recursion, so history may be long.
    """
    start = graph.nodes[graph.start]
    yield _line(start)
    seen = {graph.start}
    up = [(key, _word(start, True), True) for key in graph.before(graph.start)]
    down = [(key, _word(start, False), False) for key in graph.after(graph.start)]
    stack = [_level(up + down, "", graph.omitted.get(graph.start, 0))]
    while stack:
        branch = next(stack[-1], None)
        if branch is None:
            stack.pop()
        elif isinstance(branch, str):
            yield branch
        else:
            key, stem, word, upwards, indent = branch
            node, known = graph.nodes[key], key in seen
            neighbours = (graph.before if upwards else graph.after)(key)
            below = [(other, _word(node, upwards), upwards) for other in neighbours]
            yield f"{stem} {word} {_line(node)}" + (" (above)" if known and below else "")
            if not known:
                seen.add(key)
                stack.append(_level(below, indent, graph.omitted.get(key, 0)))


Branch = tuple[str, str, str, bool, str]
"""A line that is still to be drawn: the key of the node, the lines before it, the word for it (such as "made by"),
whether it leads up, and the indent of the nodes below it.
"""


def _level(children: list[tuple[str, str, bool]], indent: str, omitted: int) -> Iterator[Branch | str]:
    """The branches of one node, and a last line with the number of omitted ones."""
    for number, (key, word, up) in enumerate(children):
        last = number == len(children) - 1 and not omitted
        yield key, f"{indent}{'└─' if last else '├─'}", word, up, indent + ("   " if last else "│  ")
    if omitted:
        yield f"{indent}└─ and {omitted:,} more"


def _word(node: Node, up: bool) -> str:
    """The word before the neighbours of a node."""
    if node.kind == "run":
        return "which used" if up else "which made"
    return "made by" if up else "used by"


def _line(node: Node) -> str:
    kind = "run " if node.kind == "run" else ""
    about = details(node)
    return f"{kind}{title(node)}" + (f"  {about}" if about else "")


def as_json(graph: Graph) -> str:
    """The nodes and edges of a graph as JSON."""
    nodes = [{"key": n.key, "kind": n.kind, "name": n.name, "state": n.state, **n.about} for n in graph.nodes.values()]
    edges = [{"from": edge.source, "to": edge.target} for edge in graph.edges]
    return json.dumps({"start": graph.start, "nodes": nodes, "edges": edges}, indent=2)


def mermaid(graph: Graph) -> str:
    """The graph as a flowchart for Markdown pages: https://mermaid.js.org/syntax/flowchart.html"""
    names = {key: f"n{number}" for number, key in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for key, node in graph.nodes.items():
        label = f"{_entity(title(node))}<br/>{_entity(details(node))}"
        left, right = ('["', '"]') if node.kind == "version" else ('(["', '"])')
        lines.append(f"    {names[key]}{left}{label}{right}:::{_look(graph, node)}")
    lines += [f"    {names[edge.source]} --> {names[edge.target]}" for edge in graph.edges]
    lines += [f"    classDef {look} {style}" for look, style in _MERMAID.items()]
    return "\n".join(lines) + "\n"


_MERMAID = {
    "version": "fill:#e8f0fe,stroke:#3b6fc4,color:#1a2a44",
    "run": "fill:#fff4e0,stroke:#c98a1b,color:#3d2c0a",
    "start": "fill:#cfe0ff,stroke:#1f4fa3,stroke-width:3px,color:#1a2a44",
    "gone": "fill:#f4f4f4,stroke:#9a9a9a,stroke-dasharray:4,color:#6a6a6a",
}


def _look(graph: Graph, node: Node) -> str:
    if node.state != LIVE:
        return "gone"
    return "start" if node.key == graph.start else node.kind


def _entity(text: str) -> str:
    """Escape a label: Mermaid reads `#…;` like HTML reads `&…;`."""
    return "".join(c if c.isalnum() or c in " ._-/:(),@" else f"#{ord(c)};" for c in text)


def dot(graph: Graph) -> str:
    """The graph for Graphviz: https://graphviz.org/doc/info/lang.html"""
    names = {key: f"n{number}" for number, key in enumerate(graph.nodes)}
    lines = ["digraph lineage {", "    rankdir=LR;", '    node [fontname="sans-serif", fontsize=11, style=filled];']
    for key, node in graph.nodes.items():
        look = _DOT[_look(graph, node)]
        shape = "box" if node.kind == "version" else "ellipse"
        label = f"{_quoted(title(node))}\\n{_quoted(details(node))}"
        lines.append(f'    {names[key]} [label="{label}", shape={shape}, {look}];')
    lines += [f"    {names[edge.source]} -> {names[edge.target]};" for edge in graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


_DOT = {
    "version": 'fillcolor="#e8f0fe", color="#3b6fc4"',
    "run": 'fillcolor="#fff4e0", color="#c98a1b"',
    "start": 'fillcolor="#cfe0ff", color="#1f4fa3", penwidth=3',
    "gone": 'fillcolor="#f4f4f4", color="#9a9a9a", fontcolor="#6a6a6a", style="filled,dashed"',
}


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def xml(text: Any) -> str:
    """Escape a text for XML."""
    return escape(printable(str(text)))


FORMATS: dict[str, Callable[[Graph], str]] = {"json": as_json, "mermaid": mermaid, "dot": dot}
