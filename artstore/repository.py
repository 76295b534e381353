"""The repository: one `.artifacts/` folder and everything that can be done with it, one thin method per operation."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from artstore.backends.storage import FolderStorage, is_url
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import Path, State, is_live
from artstore.domain.digest import Digest
from artstore.domain.names import parse_spec, printable
from artstore.domain.properties import property_digests
from artstore.domain.run import RunPath, RunState
from artstore.domain.selection import EVERYTHING, Selection, select
from artstore.domain.tree import DIRECTORY, REFERENCE, Entry
from artstore.domain.wording import moment, typed
from artstore.errors import ArtstoreError, Conflict, InvalidValue, NotFound, UnsupportedFormat, translated
from artstore.operations.automation.events import (  # here: what is told must not fail for an import
    Event,
    events_of,
    events_of_run,
    path_of,
)
from artstore.operations.finding.lookup import Home, Version
from artstore.operations.restoring.options import PLAIN, Restore
from artstore.operations.upkeep.removal import sweep
from artstore.progress import Monitor
from artstore.store.checkouts import Checkouts, Noted
from artstore.store.layout import check_format, make
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs
from artstore.store.runs import Runs
from artstore.store.settings import ORIGIN, Settings, rules_path
from artstore.store.store import Store
from artstore.view import View

T = TypeVar("T")

if TYPE_CHECKING:  # loaded when they are called, as in `view`
    from artstore.domain.properties import Properties
    from artstore.operations.automation.rules import MetricWatch, Place
    from artstore.operations.changing.changes import Changes
    from artstore.operations.changing.linking import Links
    from artstore.operations.restoring.checkout import CheckedOut
    from artstore.operations.restoring.verify import Verified
    from artstore.operations.saving.draft import Draft, Saved
    from artstore.operations.saving.reliance import Reliance
    from artstore.operations.upkeep.pruning import Policy, Verdict
    from artstore.operations.upkeep.repair import Elsewhere
    from artstore.sync.bundles import Bundled, Bundles
    from artstore.sync.exchange import Exchanged, Exchanging
    from artstore.sync.remotes import Remotes


class Status(NamedTuple):
    """A noted checkout against its version; `found` is None when nothing is known of that any more, `verified` when it
    was deleted.
    """

    noted: Noted
    found: Version | None
    verified: Verified | None
    problem: ArtstoreError | None = None
    """why it could not be compared"""


class Pruned(NamedTuple):
    verdicts: list[tuple[Path, Verdict]]
    """on each live version, by its collection"""
    freed_bytes: int
    """that a collection frees by what goes, after the grace period"""

    @property
    def gone(self) -> list[tuple[Path, Verdict]]:
        return [pair for pair in self.verdicts if pair[1].goes]


class Repository(View):
    """A repository on this host's file systems: what `View` can do, and all that changes it."""

    ask: Callable[[str], bool | None] = staticmethod(lambda question: None)
    """How the user is asked, yes or no; None where nobody answers."""

    def __init__(self, root: str) -> None:
        """Open the repository in folder `root`. Raises NotFound or UnsupportedFormat."""
        if os.name == "nt":
            raise UnsupportedFormat("repositories can't be opened on Windows yet", hint="use WSL, Linux or macOS")
        self.root = os.path.abspath(root)
        self._folder = storage = FolderStorage(self.root)
        format = check_format(storage, "read")
        self.id = format.id
        writable = not format.unknown("write")
        settings = Settings(self.root)
        identity = settings.identity
        store = Store(
            storage,
            format.id,
            writable,
            ObjectStore(storage, notes=writable),
            Refs(storage, identity=identity),
            Runs(storage, identity=identity),
        )
        super().__init__(store, settings)
        self.checkouts = Checkouts(storage)

    @classmethod
    def init(cls, root: str, *, shared: bool = False) -> Repository:
        """Make a repository, or open the one that is there. It appears whole, by one rename; a `shared` one is for the
        group of the folder that it is made in.
        """
        root = os.path.abspath(root)
        if not os.path.isfile(f"{root}/format"):
            with translated(f"make a repository in {printable(root)}"):
                make(root, shared=shared)
        return cls(root)

    # -- saving and restoring --

    def find(self, text: str, home: Home | None = None) -> Version:
        """As `View.find`; of what only a remote has, the error says how to get it, and with `core.auto_fetch` it is pulled."""
        try:
            return super().find(text, home)
        except NotFound as error:
            if not self.settings.remotes():
                raise
            path, spec = self.path_of(text, home)
            full = str(path) + text[text.rfind("/") + 1 :].removeprefix(spec.name)
            if self.settings.auto_fetch:
                for name in self.settings.remotes():
                    try:
                        self.pull(name, [full])
                        return super().find(text, home)
                    except NotFound:
                        continue
            holder = self.remotes.holding(path, spec)
            if holder is None:
                more = "`artstore pull` may bring more from a remote"
                raise NotFound(str(error), hint=f"{error.hint}; {more}" if error.hint else more) from error
            named = self.lookup.short(path) + full.removeprefix(str(path))
            raise NotFound(
                f"{named} is not here, but at remote '{holder}'", hint=f"{typed('pull', holder, named)} gets it"
            ) from error

    def draft(self, monitor: Monitor | None = None) -> Draft:
        """Begin a draft. Whoever saves it calls `announce_done` then."""
        from artstore.operations.saving.draft import Draft

        self._may("write")
        sweep(self._folder)
        self.refs.journal.clear()  # of an operation that failed
        return Draft(self.objects, self.refs, monitor)

    def _rely(self) -> Reliance:
        from artstore.operations.saving.reliance import Reliance

        sweep(self._folder)
        return Reliance(self.objects, self.refs)

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
        """Save a file or folder (or references to what a URI names) as the next version of a collection; durable when
        this returns.
        """
        from artstore.domain.properties import Properties

        collection, spec = self.path_of(name)
        if spec.names_version:
            raise InvalidValue(
                f"'{name}' names a version; save to '{collection.name}'", hint="give aliases with --alias"
            )
        properties = Properties(aliases, tuple(tags), description, metadata).checked()
        with self.draft(monitor) as draft:
            if is_url(path) and not os.path.lexists(path):
                from artstore.backends.references import named_targets

                draft.add_references(*named_targets(path))
                saved = draft.save(collection, type=type, properties=properties)
                self.announce_done()
                return saved
            if os.path.isdir(path):
                draft.add_folder(path)
            else:
                draft.add_file(path)
            saved = draft.save(collection, type=type, properties=properties)
        self.announce_done()
        place = os.path.abspath(path)
        only = None if os.path.isdir(path) else os.path.basename(place)
        self.checkouts.note(Noted(place, saved.path, saved.id, saved.number, only, EVERYTHING))
        self.tidy()
        return saved

    # -- remotes --

    @property
    def remotes(self) -> Remotes:
        """Other places that this repository pushes to and pulls from."""
        from artstore.sync.remotes import Remotes

        return Remotes(self._folder, self.settings, self.store, self.lookup)

    def push(
        self,
        remote: str | None = None,
        specs: Iterable[str] = (),
        *,
        dry_run: bool = False,
        jobs: int = 4,
        monitor: Monitor | None = None,
    ) -> Exchanged:
        """Tell a remote (`origin`, or the only one) what it lacks of these versions, artifacts or projects (`[entity/]p/`),
        or of all: their objects, then one log entry for each collection. What both sides changed stays as it is there.
        """
        return self.remotes.push(remote, specs, _exchanging(dry_run=dry_run, jobs=jobs, monitor=monitor))

    def pull(
        self,
        remote: str | None = None,
        specs: Iterable[str] = (),
        *,
        selection: Selection = EVERYTHING,
        dry_run: bool = False,
        jobs: int = 4,
        monitor: Monitor | None = None,
    ) -> Exchanged:
        """The other way round. Versions of ours whose numbers others took first move behind theirs. Of files that the
        `selection` leaves out the bytes are fetched when they are needed.
        """
        self._may("write")
        sweep(self._folder)

        options = _exchanging(selection=selection, dry_run=dry_run, jobs=jobs, monitor=monitor)

        def pull() -> Exchanged:
            return self.remotes.pull(remote, specs, options)

        return pull() if dry_run else self._pulled(pull)

    def _pulled(self, pull: Callable[[], T]) -> T:
        """What has to follow where changes of others were taken over."""
        linked = self._live_sources()
        done = pull()
        for path, id in linked:  # links are told what was said of a source that was deleted elsewhere
            state = self.refs.read(path)
            if id in state.versions and not is_live(state.versions[id]):
                self._changes().tell_links_of_deleted(state, [id])
        self.refs.journal.clear()  # what others did is announced where they did it
        self.objects.packs.refresh()
        self.tidy()
        return done

    def _live_sources(self) -> list[tuple[Path, str]]:
        """Versions that live here, and that links name."""
        links = [self.version(link.path, link.id) for link in self.catalog().links]
        found = [self.lookup.source(link) for link in links]
        return [(source.state.path, source.id) for source in found if source is not None]

    def fetch(self, remote: str | None = None, specs: Iterable[str] = (), *, monitor: Monitor | None = None) -> None:
        """See what a remote has, and take nothing over: `status` and messages know of it then."""
        self.remotes.fetch(remote, specs, _exchanging(monitor=monitor))

    def create_bundle(
        self,
        file: str,
        specs: Iterable[str] = (),
        *,
        base: Iterable[str] = (),
        jobs: int = 4,
        monitor: Monitor | None = None,
    ) -> Bundled:
        """What a push of `specs` would send, as one new file; without objects of the versions `base`, which who applies it
        has to have.
        """
        found = [self.find(text) for text in base]
        return self._bundles().create(file, specs, found, _exchanging(jobs=jobs, monitor=monitor))

    def apply_bundle(self, file: str, *, jobs: int = 4, monitor: Monitor | None = None) -> Bundled:
        """As a pull from what such a file holds."""
        return self._pulled(lambda: self._bundles().apply(file, _exchanging(jobs=jobs, monitor=monitor)))

    def _bundles(self) -> Bundles:
        from artstore.sync.bundles import Bundles

        self._may("write")
        sweep(self._folder)
        return Bundles(self._folder, self.store, self.remotes)

    @classmethod
    def clone(
        cls,
        url: str,
        root: str,
        *,
        selection: Selection = EVERYTHING,
        jobs: int = 4,
        monitor: Monitor | None = None,
    ) -> tuple[Repository, Exchanged]:
        """Make a repository in folder `root` with all that a place holds, which becomes its remote `origin`. One that was
        interrupted goes on where it stopped. Raises Conflict when there is another repository.
        """
        from artstore.sync.place import is_relative
        from artstore.sync.remotes import Remotes

        place = Remotes.place_of(url)
        if not os.path.isfile(f"{root}/format"):
            with translated(f"make a repository in {printable(root)}"):
                relative = "relative = true\n" if is_relative(url) else ""
                make(root, config=f'[remote "{ORIGIN}"]\nurl = {place}\n{relative}')
        repository = cls(root)
        try:
            known = repository.settings.remotes().get(ORIGIN)
            if known is None or known.url != place:
                raise Conflict(f"there is another repository in {printable(root)}", hint="choose another folder")
            return repository, repository.pull(ORIGIN, selection=selection, jobs=jobs, monitor=monitor)
        except BaseException:
            repository.close()
            raise

    @property
    def _is_partial(self) -> bool:
        """Whether bytes may be absent here that a remote promised; asked often, so without loading what remotes need."""
        return any(remote.partial for remote in self.settings.remotes().values())

    def fill(self, found: Version, selection: Selection = EVERYTHING, *, monitor: Monitor | None = None) -> None:
        """Bring those of a version's selected files here whose bytes only a partial remote has."""
        if self._is_partial:
            entries = select(found.tree, self.objects.read_tree, selection)
            blobs = {e[3]: e[2] for _, e in entries if e[1] not in (DIRECTORY, REFERENCE)}
            self.remotes.fill(blobs, monitor)

    def _fill_entry(self, entry: Entry) -> None:
        if self._is_partial:
            self.remotes.fill({entry[3]: entry[2]})

    def get(self, found: Version, root: str | None = None, how: Restore = PLAIN) -> CheckedOut:
        """As `View.get`, and noted for `status`."""
        done = super().get(found, root, how)
        if not how.selection.exact:  # one file says nothing of the folder around it
            number = found.number
            noted = Noted(done.root, found.state.path, found.id, number, None, how.selection)
            self.checkouts.note(noted)
        return done

    def _promised(self) -> set[Digest]:
        """Blobs that remotes hold for us."""
        return self.remotes.promised() if self._is_partial else set()

    def _elsewhere(self) -> list[Elsewhere]:
        """All remotes."""
        from artstore.operations.upkeep.repair import Elsewhere

        return [Elsewhere(f"remote '{name}'", partial(self._objects_at, name)) for name in self.settings.remotes()]

    @contextmanager
    def _objects_at(self, remote: str) -> Iterator[ObjectStore]:
        with self.remotes.open(remote) as opened:
            yield opened.objects

    def tidy(self) -> None:
        """Merge packs when it is due and nobody else is at it. Never fails a save that was acknowledged."""
        from artstore.operations.upkeep.merge import merge, packs_due

        try:
            if packs_due(self.objects):
                with self._maintenance_lock() as free:
                    if free:
                        merge(self.objects)
        except (ArtstoreError, OSError):
            pass  # the next save, or gc, takes it up; what was saved is safe

    @contextmanager
    def _maintenance_lock(self) -> Iterator[bool]:
        """Whether nobody else does maintenance. It saves work; nothing relies on it: a lock that fails counts as free."""
        import filelock  # 30 ms: only when there is something to do

        lock = filelock.FileLock(self._folder.path("cache/maintenance.lock"))
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

    def record(self, state: RunState, build: Callable[[RunState], list[Change]]) -> None:
        """Append to a run's log: see `Runs.append`."""
        self._may("write")
        self.runs.append(state, build)
        self._announce_run()

    def seal(self, state: RunState, more: Callable[[RunState], list[Change]]) -> None:
        """Seal what lies open of a run's history, and append `more` in the same entry."""
        from artstore.store.metrics import seal

        self._may("write")
        try:
            seal(self.objects, self.runs, state, more)
        finally:
            self._announce_run()  # what stands in the log has happened, also when what comes after it fails

    def delete_run(self, path: RunPath) -> None:
        """Delete a run: gc frees its history; its name and edges stay on record. Raises NotFound."""
        from artstore.store.metrics import discard

        state = self.runs.find(path)
        self.record(state, lambda now: [] if now.deleted else [new_change("delete")])
        discard(self.objects, self.runs, state)

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
        if not is_live(version):
            return Status(noted, Version(state, version) if version else None, None)
        found = Version(state, version)
        with self._unless_deleted(found):
            return Status(noted, found, self._compare(noted, found, monitor))

    def _compare(self, noted: Noted, found: Version, monitor: Monitor | None) -> Verified:
        from artstore.operations.restoring.verify import Verifier
        from artstore.store.statcache import StatCache

        salt = "file" if noted.name is not None else ""
        cache = StatCache(self._folder, noted.place, salt)
        try:
            verifier = Verifier(self.objects, selection=noted.selection, cache=cache, monitor=monitor)
            if noted.name is not None:
                return verifier.run_file(found.tree, noted.place)
            return verifier.run(found.tree, noted.place)
        finally:
            cache.close()

    # -- what automations hear of --

    @property
    def place(self) -> Place:
        """By what automations know it."""
        from artstore.operations.automation.rules import Place

        return Place(self.id, os.path.realpath(self.root))

    def announce_done(self) -> None:
        """Let automations hear of what an operation did to collections, now that it is safe."""
        done, self.refs.journal[:] = list(self.refs.journal), []
        self.announce([event for one in done for event in events_of(*one)])

    def _announce_run(self) -> None:
        done, self.runs.journal[:] = list(self.runs.journal), []
        self.announce([event for one in done for event in events_of_run(*one)])

    def announce(self, events: list[Event]) -> None:
        """Set off the automations that wait for something that was done with this handle, now that it is safe. Cost: a
        stat, where this user has none.
        """
        if events and _has_automations():
            from artstore.operations.automation.firing import fire

            host, user = self.settings.identity()
            now = {"time": moment(time.time_ns()), "user": user, "host": host, "repository": self.root}
            fire(self.place, [self._with_metadata(event) | now for event in events], self.ask)

    def _with_metadata(self, event: Event) -> Event:
        """With all of a version's metadata: what its state tells leaves long values to blobs."""
        if "id" not in event:
            return event
        try:
            found = self.version(path_of(event), event["id"])
            return event | {"metadata": self.properties(found)[1]}
        except ArtstoreError:
            return event

    def metric_watches(self, entity: str, project: str, run: str) -> list[MetricWatch]:
        """What automations wait for of metrics that a run will log, and has not passed yet."""
        if not _has_automations():
            return []
        from artstore.operations.automation.firing import waiting_for_metrics

        return waiting_for_metrics(self.place, {"entity": entity, "project": project, "run": run})

    def _changes(self) -> Changes:
        from artstore.operations.changing.changes import Changes

        return Changes(self.refs, self.objects, self.lookup, self._rely, lambda: self.catalog().links_of)

    @contextmanager
    def _changing(self) -> Iterator[Changes]:
        """For one operation, which automations hear of when it has ended well."""
        self._may("write")
        self.refs.journal.clear()
        try:
            yield self._changes()
        except BaseException:
            self.refs.journal.clear()  # what was withdrawn, or is half of something
            raise
        self.announce_done()

    # -- changing what moves --

    def set_aliases(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Version:
        """Move aliases to a version, or take them off it. Raises NotFound for one that isn't there."""
        with self._changing() as changes:
            return changes.set_aliases(text, add, remove)

    def set_tags(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Version:
        """Tag a version, or take tags off it. Raises NotFound for one that isn't there."""
        with self._changing() as changes:
            return changes.set_tags(text, add, remove)

    def edit(self, text: str, properties: Properties) -> Version:
        """Apply differences to a version's properties; what others do to those not named stays."""
        with self._changing() as changes:
            return changes.edit(text, properties)

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
        with self._changing() as changes:
            return changes.edit_collection(text, description=description, type=type, tags=tags, no_tags=no_tags)

    def delete(self, text: str, *, delete_aliases: bool = False) -> Version:
        """Delete one version (a tombstone stays). Refused while aliases but `latest` name it, unless `delete_aliases`."""
        with self._changing() as changes:
            return changes.delete(text, delete_aliases=delete_aliases)

    def delete_collection(self, text: str, *, delete_aliases: bool = False) -> State:
        """Delete a collection with the versions that it has now. Refused while it has aliases, unless `delete_aliases`."""
        with self._changing() as changes:
            return changes.delete_collection(text, delete_aliases=delete_aliases)

    def undelete(self, text: str) -> Version:
        """Bring a deleted version back, if all of it is still stored or in the trash. Raises NotFound or MissingObject."""
        self._fill_deleted(text)
        with self._changing() as changes:
            return changes.undelete(text)

    def undelete_collection(self, text: str) -> list[Version]:
        """Bring back all versions that the last deletion of the whole collection took, or none."""
        self._fill_deleted(text)
        with self._changing() as changes:
            return changes.undelete_collection(text)

    def _fill_deleted(self, text: str) -> None:
        """What comes back in a partial clone comes back whole: its absent blobs from the remote."""
        if not self._is_partial:
            return
        path, spec = self.path_of(text)
        state = self.refs.read(path)
        for version in state.versions.values():
            if not is_live(version) and spec.number in (None, version["number"]):
                self.fill(Version(state, version))

    def prune(
        self,
        specs: Iterable[str] = (),
        policy: Policy | None = None,
        *,
        force: bool = False,
        dry_run: bool = False,
        monitor: Monitor | None = None,
    ) -> Pruned:
        """Delete versions that a policy does not keep, of these artifacts or of all: one log entry each. Without a policy
        only those whose ttl is over. Refused, with nothing deleted anywhere, where aliases or links hold one, unless
        forced. The bytes are exactly those that a collection would free.
        """
        from artstore.operations.upkeep.pruning import Policy

        policy, specs = (policy or Policy()).checked(), list(specs)
        with self._changing() as changes:
            for text in specs:
                if parse_spec(text).names_version:
                    raise InvalidValue(f"'{text}' names a version; prune takes an artifact")
            states = [self.collection(text) for text in specs] or list(self.collections())
            found = [(state, changes.judge(state.path, policy)) for state in states]
            going = [
                Version(state, verdict.version) for state, verdicts in found for verdict in verdicts if verdict.goes
            ]
            changes.refuse_held(going, force=force)
            changes.refuse_linked(going, force=force)
            freed = self._freed_without(going, monitor)
            if not dry_run:
                found = [(state, changes.prune(state.path, policy, force=force)) for state, _ in found]
        return Pruned([(state.path, verdict) for state, verdicts in found for verdict in verdicts], freed)

    def _freed_without(self, going: list[Version], monitor: Monitor | None) -> int:
        """Bytes that a collection frees when these versions are deleted, beyond those that it frees anyway. What is said of
        a version that is linked goes to its links.
        """
        if not going:
            return 0
        from artstore.operations.upkeep.collect import foresee

        links = self.catalog()
        kept = {blob for one in going if links.links_of(one.id) for blob in property_digests(one.version)}

        def freed(without: set[str], kept: set[Digest]) -> int:
            shown = monitor or Monitor()
            seen = foresee(self.objects, self.refs, self.runs, grace=0.0, monitor=shown, without=without, kept=kept)
            return seen.freed_bytes

        return freed({f"{one.state.path.folder}@{one.id}" for one in going}, kept) - freed(set(), set())

    # -- versions that several processes put together --

    def drop(self, text: str, upsert: str) -> State:
        """Give up a version that is not finished, with all its parts."""
        with self._changing() as changes:
            return changes.drop(text, upsert)

    def finish(self, text: str, upsert: str, properties: Properties | None = None) -> Saved:
        """Make a version of all parts that were added under an id. Raises NotFound when none were."""
        state = self.collection(text)
        with self.draft() as draft:
            saved = draft.save(state.path, properties=properties, upsert=upsert)
        self.announce_done()
        return saved

    # -- links and registries --

    @contextmanager
    def _linking(self) -> Iterator[Links]:
        from artstore.operations.changing.linking import Links

        with self._changing() as changes:
            yield Links(self.refs, self.lookup, changes, self._rely)

    def link(self, found: Version, target: str, aliases: tuple[str, ...] = ()) -> Version:
        """Let a version stand in another collection, too: the link, with a number and aliases of its own."""
        with self._linking() as links:
            return links.link(found, target, aliases)

    def unlink(self, text: str) -> Version:
        """Take a link away; the version stays where it was made. Raises Conflict for what is no link."""
        with self._linking() as links:
            return links.unlink(text)

    def edit_registry(
        self,
        entity: str,
        project: str,
        *,
        new: bool = False,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> State:
        """Make a registry (Conflict when it exists), or say something of one."""
        with self._linking() as links:
            return links.edit_registry(entity, project, new=new, description=description, metadata=metadata)

    def delete_registry(self, entity: str, project: str) -> None:
        """Delete a registry with all its links; what they linked to stays."""
        with self._linking() as links:
            links.delete_registry(entity, project)

    def rename(self, text: str, new: str) -> State:
        """Give a collection another name or project, history and all; the old name redirects."""
        old = self.collection(text).path
        with self._changing() as changes:
            made = changes.rename(text, new)
        if _has_automations():
            from artstore.operations.automation.firing import follow

            follow(self.place, old, made.path)
        if self.settings.remotes():
            self.remotes.renamed(old, made.path)
        return made

    def copy(self, text: str, new: str) -> State:
        """Give a version, or all live ones of a collection, to another collection too. Stores nothing twice."""
        with self._changing() as changes:
            return changes.copy(text, new)

    def move(self, text: str, new: str) -> State:
        """As `rename`; a single version is copied with its aliases, then deleted where it was."""
        if not parse_spec(text).names_version:
            return self.rename(text, new)
        with self._changing() as changes:
            return changes.move(text, new)


def _exchanging(*, monitor: Monitor | None, **options: Any) -> Exchanging:
    from artstore.sync.exchange import Exchanging

    return Exchanging(**options, monitor=monitor or Monitor())


def _has_automations() -> bool:
    """Whether this user has rules, or this process functions that may be actions of some. Cost: a stat."""
    return firing_known() or os.path.exists(rules_path())


def firing_known() -> bool:
    """Whether functions of this process may be actions of automations: only then was that module loaded."""
    return "artstore.operations.automation.firing" in sys.modules


def _related(place: str, other: str) -> bool:
    """Whether one path is the other or lies below it."""
    return os.path.commonpath([place, other]) in (place, other)
