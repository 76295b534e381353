"""Ancestry: which large blobs are probably alike, by the versions that have them."""

from collections.abc import Iterator
from typing import NamedTuple

from artstore.domain.collection import State, VersionState, digest_of_state
from artstore.domain.digest import Digest
from artstore.domain.run import RunPath
from artstore.domain.tree import DIRECTORY, EXECUTABLE, read_folder
from artstore.store.objects import ObjectStore
from artstore.store.packs import LARGE
from artstore.store.refs import Refs
from artstore.store.runs import Runs


class _File(NamedTuple):
    path: bytes
    blob: Digest
    size: int

    @property
    def likeness(self) -> tuple[int, bytes]:
        """What a file has in common with the same one of another step of training: its size, and its name's ending."""
        return self.size, self.path.rpartition(b"/")[2].rpartition(b".")[2]


class Ancestry:
    """The large blobs of all live versions, in the order in which they came, each with older ones that may be alike.

    Those are, of the version before in the collection and of the versions that the run used: the file at the same
    path, or else those of the same size and with the same ending. Cost: each tree that has 1 MiB or more is read.
    """

    def __init__(self, objects: ObjectStore, refs: Refs, runs: Runs) -> None:
        self._objects = objects
        self._runs = runs
        self._used: dict[str, list[str]] = {}
        """the ids of the versions that a run used, by its path"""
        self._files: dict[Digest, list[_File]] = {}
        self.elders: dict[Digest, list[Digest]] = {}
        """by blob, the likeliest first; each of these came before it"""
        states = [refs.read_folder(folder, checkpoints=False) for folder in refs.paths()]
        by_id = {version["id"]: version for state in states for version in state.live()}
        for version, before in sorted(_with_predecessors(states), key=lambda pair: pair[0]["created"]):
            used = self._used_by(version["run"]) if version["size"] >= LARGE else []
            sources = [before, *(by_id.get(id) for id in (*version["parents"], *used))]
            self._add(version, [source for source in sources if source is not None])

    def _used_by(self, run: str | None) -> list[str]:
        if run is None:
            return []
        if run not in self._used:
            self._used[run] = list(self._runs.read_folder(RunPath(*run.split("/", 2)).folder).used)
        return self._used[run]

    def _add(self, version: VersionState, sources: list[VersionState]) -> None:
        for file in self._large_files(version):
            if file.blob in self.elders:
                continue
            found = dict[Digest, None]()
            for source in sources:
                files = self._large_files(source)
                same_path = [other.blob for other in files if other.path == file.path]
                alike = [other.blob for other in files if other.likeness == file.likeness]
                found |= dict.fromkeys(same_path or alike)
            self.elders[file.blob] = [blob for blob in found if blob in self.elders]

    def _large_files(self, version: VersionState) -> list[_File]:
        tree = digest_of_state(version)
        if tree not in self._files:
            self._files[tree] = sorted(self._below(tree)) if version["size"] >= LARGE else []
        return self._files[tree]

    def _below(self, tree: Digest) -> Iterator[_File]:
        folders = [(b"", tree)]
        while folders:
            prefix, folder = folders.pop()
            for entry in read_folder(folder, self._objects.read_tree):
                if entry.size < LARGE:
                    continue
                if entry.kind == DIRECTORY:
                    folders.append((prefix + entry.name + b"/", entry.digest))
                elif entry.kind <= EXECUTABLE:
                    yield _File(prefix + entry.name, entry.digest, entry.size)


def _with_predecessors(states: list[State]) -> Iterator[tuple[VersionState, VersionState | None]]:
    """Each live version with the one before it in its collection."""
    for state in states:
        before: VersionState | None = None
        for version in sorted(state.live(), key=lambda version: version["number"]):
            yield version, before
            before = version
