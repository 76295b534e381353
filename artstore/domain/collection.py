"""The state of a collection: the result of all changes in its log."""

import unicodedata
from typing import Any, NamedTuple, NotRequired, TypedDict, TypeGuard

from artstore.domain.changes import Change
from artstore.domain.codec import decode_json, encode_json
from artstore.domain.digest import Digest, from_hex
from artstore.domain.names import REGISTRY, file_name_of

LONGEST_TTL = 1000 * 366 * 86400
"""Seconds: a thousand years, which a `timedelta` can hold."""
INHERIT = "inherit"
"""The ttl of a version for which none was set."""


class VersionState(TypedDict):
    """A version in a collection's state.

    A plain dict, because a checkpoint holds it as it is: a field that was never set is absent there. Digests are hex.
    """

    id: str
    number: int
    digest: str
    """of its tree"""
    size: int
    """bytes of its files"""
    files: int
    created: int
    """nanoseconds since 1970"""
    run: str | None
    """entity/project/id"""
    parents: list[str]
    user: str | None
    host: str | None
    updated: str
    """when it was last changed: ISO 8601, UTC"""
    author: NotRequired[str]
    """the verified name of the writer that added it; absent if no server was asked"""
    tags: NotRequired[list[str]]
    description: NotRequired[str | dict[str, str] | None]
    """text, or {"blob": digest} if it is long"""
    metadata: NotRequired[dict[str, Any]]
    blobs: NotRequired[dict[str, str]]
    """long values of metadata: the digests of their blobs, by key"""
    ttl: NotRequired[int | None]
    """seconds, or None for ever; INHERIT if absent"""
    origins: NotRequired[dict[str, Any]]
    """which entries came from other versions"""
    extras: NotRequired[dict[str, Any]]
    """the keys that the user gave to entries, by path, or {"blob": digest} if they are long"""
    source: NotRequired[dict[str, Any]]
    """only of a link: where the version was made"""
    deleted: NotRequired[str]
    """when it was deleted"""
    withdrawn: NotRequired[bool]
    """true if the version was never complete here"""


def is_live(version: VersionState | None) -> TypeGuard[VersionState]:
    """Whether there is such a version, and it isn't deleted."""
    return version is not None and "deleted" not in version


def author_of(version: VersionState) -> str | None:
    """The verified name of the writer that added a version here, or None if nobody's name was verified.

    A version is somebody's *own* if this is their name. What its `user` claims proves nothing.
    """
    return version.get("author")


ADDS = ("version", "link")
"""Kinds of changes by which a collection gets a version."""


class Path(NamedTuple):
    """The path of a collection, with names as users spell them."""

    entity: str
    project: str
    name: str

    def __str__(self) -> str:
        return "/".join(self)

    def fields(self) -> dict[str, str]:
        """The fields by which a change names this collection."""
        return self._asdict()

    @classmethod
    def named_by(cls, change: Change) -> "Path":
        """The path of the collection that a change names: the inverse of `fields`."""
        return cls(change["entity"], change["project"], change["name"])

    @property
    def in_registry(self) -> bool:
        """Whether the project is a registry, whose collections hold links."""
        return self.project.startswith(REGISTRY)

    @property
    def folder(self) -> str:
        return "refs/" + "/".join(file_name_of(part) for part in self)


class State:
    """The state of a collection, folded from its log.

    Its fields are plain values, which are also what a checkpoint holds. Ids and digests are hex.
    """

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
        self.keep: str | None = None
        """the rule that says which of its versions are kept; None if all are"""
        self.keep_entry: str | None = None
        """the digest of the entry that set the rule here; only where somebody accepted it, the rule deletes versions"""
        self.metadata: dict[str, Any] = {}
        self.blobs: dict[str, str] = {}
        """long values of the collection's own metadata: the digests of their blobs, by key"""
        self.upserts: dict[str, list[dict[str, Any]]] = {}
        """the parts of each version that isn't finished, by its distributed id"""
        self.finished: dict[str, str] = {}
        """the id of the version that each upsert became last, by distributed id"""
        self.renumbered: dict[int, str] = {}
        """the id of each version by the number that it had before a pull moved it behind the upstream's versions"""
        self.pending: dict[str, Any] | None = None
        """a `moved from` change for which the old name's log hasn't been asked yet whether it moved"""

    def copy(self) -> "State":
        """A copy that can be folded further without changing this one.

        Both share their versions, because a fold replaces a version instead of editing it. So never give a caller a
        version's values that it could edit.
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
        """The id of each version by its number, deleted versions included. Cost: one pass over all versions."""
        return {version["number"]: id for id, version in self.versions.items()}

    def live(self) -> list[VersionState]:
        """Live versions in the order of their numbers."""
        return sorted((v for v in self.versions.values() if is_live(v)), key=lambda v: v["number"])

    @property
    def latest(self) -> VersionState | None:
        last = next(reversed(self.versions.values()), None)
        if last is not None and last["number"] == self.next - 1 and is_live(last):
            return last  # nearly always; saves a pass over thousands of versions
        return max((v for v in self.versions.values() if is_live(v)), key=lambda v: v["number"], default=None)

    @property
    def holds_links(self) -> bool:
        """Whether its versions are links to versions of other collections. Such a collection holds only links."""
        return any("source" in version for version in self.versions.values())

    def aliases_of(self, id: str) -> list[str]:
        """The aliases of a version: `latest` first, the others in the order in which they were set."""
        return self.all_aliases().get(id, [])

    def all_aliases(self) -> dict[str, list[str]]:
        """The aliases of each version that has any, by id, in the order of `aliases_of`."""
        latest = self.latest
        found: dict[str, list[str]] = {latest["id"]: ["latest"]} if latest is not None else {}
        for alias, id in self.aliases.items():
            found.setdefault(id, []).append(alias)
        return found

    def plain(self) -> dict[str, Any]:
        values = {**vars(self), "path": list(self.path)}
        values["redirect"] = list(self.redirect) if self.redirect else None
        values["aliases"] = [[alias, id] for alias, id in self.aliases.items()]
        values["renumbered"] = [[number, id] for number, id in self.renumbered.items()]
        values["metadata"] = encode_json(self.metadata)
        values["versions"] = [
            {**v, **{key: encode_json(value) for key, value in v.items() if key in _JSON}}
            for v in self.versions.values()
        ]
        return values

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "State":
        state = cls(Path(*values["path"]))
        vars(state).update(values, path=state.path)
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


_JSON = ("metadata", "origins", "extras")
"""Fields that a checkpoint holds as JSON: the canonical codec can't hold floats and paths that aren't UTF-8."""


def digest_of_state(version: VersionState) -> Digest:
    return from_hex(version["digest"])


def id_of_state(version: VersionState) -> Digest:
    return from_hex(version["id"])


def nfc(path: Path) -> Path:
    return Path(*(unicodedata.normalize("NFC", part) for part in path))
