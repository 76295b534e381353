"""Planning a save: which changes make a version of a tree, or which version has this content already."""

import time
from typing import Any, Literal, NamedTuple

from artstore.domain.builder import TreeBuilder
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import State, VersionState, digest_of_state, id_of_state, is_live
from artstore.domain.copies import refuse_mixture
from artstore.domain.digest import TREE, VERSION, Digest
from artstore.domain.extras import Extras, extras_in, extras_of, joined_extras
from artstore.domain.names import check_type
from artstore.domain.properties import PROPERTIES
from artstore.domain.tree import EMPTY, Folder, tree_digest
from artstore.domain.upserts import UpsertPart, joined, no_upsert, parts_of, refuse_incremental
from artstore.domain.version import VersionRecord, record_of, version_id
from artstore.domain.wording import typed
from artstore.errors import Conflict
from artstore.operations.saving.extras import DraftExtras, extras_change
from artstore.operations.saving.properties import StoredProperties
from artstore.operations.saving.reliance import Reliance
from artstore.store.transaction import Transaction


class SaveOptions(NamedTuple):
    """What a save was asked for, besides its files and properties."""

    type: str | None
    """of the collection; None for the type that it has"""
    run: str | None
    """the run that makes the version"""
    incremental: bool
    """add the files to those of the latest version"""
    upsert: str | None
    """add the files to the parts that were added under this id"""
    writer: str
    """who adds them, for messages"""
    reuse: Literal["latest", "any"]
    """which live version is reused if it has the same content"""


class Plan(NamedTuple):
    """The effect of a save on a collection in one state."""

    changes: list[Change]
    id: str
    """of the new version, or of the one with the same content"""
    root: Folder
    is_new: bool
    changed: tuple[str, ...]
    """which properties the save changes, in words for users"""


class Content(NamedTuple):
    """What to save: the root tree, and the keys of its entries."""

    root: Folder
    extras: Extras
    finished: VersionState | None = None
    """a version of the same upsert that was finished before and holds all of these files"""


class Planner:
    """Plans one save. If another writer appends to the log first, the same save is planned again on the new state."""

    def __init__(
        self,
        reliance: Reliance,
        own: Content,
        parents: tuple[Digest, ...],
        properties: StoredProperties,
        options: SaveOptions,
    ) -> None:
        """`own` are the files that were added, `parents` the versions from which the draft began."""
        self._reliance = reliance
        self._tx = reliance.transaction
        self._own = own
        self._parents = parents
        self._properties = properties
        self._options = options
        self._records: dict[tuple[Folder, str, tuple[Digest, ...]], tuple[str, VersionRecord]] = {}

    def plan(self, state: State) -> Plan:
        """Plan the save for a collection in this state, and add the objects that it needs to the transaction."""
        # 1. Refuse a wrong type, and a version among links. An incremental save uses the files of the latest version.
        options = self._options
        refuse_incremental(options.incremental, options.upsert)
        type = type_for(state, options.type)
        refuse_mixture(state, links=False)
        latest = state.latest if options.incremental else None
        if latest is not None:
            self._reliance.rely_on(state.path, latest)

        # 2. Build the root tree, and look for a version that has it already.
        content = self._onto(latest) if options.upsert is None else self._with_parts(state, options.upsert)
        root = content.root
        equal = content.finished or _equal_version(state, root, options.reuse)

        # 3. Make a new version, unless there is an equal one whose record is stored or can be made again.
        changes: list[Change] = []
        if equal is not None and self._has_record(equal, type):
            id, is_new = equal["id"], False
            self._properties.check_latest(state, id)
        else:
            parents = self._parents if latest is None else (id_of_state(latest),)
            (id, version), is_new = self._record(root, type, parents), True
            changes += [*_additions(state, id, version), *extras_change(self._tx, id, content.extras)]
        # 4. Finish the upsert, so that its parts aren't used for another version.
        if options.upsert is not None and options.upsert in state.upserts:
            changes.append(new_change("finish", upsert=options.upsert, id=id))

        # 5. Set the aliases, tags and other properties that differ.
        properties = self._properties.changes(state, id)
        changed = tuple(dict.fromkeys(PROPERTIES[change["kind"]].words for change in properties))
        return Plan([*changes, *properties], id, root, is_new, changed)

    def _onto(self, latest: VersionState | None) -> Content:
        """The added files, on top of those of a version."""
        if latest is None:
            return self._own
        merged = TreeBuilder(self._tx.read_tree)
        merged.graft((), folder_of(latest))
        merged.graft((), self._own.root)
        extras = DraftExtras()
        extras.restore(extras_of(latest, self._reliance.read_blob))
        extras.forget_added((), self._own.root, self._tx)
        extras.restore(self._own.extras)
        return Content(encoded(merged, self._tx), extras.found_in(merged))

    def _with_parts(self, state: State, upsert: str) -> Content:
        """The added files together with all parts of an upsert.

        If the upsert was finished before and its version holds all of the added files, the files of that version.
        """
        told = state.upserts.get(upsert, [])
        parts = parts_of(told)
        if not parts:
            before = state.versions.get(state.finished.get(upsert, ""))
            if is_live(before) and self._is_in(folder_of(before)):
                return Content(folder_of(before), {}, before)
            if self._own.root.digest == EMPTY:
                raise no_upsert(state, upsert)
        union = joined([*parts, UpsertPart(self._own.root, self._options.writer)], self._tx.read_tree)
        blobs = [part["extras"] for part in told if part.get("extras")]
        extras = (extras_in(blob, self._reliance.read_blob) for blob in blobs)
        return Content(encoded(union, self._tx), joined_extras(*extras, self._own.extras))

    def _is_in(self, whole: Folder) -> bool:
        """Whether a tree holds all of the added files."""
        try:
            union = joined([UpsertPart(whole, ""), UpsertPart(self._own.root, "")], self._tx.read_tree)
        except Conflict:
            return False
        return union.folder(tree_digest).digest == whole.digest

    def _has_record(self, version: VersionState, type: str) -> bool:
        """Whether a version's record is stored. A lost record is made again from the fields of the log entry."""
        id = id_of_state(version)
        if self._tx.rely(VERSION, id, 0):
            return True
        data = record_of(version, type)
        if version_id(data) != id:
            return False
        self._tx.add(VERSION, data)
        return True

    def _record(self, root: Folder, type: str, parents: tuple[Digest, ...]) -> tuple[str, VersionRecord]:
        """The id and record of a new version, made once: a repeated plan with the same tree gets the same version."""
        key = root, type, parents
        if key not in self._records:
            version = VersionRecord(*root, type, time.time_ns(), self._options.run, parents)
            data = version.encode()
            self._tx.add(VERSION, data)
            self._records[key] = version_id(data).hex(), version
        return self._records[key]


def type_for(state: State, type: str | None) -> str:
    """The type of the collection after a save with this `type`. Raises Conflict if it has another type."""
    if not state.exists:
        return check_type("artifact" if type is None else type)
    if type is not None and type != state.type:
        name = state.path.name
        message = f"Artifact {name} already exists with type '{state.type}'; cannot create another with type '{type}'"
        hint = f"use another name or that type; {typed('edit --collection', name, type=type)} changes it"
        raise Conflict(message, hint=hint)
    return state.type


def folder_of(version: VersionState) -> Folder:
    """The root tree of a version, with its totals."""
    return Folder(digest_of_state(version), version["size"], version["files"])


def encoded(tree: TreeBuilder, tx: Transaction) -> Folder:
    """Add all folders of a tree to a transaction. Returns the root tree."""
    with tx.storage.writing():
        return tree.folder(lambda data: tx.add(TREE, data))


def _additions(state: State, id: str, version: VersionRecord) -> list[Change]:
    """The changes that add a version to a collection, and create the collection if there is none."""
    fields: dict[str, Any] = {"digest": version.tree.hex(), "size": version.size, "files": version.files}
    made = {"created": version.created, "run": version.run, "parents": [parent.hex() for parent in version.parents]}
    added = new_change("version", id=id, number=state.next, **fields, **made)
    if state.exists:
        return [added]
    return [new_change("collection", **state.path.fields(), type=version.type), added]


def _equal_version(state: State, root: Folder, reuse: str) -> VersionState | None:
    """The version with this content that a save reuses: the latest one, or else any live one."""
    candidates = [state.latest] if reuse == "latest" else reversed(state.live())
    return next((version for version in candidates if version and version["digest"] == root.digest.hex()), None)
