"""The repository: one `.artifacts/` folder and everything that can be done with it, one thin method per operation."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from artstore import settings
from artstore.checkout import CheckedOut, Checkout
from artstore.checkouts import Checkouts, Noted
from artstore.codec import decode_json
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
from artstore.hints import near, typed
from artstore.layout import check_feature, make, read_features
from artstore.logs import Change, Entry, new_change
from artstore.lookup import Found, Home, Lookup
from artstore.names import Spec, check_alias, check_tags, check_type, parse_path, parse_spec, printable
from artstore.objects import ObjectStore
from artstore.owner import is_alive
from artstore.owner import parse as parse_owner
from artstore.packs import LARGE
from artstore.progress import Monitor
from artstore.properties import NEVER, Properties, copied, said_of, undone
from artstore.refs import Refs, resolve
from artstore.removal import sweep
from artstore.runs import Runs
from artstore.selection import EVERYTHING, Selection
from artstore.settings import Settings
from artstore.statcache import StatCache
from artstore.state import INHERIT, Path, State, VersionState, digest_of_state, id_of_state, property_digests
from artstore.storage import FolderStorage
from artstore.tree import DIRECTORY, REFERENCE, diff, find, read_folder, walk
from artstore.tree import Change as TreeChange
from artstore.tree import Entry as TreeEntry
from artstore.verify import Verified, Verifier
from artstore.writing import Link

if TYPE_CHECKING:  # loaded when they are called: a look at a version should not pay for them
    from artstore.fsck import Report
    from artstore.maintenance import Collected


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
        self._features = read_features(self.storage)
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
        state = self.refs.read(path)
        if (version := state.versions.get(id)) is None:
            raise NotFound(f"{path} has no version with id {id[:12]}")
        return Found(state, version)

    def collections(self, entity: str | None = None, project: str | None = None) -> Iterator[State]:
        return self.refs.collections(entity, project)

    def history(self, text: str) -> Iterator[Entry]:
        """Every change of a collection, oldest first."""
        return self.refs.history(self.collection(text).path)

    def properties(self, found: Found) -> tuple[str | None, dict[str, Any]]:
        """(description, metadata) of a version, long values read from their blobs."""
        version = found.version
        metadata = dict(version.get("metadata", {}))
        for key, digest in version.get("blobs", {}).items():
            metadata[key] = decode_json(self._property(digest), f"metadata '{key}' of {found.name}")
        return self.text(version.get("description")), metadata

    def text(self, description: Any) -> str | None:
        if isinstance(description, dict):
            return self._property(description["blob"]).decode("utf-8", "replace")
        return description if isinstance(description, str) else None

    def _property(self, digest: str) -> bytes:
        return self.objects.read(BLOB, Digest(bytes.fromhex(digest)))

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

    def set_aliases(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Found:
        """Move aliases to a version, or take them off it. Raises NotFound for one that isn't there."""
        self._may("write")
        for alias in (*add, *remove):
            if check_alias(alias) == "latest":
                raise latest_is_ours()

        def build(state: State, version: VersionState) -> list[Change]:
            id = version["id"]
            changes = [
                new_change("alias", alias=a, id=id, old=state.aliases.get(a))
                for a in dict.fromkeys(add)
                if state.aliases.get(a) != id
            ]
            for alias in dict.fromkeys(remove):
                if state.aliases.get(alias) != id:
                    raise _no_alias(state, version, alias)
                changes.append(new_change("alias", alias=alias, id=None, old=id))
            return changes

        return self._change_version(text, build)

    def set_tags(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Found:
        self._may("write")
        add, remove = tuple(check_tags(add)), tuple(check_tags(remove))

        def build(state: State, version: VersionState) -> list[Change]:
            has = version.get("tags", [])
            if missing := [tag for tag in remove if tag not in has]:
                raise NotFound(
                    f"{state.path.name}:v{version['number']} has no tag '{missing[0]}'", hint=near(missing[0], has)
                )
            new = [tag for tag in add if tag not in has]
            return [new_change("tags", id=version["id"], add=new, remove=list(remove))] if new or remove else []

        return self._change_version(text, build)

    def edit(self, text: str, properties: Properties) -> Found:
        """Apply differences to a version's properties; what others do to those not named stays."""
        properties = properties.checked()
        if "latest" in properties.no_aliases:
            raise latest_is_ours()
        with self.draft() as draft:
            stored = draft.store(properties)
            draft.publish()
            undo: list[Change] = []

            def build(state: State, version: VersionState) -> list[Change]:
                changes = stored.changes(state, version["id"])
                undo[:] = undone(changes, version)
                return changes

            found = self._change_version(text, build)
            draft.ensure(found.state.path, withdraw=[], undo=undo)
        return found

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
        self._may("write")
        path = self.collection(text).path
        wanted = description or None

        def build(state: State) -> list[Change]:
            if not state.exists:
                raise _gone(path)
            changes = []
            if type is not None and check_type(type) != state.type:
                names = {"entity": state.path.entity, "project": state.path.project, "name": state.path.name}
                changes.append(new_change("collection", **names, type=type))
            if description is not None and wanted != state.description:
                changes.append(new_change("description", id=None, old=state.description, new=wanted, blob=None))
            on = [tag for tag in check_tags(tags) if tag not in state.tags]
            off = [tag for tag in no_tags if tag in state.tags]
            return [*changes, new_change("tags", id=None, add=on, remove=off)] if on or off else changes

        return self.refs.change(path, build)

    def _change_version(self, text: str, build: Any) -> Found:
        path, spec = self.path_of(text)
        self.find(text)
        chosen: dict[str, str] = {}

        def changes(state: State) -> list[Change]:
            # The version is chosen once: after a lost race the same one is changed, wherever `latest` went meanwhile.
            version = state.versions[chosen["id"]] if chosen else resolve(state, spec)
            if "deleted" in version:
                raise NotFound(f"{state.path.name}:v{version['number']} was deleted meanwhile")
            chosen["id"] = version["id"]
            result: list[Change] = build(state, version)
            return result

        state = self.refs.change(path, changes)
        return Found(state, state.versions[chosen["id"]])

    def delete(self, text: str, *, delete_aliases: bool = False) -> Found:
        """Delete one version (a tombstone stays). Refused while aliases but `latest` name it, unless `delete_aliases`."""
        self._may("write")

        def build(state: State, version: VersionState) -> list[Change]:
            held = [alias for alias in state.aliases_of(version["id"]) if alias != "latest"]
            if held and not delete_aliases:
                name = f"{state.path.name}:v{version['number']}"
                raise Conflict(
                    f"{name} has {_aliases(held)}",
                    hint=_HELD,
                )
            return _deletion(state, version["id"])

        return self._change_version(text, build)

    def delete_collection(self, text: str, *, delete_aliases: bool = False) -> State:
        """Delete a collection with the versions that it has now; one that is saved meanwhile lives on. Refused while it
        has aliases, unless `delete_aliases`.
        """
        self._may("write")
        path = self.collection(text).path

        def build(state: State) -> list[Change]:
            if not state.exists:
                raise _gone(path)
            if state.aliases and not delete_aliases:
                raise Conflict(
                    f"{path.name} has {_aliases(state.aliases)}",
                    hint=_HELD,
                )
            return [new_change("delete collection", ids=[version["id"] for version in state.live()])]

        return self.refs.change(path, build)

    def undelete(self, text: str) -> Found:
        """Bring a deleted version back, if all of it is still stored or in the trash. Raises NotFound or MissingObject."""
        self._may("write")
        path, spec = self.path_of(text)
        if spec.number is None:
            raise InvalidValue(
                f"'{text}' does not say which version: undelete takes name:vN",
                hint=f"{typed('log --deleted', self.lookup.short(path))} lists deleted ones",
            )
        version = next((v for v in self.refs.read(path).versions.values() if v["number"] == spec.number), None)
        if version is None:
            raise NotFound(f"{path.name} never had a version v{spec.number}")
        if "deleted" not in version:
            raise Conflict(f"{path.name}:v{spec.number} is not deleted")
        (found,) = self._bring_back(path, [version])
        return found

    def _bring_back(self, path: Path, versions: list[VersionState]) -> list[Found]:
        """All of them, by one entry, or none."""
        kinds = set()
        with self.draft() as draft:
            for version in versions:
                id, name = id_of_state(version), f"{path.name}:v{version['number']}"
                draft.recover(id, digest_of_state(version), property_digests(version), name)
                kinds.add(self.objects.read_version(id).type)

            def build(state: State) -> list[Change]:
                if state.exists and state.live() and not kinds <= {state.type}:
                    raise Conflict(
                        f"{path.name} has type '{state.type}' now, what was deleted type '{min(kinds - {state.type})}'"
                    )
                gone = [v["id"] for v in versions if "deleted" in state.versions[v["id"]]]
                return [new_change("undelete", id=id) for id in gone]

            state = self.refs.change(path, build)
            draft.ensure(state.path, withdraw=[version["id"] for version in versions], undo=[])
        return [Found(state, state.versions[version["id"]]) for version in versions]

    def undelete_collection(self, text: str) -> list[Found]:
        """Bring back all versions that the last deletion of the whole collection took. Raises as `undelete`."""
        path, _ = self.path_of(text)
        state = self.refs.read(path)
        if not state.versions:
            state = self.collection(text)  # says what is near
        taken: list[str] = []
        for entry in self.refs.history(state.path):
            for change in entry.changes:
                if change["kind"] == "delete collection":
                    taken = change["ids"]
        gone = [state.versions[id] for id in taken if "deleted" in state.versions.get(id, {})]
        if not gone:
            raise InvalidValue(
                f"'{text}' does not say which version: undelete takes name:vN",
                hint=f"{typed('log --deleted', self.lookup.short(path))} lists deleted ones",
            )
        return self._bring_back(state.path, sorted(gone, key=lambda version: int(version["number"])))

    def rename(self, text: str, new: str) -> State:
        """Give a collection another name or project, history and all; the old name redirects. Cost: two log entries."""
        self._may("write")
        return self.refs.rename(self.collection(text).path, self._free_name(new))

    def _free_name(self, text: str) -> Path:
        path, spec = self.path_of(text)
        if spec.names_version:
            raise InvalidValue(f"'{text}' names a version; give a name without alias or number")
        return path

    def copy(self, text: str, new: str) -> State:
        """Give a version (or with a name only, all live versions of a collection, aliases and tags too) to another
        collection, made where it is missing. Nothing is read or stored twice: one log entry.
        """
        spec, target = parse_spec(text), self._free_name(new)
        with self.draft() as draft:
            state = self.collection(text)  # read after the transaction was opened
            if state.path == self.refs.read(target).path:
                raise Conflict(f"{new} is where it is already", hint="choose another name")
            versions = [resolve(state, spec)] if spec.names_version else state.live()
            for version in versions:
                draft.rely_on(state.path, version)
                draft.rely_on_properties(version, f"{state.path.name}:v{version['number']}")
            added: list[str] = []

            def build(there: State) -> list[Change]:
                changes = copied(state, versions, there, aliases=not spec.names_version)
                added[:] = [change["id"] for change in changes if change["kind"] in ("version", "undelete")]
                return changes

            made = self.refs.change(target, build)
            draft.ensure_copied(state.path, [v for v in versions if v["id"] in added], made.path)
        return made

    def move(self, text: str, new: str) -> State:
        """As `rename` for a collection; a version is copied with its aliases, then deleted where it was."""
        path, spec = self.path_of(text)
        if not spec.names_version:
            return self.rename(text, new)
        id = self.find(text).version["id"]
        for _ in range(_TRIES):
            found = self.version(path, id)
            made = self.copy(f"{found.state.path}@{id}", new)
            aliases = tuple(alias for alias in found.state.aliases_of(id) if alias != "latest")
            description, metadata = self.properties(found)
            ttl = found.version.get("ttl", INHERIT)
            properties = Properties(
                aliases, tuple(found.version.get("tags", ())), description, metadata, NEVER if ttl is None else ttl
            )
            self.edit(f"{made.path}@{id}", properties)
            if self._delete_unchanged(found):
                return self.refs.read(made.path)
        raise Conflict(f"{found.name} changes faster than it could be moved", hint="run the same command again")

    def _delete_unchanged(self, found: Found) -> bool:
        """Delete a version with its aliases, unless anything about it was changed since it was read."""
        id, deleted = found.version["id"], []

        def build(state: State) -> list[Change]:
            version = state.versions[id]
            same = said_of(version) == said_of(found.version)
            if not same or state.aliases_of(id) != found.state.aliases_of(id) or "deleted" in version:
                return []
            deleted.append(id)
            return _deletion(state, id)

        self.refs.change(found.state.path, build)
        return bool(deleted)

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

        return Fsck(self.objects, self.refs, self.runs, quick=quick, monitor=monitor or Monitor()).run()

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


def _deletion(state: State, id: str) -> list[Change]:
    held = [alias for alias in state.aliases_of(id) if alias != "latest"]
    gone = [new_change("alias", alias=alias, id=None, old=id) for alias in held]
    return [*gone, new_change("delete", id=id, reason=None)]


_NEAR_AMONG = 2000
"""Names of a folder among which near ones are looked for."""
_TRIES = 10
_HELD = "aliases can be moved to another version, or given up with --force"


def _no_alias(state: State, version: VersionState, alias: str) -> NotFound:
    name, holder = state.path.name, state.versions.get(state.aliases.get(alias, ""))
    if holder is not None:
        hint: str | None = f"{name}:v{holder['number']} has it"
    else:
        hint = near(alias, state.aliases)
    return NotFound(f"{name}:v{version['number']} has no alias '{alias}'", hint=hint)


def _gone(path: Path) -> NotFound:
    return NotFound(f"{path} was deleted meanwhile")


def latest_is_ours() -> InvalidValue:
    return InvalidValue("alias 'latest' can't be set or removed: it is always the newest version")


def _related(place: str, other: str) -> bool:
    """Whether one path is the other or lies below it."""
    return os.path.commonpath([place, other]) in (place, other)


def _aliases(names: Iterable[str]) -> str:
    listed = [repr(name) for name in names]
    return f"the alias {listed[0]}" if len(listed) == 1 else f"the aliases {', '.join(listed)}"


def _bytes_below(folder: str) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except FileNotFoundError:
                continue
    return total
