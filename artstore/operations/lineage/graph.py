"""The graph of versions and runs that a lineage is: plain values, found by `walk` and drawn by `drawing` and `svg`."""

from typing import Any, Literal, NamedTuple

LIVE, DELETED, ELSEWHERE = "live", "deleted", "elsewhere"
"""States of a version or a run: it is here; it was deleted; it never was here, and is only known from runs or versions."""


class Node(NamedTuple):
    """A version or a run."""

    key: str
    kind: Literal["version", "run"]
    name: str
    """of a version, its spec with its present number; of a run, its display name"""
    state: str
    """LIVE, DELETED or ELSEWHERE"""
    about: dict[str, Any]
    """of a version: id, type, size, created, aliases; of a run: path, status, job_type, started"""


class Edge(NamedTuple):
    """The way of data: from a version to the run that used it, or from a run to the version that it logged."""

    source: str
    target: str


class Graph:
    """The versions and runs around a version."""

    def __init__(self, start: str, nodes: dict[str, Node], edges: list[Edge], omitted: dict[str, int]) -> None:
        """Make a graph.

        Args:
            start: The key of the version.
            nodes: All versions and runs, by key.
            omitted: The number of neighbours that were left out, by the key of the node.
        """
        self.start = start
        self.nodes = nodes
        self.edges = edges
        self.omitted = omitted
        self._before: dict[str, list[str]] = {}
        self._after: dict[str, list[str]] = {}
        for edge in edges:
            self._before.setdefault(edge.target, []).append(edge.source)
            self._after.setdefault(edge.source, []).append(edge.target)

    def before(self, key: str) -> list[str]:
        """The keys of the nodes from which a node's data came."""
        return self._before.get(key, [])

    def after(self, key: str) -> list[str]:
        """The keys of the nodes to which a node's data went."""
        return self._after.get(key, [])
