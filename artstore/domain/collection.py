"""The state of a collection: what the changes in its log add up to."""

import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

from artstore.domain.changes import (
    PLACE,
    Change,
    Entry,
    Good,
    Table,
    anything,
    check_change,
    dict_of,
    is_count,
    is_digest,
    is_record,
    is_text,
    list_of,
    named,
    or_null,
    origin_of,
)
from artstore.domain.codec import decode_json, encode_json
from artstore.domain.digest import Digest
from artstore.domain.names import REGISTRY, check_alias, check_name, check_project, check_tag, file_name_of, printable
from artstore.errors import DamagedLog, UnsupportedFormat

LONGEST_TTL = 1000 * 366 * 86400
"""Seconds: a thousand years, which a `timedelta` can hold."""
INHERIT = "inherit"
"""The ttl of a version for which none was set."""

VersionState = dict[str, Any]
"""id, number, digest, size, files, created, run, parents, user, host, updated; and where set: tags, description,
metadata, blobs, ttl (seconds, or None for never), deleted (a time), withdrawn (it never was whole here), source (of a
link: where the version was made), origins (which entries came from other versions).
"""
ADDS = ("version", "link")
"""Kinds of changes by which a collection gets a version."""


class Path(NamedTuple):
    """Which collection: names as users spell them."""

    entity: str
    project: str
    name: str

    def __str__(self) -> str:
        return "/".join(self)

    def fields(self) -> dict[str, str]:
        """As a change names it."""
        return self._asdict()

    @classmethod
    def named_by(cls, change: Change) -> "Path":
        """The other way round."""
        return cls(change["entity"], change["project"], change["name"])

    @property
    def in_registry(self) -> bool:
        """Whether the project is a registry, whose collections hold links."""
        return self.project.startswith(REGISTRY)

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
        self.metadata: dict[str, Any] = {}
        self.blobs: dict[str, str] = {}
        """long values of the collection's own metadata, by key, as digests"""
        self.upserts: dict[str, list[dict[str, Any]]] = {}
        """parts of versions that are not finished, by their distributed ids"""
        self.finished: dict[str, str] = {}
        """what the upsert of a distributed id became last"""
        self.renumbered: dict[int, str] = {}
        """numbers that versions had before a pull moved them behind those of the upstream"""
        self.pending: dict[str, Any] | None = None
        """a `moved from` whose other half nobody has looked for yet"""

    def copy(self) -> "State":
        """One in which folding goes on apart. Versions are shared: a fold replaces one of which something is said. Nothing
        in them may be handed to who could edit it.
        """
        state = State(self.path)
        vars(state).update(vars(self))
        state.versions = dict(self.versions)
        state.aliases, state.renumbered = dict(self.aliases), dict(self.renumbered)
        state.upserts = {upsert: list(parts) for upsert, parts in self.upserts.items()}
        state.finished = dict(self.finished)
        return state

    @property
    def taken(self) -> dict[int, str]:
        """Numbers in use, those of deleted versions too, and the ids that have them. Cost: all versions."""
        return {version["number"]: id for id, version in self.versions.items()}

    def live(self) -> list[VersionState]:
        """Live versions in the order of their numbers."""
        return sorted((v for v in self.versions.values() if "deleted" not in v), key=lambda v: v["number"])

    @property
    def latest(self) -> VersionState | None:
        last = next(reversed(self.versions.values()), None)
        if last is not None and last["number"] == self.next - 1 and "deleted" not in last:
            return last  # as nearly always: thousands of others need not be looked at
        return max((v for v in self.versions.values() if "deleted" not in v), key=lambda v: v["number"], default=None)

    @property
    def holds_links(self) -> bool:
        """Whether its versions were made elsewhere and linked to it; such a collection holds nothing else."""
        return any("source" in version for version in self.versions.values())

    def aliases_of(self, id: str) -> list[str]:
        """Aliases that name a version, `latest` first, the others as they were set."""
        return self.all_aliases().get(id, [])

    def all_aliases(self) -> dict[str, list[str]]:
        """As `aliases_of`, for every version that has one."""
        latest = self.latest
        found: dict[str, list[str]] = {latest["id"]: ["latest"]} if latest is not None else {}
        for alias, id in self.aliases.items():
            found.setdefault(id, []).append(alias)
        return found

    def plain(self) -> dict[str, Any]:
        values = dict(vars(self))
        values["path"] = list(self.path)
        values["redirect"] = list(self.redirect) if self.redirect else None
        values["aliases"] = [[alias, id] for alias, id in self.aliases.items()]
        values["renumbered"] = [[number, id] for number, id in self.renumbered.items()]
        values["metadata"] = encode_json(self.metadata)
        values["versions"] = [
            {**v, **{key: encode_json(v[key]) for key in _JSON if key in v}} for v in self.versions.values()
        ]
        return values

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "State":
        state = cls(Path(*values["path"]))
        vars(state).update(values)
        state.path = Path(*values["path"])
        state.redirect = Path(*values["redirect"]) if values["redirect"] else None
        state.aliases = dict(values["aliases"])
        state.renumbered = dict(values["renumbered"])
        state.metadata = decode_json(values["metadata"], "metadata in a checkpoint")
        for version in values["versions"]:
            for key in _JSON:
                if key in version:
                    version[key] = decode_json(version[key], f"{key} in a checkpoint")
        state.versions = {version["id"]: version for version in values["versions"]}
        return state


_JSON = ("metadata", "origins")
"""What stands in a checkpoint as JSON: floats, and paths that are not UTF-8, have no form in the canonical codec."""


def fold(state: State, entry: Entry) -> None:
    """Apply one entry. Raises DamagedLog for changes that are malformed or contradict the log, UnsupportedFormat for
    kinds of a newer artstore.
    """
    for change in entry.changes:
        kind = change["kind"]
        if kind not in _FOLDS:
            raise UnsupportedFormat(
                f"{state.path} has a change of kind '{printable(kind)}', which this artstore does not know",
                hint="update artstore",
            )
        try:
            check_change(FIELDS, change)
            _FOLDS[kind](state, entry, change)
            if (id := change.get("id") or "") in state.versions:
                _own(state, id)["updated"] = origin_of(entry, change)["time"]
        except (KeyError, ValueError) as error:
            what = f"entry {entry.number} of {printable(str(state.path))}"
            raise DamagedLog(f"{what} has a '{kind}' change that can't be applied: {error}") from error
    state.number, state.digest = entry.number, entry.digest


# -- what each kind of change holds --


def is_description(value: Any) -> bool:
    return (
        value is None
        or is_text(value)
        or (type(value) is dict and value.keys() == {"blob"} and is_digest(value["blob"]))
    )


def is_alias(value: Any) -> bool:
    return type(value) is str and check_alias(value) != "latest"


def _is_run(value: Any) -> bool:
    """entity/project/id"""
    return is_text(value) and value.count("/") == 2 and all(map(check_project, value.split("/")))


is_place = is_record({**PLACE, "number": is_count})
"""Where a version was made."""


def is_origin(value: Any) -> bool:
    """Another version's entry: the version's place and id, and the path in it."""
    if type(value) is not dict or not {"id", "path"} <= value.keys():
        return False
    place = {key: item for key, item in value.items() if key not in ("id", "path")}
    return is_place(place) and is_digest(value["id"]) and type(value["path"]) is str


def _is_upsert(value: Any) -> bool:
    return is_text(value) and 1 <= len(value) <= 128


def _are_numbers(value: Any) -> bool:
    """id → number, each once."""
    return (
        type(value) is dict
        and all(is_digest(id) and is_count(number) for id, number in value.items())
        and len(set(value.values())) == len(value)
    )


def are_blobs(value: Any) -> bool:
    """key → digest"""
    return type(value) is dict and all(is_text(key) and is_digest(digest) for key, digest in value.items())


def is_ttl(value: Any) -> bool:
    return value in (None, INHERIT) or (type(value) is int and 0 < value <= LONGEST_TTL)


VERSION: dict[str, Good] = {
    "id": is_digest,
    "number": is_count,
    "digest": is_digest,
    "size": is_count,
    "files": is_count,
    "created": is_count,
    "run": or_null(_is_run),
    "parents": list_of(is_digest),
}
FIELDS: Table = {
    "collection": {**PLACE, "type": named(check_name)},
    "version": VERSION,
    "link": {**VERSION, "source": is_place},
    "alias": {"alias": is_alias, "id": or_null(is_digest), "old": or_null(is_digest)},
    "tags": {"id": or_null(is_digest), "add": list_of(named(check_tag)), "remove": list_of(is_text)},
    "metadata": {
        "id": or_null(is_digest),
        "set": dict_of(anything),
        "blobs": are_blobs,
        "remove": list_of(is_text),
    },
    "description": {
        "id": or_null(is_digest),
        "old": is_description,
        "new": or_null(is_text),
        "blob": or_null(is_digest),
    },
    "ttl": {"id": is_digest, "old": is_ttl, "new": is_ttl},
    "origins": {"id": is_digest, "entries": or_null(dict_of(is_origin)), "blob": or_null(is_digest)},
    "part": {
        "upsert": _is_upsert,
        "tree": is_digest,
        "size": is_count,
        "files": is_count,
        "writer": is_text,
        "run": or_null(_is_run),
    },
    "finish": {"upsert": _is_upsert, "id": is_digest},
    "drop": {"upsert": _is_upsert, "tree": or_null(is_digest)},
    "renumber": {"numbers": _are_numbers},
    "delete": {"id": is_digest, "reason": or_null(is_text)},
    "withdraw": {"id": is_digest, "reason": or_null(is_text)},
    "undelete": {"id": is_digest},
    "delete collection": {"ids": list_of(is_digest)},
    "moved from": {**PLACE, "number": is_count, "digest": is_digest},
    "moved to": PLACE,
    "not moved": PLACE,
}

# -- what each kind of change does --


def _own(state: State, id: str) -> VersionState:
    """A version, to say something of it: made anew, since copies of the state share it."""
    version = state.versions[id] = dict(state.versions[id])
    return version


def _fold_collection(state: State, entry: Entry, change: Change) -> None:
    state.path = Path.named_by(change)
    state.type, state.exists, state.redirect = change["type"], True, None


def _fold_version(state: State, entry: Entry, change: Change) -> None:
    id, number = change["id"], change["number"]
    if id in state.versions or (number < state.next and number in state.taken):
        raise ValueError(f"number {number} or id {id[:12]} is in use")
    fields = {key: change[key] for key in FIELDS[change["kind"]]}
    by = origin_of(entry, change)
    state.versions[id] = {**fields, "user": by["user"], "host": by["host"]}
    state.next = max(state.next, number + 1)


def _fold_renumber(state: State, entry: Entry, change: Change) -> None:
    numbers: dict[str, int] = change["numbers"]
    staying = {version["number"] for id, version in state.versions.items() if id not in numbers}
    if not numbers.keys() <= state.versions.keys() or staying & set(numbers.values()):
        raise ValueError("a version that is not there, or a number in use")
    for id, number in numbers.items():
        state.renumbered[state.versions[id]["number"]] = id
        _own(state, id)["number"] = number
    for number in numbers.values():
        state.renumbered.pop(number, None)
        state.next = max(state.next, number + 1)


def _fold_alias(state: State, entry: Entry, change: Change) -> None:
    version = state.versions.get(change["id"])
    if change["id"] is None or (version is not None and "deleted" not in version):
        state.aliases.pop(change["alias"], None)
    if version is not None and "deleted" not in version:
        state.aliases[change["alias"]] = change["id"]


def _owner(state: State, change: Change) -> dict[str, Any]:
    """What a property is said of: a version, or (with an id of null) the collection."""
    return vars(state) if change["id"] is None else _own(state, change["id"])


def _fold_tags(state: State, entry: Entry, change: Change) -> None:
    owner = _owner(state, change)
    kept = [tag for tag in owner.get("tags", []) if tag not in change["remove"]]
    owner["tags"] = list(dict.fromkeys(kept + change["add"]))


def _fold_metadata(state: State, entry: Entry, change: Change) -> None:
    owner = _owner(state, change)
    gone = {*change["remove"], *change["set"], *change["blobs"]}
    for field, new in (("metadata", change["set"]), ("blobs", change["blobs"])):
        kept = {key: value for key, value in owner.get(field, {}).items() if key not in gone}
        if kept or new or change["id"] is None:
            owner[field] = kept | new
        else:
            owner.pop(field, None)


def _fold_description(state: State, entry: Entry, change: Change) -> None:
    owner = _owner(state, change)
    owner["description"] = {"blob": change["blob"]} if change["blob"] else change["new"]


def _fold_ttl(state: State, entry: Entry, change: Change) -> None:
    version = _own(state, change["id"])
    if change["new"] == INHERIT:
        version.pop("ttl", None)
    else:
        version["ttl"] = change["new"]


def _fold_origins(state: State, entry: Entry, change: Change) -> None:
    _own(state, change["id"])["origins"] = {"blob": change["blob"]} if change["blob"] else change["entries"] or {}


def _fold_part(state: State, entry: Entry, change: Change) -> None:
    fields = {key: change[key] for key in FIELDS["part"] if key != "upsert"}
    state.upserts.setdefault(change["upsert"], []).append({**fields, "time": origin_of(entry, change)["time"]})


def _fold_finish(state: State, entry: Entry, change: Change) -> None:
    state.upserts.pop(change["upsert"], None)
    state.finished[change["upsert"]] = change["id"]


def _fold_drop(state: State, entry: Entry, change: Change) -> None:
    parts = state.upserts.pop(change["upsert"], [])
    if change["tree"] is not None and (kept := [part for part in parts if part["tree"] != change["tree"]]):
        state.upserts[change["upsert"]] = kept


def _fold_delete(state: State, entry: Entry, change: Change) -> None:
    version = _own(state, change["id"])
    version.setdefault("deleted", origin_of(entry, change)["time"])
    state.aliases = {alias: id for alias, id in state.aliases.items() if id != change["id"]}


def _fold_withdraw(state: State, entry: Entry, change: Change) -> None:
    _fold_delete(state, entry, change)
    _own(state, change["id"])["withdrawn"] = True


def _fold_undelete(state: State, entry: Entry, change: Change) -> None:
    version = _own(state, change["id"])
    version.pop("deleted", None)
    version.pop("withdrawn", None)
    state.exists = True


def _fold_delete_collection(state: State, entry: Entry, change: Change) -> None:
    for id in change["ids"]:
        _fold_delete(state, entry, {**change, "id": id})
    state.exists = any("deleted" not in version for version in state.versions.values())
    if not state.exists:
        state.tags, state.description, state.metadata, state.blobs, state.upserts = [], None, {}, {}, {}


def _fold_moved_from(state: State, entry: Entry, change: Change) -> None:
    state.pending = change
    state.exists = False  # until the old log says that it moved


def _fold_moved_to(state: State, entry: Entry, change: Change) -> None:
    target = Path.named_by(change)
    if target.folder == state.path.folder:
        raise ValueError("it was moved to itself")
    state.redirect = target
    state.exists, state.versions, state.aliases, state.upserts = False, {}, {}, {}


def _fold_not_moved(state: State, entry: Entry, change: Change) -> None:
    pass


_FOLDS: dict[str, Callable[[State, Entry, Change], None]] = {
    "collection": _fold_collection,
    "version": _fold_version,
    "link": _fold_version,
    "alias": _fold_alias,
    "tags": _fold_tags,
    "metadata": _fold_metadata,
    "description": _fold_description,
    "ttl": _fold_ttl,
    "origins": _fold_origins,
    "part": _fold_part,
    "finish": _fold_finish,
    "drop": _fold_drop,
    "renumber": _fold_renumber,
    "delete": _fold_delete,
    "withdraw": _fold_withdraw,
    "undelete": _fold_undelete,
    "delete collection": _fold_delete_collection,
    "moved from": _fold_moved_from,
    "moved to": _fold_moved_to,
    "not moved": _fold_not_moved,
}


def property_digests(version: VersionState) -> list[Digest]:
    """Blobs that a version's properties name."""
    names = list(version.get("blobs", {}).values())
    if isinstance(description := version.get("description"), dict):
        names.append(description["blob"])
    if isinstance(blob := version.get("origins", {}).get("blob"), str):
        names.append(blob)
    return [Digest(bytes.fromhex(name)) for name in names]


def digest_of_state(version: VersionState) -> Digest:
    return Digest(bytes.fromhex(version["digest"]))


def id_of_state(version: VersionState) -> Digest:
    return Digest(bytes.fromhex(version["id"]))


def nfc(path: Path) -> Path:
    return Path(*(unicodedata.normalize("NFC", part) for part in path))
