"""The editor: what changes the versions, collections and runs of one repository, one thin method per operation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from artstore.backends.callers import warn_caller
from artstore.backends.storage import FolderStorage
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import State
from artstore.domain.names import collection_named, listed, parse_spec
from artstore.domain.run import RunPath, RunState
from artstore.errors import ArtstoreError, UnsupportedFormat
from artstore.operations.automation.announcing import Announcer
from artstore.operations.finding.lookup import Version
from artstore.operations.upkeep.removal import sweep
from artstore.progress import Monitor
from artstore.store.accepted import Accepted
from artstore.store.layout import check_format
from artstore.store.objects import ObjectStore
from artstore.store.packs import LARGE
from artstore.store.settings import Settings
from artstore.store.store import Store
from artstore.view import View

if TYPE_CHECKING:  # loaded when they are called, as in `view`
    from artstore.domain.properties import Properties
    from artstore.domain.retention import Policy
    from artstore.operations.changing.changes import Changes
    from artstore.operations.changing.linking import Links
    from artstore.operations.changing.prune import Pruned
    from artstore.operations.changing.retention import Kept, Retention
    from artstore.operations.saving.draft import Draft, Saved


class Editor(View):
    """A handle on a repository on this host: everything that `View` can do, and the operations that change versions.

    In the examples, `repository` is a new repository, and the working folder holds `dataset/train.csv` with the line
    `1,2`. The `text` of an operation is a spec such as `data:v3`, or the name of a collection.
    """

    store: Store
    objects: ObjectStore

    def __init__(self, root: str) -> None:
        """Open the repository in folder `root`. Raises NotFound or UnsupportedFormat."""
        if os.name == "nt":
            raise UnsupportedFormat("repositories can't be opened on Windows yet", hint="use WSL, Linux or macOS")
        self.root = os.path.abspath(root)
        self._folder = FolderStorage(self.root)
        settings = Settings(self.root)
        super().__init__(Store(self._folder, check_format(self._folder, "read"), settings.identity), settings)
        self.id = self.store.id
        self.automations = Announcer(self.root, self.store, self.lookup, settings)
        """reports the changes of this handle to automations"""

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

    def tidy(self, stored: int = 0) -> None:
        """Merge packs if that is due, and count what a save stored, in bytes, for `pack_later`.

        Never raises for errors of the store, because the save before it is done.
        """
        from artstore.operations.upkeep.merge import merge_if_due

        merge_if_due(self.objects)
        if stored >= LARGE:  # else no large file is in it
            from artstore.operations.upkeep.packing_notes import PackingNotes

            PackingNotes(self._folder).add(stored)

    def pack_later(self) -> int:
        """Pack large files in the background, if enough was saved: see `operations.upkeep.automatic.pack_later`.

        Not for a failed run: after an interrupt, to load a module as Python ends would make the exit code 1.

        >>> repository.pack_later()
        0
        """
        from artstore.operations.upkeep.packing_notes import PackingNotes

        if not PackingNotes(self._folder).is_due:
            return 0
        from artstore.operations.upkeep.automatic import pack_later

        return pack_later(self.objects, self.settings)

    def record(self, state: RunState, build: Callable[[RunState], list[Change]]) -> None:
        """Append changes to a run's log: see `Runs.append`."""
        self._may("write")
        self.runs.append(state, build)
        self.automations.runs_changed()

    def seal(
        self,
        state: RunState,
        more: Callable[[RunState], list[Change]],
        *,
        growing: str | None = None,
        last: bool = False,
    ) -> None:
        """Seal a run's history and files, and append the changes of `more` in the same log entry: see `seal`."""
        from artstore.operations.saving.sealing import seal

        self._may("write")
        try:
            seal(self.objects, self.runs, state, more, growing=growing, last=last)
        finally:
            self.automations.runs_changed()  # also after an error: changes that are in the log have happened

    def add_run_file(self, state: RunState, path: str, source: bytes | str) -> None:
        """Add these bytes, or a copy of a local file, to a run that isn't recorded by this process."""
        from artstore.operations.saving.sealing import add_file

        self._may("write")
        add_file(self.objects, self.runs, state, path, source)

    def delete_run_file(self, state: RunState, path: str) -> None:
        """Delete a file of a run. Raises NoEntry if there is none, Conflict if a process has just added it."""
        from artstore.operations.saving.sealing import delete_file

        self._may("write")
        delete_file(self.objects, self.runs, state, path)

    def delete_run(self, path: RunPath) -> None:
        """Delete a run. gc frees its history and files; its name, and which versions it used and logged, stay.

        Raises NotFound.
        """
        from artstore.operations.saving.sealing import discard

        state = self.runs.find(path)
        self.record(state, lambda now: [] if now.deleted else [new_change("delete")])
        discard(self.objects, self.runs, state)

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

    def delete(self, text: str, *, delete_aliases: bool = False, latest_holds: bool = False) -> Version:
        """Delete one version. Its number is never used again. `gc` frees its data after the grace period.

        Raises Conflict if it has an alias, or a link points to it, unless `delete_aliases`. The alias `latest` only
        counts if it `latest_holds`. The links stay, and keep its files.

        >>> saved = repository.put("dataset", "data")
        >>> repository.delete("data:v0").is_live
        False
        >>> repository.undelete("data:v0").is_live
        True
        """
        with self._changing() as changes:
            return changes.delete(text, delete_aliases=delete_aliases, latest_holds=latest_holds)

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
        with self._changing() as changes:
            return changes.undelete(text)

    def undelete_collection(self, text: str) -> list[Version]:
        """Bring back all versions that were deleted with the whole collection the last time: all of them or none."""
        with self._changing() as changes:
            return changes.undelete_collection(text)

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
            dry_run: Delete nothing. The result says what would be deleted, how many bytes `gc` would free, and the
                Conflict that the prune would raise.

        Raises:
            Conflict: Such a version has aliases, or links point to it. Nothing was deleted anywhere.
            InvalidValue: A spec names a version, or the policy is invalid.

        >>> from pathlib import Path
        >>> from artstore.domain.retention import Policy
        >>> saved = repository.put("dataset", "data")
        >>> written = Path("dataset/train.csv").write_text("3,4")
        >>> saved = repository.put("dataset", "data")
        >>> pruned = repository.prune(["data"], Policy(keep_last=1))
        >>> [verdict.version["number"] for path, verdict in pruned.gone]
        [0]
        """
        from artstore.domain.retention import Policy
        from artstore.operations.changing.prune import prune

        policy, specs = (policy or Policy()).checked(), listed(specs, "specs")
        with self._changing() as changes:
            states = [self.collection(collection_named(text)) for text in specs] or list(self.collections())
            options: dict[str, Any] = {"force": force, "dry_run": dry_run, "monitor": monitor or Monitor()}
            return prune(self.store, changes, self.catalog(), states, policy, **options)

    # -- retention: a collection's own rule --

    @contextmanager
    def _retaining(self) -> Iterator[Retention]:
        from artstore.operations.changing.retention import Retention

        with self._changing() as changes:
            yield Retention(self.refs, Accepted(self._folder), changes, self.catalog)

    def keep(self, text: str, rule: str | None) -> Kept:
        """Set the rule that says which versions of a collection are kept, or with None remove it.

        Each later save in this repository deletes what the rule doesn't keep; `undelete` brings it back until `gc`.

        Raises:
            InvalidValue: It isn't a rule.

        >>> saved = repository.put("dataset", "data")
        >>> repository.keep("data", "last:3, best:loss:min").accepted
        True
        """
        path = self.collection(collection_named(text)).path
        with self._retaining() as retention:
            retention.set(path, rule)
            return retention.look(self.refs.read(path))

    def accept_keep(self, text: str) -> Kept:
        """Let saves here apply the rule of a collection that was set elsewhere. Raises Conflict if it has none."""
        path = self.collection(collection_named(text)).path
        with self._retaining() as retention:
            retention.accept(path)
            return retention.look(self.refs.read(path))

    def kept(self, text: str, rule: str | None = None) -> Kept:
        """The rule of a collection, or another one to try, and what it would delete. Nothing is deleted."""
        with self._retaining() as retention:
            return retention.look(self.collection(collection_named(text)), rule)

    def retain(self, state: State) -> tuple[int, ...]:
        """Apply the rule of a collection after a save. Returns the numbers of the deleted versions.

        Raises no error of the store, because the save before it is done: it warns instead.
        """
        if state.keep is None:
            return ()
        try:
            with self._retaining() as retention:
                return tuple(verdict.version["number"] for verdict in retention.apply(state))
        except ArtstoreError as error:
            warn_caller(f"the rule '{state.keep}' of {state.path.name} was not applied: {error}")
            return ()

    # -- versions that several processes put together --

    def drop(self, text: str, upsert: str) -> State:
        """Drop an unfinished version, with all its parts. Raises NotFound, with similar ids in the hint."""
        with self._changing() as changes:
            return changes.drop(text, upsert)

    def finish(self, text: str, upsert: str, properties: Properties | None = None) -> Saved:
        """Make a version of all parts that were added under an id. Raises NotFound if there are none."""
        state = self.collection(collection_named(text))
        with self.draft() as draft:
            saved = draft.save(state.path, properties=properties, upsert=upsert)
        self.automations.changes_made()
        return saved._replace(deleted=self.retain(saved.collection))

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
