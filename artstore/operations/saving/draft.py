"""Drafts: files that are gathered for one version, and the save that makes the version."""

import copy
import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from artstore.backends.files import closing_fd, hash_file, open_regular
from artstore.domain.builder import TreeBuilder
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import Path, State, VersionState, id_of_state, is_live
from artstore.domain.copies import refuse_mixture
from artstore.domain.digest import BLOB, Digest, from_hex
from artstore.domain.extras import Extras, extras_of
from artstore.domain.ignore import PathFilter
from artstore.domain.names import is_protected, parse_path, printable
from artstore.domain.properties import Properties
from artstore.domain.tree import EMPTY, EXECUTABLE, FILE, Entry, Folder, Row, tree_digest
from artstore.domain.upserts import UpsertPart, joined, parts_of, told_part
from artstore.domain.wording import human
from artstore.errors import ArtstoreError, InvalidValue, NotFound, SourceError
from artstore.operations.saving.extras import DraftExtras, stored_extras
from artstore.operations.saving.planning import Content, Plan, Planner, SaveOptions, encoded, folder_of, type_for
from artstore.operations.saving.properties import StoredProperties
from artstore.operations.saving.reliance import Reliance
from artstore.operations.saving.scan import Scanner
from artstore.progress import Monitor
from artstore.store.objects import ObjectStore
from artstore.store.packs import LARGE
from artstore.store.refs import Refs
from artstore.store.statcache import StatCache

if TYPE_CHECKING:
    from artstore.backends.references import Target


_FELT = 64 << 20
"""Bytes that a slow disk needs a second for."""


class Saved(NamedTuple):
    """The result of a save."""

    path: Path
    id: str
    number: int
    digest: str
    """of the root tree"""
    size: int
    files: int
    is_new: bool
    """False if a version with the same content existed: it got the aliases, tags and other properties"""
    new_bytes: int
    """stored by this save"""
    new_objects: int
    changed: tuple[str, ...]
    """which properties (aliases, tags, metadata, description) of the version were changed"""
    left_out: tuple[str, ...]
    """protected folders (.git, .artifacts) that were not added"""
    collection: State
    """state of the collection after the save"""
    unmatched: tuple[str, ...] = ()
    """patterns for files to leave out that match nothing"""
    deleted: tuple[int, ...] = ()
    """numbers of the versions that the save deleted because of the collection's rule"""


class Kept(NamedTuple):
    """What a draft held: all that another draft needs to go on from it."""

    tree: Folder
    parents: frozenset[Digest]
    extras: Extras


class Draft:
    """Files that are gathered for one version. Each is stored in the draft's transaction as soon as it is added.

    Close a draft, whether it was saved or not. Only one thread at a time may use it, and only the process that
    began it.
    """

    def __init__(self, objects: ObjectStore, refs: Refs, monitor: Monitor | None = None) -> None:
        if objects.here is None:
            raise InvalidValue(f"{printable(objects.storage.root)} is a remote: save in a repository, and push")
        self._objects = objects
        self._storage = objects.here
        self._refs = refs
        self._monitor = monitor or Monitor()
        self._caches: list[tuple[StatCache, Digest | None]] = []
        """of each folder and large file that was added; with the folder's tree"""
        self._parents: set[Digest] = set()
        """ids of the versions from which the draft began"""
        self._later: dict[tuple[bytes, ...], tuple[str, Digest]] = {}
        """files that the save copies: by path in the draft, the file on disk and its digest when it was added"""
        self._extras = DraftExtras()
        self._left_out: list[str] = []
        self._read: State | None = None
        """state of the collection to which the last added folder was saved before"""
        self._reliance = Reliance(objects, refs)
        self._tx = self._reliance.transaction
        self._tree = TreeBuilder(self._tx.read_tree)
        self.pid = os.getpid()

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Discard files that were not saved. In a forked child: only close descriptors."""
        if os.getpid() == self.pid:
            for cache, _ in self._caches:
                cache.close()
        self._reliance.close()

    # -- adding --

    def add_file(
        self, path: str, name: str | bytes | None = None, *, overwrite: bool = True, later: bool = False
    ) -> Entry:
        """Add one regular file.

        Args:
            name: Its path in the draft. The default is the last part of `path`.
            overwrite: Replace other content at that path.
            later: Only hash the file now. The save copies it, and fails if it was changed meanwhile.

        Raises:
            SourceError: The file can't be read whole.
            Conflict: The path has other content, and `overwrite` is False.
        """
        parts = _entry_path(os.path.basename(path) if name is None else name)
        folder, base = os.path.split(os.path.abspath(path))
        size = os.path.getsize(path) if os.path.isfile(path) else 0
        self._monitor.expect(1, size)
        if later:
            found: Row = self._hashed(path)
        else:
            cache = None
            if size >= LARGE:
                cache = StatCache(self._storage, os.path.join(folder, base), "file")
                self._caches.append((cache, None))
            found = Scanner(self._tx, cache, monitor=self._monitor).one_file(folder, base)
        entry = Entry((parts[-1], *found[1:]))
        self._put(parts, entry, overwrite)
        if later:
            self._later[parts] = os.path.join(folder, base), entry[3]
        return entry

    def add_bytes(self, data: bytes, name: str | bytes, *, executable: bool = False, overwrite: bool = True) -> Entry:
        """Add a file with this content. Raises Conflict if the path has other content, unless `overwrite`."""
        parts = _entry_path(name)
        return self._put(parts, Entry((parts[-1], int(executable), len(data), self._tx.add_bytes(data))), overwrite)

    def _put(self, parts: tuple[bytes, ...], entry: Entry, overwrite: bool) -> Entry:
        """Put an entry into the tree, instead of a file that the save would have copied there."""
        self._tree.put(parts, entry, overwrite=overwrite)
        self._later.pop(parts, None)
        self._extras.forget(parts)
        return entry

    def add_references(
        self, name: str | bytes | None, targets: "Iterable[Target]", *, overwrite: bool = False
    ) -> list[tuple[bytes, Entry]]:
        """Add references below `name`. Returns the path and entry of each.

        Raises Conflict, and adds none, if a path has other content, unless `overwrite`.
        """
        above = _entry_path(name) if name is not None else ()
        added, below = [], TreeBuilder(self._tx.read_tree)
        for target in targets:
            parts = (*above, *(_entry_path(target.path) if target.path else ()))
            entry = target.reference.entry(parts[-1])
            below.put(parts, entry, overwrite=False)
            added.append((b"/".join(parts), entry))
        self._tree.graft((), encoded(below, self._tx), overwrite=overwrite)
        for path, _ in added:
            self._extras.forget(tuple(path.split(b"/")))
        return added

    def add_entry_of(
        self, path: Path, version: VersionState, entry: Entry, name: str | bytes, *, overwrite: bool = False
    ) -> Entry:
        """Add a file of another version. Its bytes are stored already, so nothing is read or written."""
        parts = _entry_path(name)
        self._reliance.rely_on(path, version)
        return self._put(parts, Entry((parts[-1], *entry[1:])), overwrite)

    def staged_file(self, name: str | bytes) -> str:
        """A new path in the transaction. Write a file there, then call `add_staged`. Any thread may call this.

        The path ends with the last part of `name`, because some libraries look at a file's suffix.
        """
        folder = self._tx.staged()
        with self._objects.storage.writing():
            os.mkdir(folder)
        return os.path.join(folder, os.fsdecode(_entry_path(name)[-1]))

    def add_staged(self, path: str, name: str | bytes, *, overwrite: bool = False) -> Entry:
        """Add a file that was written at a `staged_file` path. A large one is moved, not copied."""
        parts = _entry_path(name)
        self._monitor.expect(1, os.path.getsize(path))
        digest, size = self._tx.add_staged(path, partial(self._monitor.advance, 0))
        return self._put(parts, Entry((parts[-1], FILE, size, digest)), overwrite)

    def add_folder(
        self,
        path: str,
        name: str | bytes | None = None,
        *,
        chosen: PathFilter | None = None,
        overwrite: bool = True,
        inside: str | None = None,
    ) -> Folder:
        """Add all files of a folder, at the root or below `name`.

        Files whose stats did not change since the folder was last saved aren't opened. Raises Conflict, and adds
        none, if a path has other content, unless `overwrite`. Raises SourceError, with all problems, if a file can't
        be saved. So is one that a link brings from outside of the folder `inside`.
        """
        root = os.path.abspath(path)
        salt = chosen.key if chosen else ""
        cache = StatCache(self._storage, root, salt)
        parts = _entry_path(name) if name is not None else ()
        base = self._base_of(cache)
        tree, depth = base[2] if base else None, len(parts)
        scanner = Scanner(self._tx, cache, base=tree, chosen=chosen, monitor=self._monitor, depth=depth, inside=inside)
        try:
            scanned = scanner.run(root)
        except BaseException:
            cache.close()
            raise
        if base and scanned.relied_on_base:
            self._reliance.rely_on_trees(base[0], base[1])
        self._left_out += scanned.left_out
        self._caches.append((cache, scanned.folder.digest))
        self._tree.graft(parts, scanned.folder, overwrite=overwrite)
        self._extras.forget_added(parts, scanned.folder, self._tx)
        return scanned.folder

    def start_from(self, path: Path, id: str) -> None:
        """Begin with the files of a live version, which becomes a parent of the new one. Only its root tree is read."""
        version = self._refs.read(path).versions.get(id)
        if not is_live(version):
            number = version["number"] if version else id[:12]
            raise NotFound(f"{path.name}:v{number} was deleted")
        self._reliance.rely_on(path, version)
        self._parents.add(id_of_state(version))
        self._tree.graft((), folder_of(version))
        self._extras.restore(copy.deepcopy(extras_of(version, partial(self._objects.read, BLOB))))

    def go_on_from(self, kept: Kept) -> None:
        """Begin with the files of another draft. Raises MissingObject if a collector took one since it was closed."""
        if kept.tree.files or kept.tree.digest != EMPTY:
            self._reliance.recover_tree(kept.tree.digest, "the draft")
        self._parents |= kept.parents
        self._tree.graft((), kept.tree)
        self._extras.restore(kept.extras)

    def _base_of(self, cache: StatCache) -> tuple[Path, str, Digest] | None:
        """The live version that this folder was last saved as: its collection, id and root tree.

        None if not all of its objects are known to be stored, as in a repository with noted damage.
        """
        if not cache.note or self._objects.damage.is_known:
            return None
        names, id, packs = cache.note
        if not set(packs) <= set(self._objects.packs.fingerprint(self._storage)):
            return None  # packs were merged, collected or tampered with: look up every object once, and note them again
        path = Path(*names)
        try:
            state = self._read = self._refs.read(path)
        except ArtstoreError:
            return None
        version = state.versions.get(id)
        return (path, id, from_hex(version["digest"])) if is_live(version) else None

    def _note(self, cache: StatCache, path: Path, id: str) -> object:
        """The note that `_base_of` reads next time: the version, and the packs that hold its objects."""
        packs = tuple(self._objects.packs.fingerprint(self._storage))
        if cache.note and cache.note[:2] == (tuple(path), id) and set(cache.note[2]) <= set(packs):
            return cache.note
        return tuple(path), id, packs

    def remove(self, name: str | bytes) -> None:
        """Remove a file or folder. Raises FileNotFoundError if there is none."""
        parts = _entry_path(name)
        is_file = self._tree.find(parts) is not None
        if not self._tree.remove(parts):
            raise FileNotFoundError(f"there is no '{printable(b'/'.join(parts))}' in this draft")
        forget = self._extras.forget if is_file else self._extras.forget_below
        forget(parts)

    # -- looking --

    def entry(self, name: str | bytes) -> Entry | None:
        """The file or reference at a path. None if there is none, or a folder."""
        entry = self._tree.find(_entry_path(name))
        return None if entry is None else Entry(entry)

    def files(self) -> Iterator[tuple[bytes, Entry]]:
        """Path and entry of each file and reference, in the order of the tree."""
        return ((path, Entry(entry)) for path, entry in self._tree.files())

    def extra(self, name: str | bytes) -> dict[str, Any]:
        """The keys of an entry, to be edited: what they are when the draft is saved is stored with the version."""
        return self._extras.of(_entry_path(name))

    def extras(self) -> Extras:
        """The keys of all entries that have any, as JSON values. Raises InvalidType if one has no JSON form."""
        return self._extras.found_in(self._tree)

    def folder(self) -> Folder:
        """The digest and totals of the root tree. Nothing is stored."""
        return self._tree.folder(tree_digest)

    def tree(self) -> Folder:
        """Add the draft's trees to the transaction. Returns the root tree."""
        return encoded(self._tree, self._tx)

    # -- saving --

    def keep(self) -> "Kept":
        """Store the added files without making a version, for another draft that goes on from them."""
        self._store_later()
        tree = self.tree()
        self._tx.publish()
        self._tx.ensure()
        return Kept(tree, frozenset(self._parents), self.extras())

    def store_again(self, tree: Digest) -> bool:
        """Store the added files without making a version, but only if they are exactly the files of this tree.

        Returns whether they are.
        """
        self._store_later()
        if self.tree().digest != tree:
            return False
        self._tx.publish()
        self._tx.ensure()
        return True

    def save(
        self,
        path: Path,
        *,
        type: str | None = None,
        properties: Properties | None = None,
        run: str | None = None,
        incremental: bool = False,
        upsert: str | None = None,
        writer: str = "this process",
        origins: dict[str, dict[str, Any]] | None = None,
        reuse: Literal["latest", "any"] = "latest",
    ) -> Saved:
        """Make a version of the added files. It is safe on disk when this returns.

        If the latest version has the same content, no new version is made: the latest one gets the aliases, tags and
        other properties that differ.

        Args:
            type: Of the collection. The default is the type that it has, or "artifact" for a new one.
            run: The run that makes the version.
            incremental: Add the files to those of the latest version. Not together with `upsert`.
            upsert: Add the files to the parts that were added under this id.
            writer: The name of the process that adds them to the upsert, for messages.
            origins: Which entries came from other versions.
            reuse: Which version may be reused if it has the same content: the latest, or any live one.

        Raises:
            Conflict: The collection has another type, or the parts of the upsert contradict each other.
            SourceError: A file that was added with `later` was changed.
            MissingObject: A collector removed an object that the draft relied on. The save was taken back.
        """
        # 1. Put everything that the version needs into the transaction.
        self._store_later()
        stored = StoredProperties(self._tx, properties or Properties(), origins or {})
        options = SaveOptions(type, run, incremental, upsert, writer, reuse)
        own = Content(self.tree(), self.extras())
        planner = Planner(self._reliance, own, tuple(sorted(self._parents)), stored, options)
        plans: list[Plan] = []  # one for each try. The last one was carried out.

        def build(state: State) -> list[Change]:
            plans.append(planner.plan(state))
            if plans[-1].changes or self._tx.new_objects:  # damaged content of the latest version is stored again
                self._publish()
            return plans[-1].changes

        # 2. Plan the save, publish the objects, append the log entry: in this order, so that an entry never names an
        #    object that is not stored. If another writer appends first, all three are done again. Then look again for
        #    all objects: a collector may have read the log before the entry was in it.
        before = self._read if self._read is not None and self._read.path == path else None
        rely = self._reliance
        state = rely.change(path, build, lambda now: rely.ensure_saved(plans[-1].root.digest, now), read=before)
        plan = plans[-1]
        # 3. Note the stats of the added folders, now that a version holds their files.
        self._save_caches(plan, state.path)
        number, root = state.versions[plan.id]["number"], plan.root
        return Saved(
            state.path, plan.id, number, root.digest.hex(), root.size, root.files, plan.is_new,
            self._tx.new_bytes, self._tx.new_objects, plan.changed, tuple(self._left_out), state,
        )  # fmt: skip

    def _publish(self) -> None:
        """Publish what was added. The disk may need long to write it, and reports nothing meanwhile."""
        size = self._tx.new_bytes
        with self._monitor.waiting(f"writing {human(size)} to the disk") if size > _FELT else nullcontext():
            self._tx.publish()

    def _save_caches(self, plan: Plan, path: Path) -> None:
        for cache, tree in self._caches:
            cache.save(self._note(cache, path, plan.id) if tree == plan.root.digest else cache.note)
        self._caches = []

    # -- parts of an upsert --

    def save_part(
        self, path: Path, upsert: str, *, type: str | None = None, writer: str, run: str | None = None
    ) -> State:
        """Add the files to an unfinished version, as a part. It is safe on disk when this returns.

        Adding the same part again changes nothing. Raises Conflict, naming both writers, if another part has other
        content at a path.
        """
        self._store_later()
        root = self.tree()
        own = UpsertPart(root, writer)
        extras = stored_extras(self._tx, self.extras())

        def build(state: State) -> list[Change]:
            made = self._part_changes(state, upsert, own, extras, type=type, run=run)
            if made or self._tx.new_objects:  # new objects of a known part: some were damaged or collected
                self._publish()
            return made

        return self._reliance.change(path, build, lambda now: self._reliance.ensure_saved(root.digest, now))

    def _part_changes(
        self, state: State, upsert: str, own: UpsertPart, extras: str | None, *, type: str | None, run: str | None
    ) -> list[Change]:
        """The changes that add a part to an upsert. An empty list if the upsert has the same part already.

        `extras` is the blob with those of its entries.
        """
        kind = type_for(state, type)
        refuse_mixture(state, links=False)
        others = state.upserts.get(upsert, [])
        root, writer = own
        tree = root.digest.hex()
        if same := [part for part in others if part["tree"] == tree]:
            told = extras in (None, same[0].get("extras"))
            return [] if told else [new_change("part extras", upsert=upsert, tree=tree, blob=extras)]
        joined([*parts_of(others), own], self._tx.read_tree)
        named = [] if state.exists else [new_change("collection", **state.path.fields(), type=kind)]
        part = {"tree": tree, "size": root.size, "files": root.files, "writer": writer, "run": run, "extras": extras}
        return [*named, *told_part(upsert, part)]

    def _store_later(self) -> None:
        """Copy the files that were only hashed when they were added, if they are still in the draft."""
        found = [(self._tree.find(parts), path, digest) for parts, (path, digest) in self._later.items()]
        todo = [(entry, path) for entry, path, digest in found if entry is not None and entry[3] == digest]
        if todo:
            self._monitor.expect(len(todo), sum(entry[2] for entry, _ in todo))
        for entry, path in todo:
            if self._tx.rely(BLOB, entry[3], entry[2]):
                now = self._hashed(path)
            else:
                now = Scanner(self._tx, monitor=self._monitor).one_file(*os.path.split(path))
            if now[2:] != entry[2:]:
                problems = [(path, "it was changed after it was added")]
                hint = "add it again, or add it with policy='mutable'"
                raise SourceError(f"{printable(path)} was changed after it was added", problems=problems, hint=hint)
        self._later = {}

    def _hashed(self, path: str) -> Row:
        """The entry of a file, hashed but not copied."""
        try:
            with closing_fd(open_regular(path, follow=True)) as fd:
                digest, size = hash_file(fd, partial(self._monitor.advance, 0))
                executable = os.fstat(fd).st_mode & 0o100
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SourceError(f"cannot read {printable(path)}: {reason}", problems=[(path, reason)]) from error
        return (b"", EXECUTABLE if executable else FILE, size, digest)


def _entry_path(name: str | bytes) -> tuple[bytes, ...]:
    parts = parse_path(name)
    for part in parts:
        if is_protected(part):
            path = printable(b"/".join(parts))
            raise InvalidValue(f"Invalid artifact path: '{path}' is in a protected folder ({printable(part)})")
    return parts
