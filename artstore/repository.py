"""The repository: one `.artifacts/` folder, with one thin method for each operation on it."""

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

if TYPE_CHECKING:  # each is loaded when it is called, as in `view`
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
    """A handle on a repository on this host: everything that `View` can do, and all operations that change versions.

    In the examples, `repository` is a new repository, and the working folder holds `dataset/train.csv` with the line `1,2`.
    The `text` of an operation is a spec such as `data:v3`, or the name of a collection.
    """

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
        """reports the changes of this handle to automations"""

    @classmethod
    def init(cls, root: str, *, shared: bool = False) -> Repository:
        """Create a repository in folder `root`, or open the one that is there. A new one appears whole, by one rename.

        Args:
            shared: The group of the folder above may write to it.

        >>> with Repository.init("models/.artifacts") as models:
        ...     list(models.collections())
        []
        """
        root = os.path.abspath(root)
        _make(root, shared=shared)
        return cls(root)

    # -- saving and restoring --

    def find(self, text: str, home: Home | None = None) -> Version:
        """The version that a spec names: see `View.find`.

        If only a remote has it, the hint of NotFound names the command that gets it. With the setting `core.auto_fetch`
        it is pulled.
        """
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
        """Begin a draft, to add files one by one. After saving it, call `automations.changes_made`.

        >>> with repository.draft() as draft:
        ...     entry = draft.add_bytes(b"1,2", "train.csv")
        ...     saved = draft.save(repository.path_of("data")[0])
        >>> repository.automations.changes_made()
        >>> repository.find("data").name
        'data:v0'
        """
        from artstore.operations.saving.draft import Draft

        self._may("write")
        sweep(self._folder)
        self.refs.journal.clear()  # an operation that failed may have left changes in it
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
        """Save a file or folder as the next version of a collection. It is safe on disk when this returns.

        If the latest version has the same content, no version is made: the latest one gets the aliases, tags and other
        properties.

        Args:
            path: A file or folder; or a URI, to save references to its objects.
            name: The name of the collection, which is created if there is none.
            type: Of the collection. The default is the type that it has, or "artifact" for a new one.
            metadata: JSON values by key.

        Raises:
            SourceError: A file can't be saved. Then nothing was saved.
            Conflict: The collection has another type.
            InvalidValue: A name, alias or tag is invalid, or `name` names a version.

        >>> saved = repository.put("dataset", "data", aliases=("good",), metadata={"rows": 1})
        >>> saved.number, saved.files, saved.is_new
        (0, 1, True)
        >>> repository.put("dataset", "data").is_new
        False
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
        """The remotes of this repository: to add, list and remove them.

        >>> repository.remotes.add("origin", "backup", make=True)
        True
        >>> list(repository.remotes.all())
        ['origin']
        """
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
        """Push to a remote: send the versions and other changes that it lacks.

        A collection that can't be pushed is in the result as refused, with the error; the others are pushed. If both sides
        changed a property, the remote keeps its value.

        Args:
            remote: Its name. The default is `origin`, or the only remote.
            specs: Versions, artifacts and projects (`[entity/]project/`). None means all.
            dry_run: Send nothing. The result says what would be sent.
            jobs: Number of transfers at once.

        Raises:
            NotFound: There is no such remote or artifact, or no repository at the remote's place.
            StorageError: The remote can't be reached.

        >>> saved = repository.put("dataset", "data")
        >>> added = repository.remotes.add("origin", "backup", make=True)
        >>> [moved.versions for moved in repository.push().collections]
        [('data:v0',)]
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
        """Pull from a remote: get the versions and other changes that this repository lacks.

        If a version here has the same number as one of the remote, the version here gets a new number. A collection that
        can't be pulled is in the result as refused, with the error; the others are pulled.

        Args:
            remote: Its name. The default is `origin`, or the only remote.
            specs: Versions, artifacts and projects (`[entity/]project/`). None means all.
            selection: Files whose bytes are pulled. Those of other files are fetched when they are needed.
            dry_run: Change nothing. The result says what would be pulled.
            jobs: Number of transfers at once.

        Raises:
            NotFound: There is no such remote or artifact, or no repository at the remote's place.
            StorageError: The remote can't be reached.

        >>> with Repository.init("backup") as backup:
        ...     saved = backup.put("dataset", "data")
        >>> added = repository.remotes.add("origin", "backup")
        >>> [moved.versions for moved in repository.pull().collections]
        [('data:v0',)]
        """
        self._may("write")
        sweep(self._folder)

        options = _exchanging(selection=selection, dry_run=dry_run, jobs=jobs, monitor=monitor)

        def pull() -> Exchanged:
            return self.remotes.pull(remote, specs, options)

        return pull() if dry_run else self._pulled(pull)

    def _pulled(self, pull: Callable[[], T]) -> T:
        """Run a pull, and finish it.

        If a source version was deleted on the remote, its properties are copied to the links that point to it, because
        they can no longer look them up.
        """
        with self._changes().keeping_linked_properties(self.catalog().links):
            done = pull()
        self.refs.journal.clear()  # automations hear of a change where it was made, not where it is pulled
        self.objects.packs.refresh()
        self.tidy()
        return done

    def fetch(self, remote: str | None = None, specs: Iterable[str] = (), *, monitor: Monitor | None = None) -> None:
        """Bring our copies of a remote's logs up to date, without pulling. `status` then knows what the remote has."""
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
        """Write versions to a new file, a bundle, which another repository can apply.

        Args:
            specs: Versions, artifacts and projects. None means all.
            base: Versions that the receiver has: their objects aren't in the bundle.

        Raises:
            Refused: There is a file of that name.

        >>> saved = repository.put("dataset", "data")
        >>> bundled = repository.create_bundle("data.bundle", ["data"])
        >>> with Repository.init("elsewhere/.artifacts") as elsewhere:
        ...     applied = elsewhere.apply_bundle("data.bundle")
        ...     elsewhere.find("data").name
        'data:v0'
        """
        found = [self.find(text) for text in base]
        return self._bundles().create(file, specs, found, _exchanging(jobs=jobs, monitor=monitor))

    def apply_bundle(self, file: str, *, jobs: int = 4, monitor: Monitor | None = None) -> Bundled:
        """Pull everything from a bundle.

        Raises NotFound, and changes nothing, if a version on which the bundle builds is not here. Raises InvalidValue if
        the file isn't a bundle.
        """
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
        """Create a repository in folder `root`, and pull everything from another one, which becomes its remote `origin`.

        If a clone was interrupted, the same call continues it.

        Args:
            url: The path or URL of the other repository.
            selection: Files whose bytes are pulled. Those of other files are fetched when they are needed.
            jobs: Number of transfers at once.

        Returns:
            The open repository, and the result of the pull.

        Raises:
            NotFound: There is no repository at the URL.
            Conflict: There is another repository in the folder.

        >>> saved = repository.put("dataset", "data")
        >>> clone, exchanged = Repository.clone(".artifacts", "copy/.artifacts")
        >>> with clone:
        ...     clone.find("data").name
        'data:v0'
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
        """Whether a remote promised blobs, so that they may be absent here. Called often: no module is loaded for it."""
        return any(remote.partial for remote in self.settings.remotes().values())

    def fill(self, found: Version, selection: Selection = EVERYTHING, *, monitor: Monitor | None = None) -> None:
        """Get the bytes of a version's selected files that are absent here from the remotes that promised them."""
        if self._is_partial:
            self.remotes.fill_version(found, selection, monitor)

    def _fill_entry(self, entry: Entry) -> None:
        if self._is_partial:
            self.remotes.fill({entry.digest: entry.size})

    def get(self, found: Version, root: str | None = None, how: Restore = PLAIN) -> CheckedOut:
        """Restore a version's files to a folder: see `View.get`. The folder is noted for `status`."""
        done = super().get(found, root, how)
        if not how.selection.exact:  # after restoring a single file, the folder is not a checkout
            number = found.number
            noted = Noted(done.root, found.state.path, found.id, number, None, how.selection)
            self.checkouts.note(noted)
        return done

    def _promised(self) -> set[Digest]:
        """The blobs that may be absent here, because remotes promised them."""
        return self.remotes.promised() if self._is_partial else set()

    def _elsewhere(self) -> list[Elsewhere]:
        """Other repositories that may hold objects that were lost here: all remotes."""
        return self.remotes.elsewhere() if self.settings.remotes() else []

    def tidy(self) -> None:
        """Merge packs if that is due. Never raises for errors of the store, because the save before it is done."""
        from artstore.operations.upkeep.merge import merge_if_due

        merge_if_due(self.objects)

    def record(self, state: RunState, build: Callable[[RunState], list[Change]]) -> None:
        """Append changes to a run's log: see `Runs.append`."""
        self._may("write")
        self.runs.append(state, build)
        self.automations.runs_changed()

    def seal(self, state: RunState, more: Callable[[RunState], list[Change]]) -> None:
        """Seal the open part of a run's history, and append the changes of `more` in the same log entry."""
        from artstore.store.metrics import seal

        self._may("write")
        try:
            seal(self.objects, self.runs, state, more)
        finally:
            self.automations.runs_changed()  # also after an error: changes that are in the log have happened

    def delete_run(self, path: RunPath) -> None:
        """Delete a run. gc frees its history; its name, and which versions it used and logged, stay. Raises NotFound."""
        from artstore.store.metrics import discard

        state = self.runs.find(path)
        self.record(state, lambda now: [] if now.deleted else [new_change("delete")])
        discard(self.objects, self.runs, state)

    def status(self, place: str | None = None, *, monitor: Monitor | None = None) -> Iterator[Status]:
        """Compare the folders that were saved or restored with their versions, sorted by path.

        A file is only read if its stat changed since it was last read. Folders that don't exist any more are forgotten.

        Args:
            place: Only folders at this path, below it or around it.

        >>> saved = repository.put("dataset", "data")
        >>> [status.verified.ok for status in repository.status()]
        [True]
        """
        from artstore.operations.restoring.status import Statuses

        return Statuses(self._folder, self.objects, self.refs, monitor).all(self.checkouts, place)

    def _changes(self) -> Changes:
        from artstore.operations.changing.changes import Changes

        return Changes(self.store, self.lookup)

    @contextmanager
    def _changing(self) -> Iterator[Changes]:
        """Run one operation. Its changes are reported to automations if it succeeds."""
        self._may("write")
        self.refs.journal.clear()
        try:
            yield self._changes()
        except BaseException:
            self.refs.journal.clear()  # its changes were withdrawn, or are only a part of the operation
            raise
        self.automations.changes_made()

    # -- versions and collections --

    def set_aliases(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Version:
        """Move aliases to a version, or remove them from it. Raises NotFound if it lacks an alias to remove.

        >>> saved = repository.put("dataset", "data")
        >>> changed = repository.set_aliases("data:v0", add=("production",))
        >>> repository.find("data:production").name
        'data:v0'
        """
        with self._changing() as changes:
            return changes.set_aliases(text, add, remove)

    def set_tags(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Version:
        """Add tags to a version, or remove them. Raises NotFound if it lacks a tag to remove."""
        with self._changing() as changes:
            return changes.set_tags(text, add, remove)

    def edit(self, text: str, properties: Properties) -> Version:
        """Change properties of a version. Only those that are given change.

        >>> from artstore.domain.properties import Properties
        >>> saved = repository.put("dataset", "data")
        >>> version = repository.edit("data", Properties(description="first try"))
        >>> repository.properties(version)[0]
        'first try'
        """
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
        """Change the properties of a collection. None leaves one as it is. The description "" removes the description."""
        with self._changing() as changes:
            return changes.edit_collection(text, description=description, type=type, tags=tags, no_tags=no_tags)

    def delete(self, text: str, *, delete_aliases: bool = False) -> Version:
        """Delete one version. Its number is never used again. `gc` frees its data after the grace period.

        Raises Conflict if it has an alias other than `latest`, or a link points to it, unless `delete_aliases`. The links
        stay, and keep its files.

        >>> saved = repository.put("dataset", "data")
        >>> repository.delete("data:v0").is_live
        False
        >>> repository.undelete("data:v0").is_live
        True
        """
        with self._changing() as changes:
            return changes.delete(text, delete_aliases=delete_aliases)

    def delete_collection(self, text: str, *, delete_aliases: bool = False) -> State:
        """Delete a collection with all versions that it has now.

        Raises Conflict if it has aliases, or links point to its versions, unless `delete_aliases`.
        """
        with self._changing() as changes:
            return changes.delete_collection(text, delete_aliases=delete_aliases)

    def undelete(self, text: str) -> Version:
        """Bring a deleted version back.

        Raises NotFound if there never was such a version, MissingObject if a part of it was collected already.
        """
        self._fill_deleted(text)
        with self._changing() as changes:
            return changes.undelete(text)

    def undelete_collection(self, text: str) -> list[Version]:
        """Bring back all versions that were deleted with the whole collection the last time: all of them or none."""
        self._fill_deleted(text)
        with self._changing() as changes:
            return changes.undelete_collection(text)

    def _fill_deleted(self, text: str) -> None:
        """Get the absent blobs of deleted versions, before they are undeleted. Only in a partial clone."""
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
        """Delete the versions that a policy does not keep. Each collection gets one log entry.

        Args:
            specs: Artifacts. None means all.
            policy: Which versions to keep. The default only deletes versions whose ttl has passed.
            force: Also delete versions that have aliases, or to which links point.
            dry_run: Delete nothing. The result says what would be deleted, and how many bytes `gc` would free.

        Raises:
            Conflict: Such a version has aliases, or links point to it. Nothing was deleted anywhere.
            InvalidValue: A spec names a version, or the policy is invalid.

        >>> from pathlib import Path
        >>> from artstore.operations.upkeep.pruning import Policy
        >>> saved = repository.put("dataset", "data")
        >>> written = Path("dataset/train.csv").write_text("3,4")
        >>> saved = repository.put("dataset", "data")
        >>> pruned = repository.prune(["data"], Policy(keep_last=1))
        >>> [verdict.version["number"] for path, verdict in pruned.gone]
        [0]
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
        """Drop an unfinished version, with all its parts. Raises NotFound, with similar ids in the hint."""
        with self._changing() as changes:
            return changes.drop(text, upsert)

    def finish(self, text: str, upsert: str, properties: Properties | None = None) -> Saved:
        """Make a version of all parts that were added under an id. Raises NotFound if there are none."""
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
        """Link a version into another collection, such as a registry's. Returns the link.

        The link has a number and aliases of its own, and shares its other properties with the version.

        Raises:
            Conflict: The registry doesn't accept the type, or the collection holds versions that are not links.

        >>> saved = repository.put("dataset", "data")
        >>> repository.link(repository.find("data"), "registry-vision/data").spec
        'local/registry-vision/data:v0'
        """
        with self._linking() as links:
            return links.link(found, target, aliases)

    def unlink(self, text: str) -> Version:
        """Remove a link, with its aliases. Its source stays. Raises Conflict if the version is not a link."""
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
        """Change the properties of a registry. With `new`, raises Conflict if it exists. A description "" removes it."""
        with self._linking() as links:
            return links.edit_registry(entity, project, new=new, description=description, metadata=metadata)

    def delete_registry(self, entity: str, project: str) -> None:
        """Delete a registry with all its links. The sources of the links stay."""
        with self._linking() as links:
            links.delete_registry(entity, project)

    def rename(self, text: str, new: str) -> State:
        """Give a collection another name or project. Its history stays, and the old name redirects to the new one.

        >>> saved = repository.put("dataset", "data")
        >>> str(repository.rename("data", "vision/images").path)
        'local/vision/images'
        >>> repository.find("data").spec
        'local/vision/images:v0'
        """
        old = self.collection(text).path
        with self._changing() as changes:
            made = changes.rename(text, new)
        self.automations.renamed(old, made.path)
        if self.settings.remotes():
            self.remotes.renamed(old, made.path)
        return made

    def copy(self, text: str, new: str) -> State:
        """Copy a version, or all versions of a collection, to another collection. No file is stored again.

        >>> saved = repository.put("dataset", "data")
        >>> [version["number"] for version in repository.copy("data:v0", "copied").live()]
        [0]
        """
        with self._changing() as changes:
            return changes.copy(text, new)

    def move(self, text: str, new: str) -> State:
        """Rename a collection; or move one version to another collection, by copying it and deleting the old one."""
        if not parse_spec(text).names_version:
            return self.rename(text, new)
        with self._changing() as changes:
            return changes.move(text, new)


def _make(root: str, *, shared: bool = False, config: str = "") -> None:
    """Create a repository in folder `root`, unless there is one."""
    if not os.path.isfile(f"{root}/format"):
        with translated(f"make a repository in {printable(root)}"):
            make(root, shared=shared, config=config)


def _exchanging(*, monitor: Monitor | None, **options: Any) -> Exchanging:
    from artstore.sync.exchange import Exchanging

    return Exchanging(**options, monitor=monitor or Monitor())
