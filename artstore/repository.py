"""The repository: one `.artifacts/` folder and everything that can be done with it, one thin method per operation."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from artstore import settings
from artstore.changes import Changes
from artstore.checkout import CheckedOut, Checkout
from artstore.checkouts import Checkouts, Noted
from artstore.digest import BLOB, Digest
from artstore.draft import Draft, Saved
from artstore.errors import (
    ArtstoreError,
    Conflict,
    Damage,
    InvalidValue,
    MissingObject,
    NoEntry,
    NotFound,
    Refused,
    UnsupportedFormat,
    storage_error,
    translated,
)
from artstore.files import remove_tree
from artstore.hints import near, typed
from artstore.layout import check_feature, make, read_features
from artstore.logs import Entry
from artstore.lookup import Found, Home, Lookup
from artstore.names import Spec, parse_path, printable
from artstore.objects import ObjectStore
from artstore.owner import is_alive
from artstore.owner import parse as parse_owner
from artstore.packs import LARGE
from artstore.progress import Monitor
from artstore.properties import Properties
from artstore.refs import Refs
from artstore.removal import sweep
from artstore.runs import Runs
from artstore.selection import EVERYTHING, Selection, select
from artstore.settings import FOLDER, Settings
from artstore.statcache import StatCache
from artstore.state import Path, State
from artstore.storage import FolderStorage, is_url
from artstore.tree import DIRECTORY, REFERENCE, diff, find, read_folder, walk
from artstore.tree import Change as TreeChange
from artstore.tree import Entry as TreeEntry
from artstore.verify import Verified, Verifier
from artstore.writing import Link

if TYPE_CHECKING:  # loaded when they are called: a look at a version should not pay for them
    from artstore.exchange import Exchanged
    from artstore.fsck import Report
    from artstore.maintenance import Collected
    from artstore.remotes import Remotes


class Status(NamedTuple):
    """A noted checkout against its version; `found` is None when nothing is known of that any more, `verified` when it
    was deleted.
    """

    noted: Noted
    found: Found | None
    verified: Verified | None
    problem: ArtstoreError | None = None
    """why it could not be compared"""


class Usage(NamedTuple):
    """Bytes on disk by place, and what the live versions would take as plain folders."""

    packs: int
    pack_bytes: int
    blobs: int
    blob_bytes: int
    log_bytes: int
    trash_bytes: int
    bad_bytes: int
    tmp_bytes: int
    cache_bytes: int
    versions: int
    version_bytes: int


class Repository:
    """A handle; open ones are cheap and hold no lock. Not for several threads at once."""

    def __init__(self, root: str) -> None:
        """Open the repository in folder `root`. Raises NotFound or UnsupportedFormat."""
        if os.name == "nt":
            raise UnsupportedFormat("repositories can't be opened on Windows yet", hint="use WSL, Linux or macOS")
        self.root = os.path.abspath(root)
        self.storage = FolderStorage(self.root)
        self._features, self.id = read_features(self.storage)
        self._may("read")
        self.settings = Settings(self.root)
        self.objects = ObjectStore(self.storage)
        self.refs = Refs(self.storage, identity=self.settings.identity)
        self.runs = Runs(self.storage, identity=self.settings.identity)
        self.checkouts = Checkouts(self.storage)
        self.lookup = Lookup(self.refs, self.objects, self.settings)

    @classmethod
    def init(cls, root: str) -> "Repository":
        """Make a repository, or open the one that is there. It appears whole, by one rename."""
        root = os.path.abspath(root)
        if not os.path.isfile(f"{root}/format"):
            with translated(f"make a repository in {printable(root)}"):
                make(root)
        return cls(root)

    def close(self) -> None:
        self.objects.close()

    def __enter__(self) -> "Repository":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _may(self, operation: str) -> None:
        check_feature(self._features, operation, self.root)

    # -- finding --

    def path_of(self, text: str, home: Home | None = None) -> tuple[Path, Spec]:
        """What a spec names; parts that it leaves out are those of `home` (entity, project), else the settings'."""
        return self.lookup.path_of(text, home)

    def collection(self, text: str, home: Home | None = None) -> State:
        """The collection that a spec names. Raises NotFound with near names."""
        return self.lookup.collection(text, home)

    def find(self, text: str, home: Home | None = None) -> Found:
        """The version that a spec names; no alias means `latest`. Raises NotFound, saying which part is missing."""
        return self.lookup.find(text, home)

    def version(self, path: Path, id: str) -> Found:
        """A version by id, deleted or not."""
        return self.lookup.version(path, id)

    def collections(self, entity: str | None = None, project: str | None = None) -> Iterator[State]:
        return self.refs.collections(entity, project)

    def history(self, text: str) -> Iterator[Entry]:
        """Every change of a collection, oldest first."""
        return self.refs.history(self.collection(text).path)

    def properties(self, found: Found) -> tuple[str | None, dict[str, Any]]:
        """(description, metadata) of a version, long values read from their blobs."""
        return self.lookup.properties(found)

    # -- reading content --

    def walk(self, tree: Digest, prefix: bytes = b"") -> Iterator[tuple[bytes, TreeEntry]]:
        return walk(tree, self.objects.read_tree, prefix)

    def find_entry(self, found: Found, path: str) -> TreeEntry | None:
        """The entry at a path of a version; None when there is none."""
        return find(found.tree, parse_path(path), self.objects.read_tree)

    def entry(self, found: Found, path: str) -> TreeEntry:
        """The entry at a path of a version. Raises NoEntry with near names."""
        parts = parse_path(path.rstrip("/"))
        entry = find(found.tree, parts, self.objects.read_tree)
        if entry is None:
            parent = find(found.tree, parts[:-1], self.objects.read_tree) if len(parts) > 1 else None
            tree = found.tree if len(parts) == 1 else parent[3] if parent and parent[1] == DIRECTORY else None
            names = [printable(e[0]) for e in read_folder(tree, self.objects.read_tree)[:_NEAR_AMONG]] if tree else []
            raise NoEntry(
                f"{found.name} has no '{printable(path)}'",
                hint=near(printable(parts[-1]), names, "".join(f"{printable(part)}/" for part in parts[:-1]))
                or f"{typed('ls', self.lookup.named(found))} lists its files",
            )
        return entry

    def folder(self, tree: Digest) -> tuple[TreeEntry, ...]:
        return read_folder(tree, self.objects.read_tree)

    def content(self, entry: TreeEntry) -> Iterator[bytes]:
        """A file's bytes in pieces; checked before the first piece is given out."""
        if entry[1] == DIRECTORY:
            raise InvalidValue(f"'{printable(entry[0])}' is a folder")
        if entry[1] == REFERENCE:
            raise NotFound(f"the bytes of '{printable(entry[0])}' are not stored here, but at {printable(entry[3])}")
        if self._is_partial:
            self.remotes.fill({entry[3]: entry[2]})
        if entry[2] < LARGE:
            yield self.objects.read(BLOB, entry[3])
            return
        fd, _ = self.objects.open_large(entry[3], entry[2])
        try:
            self.objects.verify_large(entry[3], fd, entry[2])
            offset = 0
            while piece := os.pread(fd, 1 << 20, offset):
                yield piece
                offset += len(piece)
        except OSError as error:
            raise storage_error(error, f"read '{printable(entry[0])}'") from error
        finally:
            os.close(fd)

    def diff(self, old: Found, new: Found) -> Iterator[TreeChange]:
        return diff(old.tree, new.tree, self.objects.read_tree)

    # -- saving and restoring --

    def draft(self, monitor: Monitor | None = None) -> Draft:
        self._may("write")
        sweep(self.storage)
        return Draft(self.objects, self.refs, monitor)

    def put(
        self,
        path: str,
        name: str,
        *,
        type: str | None = None,
        aliases: tuple[str, ...] = (),
        tags: tuple[str, ...] = (),
        description: str | None = None,
        metadata: Any = None,
        monitor: Monitor | None = None,
    ) -> Saved:
        """Save a file or folder as the next version of a collection; durable when this returns."""
        collection, spec = self.path_of(name)
        if spec.names_version:
            raise InvalidValue(
                f"'{name}' names a version; save to '{collection.name}'", hint="give aliases with --alias"
            )
        properties = Properties(aliases, tuple(tags), description, metadata).checked()
        with self.draft(monitor) as draft:
            if os.path.isdir(path):
                draft.add_folder(path)
            else:
                draft.add_file(path)
            saved = draft.save(collection, type=type, properties=properties)
        place = os.path.abspath(path)
        only = None if os.path.isdir(path) else os.path.basename(place)
        self.checkouts.note(Noted(place, saved.path, saved.id, saved.number, only, EVERYTHING))
        self.tidy()
        return saved

    # -- remotes --

    @property
    def remotes(self) -> "Remotes":
        """Other places that this repository pushes to and pulls from."""
        from artstore.exchange import Side
        from artstore.remotes import Remotes

        return Remotes(self.storage, self.settings, Side(self.objects, self.refs, self.runs), self.lookup)

    def push(
        self,
        remote: str | None = None,
        specs: Iterable[str] = (),
        *,
        dry_run: bool = False,
        jobs: int = 4,
        monitor: Monitor | None = None,
    ) -> "Exchanged":
        """Tell a remote (`origin`, or the only one) what it lacks of these versions, artifacts or projects (`[entity/]p/`),
        or of all: their objects, then one log entry for each collection. What both sides changed stays as it is there.
        """
        return self.remotes.push(remote, specs, dry_run=dry_run, jobs=jobs, monitor=monitor)

    def pull(
        self,
        remote: str | None = None,
        specs: Iterable[str] = (),
        *,
        selection: Selection = EVERYTHING,
        dry_run: bool = False,
        jobs: int = 4,
        monitor: Monitor | None = None,
    ) -> "Exchanged":
        """The other way round. Versions of ours whose numbers others took first move behind theirs. Of files that the
        `selection` leaves out the bytes are fetched when they are needed.
        """
        self._may("write")
        sweep(self.storage)
        done = self.remotes.pull(remote, specs, selection=selection, dry_run=dry_run, jobs=jobs, monitor=monitor)
        self.objects.refresh()
        self.tidy()
        return done

    def fetch(self, remote: str | None = None, specs: Iterable[str] = (), *, monitor: Monitor | None = None) -> None:
        """See what a remote has, and take nothing over: `status` and messages know of it then."""
        self.remotes.fetch(remote, specs, monitor=monitor)

    @classmethod
    def clone(
        cls,
        url: str,
        root: str,
        *,
        selection: Selection = EVERYTHING,
        jobs: int = 4,
        monitor: Monitor | None = None,
    ) -> "tuple[Repository, Exchanged]":
        """Make a repository in folder `root` with all that a place holds, which becomes its remote `origin`. One that was
        interrupted goes on where it stopped. Raises Conflict when there is another repository.
        """
        existed = os.path.isfile(f"{root}/format")
        if existed:
            with cls(root) as other:
                known = other.settings.remotes().get(_ORIGIN)
            if known is None or not _same_place(known.url, url):
                raise Conflict(f"there is another repository in {printable(root)}", hint="choose another folder")
        repository = cls.init(root)
        try:
            if not existed:
                repository.remotes.add(_ORIGIN, url)
            return repository, repository.pull(_ORIGIN, selection=selection, jobs=jobs, monitor=monitor)
        except BaseException:
            repository.close()
            if not existed and _ORIGIN not in Settings(root).remotes():
                remove_tree(root)
            raise

    @property
    def _is_partial(self) -> bool:
        """Whether bytes may be absent here that a remote promised; asked often, so without loading what remotes need."""
        return any(remote.partial for remote in self.settings.remotes().values())

    def fill(self, found: Found, selection: Selection = EVERYTHING, *, monitor: Monitor | None = None) -> None:
        """Bring those of a version's selected files here whose bytes only a partial remote has."""
        if self._is_partial:
            entries = select(found.tree, self.objects.read_tree, selection)
            blobs = {e[3]: e[2] for _, e in entries if e[1] not in (DIRECTORY, REFERENCE)}
            self.remotes.fill(blobs, monitor)

    def tidy(self) -> None:
        """Merge packs when it is due and nobody else is at it. Never fails a save that was acknowledged."""
        from artstore import maintenance

        try:
            if maintenance.packs_due(self.objects):
                with self._maintenance_lock() as free:
                    if free:
                        maintenance.merge(self.objects)
        except (ArtstoreError, OSError):
            pass  # the next save, or gc, takes it up; what was saved is safe

    @contextmanager
    def _maintenance_lock(self) -> Iterator[bool]:
        """Whether nobody else does maintenance. It saves work; nothing relies on it: a lock that fails counts as free."""
        import filelock  # 30 ms: only when there is something to do

        lock = filelock.FileLock(self.storage.path("cache/maintenance.lock"))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            yield False
            return
        except (OSError, NotImplementedError):
            yield True
            return
        try:
            yield True
        finally:
            lock.release()

    def get(
        self,
        found: Found,
        root: str | None = None,
        *,
        selection: Selection = EVERYTHING,
        link: Link = "copy",
        force: bool = True,
        delete: bool = False,
        monitor: Monitor | None = None,
    ) -> CheckedOut:
        """Put a version's files below `root` (default `./artifacts/<name>-vN`), every byte checked; `delete` removes
        what is there and not in the version.
        """
        target = root or self.download_folder(found)
        self.fill(found, selection, monitor=monitor)
        with self._unless_deleted(found):
            checkout = Checkout(
                self.objects, found.tree, selection=selection, link=link, force=force, delete=delete, monitor=monitor
            )
            done = checkout.run(target)
        if not selection.exact:  # one file says nothing of the folder around it
            number = found.version["number"]
            noted = Noted(done.root, found.state.path, found.version["id"], number, None, selection)
            self.checkouts.note(noted)
        return done

    @contextmanager
    def _unless_deleted(self, found: Found) -> Iterator[None]:
        """What is missing since its version was deleted and collected while it was read is no damage."""
        try:
            yield
        except Damage as error:
            version = self.refs.read(found.state.path).versions.get(found.version["id"])
            if isinstance(error, MissingObject) and (version is None or "deleted" in version):
                raise NotFound(f"{found.name} was deleted and collected while it was read") from error
            raise type(error)(f"{found.name}: {error}", hint=error.hint) from error

    def download_folder(self, found: Found) -> str:
        return settings.download_folder(f"{found.state.path.name}-v{found.version['number']}")

    def verify(self, found: Found, root: str | None = None, *, monitor: Monitor | None = None) -> Verified:
        """Compare a folder with a version, by content: nothing is taken from a cache."""
        return Verifier(self.objects, monitor=monitor).run(found.tree, root or self.download_folder(found))

    def status(self, place: str | None = None, *, monitor: Monitor | None = None) -> Iterator[Status]:
        """Every noted checkout (at `place`, below it, or the one around it) against its version, by place. Files whose
        stats are as when they were last read are not read again. Places that are gone are forgotten.
        """
        for noted in self.checkouts.all():
            if place is not None and not _related(noted.place, os.path.abspath(place)):
                continue
            if not os.path.lexists(noted.place):
                self.checkouts.forget(noted.place)
                continue
            try:
                yield self._status(noted, monitor)
            except ArtstoreError as error:
                yield Status(noted, None, None, error)

    def _status(self, noted: Noted, monitor: Monitor | None) -> Status:
        state = self.refs.read(noted.collection)
        version = state.versions.get(noted.id)
        if version is None or "deleted" in version:
            return Status(noted, Found(state, version) if version else None, None)
        found = Found(state, version)
        with self._unless_deleted(found):
            return Status(noted, found, self._compare(noted, found, monitor))

    def _compare(self, noted: Noted, found: Found, monitor: Monitor | None) -> Verified:
        salt = "file" if noted.name is not None else ""
        cache = StatCache(self.storage, noted.place, salt)
        try:
            verifier = Verifier(self.objects, selection=noted.selection, cache=cache, monitor=monitor)
            if noted.name is not None:
                return verifier.run_file(found.tree, noted.place)
            return verifier.run(found.tree, noted.place)
        finally:
            cache.close()

    # -- changing what moves --

    def _changes(self) -> Changes:
        self._may("write")
        return Changes(self.refs, self.objects, self.lookup, self.draft)

    def set_aliases(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Found:
        """Move aliases to a version, or take them off it. Raises NotFound for one that isn't there."""
        return self._changes().set_aliases(text, add, remove)

    def set_tags(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Found:
        """Tag a version, or take tags off it. Raises NotFound for one that isn't there."""
        return self._changes().set_tags(text, add, remove)

    def edit(self, text: str, properties: Properties) -> Found:
        """Apply differences to a version's properties; what others do to those not named stays."""
        return self._changes().edit(text, properties)

    def edit_collection(
        self,
        text: str,
        *,
        description: str | None = None,
        type: str | None = None,
        tags: tuple[str, ...] = (),
        no_tags: tuple[str, ...] = (),
    ) -> State:
        """Change what is said of a collection; None leaves it, a description of "" takes it away."""
        return self._changes().edit_collection(text, description=description, type=type, tags=tags, no_tags=no_tags)

    def delete(self, text: str, *, delete_aliases: bool = False) -> Found:
        """Delete one version (a tombstone stays). Refused while aliases but `latest` name it, unless `delete_aliases`."""
        return self._changes().delete(text, delete_aliases=delete_aliases)

    def delete_collection(self, text: str, *, delete_aliases: bool = False) -> State:
        """Delete a collection with the versions that it has now. Refused while it has aliases, unless `delete_aliases`."""
        return self._changes().delete_collection(text, delete_aliases=delete_aliases)

    def undelete(self, text: str) -> Found:
        """Bring a deleted version back, if all of it is still stored or in the trash. Raises NotFound or MissingObject."""
        return self._changes().undelete(text)

    def undelete_collection(self, text: str) -> list[Found]:
        """Bring back all versions that the last deletion of the whole collection took, or none."""
        return self._changes().undelete_collection(text)

    def rename(self, text: str, new: str) -> State:
        """Give a collection another name or project, history and all; the old name redirects."""
        return self._changes().rename(text, new)

    def copy(self, text: str, new: str) -> State:
        """Give a version, or all live ones of a collection, to another collection too. Stores nothing twice."""
        return self._changes().copy(text, new)

    def move(self, text: str, new: str) -> State:
        """As `rename`; a single version is copied with its aliases, then deleted where it was."""
        return self._changes().move(text, new)

    # -- maintenance --

    def gc(
        self,
        *,
        now: bool = False,
        dry_run: bool = False,
        abandon: str | None = None,
        force: bool = False,
        monitor: Monitor | None = None,
    ) -> "Collected":
        """Collect what no live version reaches. `now` skips the grace period; refused on network file systems. `abandon`
        declares a transaction dead: refused of a process that is alive here, unless `force`.
        """
        from artstore import maintenance

        self._may("gc")
        if now and not self.storage.local:
            raise InvalidValue(
                "gc --now is refused on a network file system: other hosts may still believe old listings",
                hint="run gc without --now",
            )
        if abandon is not None:
            if abandon not in self.storage.names("tmp") or "/" in abandon:
                raise NotFound(f"there is no transaction '{abandon}'", hint=near(abandon, self.storage.names("tmp")))
            owner = parse_owner(abandon)
            if owner is not None and is_alive(owner) and not force:
                raise Refused(
                    f"process {owner.pid} is at work here: its save would fail",
                    hint="end that process first, or abandon it with --force",
                )
            if not dry_run:
                self.storage.remove_folder(f"tmp/{abandon}")
        grace = 0.0 if now else self.settings.grace(self.storage.local)
        with self._maintenance_lock():
            return maintenance.collect(
                self.objects, self.refs, grace=grace, monitor=monitor or Monitor(), dry_run=dry_run
            )

    def fsck(self, *, quick: bool = False, monitor: Monitor | None = None) -> "Report":
        from artstore.fsck import Fsck

        promised = self.remotes.promised
        return Fsck(
            self.objects, self.refs, self.runs, quick=quick, promised=promised, monitor=monitor or Monitor()
        ).run()

    def usage(self) -> Usage:
        names = self.objects.refresh()
        blobs = [size for _, size in self.objects.large_blobs()]
        live = [version for state in self.collections() for version in state.live()]
        pack_bytes = sum(self.storage.size(f"objects/packs/{name}.pack") or 0 for name in names)
        places = {
            place: _bytes_below(self.storage.path(place)) for place in ("refs", "runs", "trash", "bad", "tmp", "cache")
        }
        return Usage(
            len(names), pack_bytes, len(blobs), sum(blobs), places["refs"] + places["runs"], places["trash"], places["bad"],
            places["tmp"], places["cache"],
            len(live), sum(version["size"] for version in live),
        )  # fmt: skip


_ORIGIN = "origin"
_NEAR_AMONG = 2000
"""Names of a folder among which near ones are looked for."""


def _same_place(one: str, other: str) -> bool:
    if is_url(one) or is_url(other):
        return one == other
    places = [os.path.realpath(os.path.expanduser(place)) for place in (one, other)]
    return places[0] in (places[1], f"{places[1]}/{FOLDER}")


def _related(place: str, other: str) -> bool:
    """Whether one path is the other or lies below it."""
    return os.path.commonpath([place, other]) in (place, other)


def _bytes_below(folder: str) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except FileNotFoundError:
                continue
    return total
