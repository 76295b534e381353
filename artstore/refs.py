"""Refs: collections as folds of their logs. What moves in a repository moves here, and only by a new entry."""

import unicodedata
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from artstore.codec import decode_json, encode_json
from artstore.digest import Digest
from artstore.errors import Conflict, Damage, DamagedLog, NotFound, StorageError, UnsupportedFormat
from artstore.log import CHECKPOINT_EVERY, Change, Entry, Log, new_change
from artstore.names import Spec, file_name_of, near
from artstore.storage import Storage

VersionState = dict[str, Any]
"""id, number, digest, size, files, created, run, user, host; and where set: tags, description, metadata, blobs, deleted
(a time).
"""

_LOST_RACES = 1000
"""Appends lost in a row before giving up: each means that somebody else's change went in."""

_KEYS = {
    "collection": {"entity", "project", "name", "type"},
    "version": {"id", "number", "digest", "size", "files", "created", "run"},
    "alias": {"alias", "id", "old"},
    "tags": {"id", "add", "remove"},
    "metadata": {"id", "set", "blobs", "remove"},
    "description": {"id", "old", "new", "blob"},
    "delete": {"id", "reason"},
    "undelete": {"id"},
    "delete collection": {"ids"},
    "moved from": {"entity", "project", "name", "number", "digest"},
    "moved to": {"entity", "project", "name"},
    "not moved": {"entity", "project", "name"},
}


class Path(NamedTuple):
    """Which collection: names as users spell them."""

    entity: str
    project: str
    name: str

    def __str__(self) -> str:
        return "/".join(self)

    @property
    def folder(self) -> str:
        return "refs/" + "/".join(file_name_of(part) for part in self)


class State:
    """A collection as its log tells it. Plain values inside (the checkpoint is these), ids and digests as hex."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        """of the newest entry folded; 0 for a log without entries"""
        self.digest: str | None = None
        self.type = ""
        self.description: Any = None
        self.tags: list[str] = []
        self.next = 0
        self.versions: dict[str, VersionState] = {}
        self.aliases: dict[str, str] = {}
        self.exists = False
        self.redirect: Path | None = None
        self.pending: dict[str, Any] | None = None
        """a `moved from` whose other half nobody has looked for yet"""

    def live(self) -> list[VersionState]:
        """Live versions in the order of their numbers."""
        return sorted((v for v in self.versions.values() if "deleted" not in v), key=lambda v: v["number"])

    @property
    def latest(self) -> VersionState | None:
        return max((v for v in self.versions.values() if "deleted" not in v), key=lambda v: v["number"], default=None)

    def aliases_of(self, id: str) -> list[str]:
        """Aliases that name a version, `latest` first, the others as they were set."""
        latest = self.latest
        own = [alias for alias, target in self.aliases.items() if target == id]
        return (["latest"] if latest is not None and latest["id"] == id else []) + own

    def plain(self) -> dict[str, Any]:
        values = dict(vars(self))
        values["path"] = list(self.path)
        values["redirect"] = list(self.redirect) if self.redirect else None
        values["aliases"] = [[alias, id] for alias, id in self.aliases.items()]
        # Metadata may hold floats, which the canonical codec has no form for.
        values["versions"] = [
            {**v, "metadata": encode_json(v["metadata"])} if "metadata" in v else v for v in self.versions.values()
        ]
        return values

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "State":
        state = cls(Path(*values["path"]))
        vars(state).update(values)
        state.path = Path(*values["path"])
        state.redirect = Path(*values["redirect"]) if values["redirect"] else None
        state.aliases = dict(values["aliases"])
        for version in values["versions"]:
            if "metadata" in version:
                version["metadata"] = decode_json(version["metadata"], "metadata in a checkpoint")
        state.versions = {version["id"]: version for version in values["versions"]}
        return state


def fold(state: State, entry: Entry) -> None:
    """Apply one entry. Raises DamagedLog for changes that contradict the log, UnsupportedFormat for kinds of a newer
    artstore.
    """
    for change in entry.changes:
        kind = change["kind"]
        if kind not in _KEYS:
            raise UnsupportedFormat(
                f"{state.path} has a change of kind '{kind}', which this artstore does not know", hint="update artstore"
            )
        if change.keys() != _KEYS[kind] | {"change", "kind"}:
            raise DamagedLog(f"entry {entry.number} of {state.path} has a malformed '{kind}' change")
        try:
            _FOLDS[kind](state, entry, change)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DamagedLog(
                f"entry {entry.number} of {state.path} has a '{kind}' change that can't be applied: {error}"
            ) from error
    state.number, state.digest = entry.number, entry.digest


def _fold_collection(state: State, entry: Entry, change: Change) -> None:
    state.path = Path(change["entity"], change["project"], change["name"])
    state.type, state.exists, state.redirect = change["type"], True, None


def _fold_version(state: State, entry: Entry, change: Change) -> None:
    id, number = change["id"], change["number"]
    if id in state.versions or type(number) is not int or number < state.next:
        raise ValueError(f"number {number} or id {id[:12]} is in use")
    if not (_is_hex(id) and _is_hex(change["digest"])):
        raise ValueError("an id or digest is no digest")
    fields = {key: change[key] for key in ("id", "number", "digest", "size", "files", "created", "run")}
    state.versions[id] = {**fields, "user": entry.user, "host": entry.host}
    state.next = number + 1


def _fold_alias(state: State, entry: Entry, change: Change) -> None:
    version = state.versions.get(change["id"])
    if change["id"] is None or (version is not None and "deleted" not in version):
        state.aliases.pop(change["alias"], None)
    if version is not None and "deleted" not in version:
        state.aliases[change["alias"]] = change["id"]


def _fold_tags(state: State, entry: Entry, change: Change) -> None:
    owner = vars(state) if change["id"] is None else state.versions[change["id"]]
    kept = [tag for tag in owner.get("tags", []) if tag not in change["remove"]]
    owner["tags"] = list(dict.fromkeys(kept + change["add"]))


def _fold_metadata(state: State, entry: Entry, change: Change) -> None:
    version = state.versions[change["id"]]
    gone = {*change["remove"], *change["set"], *change["blobs"]}
    for field, new in (("metadata", change["set"]), ("blobs", change["blobs"])):
        kept = {key: value for key, value in version.get(field, {}).items() if key not in gone}
        if kept or new:
            version[field] = kept | new
        else:
            version.pop(field, None)


def _fold_description(state: State, entry: Entry, change: Change) -> None:
    owner = vars(state) if change["id"] is None else state.versions[change["id"]]
    owner["description"] = {"blob": change["blob"]} if change["blob"] else change["new"]


def _fold_delete(state: State, entry: Entry, change: Change) -> None:
    version = state.versions[change["id"]]
    version.setdefault("deleted", entry.time)
    state.aliases = {alias: id for alias, id in state.aliases.items() if id != change["id"]}


def _fold_undelete(state: State, entry: Entry, change: Change) -> None:
    state.versions[change["id"]].pop("deleted", None)
    state.exists = True


def _fold_delete_collection(state: State, entry: Entry, change: Change) -> None:
    for id in change["ids"]:
        _fold_delete(state, entry, {"id": id})
    state.exists = any("deleted" not in version for version in state.versions.values())
    if not state.exists:
        state.tags, state.description = [], None


def _fold_moved_from(state: State, entry: Entry, change: Change) -> None:
    state.pending = change
    state.exists = False  # until the old log says that it moved


def _fold_moved_to(state: State, entry: Entry, change: Change) -> None:
    state.redirect = Path(change["entity"], change["project"], change["name"])
    state.exists, state.versions, state.aliases = False, {}, {}


def _fold_not_moved(state: State, entry: Entry, change: Change) -> None:
    pass


_FOLDS: dict[str, Callable[[State, Entry, Change], None]] = {
    "collection": _fold_collection,
    "version": _fold_version,
    "alias": _fold_alias,
    "tags": _fold_tags,
    "metadata": _fold_metadata,
    "description": _fold_description,
    "delete": _fold_delete,
    "undelete": _fold_undelete,
    "delete collection": _fold_delete_collection,
    "moved from": _fold_moved_from,
    "moved to": _fold_moved_to,
    "not moved": _fold_not_moved,
}


class Refs:
    """All collections of a repository. Reads take no lock; `commit` is the compare-and-swap."""

    def __init__(self, storage: Storage, *, identity: Callable[[], tuple[str | None, str | None]]) -> None:
        self._storage = storage
        self._identity = identity

    # -- reading --

    def paths(self, entity: str | None = None, project: str | None = None) -> Iterator[str]:
        """Folders of all logs (below an entity and project), in order."""
        entities = [file_name_of(entity)] if entity else sorted(self._storage.names("refs"))
        for e in entities:
            for p in [file_name_of(project)] if project else sorted(self._storage.names(f"refs/{e}")):
                for c in sorted(self._storage.names(f"refs/{e}/{p}")):
                    yield f"refs/{e}/{p}/{c}"

    def collections(self, entity: str | None = None, project: str | None = None) -> Iterator[State]:
        """Every collection that exists, ordered by its path."""
        for folder in self.paths(entity, project):
            state = self.read_folder(folder)
            if state.exists:
                yield state

    def read(self, path: Path, *, follow: bool = True) -> State:
        """The collection at a path, through renames; `exists` is False for a free name. Raises Conflict when it is
        spelled in another case.
        """
        for _ in range(100):
            state = self.read_folder(path.folder, path)
            if state.redirect is None or not follow:
                break
            path = state.redirect
        if (state.exists or state.versions) and state.path != _nfc(path):
            raise Conflict(
                f"{path} differs only in case from {state.path}, which exists",
                hint=f"use {state.path}, or another name",
            )
        return state

    def read_folder(
        self, folder: str, path: Path | None = None, *, until: int | None = None, checkpoints: bool = True
    ) -> State:
        """Fold a log, from its checkpoint where there is one; `until` stops behind that entry."""
        log = Log(self._storage, folder)
        listing = log.listing()
        state = State(_nfc(path) if path else Path("", "", ""))
        if checkpoints and until is None and (found := log.checkpoint(listing)):
            try:
                state = State.from_plain(found[2])
            except (KeyError, TypeError, ValueError, Damage):
                pass  # made by another artstore: the entries decide
        for entry in log.entries(listing, state.number, state.digest):
            self._settle_read(state, folder)
            fold(state, entry)
            if entry.number == until:
                break
        self._settle_read(state, folder)
        return state

    def _settle_read(self, state: State, folder: str) -> None:
        """Decide a pending `moved from` by the old log's next entry: it moved, or it is void (also while nobody has
        said).
        """
        change = state.pending
        if change is None:
            return
        old = Path(change["entity"], change["project"], change["name"])
        answer = self._answer(old, change["number"] + 1)
        if answer is None:
            return
        state.pending = None
        if not any(c["kind"] == "moved to" and c["change"] == change["change"] for c in answer.changes):
            return
        source = self.read_folder(old.folder, old, until=change["number"])
        if source.digest != change["digest"]:
            raise DamagedLog(f"{folder} was renamed from an entry of {old} that is not there any more")
        path = state.path
        number, digest = state.number, state.digest
        vars(state).update(vars(source))
        state.path, state.number, state.digest, state.exists = path, number, digest, True

    def _answer(self, old: Path, number: int) -> Entry | None:
        log = Log(self._storage, old.folder)
        if self._storage.size(f"{old.folder}/{number:08}.json") is None:
            return None
        return log.read(number)

    # -- changing --

    def commit(self, state: State, changes: list[Change]) -> State | None:
        """Append one entry behind `state`; the new state, or None when somebody else was first (read again, check
        again, try again).
        """
        log = Log(self._storage, state.path.folder)
        host, user = self._identity()
        entry = log.append(state.number, state.digest, changes, host=host, user=user)
        if entry is None:
            return None
        fold(state, entry)
        if entry.number % CHECKPOINT_EVERY == 0:
            try:
                log.save_checkpoint(entry.number, entry.digest, state.plain())
            except StorageError:
                pass  # it only keeps reading cheap
        return state

    def change(self, path: Path, build: Callable[[State], list[Change]]) -> State:
        """Append what `build` makes of the collection's state; after a lost race `build` is asked again, on the new
        state.

        No changes → no entry. `build` raises to refuse.
        """
        for _ in range(_LOST_RACES):
            state = self.settled(path)
            changes = build(state)
            if not changes:
                return state
            if (done := self.commit(state, changes)) is not None:
                return done
        raise Conflict(f"{path} changes faster than this could be added", hint="run the same command again")

    def settled(self, path: Path, *, follow: bool = True) -> State:
        """As `read`, for who will append: a `moved from` that nobody completed is settled first."""
        state = self.read(path, follow=follow)
        while state.pending is not None:
            change = state.pending
            old = Path(change["entity"], change["project"], change["name"])
            source = self.read(old, follow=False)
            if source.number == change["number"]:
                fields = {"entity": state.path.entity, "project": state.path.project, "name": state.path.name}
                self.commit(source, [new_change("not moved", **fields)])
            state = self.read_folder(state.path.folder, state.path)
        return state

    def rename(self, old: Path, new: Path) -> State:
        """Move a collection to a free name, history and all, in O(1). The old name redirects. Committed by the old
        log's entry.
        """
        for _ in range(_LOST_RACES):
            source = self.settled(old)
            if not source.exists:
                raise NotFound(f"there is no collection {old}")
            target = self.settled(new, follow=False)
            if target.exists or target.redirect or target.versions:
                raise Conflict(f"{new} is in use", hint="choose another name")
            fields = dict(zip(("entity", "project", "name"), source.path, strict=True))
            begun = new_change("moved from", **fields, number=source.number, digest=source.digest)
            named = new_change(
                "collection", **dict(zip(("entity", "project", "name"), _nfc(new), strict=True)), type=source.type
            )
            if self.commit(target, [named, begun]) is None:
                continue
            moved = {
                "change": begun["change"],
                "kind": "moved to",
                **dict(zip(("entity", "project", "name"), _nfc(new), strict=True)),
            }
            if self.commit(source, [moved]) is not None:
                return self.read(new)
        raise Conflict(f"{old} changes faster than it could be renamed", hint="run the same command again")

    def history(self, path: Path) -> Iterator[Entry]:
        """All entries of a collection's log, oldest first; those before a rename from the old name's log."""
        log = Log(self._storage, path.folder)
        for entry in log.entries(log.listing()):
            for change in entry.changes:
                if change["kind"] == "moved from":
                    old = Path(change["entity"], change["project"], change["name"])
                    answer = self._answer(old, change["number"] + 1)
                    if answer and any(c["change"] == change["change"] for c in answer.changes):
                        for earlier in self.history(old):
                            if earlier.number <= change["number"]:
                                yield earlier
            yield entry


# -- finding versions --


def resolve(state: State, spec: Spec) -> VersionState:
    """The live version that a spec names. Raises NotFound, saying which part is missing and what is near."""
    name = str(state.path)
    if not state.exists:
        raise NotFound(f"there is no collection {name}")
    if spec.number is not None:
        found = next((v for v in state.versions.values() if v["number"] == spec.number), None)
        if found is not None and "deleted" in found:
            raise NotFound(
                f"{name}:v{spec.number} was deleted on {found['deleted'][:10]}",
                hint=f"`artstore undelete {name}:v{spec.number}` may bring it back",
            )
    elif spec.digest is not None:
        found = next(
            (
                v
                for v in reversed(state.live())
                if v["digest"].startswith(spec.digest) or v["id"].startswith(spec.digest)
            ),
            None,
        )
    elif spec.alias in (None, "latest"):
        found = state.latest
    else:
        found = state.versions.get(state.aliases.get(spec.alias or "", ""))
    if found is not None:
        return found
    if spec.number is not None:
        last = f"the newest is v{state.next - 1}" if state.next else "it has no version yet"
        raise NotFound(f"{name} has no version v{spec.number}", hint=last)
    if spec.digest is not None:
        raise NotFound(
            f"{name} has no live version with digest {spec.digest}", hint=f"`artstore log {name}` lists them"
        )
    if spec.alias in (None, "latest"):
        raise NotFound(
            f"{name} has no live version", hint=f"`artstore undelete {name}:vN` may bring a deleted one back"
        )
    hint = near(spec.alias or "", state.aliases) or f"`artstore show {name}` lists its aliases"
    raise NotFound(f"{name} has no alias '{spec.alias}'", hint=hint)


def digest_of_state(version: VersionState) -> Digest:
    return Digest(bytes.fromhex(version["digest"]))


def id_of_state(version: VersionState) -> Digest:
    return Digest(bytes.fromhex(version["id"]))


def _nfc(path: Path) -> Path:
    return Path(*(unicodedata.normalize("NFC", part) for part in path))


def _is_hex(text: object) -> bool:
    return type(text) is str and len(text) == 64 and set(text) <= set("0123456789abcdef")
