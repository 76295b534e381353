"""The graph of versions and runs: plain values, which lineage finds and drawings show."""

from typing import Any, Literal, NamedTuple

LIVE, DELETED, ELSEWHERE = "live", "deleted", "elsewhere"
"""What became of a version or the record of a run: it is here; it was deleted; it never was here, and others tell of it."""


class Node(NamedTuple):
    """A version or a run."""

    key: str
    kind: Literal["version", "run"]
    name: str
    """of a version as a spec names it (a number that has moved is the one of now), of a run as people call it"""
    state: str
    """LIVE, DELETED or ELSEWHERE"""
    about: dict[str, Any]
    """id, type, size, created, aliases of a version; path, status, job_type, started of a run"""


class Edge(NamedTuple):
    """From a version to the run that used it, or from a run to the version that it logged: where data went."""

    source: str
    target: str


class Graph:
    """What is around a version."""

    def __init__(self, start: str, nodes: dict[str, Node], edges: list[Edge], omitted: dict[str, int]) -> None:
        """`start` is the key of the version that was asked about; `omitted` tells how many neighbours a node has that are
        left out.
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
        """Where a node's data came from."""
        return self._before.get(key, [])

    def after(self, key: str) -> list[str]:
        """Where a node's data went."""
        return self._after.get(key, [])
