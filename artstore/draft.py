"""Drafts: what is being put together before it is a version, and the save that makes it one."""

import os
import time
from typing import Any, NamedTuple, Union

from artstore.codec import encode_json
from artstore.digest import BLOB, TREE, VERSION, Digest
from artstore.errors import ArtstoreError, Conflict, InvalidValue, MissingObject, storage_error
from artstore.ignore import Filter
from artstore.logs import Change, new_change
from artstore.metadata import LONG
from artstore.names import check_type, is_protected, parse_path, printable
from artstore.objects import ObjectStore
from artstore.progress import Monitor
from artstore.refs import Refs
from artstore.scan import Scanner
from artstore.statcache import StatCache
from artstore.state import Path, State, VersionState, digest_of_state, id_of_state
from artstore.transaction import Transaction
from artstore.tree import DIRECTORY, PART, REFERENCE, Entry, Folder, decode_tree, encode_folder, read_folder
from artstore.version import Version, version_id

Node = dict[bytes, Union[Entry, "Node"]]
"""A folder being put together: entries, and folders that are open for change. A folder that nobody changes stays an
entry.
"""


class Properties(NamedTuple):
    """What a save says of a version beside its content. None leaves as it is."""

    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    description: str | None = None
    metadata: dict[str, Any] | None = None


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


class Draft:
    """Owns a transaction from the start: bytes that are added are in the store's own form at once. Close it, saved or
    not.
    """

    def __init__(self, objects: ObjectStore, refs: Refs, monitor: Monitor | None = None) -> None:
        self._objects = objects
        self._refs = refs
        self._monitor = monitor or Monitor()
        self._root: Node = {}
        self._whole: Folder | None = (
            None  # the root as it was scanned, while nothing else was added: nothing is encoded twice
        )
        self._caches: list[tuple[StatCache, Digest | None]] = []
        self._bases: set[tuple[Path, str]] = set()
        self._left_out: list[str] = []
        self._tx = Transaction(objects)

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for cache, _ in self._caches:
            cache.close()
        self._tx.close()

    # -- adding --

    def add_file(self, path: str, name: str | bytes | None = None) -> Entry:
        """Add one regular file as it is now. Raises SourceError when it can't be read whole."""
        parts = _entry_path(os.path.basename(path) if name is None else name)
        folder, base = os.path.split(os.path.abspath(path))
        cache = StatCache(self._objects.storage, os.path.join(folder, base), "file")
        self._caches.append((cache, None))
        entry = Scanner(self._tx, cache, monitor=self._monitor).one_file(folder, base)
        return self._put(parts, (parts[-1], *entry[1:]))

    def add_bytes(self, data: bytes, name: str | bytes, *, executable: bool = False) -> Entry:
        parts = _entry_path(name)
        digest = self._tx.add_bytes(data)
        return self._put(parts, (parts[-1], int(executable), len(data), digest))

    def add_folder(self, path: str, name: str | bytes | None = None, *, chosen: Filter | None = None) -> Folder:
        """Add all that a folder holds, at the root or below `name`; files that are there already are replaced.

        What a later save finds unchanged by its stat isn't opened again.
        """
        root = os.path.abspath(path)
        salt = chosen.key if chosen else ""
        cache = StatCache(self._objects.storage, root, salt)
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
        self._graft(parts, scanned.folder)
        return scanned.folder

    def _base_of(self, cache: StatCache) -> tuple[Path, str, Digest] | None:
        """The live version as which this folder was stored last, whose closure is known to be whole; None without one
        or beside damage.
        """
        if not cache.note or self._objects.has_known_damage:
            return None
        names, id, packs = cache.note
        if not set(packs) <= set(self._objects.fingerprint()):
            return None  # merged, collected or tampered with: everything is looked up once, and noted anew
        path = Path(*names)
        try:
            version = self._refs.read(path).versions.get(id)
        except ArtstoreError:
            return None
        if version is None or "deleted" in version:
            return None
        return path, id, Digest(bytes.fromhex(version["digest"]))

    def _note(self, cache: StatCache, path: Path, id: str) -> object:
        """What `_base_of` reads the next time: the version, and the packs in which its objects were found."""
        packs = tuple(self._objects.fingerprint())
        if cache.note and cache.note[:2] == (tuple(path), id) and set(cache.note[2]) <= set(packs):
            return cache.note
        return tuple(path), id, packs

    def remove(self, name: str | bytes) -> None:
        """Take out a file or folder. Raises FileNotFoundError when there is none."""
        parts = _entry_path(name)
        node = self._open(parts[:-1], make=False)
        if node is None or parts[-1] not in node:
            raise FileNotFoundError(f"there is no '{printable(b'/'.join(parts))}' in this draft")
        del node[parts[-1]]

    def _put(self, parts: tuple[bytes, ...], entry: Entry) -> Entry:
        node = self._open(parts[:-1])
        assert node is not None  # made where missing
        there = node.get(parts[-1])
        if isinstance(there, dict) or (there is not None and there[1] == DIRECTORY):
            raise Conflict(
                f"'{printable(b'/'.join(parts))}' is a folder in this draft",
                hint="choose another name, or remove the folder first",
            )
        node[parts[-1]] = entry
        return entry

    def _graft(self, parts: tuple[bytes, ...], folder: Folder) -> None:
        if not parts and not self._root and self._whole is None:
            self._whole = folder
        elif not parts:
            self._merge(self._open_root(), self._entries(folder.digest))
        elif self._has(parts):
            target = self._open(parts)
            assert target is not None
            self._merge(target, self._entries(folder.digest))
        else:
            node = self._open(parts[:-1])
            assert node is not None
            node[parts[-1]] = (parts[-1], DIRECTORY, folder.size, folder.digest, folder.files)

    def _entries(self, tree: Digest) -> dict[bytes, Entry]:
        return {entry[0]: entry for entry in read_folder(tree, self._tx.read_tree)}

    def _open_root(self) -> Node:
        if self._whole is not None:
            self._root = dict(self._entries(self._whole.digest))
            self._whole = None
        return self._root

    def _has(self, parts: tuple[bytes, ...]) -> bool:
        node = self._open(parts[:-1], make=False)
        return node is not None and parts[-1] in node

    def _merge(self, node: Node, entries: dict[bytes, Entry]) -> None:
        for name, entry in entries.items():
            there = node.get(name)
            if there is not None and entry[1] == DIRECTORY and (isinstance(there, dict) or there[1] == DIRECTORY):
                if isinstance(there, dict) or there[3] != entry[3]:
                    child = self._opened(node, name)
                    self._merge(child, self._entries(entry[3]))
            else:
                node[name] = entry

    def _open(self, parts: tuple[bytes, ...], *, make: bool = True) -> Node | None:
        """The folder at `parts`, open for change."""
        node = self._open_root()
        for number, name in enumerate(parts):
            there = node.get(name)
            if there is None:
                if not make:
                    return None
                node[name] = {}
            elif not isinstance(there, dict) and there[1] != DIRECTORY:
                if not make:
                    return None
                where = printable(b"/".join(parts[: number + 1]))
                raise Conflict(
                    f"'{where}' is a file in this draft, not a folder",
                    hint="choose another name, or remove the file first",
                )
            node = self._opened(node, name)
        return node

    def _opened(self, node: Node, name: bytes) -> Node:
        there = node[name]
        if isinstance(there, dict):
            return there
        child: Node = dict(self._entries(there[3]))
        node[name] = child
        return child

    def tree(self) -> Folder:
        """The draft's root tree, encoded into the transaction."""
        if self._whole is not None:
            return self._whole
        try:
            return self._encode(self._root)
        except OSError as error:
            raise storage_error(error, f"write to {printable(self._objects.storage.root)}") from error

    def _encode(self, node: Node) -> Folder:
        entries = []
        for name in sorted(node):
            item = node[name]
            if isinstance(item, dict):
                folder = self._encode(item)
                item = (name, DIRECTORY, folder.size, folder.digest, folder.files)
            entries.append(item)
        return encode_folder(entries, lambda data: self._tx.add(TREE, data))

    # -- saving --

    def save(
        self,
        path: Path,
        *,
        type: str | None = None,
        properties: Properties | None = None,
        run: str | None = None,
        parents: tuple[Digest, ...] = (),
    ) -> Saved:
        """Make a version of what was added, durable when this returns.

        Content equal to the latest version's makes no new one: it gets the aliases, tags and properties that differ.
        """
        properties = properties or Properties()
        root = self.tree()
        made: dict[str, Any] = {}
        stored = StoredProperties(self._tx, properties)

        def build(state: State) -> list[Change]:
            kind = _type_for(state, type)
            changes: list[Change] = []
            latest = state.latest
            if latest is not None and latest["digest"] == root.digest.hex() and self._has_record(latest, kind):
                id, made["version"] = latest["id"], None
            else:
                id, version = self._version(made, root, kind, run, parents)
                if not state.exists:
                    changes.append(
                        new_change("collection", entity=path.entity, project=path.project, name=path.name, type=kind)
                    )
                fields = {
                    "digest": root.digest.hex(),
                    "size": root.size,
                    "files": root.files,
                    "created": version.created,
                    "run": run,
                    "parents": [parent.hex() for parent in version.parents],
                }
                changes.append(new_change("version", id=id, number=state.next, **fields))
            properties_changed = stored.changes(state, id)
            made["id"], made["changed"] = id, tuple(dict.fromkeys(_WORDS[c["kind"]] for c in properties_changed))
            changes += properties_changed
            if changes or self._tx.new_objects:  # content of the latest version that was damaged is new, too
                self._tx.publish()
            return changes

        state = self._refs.change(path, build)
        id = made["id"]
        try:
            self._tx.ensure()
            self._check_bases(root.digest)
        except ArtstoreError as error:
            if made["version"] is not None:
                self._withdraw(state.path, id, error)
            raise
        number = state.versions[id]["number"]
        for cache, tree in self._caches:
            cache.save(self._note(cache, state.path, id) if tree == root.digest else cache.note)
        self._caches = []
        return Saved(
            state.path, id, number, root.digest.hex(), root.size, root.files, made["version"] is not None,
            self._tx.new_bytes, self._tx.new_objects, made["changed"], tuple(self._left_out),
        )  # fmt: skip

    def _version(
        self, made: dict[str, Any], root: Folder, type: str, run: str | None, parents: tuple[Digest, ...]
    ) -> tuple[str, Version]:
        """One record for this save, whatever races it loses."""
        if made.get("record") is None:
            version = Version(
                root.digest, root.size, root.files, type, time.time_ns(), run, tuple(sorted(set(parents)))
            )
            data = version.encode()
            self._tx.add(VERSION, data)
            made["record"] = version_id(data).hex(), version
        made["version"] = made["record"][1]
        record: tuple[str, Version] = made["record"]
        return record

    def _has_record(self, version: VersionState, type: str) -> bool:
        """Whether a version's record is stored; one that was lost is made again from what its log entry says."""
        id = id_of_state(version)
        if self._tx.rely(VERSION, id, 0):
            return True
        parents = tuple(Digest(bytes.fromhex(parent)) for parent in version["parents"])
        tree, totals = digest_of_state(version), (version["size"], version["files"])
        data = Version(tree, *totals, type, version["created"], version["run"], parents).encode()
        if version_id(data) != id:
            return False
        self._tx.add(VERSION, data)
        return True

    def _check_bases(self, tree: Digest) -> None:
        """Trees taken over from a live version are whole while it is live; if it was deleted meanwhile, each object is
        looked for.
        """
        for path, id in self._bases:
            version = self._refs.read(path).versions.get(id)
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
        for blob in properties:
            if not (self._tx.recover(BLOB, blob, 0) or self._tx.recover_large(blob)):
                raise MissingObject(f"{name} can't be brought back: a property of it is gone", hint=hint)

    def _recover_tree(self, tree: Digest, name: str, hint: str) -> None:
        for entry in decode_tree(self._objects.read(TREE, tree), tree):
            kind = TREE if entry[1] in (DIRECTORY, PART) else BLOB
            if entry[1] == REFERENCE:
                continue
            if not self._tx.recover(kind, entry[3], entry[2]):
                raise MissingObject(f"{name} can't be brought back: '{printable(entry[0])}' is gone", hint=hint)
            if kind == TREE:
                self._recover_tree(entry[3], name, hint)

    def store(self, properties: Properties) -> "StoredProperties":
        """Properties to set on a version that exists: their long values go into the transaction."""
        return StoredProperties(self._tx, properties)

    def publish(self) -> None:
        self._tx.publish()

    def ensure(self, *, withdraw: tuple[Path, str] | None = None) -> None:
        """The look after the commit; a version that is gone after all is deleted again."""
        try:
            self._tx.ensure()
        except ArtstoreError as error:
            if withdraw is not None:
                self._withdraw(*withdraw, error)
            raise

    def _withdraw(self, path: Path, id: str, error: ArtstoreError) -> None:
        def build(state: State) -> list[Change]:
            version = state.versions.get(id)
            gone = version is None or "deleted" in version
            return [] if gone else [new_change("delete", id=id, reason=f"withdrawn: {error}")]

        self._refs.change(path, build)


_WORDS = {"alias": "aliases", "tags": "tags", "metadata": "metadata", "description": "description"}
_AGAIN = "run the same command again"


class StoredProperties:
    """A save's properties with their long values in the transaction, and the changes that say them."""

    def __init__(self, tx: Transaction, properties: Properties) -> None:
        self._given = properties
        self._set: dict[str, Any] = {}
        self._blobs: dict[str, str] = {}
        for key, value in (properties.metadata or {}).items():
            text = encode_json(value)
            if len(text) > LONG:
                self._blobs[key] = tx.add_bytes(text).hex()
            else:
                self._set[key] = value
        self._description = properties.description
        self._description_blob: str | None = None
        if self._description is not None and len(self._description.encode()) > LONG:
            self._description_blob = tx.add_bytes(self._description.encode()).hex()
            self._description = None

    def changes(self, state: State, id: str) -> list[Change]:
        """Only what differs from what the version has."""
        version = state.versions.get(id, {})
        changes = []
        for alias in dict.fromkeys(self._given.aliases):
            if alias != "latest" and state.aliases.get(alias) != id:
                changes.append(new_change("alias", alias=alias, id=id, old=state.aliases.get(alias)))
        if new := [tag for tag in self._given.tags if tag not in version.get("tags", [])]:
            changes.append(new_change("tags", id=id, add=new, remove=[]))
        if self._given.metadata is not None:
            old, old_blobs = version.get("metadata", {}), version.get("blobs", {})
            set_ = {
                key: value
                for key, value in self._set.items()
                if key not in old or encode_json(old[key]) != encode_json(value)
            }
            blobs = {key: digest for key, digest in self._blobs.items() if old_blobs.get(key) != digest}
            if set_ or blobs:
                changes.append(new_change("metadata", id=id, set=set_, blobs=blobs, remove=[]))
        wanted = {"blob": self._description_blob} if self._description_blob else self._description
        if self._given.description is not None and wanted != version.get("description"):
            changes.append(
                new_change(
                    "description",
                    id=id,
                    old=version.get("description"),
                    new=self._description,
                    blob=self._description_blob,
                )
            )
        return changes


def _type_for(state: State, type: str | None) -> str:
    if not state.exists:
        return check_type(type or "artifact")
    if type is not None and type != state.type:
        name = state.path.name
        raise Conflict(
            f"Artifact '{name}' already exists with type '{state.type}'; cannot save it with type '{type}'",
            hint="use another name, or that type",
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
