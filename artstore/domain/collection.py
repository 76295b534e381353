"""The state of a collection: what the changes in its log add up to."""

import unicodedata
from typing import Any, NamedTuple

from artstore.domain.changes import (
    Change,
)
from artstore.domain.codec import decode_json, encode_json
from artstore.domain.digest import Digest
from artstore.domain.names import REGISTRY, file_name_of

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


def digest_of_state(version: VersionState) -> Digest:
    return Digest(bytes.fromhex(version["digest"]))


def id_of_state(version: VersionState) -> Digest:
    return Digest(bytes.fromhex(version["id"]))


def nfc(path: Path) -> Path:
    return Path(*(unicodedata.normalize("NFC", part) for part in path))
