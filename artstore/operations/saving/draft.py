"""Drafts: what is being put together before it is a version, and the save that makes it one."""

import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from artstore.backends.files import hash_file, open_regular
from artstore.domain.builder import TreeBuilder
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import Path, State, VersionState, digest_of_state, id_of_state
from artstore.domain.copies import refuse_mixture
from artstore.domain.digest import BLOB, TREE, VERSION, Digest
from artstore.domain.ignore import Filter
from artstore.domain.names import check_type, is_protected, parse_path, printable
from artstore.domain.properties import PROPERTIES, Properties, property_digests, undone
from artstore.domain.tree import (
    DIRECTORY,
    EMPTY,
    EXECUTABLE,
    FILE,
    PART,
    REFERENCE,
    Entry,
    Folder,
    decode_tree,
    tree_digest,
)
from artstore.domain.upserts import Part, joined, no_upsert, parts_of
from artstore.domain.version import Version, record_of, version_id
from artstore.domain.wording import typed
from artstore.errors import (
    ArtstoreError,
    Conflict,
    InvalidValue,
    MissingObject,
    NotFound,
    SourceError,
)
from artstore.operations.saving.properties import StoredProperties
from artstore.operations.saving.scan import Scanner
from artstore.progress import Monitor
from artstore.store.objects import ObjectStore
from artstore.store.packs import LARGE
from artstore.store.refs import Refs
from artstore.store.statcache import StatCache
from artstore.store.transaction import Transaction

if TYPE_CHECKING:
    from artstore.backends.references import Target


class Saved(NamedTuple):
    path: Path
    id: str
    number: int
    digest: str
    size: int
    files: int
    is_new: bool
    """False when the content is that of the latest version, which then got the aliases, tags and properties"""
    new_bytes: int
    new_objects: int
    changed: tuple[str, ...]
    """which properties (aliases, tags, metadata, description) of a version that existed were changed"""
    left_out: tuple[str, ...]
    """protected folders (.git, .artifacts) that were not added"""
    collection: State
    """as it is after the save"""


class Draft:
    """Owns a transaction from the start: bytes that are added are in the store's own form at once. Close it, saved or
    not. For one thread at a time, and for the process that began it.
    """

    def __init__(
        self,
        objects: ObjectStore,
        refs: Refs,
        monitor: Monitor | None = None,
    ) -> None:
        if objects.here is None:
            raise InvalidValue(f"{printable(objects.storage.root)} is a remote: save in a repository, and push")
        self._objects = objects
        self._storage = objects.here
        self._refs = refs
        self._monitor = monitor or Monitor()
        self._caches: list[tuple[StatCache, Digest | None]] = []
        self._bases: set[tuple[Path, str]] = set()
        self._parents: set[Digest] = set()
        self._later: dict[tuple[bytes, ...], tuple[str, Digest]] = {}
        self._left_out: list[str] = []
        self._read: State | None = None
        """the collection as which the last folder was stored before"""
        self._recovered: set[Digest] = set()
        """trees below which every object was found: versions share them"""
        self._tx = Transaction(objects)
        self._tree = TreeBuilder(self._tx.read_tree)
        self.pid = os.getpid()

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what was not saved. In a forked child: only let go of descriptors."""
        if os.getpid() == self.pid:
            for cache, _ in self._caches:
                cache.close()
        self._tx.close()

    # -- adding --

    def add_file(
        self, path: str, name: str | bytes | None = None, *, overwrite: bool = True, later: bool = False
    ) -> Entry:
        """Add one regular file as it is now; with `later` it is hashed now and copied by the save, which fails if it
        differs then. Raises SourceError when it can't be read whole, Conflict for a path that has other content, unless
        `overwrite`.
        """
        parts = _entry_path(os.path.basename(path) if name is None else name)
        folder, base = os.path.split(os.path.abspath(path))
        if later:
            found = _hashed(path)
        else:
            cache = None
            if os.path.isfile(path) and os.path.getsize(path) >= LARGE:
                cache = StatCache(self._storage, os.path.join(folder, base), "file")
                self._caches.append((cache, None))
            found = Scanner(self._tx, cache, monitor=self._monitor).one_file(folder, base)
        entry = (parts[-1], *found[1:])
        self._tree.put(parts, entry, overwrite=overwrite)
        self._later.pop(parts, None)
        if later:
            self._later[parts] = os.path.join(folder, base), entry[3]
        return entry

    def add_bytes(self, data: bytes, name: str | bytes, *, executable: bool = False, overwrite: bool = True) -> Entry:
        parts = _entry_path(name)
        entry = (parts[-1], int(executable), len(data), self._tx.add_bytes(data))
        self._tree.put(parts, entry, overwrite=overwrite)
        self._later.pop(parts, None)
        return entry

    def add_references(
        self, name: str | bytes | None, targets: "Iterable[Target]", *, overwrite: bool = False
    ) -> list[tuple[bytes, Entry]]:
        """Add what references name, below `name`; (path, entry) of each. All or none: Conflict for a path that has other
        content, unless `overwrite`.
        """
        above = _entry_path(name) if name is not None else ()
        added, below = [], TreeBuilder(self._tx.read_tree)
        for target in targets:
            parts = (*above, *(_entry_path(target.path) if target.path else ()))
            entry = target.reference.entry(parts[-1])
            below.put(parts, entry, overwrite=False)
            added.append((b"/".join(parts), entry))
        self._tree.graft((), self._encoded(below), overwrite=overwrite)
        return added

    def add_entry_of(
        self, path: Path, version: VersionState, entry: Entry, name: str | bytes, *, overwrite: bool = False
    ) -> Entry:
        """Add another version's file, whose bytes are here: nothing is read or stored."""
        parts = _entry_path(name)
        self.rely_on(path, version)
        new = (parts[-1], *entry[1:])
        self._tree.put(parts, new, overwrite=overwrite)
        return new

    def staged_file(self, name: str | bytes) -> str:
        """A path in the transaction, with the last part of `name`, at which a file may be written, to be added by
        `add_staged`. Any thread may ask.
        """
        folder = self._tx.staged()
        with self._objects.storage.writing():
            os.mkdir(folder)
        return os.path.join(folder, os.fsdecode(_entry_path(name)[-1]))

    def add_staged(self, path: str, name: str | bytes, *, overwrite: bool = False) -> Entry:
        """Add a file that was written at a `staged_file` path: it is taken over, not copied, when it is large."""
        parts = _entry_path(name)
        digest, size = self._tx.add_staged(path)
        entry = (parts[-1], FILE, size, digest)
        self._tree.put(parts, entry, overwrite=overwrite)
        self._later.pop(parts, None)
        return entry

    def add_folder(
        self, path: str, name: str | bytes | None = None, *, chosen: Filter | None = None, overwrite: bool = True
    ) -> Folder:
        """Add all that a folder holds, at the root or below `name`. All or nothing: Conflict for a path that has other
        content, unless `overwrite`.

        What a later save finds unchanged by its stat isn't opened again.
        """
        root = os.path.abspath(path)
        salt = chosen.key if chosen else ""
        cache = StatCache(self._storage, root, salt)
        parts = _entry_path(name) if name is not None else ()
        base = self._base_of(cache)
        scanner = Scanner(
            self._tx, cache, base=base[2] if base else None, chosen=chosen, monitor=self._monitor, depth=len(parts)
        )
        try:
            scanned = scanner.run(root)
        except BaseException:
            cache.close()
            raise
        if base and scanned.relied_on_base:
            self._bases.add((base[0], base[1]))
        self._left_out += scanned.left_out
        self._caches.append((cache, scanned.folder.digest))
        self._tree.graft(parts, scanned.folder, overwrite=overwrite)
        return scanned.folder

    def start_from(self, path: Path, id: str) -> None:
        """Begin with the content of a live version, which becomes a parent. Nothing of it is read but its root."""
        version = self._refs.read(path).versions.get(id)
        if version is None or "deleted" in version:
            number = version["number"] if version else id[:12]
            raise NotFound(f"{path.name}:v{number} was deleted")
        self.rely_on(path, version)
        self._parents.add(id_of_state(version))
        self._tree.graft((), _folder_of(version))

    def rely_on(self, path: Path, version: VersionState) -> None:
        """Count on all of a live version: it is whole while it lives, but for damage that was noted."""
        if self._objects.damage.is_known:
            self._recover_tree(digest_of_state(version), f"{path.name}:v{version['number']}", _AGAIN)
        self._bases.add((path, version["id"]))

    def rely_on_properties(self, version: VersionState, name: str) -> None:
        """Count on the blobs that its metadata and description name. Raises MissingObject."""
        self._rely_on_blobs(property_digests(version), f"a property of {name} is gone")

    def _rely_on_blobs(self, blobs: list[Digest], message: str, hint: str | None = None) -> None:
        for blob in blobs:
            if not (self._tx.recover(BLOB, blob, 0) or self._tx.recover_large(blob)):
                raise MissingObject(message, hint=hint)

    def _base_of(self, cache: StatCache) -> tuple[Path, str, Digest] | None:
        """The live version as which this folder was stored last, whose closure is known to be whole; None without one
        or beside damage.
        """
        if not cache.note or self._objects.damage.is_known:
            return None
        names, id, packs = cache.note
        if not set(packs) <= set(self._objects.packs.fingerprint(self._storage)):
            return None  # merged, collected or tampered with: everything is looked up once, and noted anew
        path = Path(*names)
        try:
            state = self._read = self._refs.read(path)
        except ArtstoreError:
            return None
        version = state.versions.get(id)
        if version is None or "deleted" in version:
            return None
        return path, id, Digest(bytes.fromhex(version["digest"]))

    def _note(self, cache: StatCache, path: Path, id: str) -> object:
        """What `_base_of` reads the next time: the version, and the packs in which its objects were found."""
        packs = tuple(self._objects.packs.fingerprint(self._storage))
        if cache.note and cache.note[:2] == (tuple(path), id) and set(cache.note[2]) <= set(packs):
            return cache.note
        return tuple(path), id, packs

    def remove(self, name: str | bytes) -> None:
        """Take out a file or folder. Raises FileNotFoundError when there is none."""
        parts = _entry_path(name)
        if not self._tree.remove(parts):
            raise FileNotFoundError(f"there is no '{printable(b'/'.join(parts))}' in this draft")

    # -- looking --

    def entry(self, name: str | bytes) -> Entry | None:
        """The file at a path; None for a folder or nothing."""
        return self._tree.find(_entry_path(name))

    def files(self) -> Iterator[tuple[bytes, Entry]]:
        """(path, entry) of everything but folders, in the order of the tree."""
        return self._tree.files()

    def folder(self) -> Folder:
        """Digest and totals of the root tree as it is; nothing is stored."""
        return self._tree.folder(tree_digest)

    def tree(self) -> Folder:
        """The draft's root tree, encoded into the transaction."""
        return self._encoded(self._tree)

    def _encoded(self, tree: TreeBuilder) -> Folder:
        with self._objects.storage.writing():
            return tree.folder(lambda data: self._tx.add(TREE, data))

    def _merged_onto(self, latest: VersionState | None) -> Folder:
        """The root tree with what was added on top of a version's."""
        own = self.tree()
        if latest is None:
            return own
        merged = TreeBuilder(self._tx.read_tree)
        merged.graft((), _folder_of(latest))
        merged.graft((), own)
        return self._encoded(merged)

    # -- saving --

    def store_again(self, tree: Digest) -> bool:
        """Store what was added, if it is this tree, and make no version of it; whether it is."""
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
        """Make a version of what was added (`incremental`: on top of the latest version; `upsert`: with all parts that were
        added under this id), durable when this returns.

        Content equal to the latest version's (or to `any` live one's) makes no new one: it gets the aliases, tags and
        properties that differ. `origins` tell which entries are other versions'.
        """
        properties = properties or Properties()
        self._store_later()
        made: dict[str, Any] = {"parts": []}
        stored = StoredProperties(self._tx, properties, origins or {})

        def build(state: State) -> list[Change]:
            kind = _type_for(state, type)
            refuse_mixture(state, links=False)
            changes: list[Change] = []
            latest = state.latest
            if incremental and latest is not None:
                self.rely_on(state.path, latest)
                self._parents = {id_of_state(latest)}
            base = latest if incremental else None
            if upsert is None:
                root, equal = self._merged_onto(base), None
            else:
                root, equal = self._with_parts(state, upsert, writer)
                made["parts"] = state.upserts.get(upsert, [])
            made["root"] = root
            equal = equal or _equal_version(state, root, reuse)
            if equal is not None and self._has_record(equal, kind):
                id, made["version"] = equal["id"], None
            else:
                id, version = self._version(made, root, kind, run)
                if not state.exists:
                    changes.append(new_change("collection", **state.path.fields(), type=kind))
                fields = {
                    "digest": root.digest.hex(),
                    "size": root.size,
                    "files": root.files,
                    "created": version.created,
                    "run": run,
                    "parents": [parent.hex() for parent in version.parents],
                }
                changes.append(new_change("version", id=id, number=state.next, **fields))
            if upsert in state.upserts:
                changes.append(new_change("finish", upsert=upsert, id=id))
            properties_changed = stored.changes(state, id)
            made["undo"] = undone(properties_changed, state.versions.get(id, {}))
            made["id"], made["changed"] = (
                id,
                tuple(dict.fromkeys(PROPERTIES[c["kind"]].words for c in properties_changed)),
            )
            changes += properties_changed
            if changes or self._tx.new_objects:  # content of the latest version that was damaged is new, too
                self._tx.publish()
            return changes

        before = self._read if self._read is not None and self._read.path == path else None
        state = self._refs.change(path, build, read=before)
        id, root = made["id"], made["root"]
        try:
            self._tx.ensure()
            self._check_bases(root.digest, state)
        except ArtstoreError as error:
            if made["version"] is not None:
                self._withdraw(state.path, id, error, upsert, made["parts"])
            elif made["undo"]:
                self._refs.change(state.path, lambda _: made["undo"])
            raise
        number = state.versions[id]["number"]
        for cache, tree in self._caches:
            cache.save(self._note(cache, state.path, id) if tree == root.digest else cache.note)
        self._caches = []
        return Saved(
            state.path, id, number, root.digest.hex(), root.size, root.files, made["version"] is not None,
            self._tx.new_bytes, self._tx.new_objects, made["changed"], tuple(self._left_out), state,
        )  # fmt: skip

    # -- parts of a version that others add to --

    def save_part(
        self, path: Path, upsert: str, *, type: str | None = None, writer: str, run: str | None = None
    ) -> State:
        """Add what is here to a version that is not finished; durable when this returns. Adding the same once more changes
        nothing. Raises Conflict, naming both writers, for a path that another part has with other content.
        """
        self._store_later()
        root = self.tree()
        own, added = Part(root, writer), False

        def build(state: State) -> list[Change]:
            nonlocal added
            kind = _type_for(state, type)
            refuse_mixture(state, links=False)
            others = state.upserts.get(upsert, [])
            added = all(part["tree"] != root.digest.hex() for part in others)
            if not added:
                if self._tx.new_objects:  # damaged, or collected, since it was added before
                    self._tx.publish()
                return []
            joined([*parts_of(others), own], self._tx.read_tree)
            self._tx.publish()
            named = [] if state.exists else [new_change("collection", **state.path.fields(), type=kind)]
            part = {"tree": root.digest.hex(), "size": root.size, "files": root.files, "writer": writer, "run": run}
            return [*named, new_change("part", upsert=upsert, **part)]

        state = self._refs.change(path, build)
        try:
            self._tx.ensure()
            self._check_bases(root.digest, state)
        except ArtstoreError:
            if added:
                self._refs.change(state.path, lambda _: [new_change("drop", upsert=upsert, tree=root.digest.hex())])
            raise
        return state

    def _with_parts(self, state: State, upsert: str, writer: str) -> tuple[Folder, VersionState | None]:
        """The root tree of all parts and what is here. Where they were finished already, with this: that version's, and
        the version.
        """
        parts, own = parts_of(state.upserts.get(upsert, [])), self.tree()
        if not parts:
            before = state.versions.get(state.finished.get(upsert, ""))
            if before is not None and "deleted" not in before and self._is_in(own, _folder_of(before)):
                return _folder_of(before), before
            if own.digest == EMPTY:
                raise no_upsert(state, upsert)
        return self._encoded(joined([*parts, Part(own, writer)], self._tx.read_tree)), None

    def _is_in(self, own: Folder, whole: Folder) -> bool:
        try:
            union = joined([Part(whole, ""), Part(own, "")], self._tx.read_tree)
        except Conflict:
            return False
        return union.folder(tree_digest).digest == whole.digest

    def _version(self, made: dict[str, Any], root: Folder, type: str, run: str | None) -> tuple[str, Version]:
        """One record for this content, whatever races it loses."""
        parents = tuple(sorted(self._parents))
        if made.get("of") != (root, parents):
            version = Version(root.digest, root.size, root.files, type, time.time_ns(), run, parents)
            data = version.encode()
            self._tx.add(VERSION, data)
            made["of"], made["record"] = (root, parents), (version_id(data).hex(), version)
        made["version"] = made["record"][1]
        record: tuple[str, Version] = made["record"]
        return record

    def _store_later(self) -> None:
        """Copy the files that were hashed when they were added, where they are still in the tree."""
        for parts, (path, digest) in self._later.items():
            entry = self._tree.find(parts)
            if entry is None or entry[3] != digest:
                continue
            there = self._tx.rely(BLOB, digest, entry[2])
            now = _hashed(path) if there else Scanner(self._tx, monitor=self._monitor).one_file(*os.path.split(path))
            if now[2:] != entry[2:]:
                raise SourceError(
                    f"{printable(path)} was changed after it was added",
                    problems=[(path, "it was changed after it was added")],
                    hint="add it again, or add it with policy='mutable'",
                )
        self._later = {}

    def _has_record(self, version: VersionState, type: str) -> bool:
        """Whether a version's record is stored; one that was lost is made again from what its log entry says."""
        id = id_of_state(version)
        if self._tx.rely(VERSION, id, 0):
            return True
        data = record_of(version, type)
        if version_id(data) != id:
            return False
        self._tx.add(VERSION, data)
        return True

    def _check_bases(self, tree: Digest, state: State) -> None:
        """Trees taken over from a live version are whole while it is live; if it was deleted meanwhile, each object is
        looked for. A collection is read anew, unless nothing came behind the `state` that this save left.
        """
        for path, id in self._bases:
            now = state if path == state.path and self._refs.is_current(state) else self._refs.read(path)
            version = now.versions.get(id)
            if version is None or "deleted" in version:
                if not self._tx.recover(TREE, tree, 0):
                    raise MissingObject(f"tree {tree.hex()[:12]} was collected while this relied on it", hint=_AGAIN)
                self._recover_tree(tree, f"tree {tree.hex()[:12]}", _AGAIN)
                self._tx.ensure()
                return

    # -- bringing back --

    def recover(self, id: Digest, tree: Digest, properties: list[Digest], name: str) -> None:
        """Rely on every object of a deleted version, brought back from the trash where needed. Raises MissingObject
        when some is gone.
        """
        hint = "part of it was collected; it can only come from another copy"
        if not (self._tx.recover(VERSION, id, 0) and self._tx.recover(TREE, tree, 0)):
            raise MissingObject(f"{name} can't be brought back", hint=hint)
        self._recover_tree(tree, name, hint)
        self._rely_on_blobs(properties, f"{name} can't be brought back: a property of it is gone", hint)

    def _recover_tree(self, tree: Digest, name: str, hint: str) -> None:
        for entry in decode_tree(self._objects.read(TREE, tree), tree):
            kind = TREE if entry[1] in (DIRECTORY, PART) else BLOB
            if entry[1] == REFERENCE:
                continue
            if not self._tx.recover(kind, entry[3], entry[2]):
                raise MissingObject(f"{name} can't be brought back: '{printable(entry[0])}' is gone", hint=hint)
            if kind == TREE and entry[3] not in self._recovered:
                self._recover_tree(entry[3], name, hint)
                self._recovered.add(entry[3])

    def store(self, properties: Properties) -> StoredProperties:
        """Properties to set on a version that exists: their long values go into the transaction."""
        return StoredProperties(self._tx, properties)

    def publish(self) -> None:
        self._tx.publish()

    def ensure(self, path: Path, *, withdraw: list[str], undo: list[Change]) -> None:
        """The look after the commit; when something is gone after all, these versions are deleted again and these
        changes made.
        """
        try:
            self._tx.ensure()
        except ArtstoreError as error:
            for id in withdraw:
                self._withdraw(path, id, error)
            if undo:
                self._refs.change(path, lambda state: undo)
            raise

    def ensure_copied(self, source: Path, versions: list[VersionState], target: Path) -> None:
        """The look after these versions were copied: of one that was deleted meanwhile every object is looked for."""
        try:
            state = self._refs.read(source)
            for version in versions:
                now = state.versions.get(version["id"])
                if now is None or "deleted" in now:
                    name = f"{source.name}:v{version['number']}"
                    self.recover(id_of_state(version), digest_of_state(version), property_digests(version), name)
            self._tx.ensure()
        except ArtstoreError as error:
            for version in versions:
                self._withdraw(target, version["id"], error)
            raise

    def _withdraw(
        self, path: Path, id: str, error: ArtstoreError, upsert: str | None = None, parts: Iterable[dict[str, Any]] = ()
    ) -> None:
        """Take back a version that can't be acknowledged. The parts of an upsert that it was made of wait again, also beside
        one that was added meanwhile and contradicts them: the next finish tells.
        """

        def build(state: State) -> list[Change]:
            version = state.versions.get(id)
            if version is None or "deleted" in version:
                return []
            waiting = {part["tree"] for part in state.upserts.get(upsert or "", [])}
            again = [part for part in parts if part["tree"] not in waiting]
            fields = ("tree", "size", "files", "writer", "run")
            return [
                new_change("withdraw", id=id, reason=str(error)),
                *(new_change("part", upsert=upsert, **{field: part[field] for field in fields}) for part in again),
            ]

        self._refs.change(path, build)


_AGAIN = "run the same command again"


def _equal_version(state: State, root: Folder, reuse: str) -> VersionState | None:
    """The live version with this content that a save would repeat."""
    candidates = [state.latest] if reuse == "latest" else reversed(state.live())
    return next((version for version in candidates if version and version["digest"] == root.digest.hex()), None)


def _folder_of(version: VersionState) -> Folder:
    return Folder(digest_of_state(version), version["size"], version["files"])


def _hashed(path: str) -> Entry:
    """The entry of a file as it is now, without a copy."""
    try:
        fd = open_regular(path, follow=True)
        try:
            digest, size = hash_file(fd)
            executable = os.fstat(fd).st_mode & 0o100
        finally:
            os.close(fd)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SourceError(f"cannot read {printable(path)}: {reason}", problems=[(path, reason)]) from error
    return (b"", EXECUTABLE if executable else FILE, size, digest)


def _type_for(state: State, type: str | None) -> str:
    if not state.exists:
        return check_type("artifact" if type is None else type)
    if type is not None and type != state.type:
        name = state.path.name
        raise Conflict(
            f"Artifact '{name}' already exists with type '{state.type}'; cannot save it with type '{type}'",
            hint=f"use another name or that type; {typed('edit --collection --type', type, name)} changes it",
        )
    return state.type


def _entry_path(name: str | bytes) -> tuple[bytes, ...]:
    parts = parse_path(name)
    for part in parts:
        if is_protected(part):
            raise InvalidValue(
                f"Invalid artifact path: '{printable(b'/'.join(parts))}' lies in a protected folder ({printable(part)})"
            )
    return parts
