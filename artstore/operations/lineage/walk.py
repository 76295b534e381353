"""Lineage: which runs and versions a version came from, and which came from it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from artstore.domain.collection import Path, State, is_live
from artstore.domain.run import CRASHED, RUNNING, RunState
from artstore.domain.wording import moment
from artstore.errors import Conflict, InvalidValue
from artstore.operations.finding.catalog import Catalog, Edge, RunRow, decoded_run
from artstore.operations.finding.lookup import Version
from artstore.operations.lineage.graph import DELETED, ELSEWHERE, LIVE, Graph, Node
from artstore.operations.lineage.graph import Edge as GraphEdge
from artstore.store.refs import Refs

T = TypeVar("T")
DIRECTIONS = ("up", "down", "both")


class Lineage:
    """Finds the runs and versions around a version, in the catalog of all runs."""

    def __init__(
        self, catalog: Catalog, refs: Refs, *, short: Callable[[Path], str], alive: Callable[[str], bool]
    ) -> None:
        """Prepare a walk.

        Args:
            short: The short name of a collection.
            alive: Whether the process of a run may be alive.
        """
        self._catalog = catalog
        self._refs = refs
        self._short = short
        self._alive = alive
        self._names: dict[Path, str] = {}
        self._omitted: dict[str, int] = {}
        self._breadth: int | None = None
        self._states: dict[Path, State | None] = {}
        self._named_by: dict[Path, dict[str, list[str]]] = {}
        self._told: dict[str, Edge] = {}
        """versions as runs recorded them, by id"""
        self._nodes: dict[str, Node] = {}
        self._edges: dict[GraphEdge, None] = {}

    def of(
        self,
        start: Version | RunState,
        *,
        depth: int | None = None,
        direction: str = "both",
        breadth: int | None = None,
    ) -> Graph:
        """The graph around a version or a run. What was deleted is in it with the names that it had.

        Cost: the catalog, and reading the collections of the versions in the graph.

        Args:
            depth: Follow at most this number of runs in a row, from a run on itself too. None means all.
            direction: "up" for the versions from which it came, "down" for those that came from it, or "both".
            breadth: Show at most this number of neighbours of one node, in one direction. None means all.

        Raises:
            InvalidValue: `direction` or `depth` is invalid.
        """
        if direction not in DIRECTIONS:
            raise InvalidValue(f"direction '{direction}' is not one of {', '.join(DIRECTIONS)}")
        if depth is not None and depth < 0:
            raise InvalidValue(f"depth {depth} is negative")
        self._breadth = breadth
        ways = [way == "up" for way in (("up", "down") if direction == "both" else (direction,))]
        key = (
            self._around_version(start, ways, depth)
            if isinstance(start, Version)
            else self._around_run(start, ways, depth)
        )
        return Graph(key, self._nodes, list(self._edges), self._omitted)

    def _around_version(self, found: Version, ways: list[bool], depth: int | None) -> str:
        """Add what is around a version, up or down. Returns its key."""
        self._states[found.state.path] = found.state
        key = self._version(found.id, found)
        for up in ways:
            self._walk(found.id, up, depth)
        return key

    def _around_run(self, found: RunState, ways: list[bool], depth: int | None) -> str:
        """Add what is around a run, up or down. Returns its key."""
        row = next(row for row in map(decoded_run, self._catalog.all_rows()) if row.run == found.path)
        self._told.update((edge.id, edge) for edge in row.edges)
        key = self._run(row)
        for up in ways:
            for id in self._some(key, row.used if up else row.logged):
                self._link(id, row, not up)
                self._walk(id, up, None if depth is None else depth - 1)
        return key

    def _some(self, key: str, neighbours: Sequence[T]) -> Sequence[T]:
        """The neighbours of a node to show. The number of the others is noted."""
        if self._breadth is None or len(neighbours) <= self._breadth:
            return neighbours
        self._omitted[key] = self._omitted.get(key, 0) + len(neighbours) - self._breadth
        return neighbours[: self._breadth]

    def _walk(self, id: str, up: bool, depth: int | None) -> None:
        """Add all nodes in one direction, level by level: so each node is reached by a shortest way."""
        level, seen, steps = [id], {id}, 0
        while level and (depth is None or steps < depth):
            steps += 1
            following: list[str] = []
            for version in level:
                rows = self._catalog.rows_with("logged" if up else "used", version)
                for row in map(decoded_run, self._some(self._version(version), rows)):
                    self._told.update((edge.id, edge) for edge in row.edges)
                    self._link(version, row, up)
                    for other in self._some(self._run(row), row.used if up else row.logged):
                        self._link(other, row, not up)
                        if other not in seen:
                            seen.add(other)
                            following.append(other)
                if up:
                    self._link_absent_maker(version)
            level = following

    def _link(self, id: str, row: RunRow, logged: bool) -> None:
        """Add the edge between a version and a run that logged or used it."""
        version, run = self._version(id), self._run(row)
        self._edges.setdefault(GraphEdge(run, version) if logged else GraphEdge(version, run))

    def _link_absent_maker(self, id: str) -> None:
        """Add the run that a version's record names, if the run itself is not here."""
        found = self._nodes[self._version(id)]
        path = found.about.get("run")
        key = f"run {path}"
        known = self._nodes.get(key)
        if path is None or (known is not None and known.state != ELSEWHERE):
            return
        self._nodes.setdefault(key, Node(key, "run", path.rpartition("/")[2], ELSEWHERE, {"path": path}))
        self._edges.setdefault(GraphEdge(key, found.key))

    def _run(self, row: RunRow) -> str:
        key = f"run {row.path}"
        if key not in self._nodes:
            status = row.finished or (RUNNING if self._alive(row.owner) else CRASHED)
            about = {
                "path": row.path, "status": status, "job_type": row.job_type, "started": row.started, "user": row.user,
            }  # fmt: skip
            self._nodes[key] = Node(key, "run", row.name, DELETED if row.deleted else LIVE, about)
        return key

    def _version(self, id: str, found: Version | None = None) -> str:
        key = f"version {id}"
        if key not in self._nodes:
            self._nodes[key] = self._version_node(key, id, found)
        return key

    def _version_node(self, key: str, id: str, found: Version | None) -> Node:
        """The node of a version: as its collection has it now, or else as a run recorded it."""
        if found is None:
            told = self._told[id]
            state = self._state(told.path)
            if state is None or id not in state.versions:
                about = {"id": id, "type": told.type, "size": told.size, "created": moment(told.created)}
                return Node(key, "version", f"{told.path}:v{told.number}", ELSEWHERE, about)
            found = Version(state, state.versions[id])
        version = found.version
        about = {
            "id": id, "type": found.state.type, "size": version["size"], "created": moment(version["created"]),
            "run": version["run"], "aliases": self._aliases(found.state).get(id, []), "deleted": version.get("deleted"),
        }  # fmt: skip
        path = found.state.path
        if path not in self._names:
            self._names[path] = self._short(path)
        name = f"{self._names[path]}:v{version['number']}"
        return Node(key, "version", name, LIVE if is_live(version) else DELETED, about)

    def _aliases(self, state: State) -> dict[str, list[str]]:
        if state.path not in self._named_by:
            self._named_by[state.path] = state.all_aliases()
        return self._named_by[state.path]

    def _state(self, path: Path) -> State | None:
        if path not in self._states:
            try:
                self._states[path] = self._refs.read(path)
            except Conflict:  # another collection has this name in another case
                self._states[path] = None
        return self._states[path]
