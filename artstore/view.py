"""A view of a repository, which also restores and maintains. It may be here, or a remote."""

from __future__ import annotations

import os
from contextlib import closing, nullcontext
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from artstore.backends.homes import hub_cache_folder
from artstore.backends.storage import FolderStorage
from artstore.domain.digest import Digest
from artstore.domain.selection import EVERYTHING, Selection, select
from artstore.errors import Damage, InvalidValue, NotFound
from artstore.looking import Looking
from artstore.operations.finding.lookup import Version, unless_deleted
from artstore.operations.restoring.options import PLAIN, Restore
from artstore.progress import Monitor
from artstore.store import settings
from artstore.store.objects import ObjectStore
from artstore.store.settings import Settings

if TYPE_CHECKING:  # each is loaded when it is called, so that a command only loads the operations that it needs
    from artstore.operations.restoring.archive import Archived, ArchiveKind
    from artstore.operations.restoring.checkout import CheckedOut
    from artstore.operations.restoring.verify import Verified
    from artstore.operations.upkeep.collect import Collected
    from artstore.operations.upkeep.fsck import Report
    from artstore.operations.upkeep.packing import Packing
    from artstore.operations.upkeep.repair import Elsewhere
    from artstore.operations.upkeep.usage import Usage, VersionUsage


class View(Looking):
    """A handle on a repository, here or at a remote, for everything that doesn't change its versions.

    An open handle is cheap, and holds no lock. Only one thread at a time may use it. `view_of` opens one for a remote.

    In the examples, `repository` is a new repository, and the working folder holds `dataset/train.csv` with the
    line `1,2`.
    """

    def get(self, found: Version, root: str | None = None, how: Restore = PLAIN) -> CheckedOut:
        """Restore a version's files to a folder. Every byte is checked.

        Files that are right already stay untouched. If the folder doesn't exist, it appears whole.

        Args:
            root: The folder. The default is `./artifacts/<name>-vN`; a link has its source's. A new `./artifacts` is
                kept out of git.
            how: Which files, and what to do with files that are in the way: see `Restore`.

        Raises:
            Refused: The folder holds files that no version has, and `how.force` is False.
            MissingReference: The bytes of a reference are gone.

        >>> saved = repository.put("dataset", "data")
        >>> repository.get(repository.find("data"), "copy").files
        1
        """
        from artstore.operations.restoring.checkout import Checkout
        from artstore.operations.restoring.downloads import kept_out_of_git

        target = root or self.download_folder(found)
        self.fill(found, how.selection, monitor=how.monitor)
        with unless_deleted(self.refs, found), nullcontext() if root else kept_out_of_git(os.path.dirname(target)):
            return Checkout(self.objects, found.tree, how).run(target)

    def get_into_hub_cache(self, found: Version, cache: str | None = None, how: Restore = PLAIN) -> CheckedOut:
        """Restore a version into a cache of Hugging Face's libraries, where they find it without a network.

        Args:
            cache: The folder of the cache. The default is theirs: `$HF_HUB_CACHE`, or `~/.cache/huggingface/hub`.

        >>> saved = repository.put("dataset", "data", type="dataset")
        >>> repository.get_into_hub_cache(repository.find("data"), "hub").written
        1
        """
        from artstore.operations.restoring.hubcache import lay_out

        self.fill(found, how.selection, monitor=how.monitor)
        with unless_deleted(self.refs, found):
            return lay_out(self.objects, found, cache or hub_cache_folder(), how)

    def export(
        self,
        found: Version,
        out: BinaryIO,
        kind: ArchiveKind,
        *,
        selection: Selection = EVERYTHING,
        monitor: Monitor | None = None,
    ) -> Archived:
        """Write a version's files to `out`, as a tar or zip. Every byte is checked.

        The archive of a version has the same bytes each time. `out` need not be seekable.

        >>> import io
        >>> saved = repository.put("dataset", "data")
        >>> repository.export(repository.find("data"), io.BytesIO(), "tar").files
        1
        """
        from artstore.operations.restoring.archive import write_archive

        self.fill(found, selection, monitor=monitor)
        with unless_deleted(self.refs, found):
            entries = select(found.tree, self.objects.read_tree, selection)
            shown = found.expected_by(monitor) if selection.everything else monitor or Monitor()
            return write_archive(kind, out, entries, self.objects, self.open, shown)

    def download_folder(self, found: Version, *, numbered: bool = True) -> str:
        """The folder to which a version is restored by default: with `numbered`, its own. A link has its source's."""
        path, number = self.lookup.saved_as(found)
        return settings.download_folder(path.name + (f"-v{number}" if numbered else ""), self.storage.root)

    def verify(self, found: Version, root: str | None = None, *, monitor: Monitor | None = None) -> Verified:
        """Compare a folder with a version by content: every file is read. Raises NotFound if there is no such folder.

        >>> saved = repository.put("dataset", "data")
        >>> repository.verify(repository.find("data"), "dataset").ok
        True
        """
        from artstore.operations.restoring.verify import Verifier

        verifier = Verifier(self.objects, monitor=found.expected_by(monitor))
        return verifier.run(found.tree, root or self.download_folder(found))

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
        """Delete data that no live version uses.

        Args:
            now: Delete it now. Without `now`, it waits in the trash for a grace period, which the settings give.
            dry_run: Change nothing. The result says what would be freed.
            abandon: A transaction to remove, as if its process were dead.
            force: Also abandon a transaction whose process is alive on this host.

        Raises:
            InvalidValue: `now` on a network file system.
            Refused: The process of the transaction to abandon is alive on this host.
            Damage: A log, version or tree can't be read. Then nothing was deleted.

        >>> saved = repository.put("dataset", "data")
        >>> deleted = repository.delete("data:v0")
        >>> repository.gc(now=True).freed_bytes > 0
        True
        """
        from artstore.operations.upkeep.automatic import end_packer
        from artstore.operations.upkeep.collect import abandon_transaction, collect, foresee
        from artstore.operations.upkeep.merge import maintenance_lock, merge

        self._may("gc")
        objects = self.store.maintained()
        if now and not self.storage.coherent:
            raise InvalidValue(
                "gc --now is refused on a network file system: other hosts may still use old listings",
                hint="run gc without --now",
            )
        if abandon is not None:
            abandon_transaction(self.storage, abandon, force=force, dry_run=dry_run)
        # For a remote, which others use too, the user's own setting of the grace period doesn't count.
        settings = self.settings if self.objects.here is not None else Settings(None)
        if not dry_run:
            end_packer(self.storage)
        grace = 0.0 if now else settings.grace(self.storage.local)
        with maintenance_lock(self.storage):
            act = foresee if dry_run else collect
            done = act(objects, self.refs, self.runs, grace=grace, monitor=monitor or Monitor())
            if self.objects.here is None and not dry_run:
                merge(objects)
            return done

    def pack(self, *, dry_run: bool = False, monitor: Monitor | None = None) -> Packing:
        """Store blobs smaller. Their digests stay.

        Large ones are compressed, and segments that several have are stored once. Small ones are compressed together
        with their neighbours. All are read back from the disk before what had them is removed. It needs free space for
        one pack: 256 MiB, or the largest blob. Reading, saving and gc may go on meanwhile.

        Args:
            dry_run: Change nothing. The result says what would be packed, by samples.

        Raises:
            Damage: There are large blobs, and a log, version or tree can't be read. Then nothing was packed.
            NoSpace: There is no space for a pack. What was packed before stays so.

        >>> saved = repository.put("dataset", "data")
        >>> repository.pack().blobs
        0
        """
        from artstore.operations.upkeep.automatic import end_packer, forget_kills
        from artstore.operations.upkeep.merge import maintenance_lock
        from artstore.operations.upkeep.packing import Packer

        self._may("gc")
        packer = Packer(self.store.maintained(), self.refs, self.runs, monitor or Monitor())
        if dry_run:
            return packer.foresee()
        end_packer(self.storage)
        with maintenance_lock(self.storage):
            done = packer.run()
        forget_kills(self.storage)
        return done

    def fsck(self, *, quick: bool = False, repair: bool = False, monitor: Monitor | None = None) -> Report:
        """Check that everything that should be stored is stored, and right.

        Args:
            quick: Don't hash blobs.
            repair: Look for lost objects in bad/, in folders that were saved or restored, and in other repositories,
                and store them again.

        >>> saved = repository.put("dataset", "data")
        >>> repository.fsck().problems
        []
        """
        from artstore.operations.upkeep.fsck import Fsck

        objects, shown = self.store.maintained(), monitor or Monitor()
        of_all = objects, self.refs, self.runs
        check = partial(Fsck, *of_all, promised=self._promised, gone=self._gone, monitor=shown)
        if not repair:
            return check(quick=quick, doubted=set()).run()
        from artstore.operations.upkeep.merge import maintenance_lock
        from artstore.operations.upkeep.repair import Repair

        for operation in ("write", "gc"):
            self._may(operation)
        with maintenance_lock(self.storage):
            return Repair(objects, self.refs, self._elsewhere(), shown).run(check, quick=quick)

    def _elsewhere(self) -> list[Elsewhere]:
        """Other repositories that may hold objects that were lost here."""
        from artstore.operations.upkeep.repair import Elsewhere

        asking = self.asking
        return [] if asking is None else [Elsewhere("the repository here", lambda: closing(ObjectStore(asking)))]

    def _promised(self) -> set[Digest]:
        """The blobs that may be absent, because a remote promised them: none."""
        return set()

    def usage(self, *, damaged: list[Damage] | None = None) -> Usage:
        """Measure the disk use. Cost: a listing of all files, and reading all collections and runs.

        Args:
            damaged: If a log can't be read, its error is added here. With None it is raised.

        >>> saved = repository.put("dataset", "data")
        >>> repository.usage().version_bytes
        4
        """
        from artstore.operations.upkeep.usage import usage

        return usage(self.store.maintained(), self.collections(damaged=damaged), self.runs, damaged)

    def usage_of(self, found: Version, *, monitor: Monitor | None = None) -> VersionUsage:
        """Measure the disk use of a version: what it takes, and what of that others have too.

        Cost: the trees of all versions are read, each once. Raises Damage if one can't be read.

        >>> saved = repository.put("dataset", "data")
        >>> repository.usage_of(repository.find("data")).shared_bytes
        0
        """
        from artstore.operations.upkeep.usage import usage_of

        objects = self.store.maintained()
        return usage_of(objects, self.refs, self.runs, found.state.path.folder, found.version, monitor or Monitor())


def view_of(place: str, here: FolderStorage | None, *, writing: bool = False, given: bool = True) -> View:
    """Open a view of the repository at a path or URL, or of a remote.

    Args:
        place: A path, a URL, or the name of a remote of the repository `here`.
        here: The repository here; None if there is none.
        writing: For maintenance: damage is noted there.
        given: The user has named a place that isn't a remote's name, and not a file: see `open_remote`.

    Raises:
        NotFound: There is no repository.
        Conflict: Another repository is at the remote's place than the last time.

    >>> saved = repository.put("dataset", "data")
    >>> with view_of(".artifacts", None) as view:
    ...     view.find("data").name
    'data:v0'
    """
    from artstore.sync.notes import Tracking
    from artstore.sync.place import check_identity, open_remote, require_remote

    settings = Settings(here.root if here is not None else None)
    name = place if here is not None and place in settings.remotes() else None
    try:
        url, given = (require_remote(settings, name), False) if name else (place, given)
        remote = open_remote(url, settings, here=here, notes=writing, given=given, looking=True)
    except NotFound:
        if name is None and "/" not in place and settings.remotes():
            require_remote(settings, place, "a repository")
        raise
    view = View(remote, settings)
    view.asking = here
    if name is not None and here is not None:
        check_identity(remote, tracking := Tracking(here, name))
        view._gone = partial(tracking.gone, remote.storage)
    return view
