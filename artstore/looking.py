"""Looking into a repository: finding versions and runs, and reading what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from artstore.backends.storage import FolderStorage
from artstore.domain.changes import LogEntry
from artstore.domain.collection import Path, State
from artstore.domain.digest import Digest
from artstore.domain.names import RESERVED, Spec, collection_named, parse_path, printable
from artstore.domain.run import RunState
from artstore.domain.selection import EVERYTHING, Selection
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry, FileChange, diff, find, folder_page, read_folder, walk
from artstore.errors import Damage, translated
from artstore.operations.finding.lookup import Home, Lookup, Version
from artstore.progress import Monitor
from artstore.store.layout import Operation, check_format
from artstore.store.runs import may_live
from artstore.store.settings import Settings
from artstore.store.sides import AnyStore, load_trees

if TYPE_CHECKING:  # each is loaded when it is called, so that a command only loads the operations that it needs
    from artstore.operations.finding.catalog import Catalog
    from artstore.operations.finding.matching import RunFields
    from artstore.operations.lineage.graph import Graph
    from artstore.store.runs import RunFile


class Looking:
    """What a handle on a repository can find and read. `View` also restores and maintains.

    In the examples, `repository` is a new repository, and the working folder holds `dataset/train.csv` with the
    line `1,2`.
    """

    def __init__(self, store: AnyStore, settings: Settings) -> None:
        self.store = store
        self.storage, self.objects, self.refs, self.runs = store.storage, store.objects, store.refs, store.runs
        self.settings = settings
        self.lookup = Lookup(store.refs, store.objects, settings)
        self.asking: FolderStorage | None = None
        """if this is a remote: the repository here"""
        self._gone: Callable[[], list[str]] = list  # which logs a remote lost since it was last seen, in words

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all open files. The handle can't be used afterwards."""
        self.store.close()

    def _may(self, operation: Operation) -> None:
        """Raise UnsupportedFormat if the repository needs features for an operation that this artstore doesn't have.

        The `format` file is read each time, because another process may have added a feature.
        """
        check_format(self.storage, operation)

    def fill(self, found: Version, selection: Selection = EVERYTHING, *, monitor: Monitor | None = None) -> None:
        """Prepare to read a version's files. At a distant place: read all trees that will be needed, with few requests."""
        self.lookup.looked_at(found)
        if self.storage.distant:
            load_trees(self.objects, found.tree, selection.reaches)

    def _fill_entry(self, entry: Entry) -> None:
        """Prepare to read one file."""

    # -- finding --

    def path_of(self, text: str, home: Home | None = None) -> tuple[Path, Spec]:
        """The path of the collection that a spec names, and the parsed spec. Nothing is looked up.

        Args:
            text: A spec, such as `data`, `vision/data:v3` or `local/vision/data:latest`.
            home: The entity and project for a spec that names none. The default is that of the settings.

        Raises:
            InvalidValue: It isn't a spec.

        >>> str(repository.path_of("data:v3")[0])
        'local/uncategorized/data'
        """
        return self.lookup.path_of(text, home)

    def collection(self, text: str, home: Home | None = None) -> State:
        """The collection that a name names.

        Raises NotFound, with similar names in the hint, or InvalidValue if the text names a version.

        >>> saved = repository.put("dataset", "data", type="dataset")
        >>> repository.collection("data").type
        'dataset'
        """
        return self.lookup.collection(collection_named(text), home)

    def find(self, text: str, home: Home | None = None, *, for_good: bool = False) -> Version:
        """The version that a spec names: `latest` if it names none.

        Raises NotFound, which names the part that is missing, with similar names in the hint. If a pull gave the number
        to another version, it warns; with `for_good`, for what changes something, it raises Conflict.

        >>> saved = repository.put("dataset", "data", aliases=("good",))
        >>> repository.find("data:good").name
        'data:v0'
        """
        return self.lookup.find(text, home, for_good=for_good)

    def version(self, path: Path, id: str) -> Version:
        """The version with an id, deleted or not. Raises NotFound.

        >>> saved = repository.put("dataset", "data")
        >>> repository.version(saved.path, saved.id).name
        'data:v0'
        """
        return self.lookup.version(path, id)

    def collections(
        self, entity: str | None = None, project: str | None = None, *, damaged: list[Damage] | None = None
    ) -> Iterator[State]:
        """All collections, or those of an entity or project, sorted by their paths.

        Args:
            damaged: If a collection can't be read, its error is added here. With None it is raised.

        >>> saved = repository.put("dataset", "data")
        >>> [str(state.path) for state in repository.collections()]
        ['local/uncategorized/data']
        """
        found = self.refs.collections(entity, project, damaged=damaged)
        return (state for state in found if not state.type.startswith(RESERVED))

    def registry(self, entity: str, project: str) -> State:
        """The collection that has the properties of a registry. It doesn't exist if none was ever set."""
        from artstore.operations.changing.linking import registry_at

        return registry_at(self.refs, entity, project)

    def history(self, text: str) -> Iterator[LogEntry]:
        """The entries in the log of a collection, the oldest first.

        >>> saved = repository.put("dataset", "data")
        >>> [[change["kind"] for change in entry.changes] for entry in repository.history("data")]
        [['collection', 'version']]
        """
        return self.refs.history(self.collection(text).path)

    def run_history(self, state: RunState, having: bytes = b"") -> Iterator[dict[str, Any]]:
        """The rows of metrics that a run logged, in their order, each with its `_step`: see `read_history`."""
        return self.store.run_history(state, having)

    def run_files(self, state: RunState) -> dict[str, RunFile]:
        """The files of a run, by their paths, in the order of these: see `files_of`."""
        return self.store.run_files(state)

    def open_run_file(self, state: RunState, path: str) -> BinaryIO:
        """Open a file of a run for reading. Raises NoEntry if the run has none at that path."""
        return self.store.open_run_file(state, path, self.open)

    def get_run_file(self, state: RunState, path: str, root: str) -> str:
        """Restore a file of a run below a folder, and return its path there: see `restore_run_file`."""
        from artstore.operations.restoring.runfiles import restore_run_file

        here = self.objects.here
        return restore_run_file(self.open_run_file(state, path), root, path, None if here is None else here.root)

    def run_file(self, state: RunState, path: str) -> RunFile:
        """The file of a run at a path. Raises NoEntry if there is none."""
        from artstore.store.runfiles import file_at

        return file_at(self.objects, self.runs, state, path)

    def run_summary(self, state: RunState) -> dict[str, Any]:
        """The summary of a run. If the run hasn't ended, metrics that it lacks are taken from its history."""
        from artstore.store.metrics import whole_summary

        return whole_summary(self.store, state)

    def run_fields(self) -> RunFields:
        """The fields of runs, for filters, columns and orders."""
        from artstore.operations.finding.matching import RunFields

        return RunFields(self.store)

    def catalog(self, *, damaged: list[Damage] | None = None) -> Catalog:
        """A summary of all runs and links. If a log can't be read, its error is added to `damaged`, if given."""
        from artstore.operations.finding.caches import cache_of
        from artstore.operations.finding.catalog import Catalog

        return Catalog(cache_of(self.objects.here), self.runs, self.refs, damaged=damaged)

    def lineage(
        self, start: Version | RunState, *, depth: int | None = None, direction: str = "both", breadth: int | None = None
    ) -> Graph:  # fmt: skip
        """The runs and versions from which a version or run came, and those that came from it: see `Lineage.of`.

        Args:
            depth: Follow at most this number of runs in a row. None means all.
            direction: "up" for the versions from which it came, "down" for those that came from it, or "both".
            breadth: Show at most this number of neighbours of one node. None means all.
        """
        from artstore.operations.lineage.walk import Lineage

        local, short = self.storage.local, self.lookup.short
        lineage = Lineage(self.catalog(damaged=[]), self.refs, short=short, alive=lambda owner: may_live(owner, local))
        return lineage.of(start, depth=depth, direction=direction, breadth=breadth)

    def properties(self, found: Version) -> tuple[str | None, dict[str, Any]]:
        """The description and metadata of a version. A link has those of its source.

        >>> saved = repository.put("dataset", "data", description="first try", metadata={"rows": 1})
        >>> repository.properties(repository.find("data"))
        ('first try', {'rows': 1})
        """
        return self.lookup.properties(found)

    # -- reading content --

    def opens(self, entity: str, project: str) -> bool:
        """Whether files of a project can be opened: always, but for somebody at a server who may only look."""
        return True

    def gives(self, entity: str, project: str) -> bool:
        """Whether files of a project can be downloaded: always, but for somebody at a server who may only see them."""
        return True

    def walk(self, tree: Digest, prefix: bytes = b"") -> Iterator[tuple[bytes, Entry]]:
        """The path and entry of each file, folder and reference below a tree. `prefix` is put before each path."""
        return walk(tree, self.objects.read_tree, prefix)

    def find_entry(self, found: Version, path: str) -> Entry | None:
        """The entry at a path of a version, or None."""
        self.lookup.looked_at(found)
        return find(found.tree, parse_path(path), self.objects.read_tree)

    def entry(self, found: Version, path: str) -> Entry:
        """The entry at a path of a version. Raises NoEntry, with similar names in the hint."""
        return self.lookup.entry(found, path)

    def folder(self, tree: Digest) -> tuple[Entry, ...]:
        """The entries of one folder, sorted by name."""
        return read_folder(tree, self.objects.read_tree)

    def folder_page(self, found: Version, path: str, tree: Digest, start: bytes, most: int) -> list[Entry]:
        """Up to `most` entries of a folder of a version, from the name `start` on."""
        return folder_page(tree, self.objects.read_tree, start, most)

    def content(self, entry: Entry) -> Iterator[bytes]:
        """The content of a file, in pieces. All of it is checked before the first piece is yielded.

        Raises InvalidValue for a folder.

        >>> saved = repository.put("dataset", "data")
        >>> b"".join(repository.content(repository.entry(repository.find("data"), "train.csv")))
        b'1,2\\n'
        """
        with self.open(entry) as file, translated(f"read '{printable(entry.name)}'"):
            while piece := file.read(1 << 20):
                yield piece

    def open(self, entry: Entry) -> BinaryIO:
        """Open a file of a version for reading. All of its content is checked first. Raises InvalidValue for a folder.

        >>> saved = repository.put("dataset", "data")
        >>> with repository.open(repository.entry(repository.find("data"), "train.csv")) as file:
        ...     file.read()
        b'1,2\\n'
        """
        from artstore.operations.restoring.opening import open_file

        if entry.kind not in (REFERENCE, DIRECTORY):
            self._fill_entry(entry)
        return open_file(self.objects, entry)

    def diff(self, old: Version, new: Version) -> Iterator[FileChange]:
        """The files that were added, removed or changed between two versions, sorted by path.

        Cost: only folders that differ are read.

        >>> from pathlib import Path
        >>> saved = repository.put("dataset", "data")
        >>> written = Path("dataset/test.csv").write_text("3,4")
        >>> saved = repository.put("dataset", "data")
        >>> [change.path for change in repository.diff(repository.find("data:v0"), repository.find("data:v1"))]
        [b'test.csv']
        """
        for found in (old, new):
            self.lookup.looked_at(found)
        return diff(old.tree, new.tree, self.objects.read_tree)
