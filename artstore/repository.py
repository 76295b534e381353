"""The repository: one `.artifacts/` folder, with one thin method for each operation on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from artstore.backends.addresses import path_here
from artstore.backends.files import remove_tree
from artstore.backends.owner import this_process
from artstore.backends.storage import is_url
from artstore.domain.collection import State
from artstore.domain.digest import Digest
from artstore.domain.ignore import PathFilter
from artstore.domain.names import DEFAULT_ENTITY, collection_named, listed, printable
from artstore.domain.selection import EVERYTHING, Selection
from artstore.domain.tree import Entry
from artstore.editing import Editor
from artstore.errors import Conflict, MissingObject, NoSpace, NotFound, translated
from artstore.operations.finding.lookup import Home, Version
from artstore.operations.restoring.options import PLAIN, Restore
from artstore.operations.upkeep.removal import sweep
from artstore.progress import Monitor
from artstore.store.checkouts import Checkouts, Noted
from artstore.store.layout import make
from artstore.store.settings import ORIGIN, is_repository, text_of_place

T = TypeVar("T")

if TYPE_CHECKING:  # each is loaded when it is called, as in `view`
    from artstore.operations.restoring.checkout import CheckedOut
    from artstore.operations.restoring.status import Status
    from artstore.operations.saving.draft import Saved
    from artstore.operations.saving.planned import Planned
    from artstore.operations.upkeep.repair import Elsewhere
    from artstore.sync.bundles import Bundled, Bundles
    from artstore.sync.exchange import Exchanged, ExchangeOptions
    from artstore.sync.remotes import Remotes


class Repository(Editor):
    """A repository on this host: everything that `Editor` can do, its checkouts and its remotes.

    In the examples, `repository` is a new repository, and the working folder holds `dataset/train.csv` with the line
    `1,2`. The `text` of an operation is a spec such as `data:v3`, or the name of a collection.
    """

    def __init__(self, root: str) -> None:
        """Open the repository in folder `root`. Raises NotFound or UnsupportedFormat."""
        super().__init__(root)
        self.checkouts = Checkouts(self._folder)

    @classmethod
    def init(cls, root: str, *, shared: bool = False) -> Repository:
        """Create a repository in folder `root`, or open the one that is there. A new one appears whole, by one rename.

        Args:
            shared: The group of the folder above may write to it.

        >>> with Repository.init("models/.artifacts") as models:
        ...     list(models.collections())
        []
        """
        root = os.path.abspath(path_here(root))
        _make(root, shared=shared)
        return cls(root)

    # -- saving and restoring --

    def find(self, text: str, home: Home | None = None, *, for_good: bool = False) -> Version:
        """The version that a spec names: see `View.find`.

        If only a remote has it, the hint of NotFound names the command that gets it. With the setting `core.auto_fetch`
        it is pulled.
        """
        try:
            return super().find(text, home, for_good=for_good)
        except NotFound as error:
            if not self.settings.remotes():
                raise
            path, spec = self.path_of(text, home)
            if self.settings.auto_fetch and self._pull_any(str(path) + spec.ending):
                return super().find(text, home, for_good=for_good)
            raise self.remotes.not_found(error, path, spec) from error

    def _pull_any(self, spec: str) -> bool:
        """Pull what a spec names from the first remote that has it. Returns whether one has."""
        for name in self.settings.remotes():
            try:
                self.pull(name, [spec]).whole()
                return True
            except NotFound:
                continue
        return False

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
        exclude: tuple[str, ...] = (),
        monitor: Monitor | None = None,
    ) -> Saved:
        """Save a file or folder as the next version of a collection. It is safe on disk when this returns.

        If the latest version has the same content, no version is made: the latest one gets the aliases, tags and
        other properties.

        Args:
            path: A file or folder; or a URI, to save references to its objects.
            name: The name of the collection, which is created if there is none.
            type: Of the collection. The default is the type that it has, or "artifact" for a new one.
            metadata: JSON values by key.
            exclude: Patterns, as in .artifactsignore, of files of a folder to leave out.

        Raises:
            SourceError: A file can't be saved. Then nothing was saved.
            Conflict: The collection has another type.
            InvalidValue: A name, alias or tag is invalid, `name` names a version, or `exclude` leaves no file.

        >>> saved = repository.put("dataset", "data", aliases=("good",), metadata={"rows": 1})
        >>> saved.number, saved.files, saved.is_new
        (0, 1, True)
        >>> repository.put("dataset", "data").is_new
        False
        """
        from artstore.domain.properties import Properties
        from artstore.operations.saving.planned import gather

        collection, _ = self.path_of(collection_named(name, "give aliases with --alias"))
        properties = Properties(aliases, tags, description, metadata).checked()
        referenced = is_url(path) and not os.path.lexists(path)
        with self.draft(monitor) as draft:
            unmatched = gather(draft, path, exclude)
            saved = draft.save(collection, type=type, properties=properties)._replace(unmatched=unmatched)
        self.automations.changes_made()
        saved = saved._replace(deleted=self.retain(saved.collection))
        if referenced:
            return saved
        folder = os.path.abspath(path)
        only = None if os.path.isdir(path) else os.path.basename(folder)
        chosen = Selection(chosen=PathFilter(None, exclude))
        self.checkouts.note(Noted(folder, saved.path, saved.id, saved.number, only, chosen))
        self.tidy(saved.new_bytes)
        return saved

    def plan(self, path: str, name: str, *, exclude: tuple[str, ...] = (), monitor: Monitor | None = None) -> Planned:
        """Find out what `put` would save. Nothing is saved. Cost: as a `put`, and memory for all paths.

        >>> repository.plan("dataset", "data").added
        ('train.csv',)
        """
        from artstore.operations.saving.planned import gather, planned

        collection, _ = self.path_of(collection_named(name))
        with self.draft(monitor) as draft:
            unmatched = gather(draft, path, exclude)
            return planned(draft, self.refs.read(collection), self.objects, unmatched)

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

        If both sides changed a property, the remote keeps its value. A collection that can't be pushed is in the result
        as refused, with the error; the others are pushed. So is one with a version whose number the remote gave to
        another version: pull it first.

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
        return self.remotes.push(remote, specs, _exchange_options(dry_run=dry_run, jobs=jobs, monitor=monitor))

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

        If both sides changed a property, the remote's value overwrites the one here. If the remote has another version
        under a number that is used here, all versions here that the remote lacks get numbers behind its own; from a
        remote that isn't the collection's upstream, that is refused. A collection that can't be pulled is in the result
        as refused, with the error; the others are pulled.

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

        options = _exchange_options(selection=selection, dry_run=dry_run, jobs=jobs, monitor=monitor)

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
        self.remotes.fetch(remote, specs, _exchange_options(monitor=monitor))

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
        specs, base = listed(specs, "specs"), listed(base, "base")
        if os.access(self._folder.path("tmp"), os.W_OK):
            try:
                with self._folder.writing():
                    found = [self.find(text) for text in base]
                    return self._bundles().create(file, specs, found, _exchange_options(jobs=jobs, monitor=monitor))
            except NoSpace:
                if os.stat(os.path.dirname(os.path.abspath(file))).st_dev == os.stat(self.root).st_dev:
                    raise
        return self._create_bundle_of_copy(file, specs, base, jobs, monitor)

    def _create_bundle_of_copy(
        self, file: str, specs: Sequence[str], base: Sequence[str], jobs: int, monitor: Monitor | None
    ) -> Bundled:
        """Of a repository that can't be written to: by a clone beside the bundle, which is removed at the end."""
        scratch = os.path.join(os.path.dirname(os.path.abspath(file)), f".artstore-{this_process()}")
        with translated(f"write to {printable(os.path.dirname(scratch))}"):
            os.mkdir(scratch)
        try:
            with Repository.clone(self.root, f"{scratch}/.artifacts", jobs=jobs, monitor=monitor)[0] as copy:
                copy.settings.set("core.entity", self.settings.entity)
                copy.settings.set("core.project", self.settings.project)
                return copy.create_bundle(file, specs, base=base, jobs=jobs, monitor=monitor)
        finally:
            remove_tree(scratch, ignore_errors=True)

    def apply_bundle(self, file: str, *, jobs: int = 4, monitor: Monitor | None = None) -> Bundled:
        """Pull everything from a bundle.

        Raises NotFound, and changes nothing, if a version on which the bundle builds is not here. Raises InvalidValue
        if the file isn't a bundle, Damage if it is a damaged one.
        """
        return self._pulled(lambda: self._bundles().apply(file, _exchange_options(jobs=jobs, monitor=monitor)))

    def _bundles(self) -> Bundles:
        from artstore.sync.bundles import Bundles

        self._may("write")
        sweep(self._folder)
        return Bundles(self._folder, self.store, self.remotes)

    @classmethod
    def clone(
        cls, url: str, root: str, *, selection: Selection = EVERYTHING, jobs: int = 4, monitor: Monitor | None = None
    ) -> tuple[Repository, Exchanged]:
        """Create a repository in folder `root`, and pull everything from another one, which becomes its
        remote `origin`.

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
        _make(root, config=f'[remote "{ORIGIN}"]\nurl = {text_of_place(place)}\n{relative}')
        repository = cls(root)
        try:
            known = repository.settings.remotes().get(ORIGIN)
            if known is None or known.url != place:
                raise Conflict(f"there is another repository in {printable(root)}", hint="choose another folder")
            repository.settings.given.add((ORIGIN, place))
            repository.settings.typed.add(place)
            exchanged = repository.pull(ORIGIN, selection=selection, jobs=jobs, monitor=monitor)
            repository._take_only_entity()
            return repository, exchanged
        except BaseException:
            repository.close()
            raise

    def _take_only_entity(self) -> None:
        """Make the only entity of a new clone its default, so that names need none. Nothing if there are several."""
        logs = [(log, folder) for log in (self.refs, self.runs) for folder in log.paths()]
        if logs and len({folder.split("/")[1] for _, folder in logs}) == 1 and not self.settings.value("core.entity"):
            log, folder = logs[0]
            if (entity := log.read_folder(folder).path.entity) != DEFAULT_ENTITY:
                self.settings.set("core.entity", entity)

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
            noted = Noted(done.root, found.state.path, found.id, found.number, None, how.selection)
            self.checkouts.note(noted)
        return done

    def _promised(self) -> set[Digest]:
        """The blobs that may be absent here, because remotes promised them."""
        return self.remotes.promised() if self._is_partial else set()

    def _elsewhere(self) -> list[Elsewhere]:
        """Other repositories that may hold objects that were lost here: all remotes."""
        return self.remotes.elsewhere() if self.settings.remotes() else []

    def status(self, path: str | None = None, *, monitor: Monitor | None = None) -> Iterator[Status]:
        """Compare the folders that were saved or restored with their versions, sorted by path.

        A file is only read if its stat changed since it was last read. Folders that don't exist any more are forgotten.

        Args:
            path: Only folders at this path, below it or around it.

        >>> saved = repository.put("dataset", "data")
        >>> [status.verified.ok for status in repository.status()]
        [True]
        """
        from artstore.operations.restoring.status import Statuses

        return Statuses(self._folder, self.objects, self.refs, monitor).all(self.checkouts, path)

    # -- changes in which remotes have a part --

    def undelete(self, text: str) -> Version:
        """Bring a deleted version back: see `Editor.undelete`. What only a remote has is fetched first."""
        self._fill_deleted(text)
        try:
            return super().undelete(text)
        except MissingObject:
            with self._deleted_from_remotes(text):
                return super().undelete(text)

    def undelete_collection(self, text: str) -> list[Version]:
        """Bring a deleted collection back: see `Editor.undelete_collection`. What only a remote has is fetched."""
        self._fill_deleted(text)
        try:
            return super().undelete_collection(text)
        except MissingObject:
            with self._deleted_from_remotes(text):
                return super().undelete_collection(text)

    @contextmanager
    def _deleted_from_remotes(self, text: str) -> Iterator[None]:
        """Objects of deleted versions that were collected are here in the block, if a remote has them."""
        with ExitStack() as brought:
            for name in self.settings.remotes():
                self.remotes.bring_back(name, *self.path_of(text), brought)
            yield

    def _fill_deleted(self, text: str) -> None:
        """Get the absent blobs of deleted versions, before they are undeleted. Only in a partial clone."""
        if self._is_partial:
            self.remotes.fill_deleted(*self.path_of(text))

    def rename(self, text: str, new: str) -> State:
        """Give a collection another name: see `Editor.rename`. The next push renames it at the remotes, too."""
        old = self.collection(text).path
        made = super().rename(text, new)
        if self.settings.remotes():
            self.remotes.renamed(old, made.path)
        return made


def _make(root: str, *, shared: bool = False, config: str = "") -> None:
    """Create a repository in folder `root`, unless there is one."""
    if not is_repository(root):
        with translated(f"make a repository in {printable(root)}"):
            make(root, shared=shared, config=config)


def _exchange_options(*, monitor: Monitor | None, **options: Any) -> ExchangeOptions:
    from artstore.sync.exchange import ExchangeOptions

    return ExchangeOptions(**options, monitor=monitor or Monitor())
