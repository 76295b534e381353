"""The repository: one `.artifacts/` folder and everything that can be done with it, one thin method per operation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from artstore.backends.storage import FolderStorage, is_url
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import State
from artstore.domain.digest import Digest
from artstore.domain.names import parse_spec, printable
from artstore.domain.run import RunPath, RunState
from artstore.domain.selection import EVERYTHING, Selection
from artstore.domain.tree import Entry
from artstore.errors import Conflict, InvalidValue, NotFound, UnsupportedFormat, translated
from artstore.operations.automation.announcing import Announcer
from artstore.operations.finding.lookup import Home, Version
from artstore.operations.restoring.options import PLAIN, Restore
from artstore.operations.upkeep.removal import sweep
from artstore.progress import Monitor
from artstore.store.checkouts import Checkouts, Noted
from artstore.store.layout import check_format, make
from artstore.store.settings import ORIGIN, Settings
from artstore.store.store import Store
from artstore.view import View

T = TypeVar("T")

if TYPE_CHECKING:  # loaded when they are called, as in `view`
    from artstore.domain.properties import Properties
    from artstore.operations.changing.changes import Changes
    from artstore.operations.changing.linking import Links
    from artstore.operations.changing.prune import Pruned
    from artstore.operations.restoring.checkout import CheckedOut
    from artstore.operations.restoring.status import Status
    from artstore.operations.saving.draft import Draft, Saved
    from artstore.operations.upkeep.pruning import Policy
    from artstore.operations.upkeep.repair import Elsewhere
    from artstore.sync.bundles import Bundled, Bundles
    from artstore.sync.exchange import Exchanged, Exchanging
    from artstore.sync.remotes import Remotes


class Repository(View):
    """A repository on this host's file systems: what `View` can do, and all that changes it."""

    def __init__(self, root: str) -> None:
        """Open the repository in folder `root`. Raises NotFound or UnsupportedFormat."""
        if os.name == "nt":
            raise UnsupportedFormat("repositories can't be opened on Windows yet", hint="use WSL, Linux or macOS")
        self.root = os.path.abspath(root)
        self._folder = FolderStorage(self.root)
        settings = Settings(self.root)
        super().__init__(Store(self._folder, check_format(self._folder, "read"), settings.identity), settings)
        self.id = self.store.id
        self.checkouts = Checkouts(self._folder)
        self.automations = Announcer(self.root, self.store, self.lookup, settings)
        """what automations hear of this handle"""

    @classmethod
    def init(cls, root: str, *, shared: bool = False) -> Repository:
        """Make a repository, or open the one that is there. It appears whole, by one rename; a `shared` one is for the
        group of the folder that it is made in.
        """
        root = os.path.abspath(root)
        _make(root, shared=shared)
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
            if self.settings.auto_fetch and self._pull_any(str(path) + spec.ending):
                return super().find(text, home)
            raise self.remotes.not_found(error, path, spec) from error

    def _pull_any(self, spec: str) -> bool:
        """Pull what a spec names from the first remote that has it. Returns whether one has."""
        for name in self.settings.remotes():
            try:
                self.pull(name, [spec])
                return True
            except NotFound:
                continue
        return False

    def draft(self, monitor: Monitor | None = None) -> Draft:
        """Begin a draft. Whoever saves it calls `automations.changes_made` then."""
        from artstore.operations.saving.draft import Draft

        self._may("write")
        sweep(self._folder)
        self.refs.journal.clear()  # of an operation that failed
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
                self.automations.changes_made()
                return saved
            if os.path.isdir(path):
                draft.add_folder(path)
            else:
                draft.add_file(path)
            saved = draft.save(collection, type=type, properties=properties)
        self.automations.changes_made()
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
        with self._changes().keeping_linked_properties(self.catalog().links):
            done = pull()
        self.refs.journal.clear()  # what others did is announced where they did it
        self.objects.packs.refresh()
        self.tidy()
        return done

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

        place, relative = Remotes.place_of(url), "relative = true\n" if is_relative(url) else ""
        _make(root, config=f'[remote "{ORIGIN}"]\nurl = {place}\n{relative}')
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
            self.remotes.fill_version(found, selection, monitor)

    def _fill_entry(self, entry: Entry) -> None:
        if self._is_partial:
            self.remotes.fill({entry.digest: entry.size})

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
        return self.remotes.elsewhere() if self.settings.remotes() else []

    def tidy(self) -> None:
        """Merge packs when it is due and nobody else is at it. Never fails a save that was acknowledged."""
        from artstore.operations.upkeep.merge import merge_if_due

        merge_if_due(self.objects)

    def record(self, state: RunState, build: Callable[[RunState], list[Change]]) -> None:
        """Append to a run's log: see `Runs.append`."""
        self._may("write")
        self.runs.append(state, build)
        self.automations.runs_changed()

    def seal(self, state: RunState, more: Callable[[RunState], list[Change]]) -> None:
        """Seal what lies open of a run's history, and append `more` in the same entry."""
        from artstore.store.metrics import seal

        self._may("write")
        try:
            seal(self.objects, self.runs, state, more)
        finally:
            self.automations.runs_changed()  # what stands in the log has happened, also when what comes after it fails

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
        from artstore.operations.restoring.status import Statuses

        return Statuses(self._folder, self.objects, self.refs, monitor).all(self.checkouts, place)

    def _changes(self) -> Changes:
        from artstore.operations.changing.changes import Changes

        return Changes(self.store, self.lookup)

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
        self.automations.changes_made()

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
        if self._is_partial:
            self.remotes.fill_deleted(*self.path_of(text))

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
        from artstore.operations.changing.prune import prune
        from artstore.operations.upkeep.pruning import Policy

        policy, specs = (policy or Policy()).checked(), list(specs)
        with self._changing() as changes:
            for text in specs:
                if parse_spec(text).names_version:
                    raise InvalidValue(f"'{text}' names a version; prune takes an artifact")
            states = [self.collection(text) for text in specs] or list(self.collections())
            shown = monitor or Monitor()
            return prune(
                self.store, changes, self.catalog(), states, policy, force=force, dry_run=dry_run, monitor=shown
            )

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
        self.automations.changes_made()
        return saved

    # -- links and registries --

    @contextmanager
    def _linking(self) -> Iterator[Links]:
        from artstore.operations.changing.linking import Links

        with self._changing() as changes:
            yield Links(self.store, self.lookup, changes)

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
        self.automations.renamed(old, made.path)
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


def _make(root: str, *, shared: bool = False, config: str = "") -> None:
    if not os.path.isfile(f"{root}/format"):
        with translated(f"make a repository in {printable(root)}"):
            make(root, shared=shared, config=config)


def _exchanging(*, monitor: Monitor | None, **options: Any) -> Exchanging:
    from artstore.sync.exchange import Exchanging

    return Exchanging(**options, monitor=monitor or Monitor())
