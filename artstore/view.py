"""What is stored at a place: found, read, checked out, and kept well. A repository here is one, and so is a remote."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import closing
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from artstore.backends.storage import FolderStorage
from artstore.domain.changes import LogEntry
from artstore.domain.collection import Path, State
from artstore.domain.digest import Digest
from artstore.domain.names import RESERVED, Spec, parse_path, printable
from artstore.domain.run import RunState
from artstore.domain.selection import EVERYTHING, Selection, select
from artstore.domain.tree import (
    DIRECTORY,
    REFERENCE,
    Entry,
    FileChange,
    diff,
    find,
    read_folder,
    walk,
)
from artstore.errors import (
    Damage,
    InvalidValue,
    translated,
)
from artstore.operations.finding.lookup import Home, Lookup, Version, unless_deleted
from artstore.operations.restoring.options import PLAIN, Restore
from artstore.progress import Monitor
from artstore.store import settings
from artstore.store.layout import Operation, check_format
from artstore.store.objects import ObjectStore
from artstore.store.reading import load_trees
from artstore.store.runs import may_live
from artstore.store.settings import Settings
from artstore.store.store import Store

if TYPE_CHECKING:  # loaded when they are called: a command should not pay for what others do
    from artstore.operations.finding.catalog import Catalog
    from artstore.operations.lineage.graph import Graph
    from artstore.operations.restoring.archive import Archived, ArchiveKind
    from artstore.operations.restoring.checkout import CheckedOut
    from artstore.operations.restoring.verify import Verified
    from artstore.operations.upkeep.collect import Collected
    from artstore.operations.upkeep.fsck import Report
    from artstore.operations.upkeep.repair import Elsewhere
    from artstore.operations.upkeep.usage import Usage


class View:
    """A handle; open ones are cheap and hold no lock. Not for several threads at once."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
    ) -> None:
        self.store = store
        self.storage, self.objects, self.refs, self.runs = store.storage, store.objects, store.refs, store.runs
        self.settings = settings
        self.lookup = Lookup(store.refs, store.objects, settings)
        self.asking: FolderStorage | None = None
        """the repository from which a remote is looked at"""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()

    def _may(self, operation: Operation) -> None:
        """Raises UnsupportedFormat when that takes a feature that this artstore lacks, as the place is now."""
        check_format(self.storage, operation)

    def fill(self, found: Version, selection: Selection = EVERYTHING, *, monitor: Monitor | None = None) -> None:
        """Bring those of a version's files here whose bytes are elsewhere; of a distant place, the trees that will be
        read, by few requests.
        """
        if self.storage.distant:
            load_trees(self.objects, found.tree, selection.reaches)

    def _fill_entry(self, entry: Entry) -> None:
        """As `fill`, one file."""

    # -- finding --

    def path_of(self, text: str, home: Home | None = None) -> tuple[Path, Spec]:
        """What a spec names; parts that it leaves out are those of `home` (entity, project), else the settings'."""
        return self.lookup.path_of(text, home)

    def collection(self, text: str, home: Home | None = None) -> State:
        """The collection that a spec names. Raises NotFound with near names."""
        return self.lookup.collection(text, home)

    def find(self, text: str, home: Home | None = None) -> Version:
        """The version that a spec names; no alias means `latest`. Raises NotFound, saying which part is missing."""
        return self.lookup.find(text, home)

    def version(self, path: Path, id: str) -> Version:
        """A version by id, deleted or not."""
        return self.lookup.version(path, id)

    def collections(
        self, entity: str | None = None, project: str | None = None, *, damaged: list[Damage] | None = None
    ) -> Iterator[State]:
        """Every collection that exists, by its path. One that can't be read is an error, or is told in `damaged`."""
        found = self.refs.collections(entity, project, damaged=damaged)
        return (state for state in found if not state.type.startswith(RESERVED))

    def registry(self, entity: str, project: str) -> State:
        """What is said of a registry; `exists` is False where nothing was said."""
        from artstore.operations.changing.linking import registry_at

        return registry_at(self.refs, entity, project)

    def history(self, text: str) -> Iterator[LogEntry]:
        """Every change of a collection, oldest first."""
        return self.refs.history(self.collection(text).path)

    def run_history(self, state: RunState) -> Iterator[dict[str, Any]]:
        """The rows that a run logged, each with its `_step`, in the order in which it did. Memory: one part of it."""
        from artstore.store.metrics import read_history

        return read_history(self.objects, self.runs, state)

    def catalog(self, *, damaged: list[Damage] | None = None) -> Catalog:
        """What all runs used and logged, and all links. A log that can't be read is told in `damaged`, else raised."""
        from artstore.operations.finding.catalog import Catalog

        return Catalog(self.objects.here, self.runs, self.refs, damaged=damaged)

    def lineage(
        self, found: Version, *, depth: int | None = None, direction: str = "both", breadth: int | None = None
    ) -> Graph:
        """The runs and versions that a version came from (`up`), and that came from it (`down`), up to `depth` runs away, at
        most `breadth` beside one another.
        """
        from artstore.operations.lineage.walk import Lineage

        local = self.storage.local
        short = self.lookup.short
        lineage = Lineage(self.catalog(damaged=[]), self.refs, short=short, alive=lambda owner: may_live(owner, local))
        return lineage.of(found, depth=depth, direction=direction, breadth=breadth)

    def properties(self, found: Version) -> tuple[str | None, dict[str, Any]]:
        """(description, metadata) of a version, long values read from their blobs."""
        return self.lookup.properties(found)

    # -- reading content --

    def walk(self, tree: Digest, prefix: bytes = b"") -> Iterator[tuple[bytes, Entry]]:
        return walk(tree, self.objects.read_tree, prefix)

    def find_entry(self, found: Version, path: str) -> Entry | None:
        """The entry at a path of a version; None when there is none."""
        return find(found.tree, parse_path(path), self.objects.read_tree)

    def entry(self, found: Version, path: str) -> Entry:
        """The entry at a path of a version. Raises NoEntry with near names."""
        return self.lookup.entry(found, path)

    def folder(self, tree: Digest) -> tuple[Entry, ...]:
        return read_folder(tree, self.objects.read_tree)

    def content(self, entry: Entry) -> Iterator[bytes]:
        """A file's bytes in pieces; checked before the first piece is given out. Raises InvalidValue for a folder."""
        with self.open(entry) as file, translated(f"read '{printable(entry.name)}'"):
            while piece := file.read(1 << 20):
                yield piece

    def open(self, entry: Entry) -> BinaryIO:
        """A file's content for reading, checked before the first byte is given out. Raises InvalidValue for a folder."""
        from artstore.operations.restoring.opening import open_file

        if entry.kind not in (REFERENCE, DIRECTORY):
            self._fill_entry(entry)
        return open_file(self.objects, entry)

    def diff(self, old: Version, new: Version) -> Iterator[FileChange]:
        return diff(old.tree, new.tree, self.objects.read_tree)

    def get(self, found: Version, root: str | None = None, how: Restore = PLAIN) -> CheckedOut:
        """Put a version's files below `root` (default `./artifacts/<name>-vN`), every byte checked. A reference whose bytes
        are gone is MissingReference, unless that is allowed.
        """
        from artstore.operations.restoring.checkout import Checkout

        target = root or self.download_folder(found)
        self.fill(found, how.selection, monitor=how.monitor)
        with unless_deleted(self.refs, found):
            return Checkout(self.objects, found.tree, how).run(target)

    def export(
        self,
        found: Version,
        out: BinaryIO,
        kind: ArchiveKind,
        *,
        selection: Selection = EVERYTHING,
        monitor: Monitor | None = None,
    ) -> Archived:
        """Write a version's files to `out` as a tar or zip, every byte checked; the same bytes each time. `out` need not be
        seekable.
        """
        from artstore.operations.restoring.archive import write_archive

        self.fill(found, selection, monitor=monitor)
        with unless_deleted(self.refs, found):
            entries = select(found.tree, self.objects.read_tree, selection)
            return write_archive(kind, out, entries, self.objects, self.open, monitor or Monitor())

    def download_folder(self, found: Version) -> str:
        return settings.download_folder(f"{found.state.path.name}-v{found.number}")

    def verify(self, found: Version, root: str | None = None, *, monitor: Monitor | None = None) -> Verified:
        """Compare a folder with a version, by content: nothing is taken from a cache."""
        from artstore.operations.restoring.verify import Verifier

        return Verifier(self.objects, monitor=monitor).run(found.tree, root or self.download_folder(found))

    # -- maintenance --

    def gc(
        self,
        *,
        now: bool = False,
        dry_run: bool = False,
        abandon: str | None = None,
        force: bool = False,
        monitor: Monitor | None = None,
    ) -> Collected:
        """Collect what no live version reaches. `now` skips the grace period; refused on network file systems. `abandon`
        declares a transaction dead: refused of a process that is alive here, unless `force`.
        """
        from artstore.operations.upkeep.collect import abandon_transaction, collect, foresee
        from artstore.operations.upkeep.merge import maintenance_lock, merge

        self._may("gc")
        if now and not self.storage.coherent:
            raise InvalidValue(
                "gc --now is refused on a network file system: other hosts may still believe old listings",
                hint="run gc without --now",
            )
        if abandon is not None:
            abandon_transaction(self.storage, abandon, force=force, dry_run=dry_run)
        # A place that others use, too, keeps its trash as long as it should, whatever one of them has set for himself.
        settings = self.settings if self.objects.here is not None else Settings(None)
        grace = 0.0 if now else settings.grace(self.storage.local)
        with maintenance_lock(self.storage):
            act = foresee if dry_run else collect
            done = act(self.objects, self.refs, self.runs, grace=grace, monitor=monitor or Monitor())
            if self.objects.here is None and not dry_run:
                merge(self.objects)
            return done

    def fsck(self, *, quick: bool = False, repair: bool = False, monitor: Monitor | None = None) -> Report:
        """Everything that is stored against everything that should be. With `repair`, what was lost is looked for in
        bad/, in folders that were saved or got, and in other repositories; what is found is stored again.
        """
        from artstore.operations.upkeep.fsck import Fsck

        shown = monitor or Monitor()

        def check(quick: bool, doubted: Set[str]) -> Fsck:
            return Fsck(
                self.objects,
                self.refs,
                self.runs,
                quick=quick,
                doubted=doubted,
                promised=self._promised,
                monitor=shown,
            )

        if not repair:
            return check(quick, set()).run()
        from artstore.operations.upkeep.merge import maintenance_lock
        from artstore.operations.upkeep.repair import Repair

        for operation in ("write", "gc"):
            self._may(operation)
        with maintenance_lock(self.storage):
            return Repair(self.objects, self.refs, self._elsewhere(), shown).run(check, quick=quick)

    def _elsewhere(self) -> list[Elsewhere]:
        """Other repositories that may hold what was lost here."""
        from artstore.operations.upkeep.repair import Elsewhere

        if (asking := self.asking) is None:
            return []
        return [Elsewhere("the repository here", lambda: closing(ObjectStore(asking)))]

    def _promised(self) -> set[Digest]:
        """Blobs that may be absent: none."""
        return set()

    def usage(self) -> Usage:
        """Bytes on disk, part by part."""
        from artstore.operations.upkeep.usage import usage

        return usage(self.objects, self.collections())


def view_of(place: str, here: FolderStorage | None, *, writing: bool = False) -> View:
    """What is stored at a path, a URL, or under the name of a remote of the repository `here`. Nothing is written there,
    unless to keep it well (`writing`).
    """
    from artstore.sync.notes import Tracking
    from artstore.sync.place import check_identity, open_remote, require_remote

    settings = Settings(here.root if here is not None else None)
    name = place if here is not None and place in settings.remotes() else None
    remote = open_remote(require_remote(settings, name) if name else place, settings, here=here, notes=writing)
    if name is not None and here is not None:
        check_identity(remote, Tracking(here, name))
    view = View(remote, settings)
    view.asking = here
    return view
