"""What somebody sees of the repository, for the pages. What they may not see isn't there, at the lowest level.

Pages read collections, runs and objects only through this view, so none can forget to ask. By default nothing is
given: an object only if it was reached through something that the holder of the token may have.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, NoReturn, cast

from artstore.domain.changes import LogEntry
from artstore.domain.collection import Path, State, nfc
from artstore.domain.digest import BLOB, Digest, ObjectKind
from artstore.domain.extras import Extras
from artstore.domain.names import normal_path, printable
from artstore.domain.partial import (
    told_changes,
    told_collection,
    told_run,
    without_content,
    without_files,
)
from artstore.domain.properties import property_digests
from artstore.domain.revealing import tells_content
from artstore.domain.roles import Grant
from artstore.domain.run import RunPath, RunState
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry, FileChange
from artstore.domain.wording import human
from artstore.errors import Damage, DamagedLog, InvalidValue, NoEntry, NotFound, Refused
from artstore.operations.changing.retention import Kept
from artstore.operations.finding.lookup import Home, Lookup, Version
from artstore.operations.upkeep.usage import Usage, VersionUsage
from artstore.progress import Monitor
from artstore.server.access import Access, log_place
from artstore.server.space import check_space
from artstore.server.summaries import Caches, SeenCatalog
from artstore.store.content import Content
from artstore.store.large import LargeBlobs
from artstore.store.metrics import whole_summary
from artstore.store.objects import ObjectStore
from artstore.store.packs import LARGE
from artstore.store.packset import PackSet
from artstore.store.refs import Refs
from artstore.store.runfiles import file_at
from artstore.store.runs import RunFile, Runs
from artstore.store.settings import Settings
from artstore.store.store import Store
from artstore.view import View

_FETCHED = 64 << 20
"""Bytes of the largest file that is fetched from a bucket to show some of it: each visitor has it fetched again."""
ASK = "ask who runs this server for the role reader"


class Sight:
    """Which projects somebody sees, of which they open files, and of which they may have them."""

    def __init__(self, access: Access, previews: Grant | None) -> None:
        """`previews`: the projects in which viewers, too, see previews of files."""
        self.access = access
        self._previews = previews
        self._known: dict[str, bool] = {}

    def sees(self, entity: str, project: str) -> bool:
        """Whether they may know that a project is there."""
        return self.access.sees(entity, project)

    def gives(self, entity: str, project: str) -> bool:
        """Whether they may have the files of a project."""
        return self.access.reads(entity, project)

    def opens(self, entity: str, project: str) -> bool:
        """Whether pages show them what is in files of a project."""
        if self.gives(entity, project):
            return True
        shown = self._previews is not None and self._previews.role_in(entity, project) is not None
        return shown and self.sees(entity, project)

    def sees_log(self, folder: str) -> bool:
        """Whether they may know of the log in a folder. Other folders aren't seen."""
        above = folder.rpartition("/")[0]
        if above not in self._known:
            try:
                place = log_place(folder)
            except InvalidValue:
                return False
            self._known[above] = self.sees(place.entity, place.project)
        return self._known[above]


class SeenRefs(Refs):
    """The collections that somebody sees, without what they may not see of them."""

    def __init__(self, store: Store, settings: Settings, sight: Sight) -> None:
        super().__init__(store.storage, identity=settings.identity)
        self._all = store.refs
        self._sight = sight

    def paths(self, entity: str | None = None, project: str | None = None) -> Iterator[str]:
        """The folders of the logs that they may know of."""
        return filter(self._sight.sees_log, self._all.paths(entity, project))

    def read_folder(
        self, folder: str, path: Path | None = None, *, until: int | None = None, checkpoints: bool = True
    ) -> State:
        """The state of a log, without what they may not see. A log of which they may not know has no entries."""
        if not self._sight.sees_log(folder):
            return State(nfc(path) if path else Path("", "", ""))
        state = self._all.read_folder(folder, path, until=until, checkpoints=checkpoints)
        if state.number and state.path.folder != folder:
            raise DamagedLog(f"the log in {folder} belongs to another name")
        told = state if self._sight.access.sees_all else told_collection(state, self._sight.sees)
        return told if self._sight.opens(*state.path[:2]) else without_files(told)

    def history(self, path: Path, until: int | None = None) -> Iterator[LogEntry]:
        """The entries of a collection, without what they may not see."""
        for entry in self._all.history(path, until) if self._sight.sees(*path[:2]) else ():
            if self._sight.access.sees_all:
                yield entry
            elif changes := told_changes(entry.changes, self._sight.sees):
                yield entry._replace(changes=changes)

    def cached(self) -> "SeenRefs":
        """The same: what is seen is made anew for each request."""
        return self

    def _log(self, folder: str) -> NoReturn:
        raise Refused("here logs are only read, and in part")


class SeenRuns(Runs):
    """The runs that somebody sees, without what they may not see of them."""

    def __init__(self, store: Store, settings: Settings, sight: Sight) -> None:
        super().__init__(store.storage, identity=settings.identity)
        self._all = store.runs
        self._sight = sight

    def paths(self, entity: str | None = None, project: str | None = None) -> Iterator[str]:
        """The folders of the logs that they may know of."""
        return filter(self._sight.sees_log, self._all.paths(entity, project))

    def read_folder(
        self, folder: str, path: RunPath | None = None, *, until: int | None = None, checkpoints: bool = True
    ) -> RunState:
        """The state of a log, without what they may not see. A log of which they may not know has no entries."""
        if not self._sight.sees_log(folder):
            return RunState(path or RunPath("", "", ""))
        state = self._all.read_folder(folder, path, until=until, checkpoints=checkpoints)
        if state.number and state.path.folder != folder:
            raise DamagedLog(f"the log in {folder} belongs to another name")
        return self._told(state)

    def _told(self, state: RunState) -> RunState:
        place = state.path
        return told_run(state, self._sight.sees, files=self._sight.opens(place.entity, place.project))

    def ended(self, folder: str) -> dict[str, Any] | None:
        """The state of a run that ended, without what they may not see."""
        if not self._sight.sees_log(folder) or (plain := self._all.ended(folder)) is None:
            return None
        return plain if self._sight.access.sees_all else self._told(RunState.from_plain(plain)).plain()

    def _log(self, folder: str) -> NoReturn:
        raise Refused("here logs are only read, and in part")


class _Withheld:
    """What nothing here may use: each use is refused, also by code that is written later."""

    def __getattr__(self, name: str) -> NoReturn:
        raise _closed()


class _Place(_Withheld):
    """The place of the repository, of which pages only need to know of what kind it is."""

    def __init__(self, store: Store) -> None:
        self.root = "the repository"
        self.local, self.distant, self.coherent = (
            getattr(store.storage, name) for name in ("local", "distant", "coherent")
        )


class _SeenLarge(_Withheld):
    def __init__(self, large: LargeBlobs, check: Callable[[Digest], None]) -> None:
        self._large = large
        self._check = check

    def open(self, digest: Digest, size: int) -> Content:
        self._check(digest)
        return self._large.open(digest, size)


class SeenObjects(ObjectStore):
    """The objects that somebody may have: lists of files, and of blobs only those that were allowed."""

    def __init__(self, store: Store, place: _Place) -> None:
        self._of = store.objects
        self._allowed: set[Digest] = set()
        self.storage = cast(Any, place)
        self.here = None
        self.packs = cast(PackSet, _Withheld())
        self.large = cast(LargeBlobs, _SeenLarge(store.objects.large, self._check))

    def allow(self, digests: Iterable[Digest]) -> None:
        """Give these blobs from now on."""
        self._allowed.update(digests)

    def _check(self, digest: Digest) -> None:
        if digest not in self._allowed:
            raise _closed()

    def read(self, kind: ObjectKind, digest: Digest) -> bytes:
        """An object's bytes. Raises Refused for a blob that wasn't allowed."""
        if kind == BLOB:
            self._check(digest)
        return self._of.read(kind, digest)

    def read_tree(self, digest: Digest) -> bytes:
        """A tree's bytes."""
        return self._of.read_tree(digest)


def _raw(path: str) -> bytes:
    return os.fsencode(normal_path(path))


def _closed() -> Refused:
    return Refused("your role here can look at files, and not open them", hint=ASK)


class _SeenStore(Store):
    def __init__(self, store: Store, settings: Settings, sight: Sight) -> None:
        place = _Place(store)
        self.storage = cast(Any, place)
        self.id, self.writable = store.id, False
        self.objects = SeenObjects(store, place)
        self.refs = SeenRefs(store, settings, sight)
        self.runs = SeenRuns(store, settings, sight)

    def close(self) -> None:
        """Nothing: the store behind it was borrowed."""


class _SeenLookup(Lookup):
    def extras(self, found: Version) -> Extras:
        """The keys that users gave to entries of a version, by path."""
        cast(SeenObjects, self._objects).allow(property_digests(self.said_of(found)))
        return super().extras(found)

    def _holder_of(self, text: str, home: Home | None) -> None:
        """Nothing: a hint that a file has a name would tell of names that aren't listed."""


class Seen(View):
    """A view of a repository as somebody sees it, for one request."""

    def __init__(
        self, store: Store, settings: Settings, sight: Sight, caches: Caches, *, downloads: bool = False
    ) -> None:
        """`downloads`: the request is for a whole file, and not for a page that shows some of it."""
        seen = _SeenStore(store, settings, sight)
        super().__init__(seen, settings)
        self.lookup = _SeenLookup(seen.refs, seen.objects, settings)
        self._objects = cast(SeenObjects, seen.objects)
        self._all = store
        self._sight = sight
        self._caches = caches
        self._downloads = downloads

    def opens(self, entity: str, project: str) -> bool:
        """Whether pages show what is in files of a project."""
        return self._sight.opens(entity, project)

    def gives(self, entity: str, project: str) -> bool:
        """Whether files of a project can be downloaded."""
        return self._sight.gives(entity, project)

    # -- versions and their files --

    def properties(self, found: Version) -> tuple[str | None, dict[str, Any]]:
        """The description and metadata of a version. Long ones are the blobs that everybody who sees it may read."""
        self._objects.allow(property_digests(self.lookup.said_of(found)))
        return super().properties(found)

    def find_entry(self, found: Version, path: str) -> Entry | None:
        """The entry at a path of a version, or None. Its content can be read if that may be."""
        entry = super().find_entry(found, path) if self._lists(found, _raw(path)) else None
        return None if entry is None else self._allowed(found.state.path, entry)

    def entry(self, found: Version, path: str) -> Entry:
        """The entry at a path of a version. Its content can be read if that may be. Raises NoEntry."""
        if self.opens(*found.state.path[:2]):
            return self._allowed(found.state.path, super().entry(found, path))
        if (entry := self.find_entry(found, path)) is None:
            raise NoEntry(f"{found.name} has no '{printable(path)}'")
        return entry

    def folder_page(self, found: Version, path: str, tree: Digest, start: bytes, most: int) -> list[Entry]:
        """Up to `most` entries of a folder of a version. Those whose names tell what is in them are left out."""
        above, kept = os.fsencode(f"{path}/" if path else ""), list[Entry]()
        while page := super().folder_page(found, path, tree, start, most):
            kept += [entry for entry in page if self._lists(found, above + entry.name)]
            start = page[-1].name + b"\0"
            if len(kept) >= most or len(page) < most:
                break
        return kept[:most]

    def diff(self, old: Version, new: Version) -> Iterator[FileChange]:
        """The files that differ. Those whose names tell what is in them are left out."""
        return (one for one in super().diff(old, new) if self._lists(old, one.path) and self._lists(new, one.path))

    def _lists(self, found: Version, path: bytes) -> bool:
        return self.opens(*found.state.path[:2]) or not tells_content(path)

    def _allowed(self, path: Path | RunPath, entry: Entry) -> Entry:
        if entry.kind not in (DIRECTORY, REFERENCE) and self.opens(path.entity, path.project):
            self._objects.allow([entry.digest])
        return entry

    def open(self, entry: Entry) -> BinaryIO:
        """Open a file. Raises Refused if it may not be, and for a reference: a server opens nothing that others name."""
        if entry.kind == REFERENCE:
            raise Refused("a server opens no references: whoever gets the version opens them")
        if self._all.storage.distant and entry.size >= LARGE:
            if entry.size > _FETCHED and not self._downloads:
                what = f"a file of {human(entry.size)} isn't fetched from its bucket for a page"
                raise Refused(what, hint="download it")
            check_space(tempfile.gettempdir(), entry.size)
        return super().open(entry)

    # -- runs --

    def _seen(self, state: RunState) -> RunState:
        """The run as it is stored. Raises NotFound for one that may not be seen."""
        if not self._sight.sees(state.path.entity, state.path.project):
            raise NotFound(f"there is no run {state.path}")
        return self._all.runs.read_folder(state.path.folder)

    def run_history(self, state: RunState, having: bytes = b"") -> Iterator[dict[str, Any]]:
        """The rows of metrics that a run logged."""
        rows = self._all.run_history(self._seen(state), having)
        opens = self.opens(state.path.entity, state.path.project)
        return rows if opens else map(without_content, rows)

    def run_summary(self, state: RunState) -> dict[str, Any]:
        """The summary of a run."""
        whole = whole_summary(self._all, self._seen(state))
        opens = self.opens(state.path.entity, state.path.project)
        return whole if opens else cast(dict[str, Any], without_content(whole))

    def run_files(self, state: RunState) -> dict[str, RunFile]:
        """The files of a run, by their paths: these and their sizes."""
        found = self._all.run_files(self._seen(state))
        opens = self.opens(state.path.entity, state.path.project)
        return {
            path: file._replace(entry=None, staged=None)
            for path, file in found.items()
            if opens or not tells_content(_raw(path))
        }

    def run_file(self, state: RunState, path: str) -> RunFile:
        """The file of a run at a path: this and its size. Raises NoEntry."""
        if tells_content(_raw(path)) and not self.opens(state.path.entity, state.path.project):
            raise NoEntry(f"run {state.path} has no file '{printable(path)}'")
        found = file_at(self._all.objects, self._all.runs, self._seen(state), path)
        return found._replace(entry=None, staged=None)

    def open_run_file(self, state: RunState, path: str) -> BinaryIO:
        """Open a file of a run. Raises Refused if that may not be, and NoEntry."""
        place = state.path
        if not self.opens(place.entity, place.project):
            raise _closed()
        return self._all.open_run_file(self._seen(state), path, lambda e: self.open(self._allowed(place, e)))

    # -- what is known of all --

    def catalog(self, *, damaged: list[Damage] | None = None) -> SeenCatalog:
        """A summary of the runs and links that are seen. The repository's cache is for those who see all."""
        return SeenCatalog(self._caches, self._sight.access, self._all, self.runs, self.refs, damaged)

    def usage(self, *, damaged: list[Damage] | None = None) -> Usage:
        """The disk use of all. Raises Refused unless all is seen."""
        self._sees_use()
        from artstore.operations.upkeep.usage import usage

        return usage(self._all.objects, self.collections(damaged=damaged), self._all.runs, damaged)

    def usage_of(self, found: Version, *, monitor: Monitor | None = None) -> VersionUsage:
        """The disk use of a version. Raises Refused unless all is seen."""
        self._sees_use()
        from artstore.operations.upkeep.usage import usage_of

        monitor, folder = monitor or Monitor(), found.state.path.folder
        return usage_of(self._all.objects, self._all.refs, self._all.runs, folder, found.version, monitor)

    def _sees_use(self) -> None:
        if not self._sight.access.sees_all:
            raise Refused("only those who see the whole repository see what it takes")

    def kept(self, text: str) -> Kept:
        """The rule of a collection. What it would delete isn't looked up: it also depends on what others don't see."""
        state = self.collection(text)
        return Kept(state.path, state.keep, False, [], "saves apply it, and to a server versions are only pushed")
