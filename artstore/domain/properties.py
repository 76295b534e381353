"""Properties: what is said of a version beside its content, and the changes that say it in the collection's log."""

from typing import Any, NamedTuple

from artstore.domain.changes import Change, new_change
from artstore.domain.codec import MAX_JSON, encode_json, same_json
from artstore.domain.collection import FIELDS, INHERIT, State, VersionState
from artstore.domain.hints import typed
from artstore.domain.metadata import LONG, normalise
from artstore.domain.names import check_alias, check_tags
from artstore.errors import Conflict, InvalidValue
from artstore.store.transaction import Transaction

NEVER = "never"
REGISTRY_RECORD = ".registry"
"""Name of the collection in which a registry's description and the types that it takes are told."""


class Properties(NamedTuple):
    """Differences to apply; what is not named stays. Keys of `metadata` are the top-level ones."""

    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    description: str | None = None
    """None leaves it, "" takes it away"""
    metadata: Any = None
    """a dict, or JSON text of one; None leaves it"""
    ttl: int | str | None = None
    """seconds from the version's creation, NEVER or INHERIT; None leaves it"""
    no_aliases: tuple[str, ...] = ()
    no_tags: tuple[str, ...] = ()
    no_metadata: tuple[str, ...] = ()

    def checked(self) -> "Properties":
        """As it is stored: metadata in plain JSON values, tags once each. Raises InvalidValue for what breaks a rule."""
        for alias in (*self.aliases, *self.no_aliases):
            check_alias(alias)
        if self.description is not None and any("\ud800" <= c <= "\udfff" for c in self.description):
            raise InvalidValue("the description is not valid Unicode")
        metadata = None if self.metadata is None else normalise(self.metadata)
        if both := sorted(set(metadata or ()) & set(self.no_metadata)):
            raise InvalidValue(f"metadata '{both[0]}' can't be set and removed at once")
        return self._replace(tags=tuple(check_tags(self.tags)), metadata=metadata)


def _check_length(what: str, text: bytes) -> None:
    if len(text) > MAX_JSON:
        raise InvalidValue(f"{what} would be {len(text)} bytes of JSON; at most {MAX_JSON}", hint="add it as a file")


class StoredProperties:
    """Properties with their long values in the transaction, and the changes that say them."""

    def __init__(
        self, tx: Transaction, properties: Properties, origins: dict[str, dict[str, Any]] | None = None
    ) -> None:
        """`origins` tell which entries are other versions': said once, of a new version."""
        self._given = properties
        self._origins: dict[str, Any] | None = origins or None
        self._origins_blob: str | None = None
        if self._origins is not None and len(text := encode_json(self._origins)) > LONG:
            _check_length("origins of entries", text)
            self._origins, self._origins_blob = None, tx.add_bytes(text).hex()
        self._set: dict[str, Any] = {}
        self._blobs: dict[str, str] = {}
        for key, value in (properties.metadata or {}).items():
            text = encode_json(value)
            if len(text) > LONG:
                _check_length(f"metadata '{key}'", text)
                self._blobs[key] = tx.add_bytes(text).hex()
            else:
                self._set[key] = value
        self._description = properties.description or None
        self._description_blob: str | None = None
        if self._description is not None and len(self._description.encode()) > LONG:
            self._description_blob = tx.add_bytes(self._description.encode()).hex()
            self._description = None

    def changes(self, state: State, id: str) -> list[Change]:
        """Only what differs from what the version has."""
        version = state.versions.get(id, {})
        return [
            *self._aliases(state, id),
            *self._tags(id, version),
            *self._metadata(id, version),
            *self._text(id, version),
            *self._ttl(id, version),
            *self._told_origins(id, version),
        ]

    def _told_origins(self, id: str, version: dict[str, Any]) -> list[Change]:
        if "origins" in version or not (self._origins or self._origins_blob):
            return []
        return [new_change("origins", id=id, entries=self._origins, blob=self._origins_blob)]

    def _aliases(self, state: State, id: str) -> list[Change]:
        on = [a for a in dict.fromkeys(self._given.aliases) if a != "latest" and state.aliases.get(a) != id]
        off = [a for a in dict.fromkeys(self._given.no_aliases) if state.aliases.get(a) == id]
        return [new_change("alias", alias=a, id=id, old=state.aliases.get(a)) for a in on] + [
            new_change("alias", alias=a, id=None, old=id) for a in off
        ]

    def _tags(self, id: str, version: dict[str, Any]) -> list[Change]:
        has = version.get("tags", [])
        on = [tag for tag in self._given.tags if tag not in has]
        off = [tag for tag in self._given.no_tags if tag in has]
        return [new_change("tags", id=id, add=on, remove=off)] if on or off else []

    def _metadata(self, id: str, version: dict[str, Any]) -> list[Change]:
        old, old_blobs = version.get("metadata", {}), version.get("blobs", {})
        set_ = {key: value for key, value in self._set.items() if key not in old or not same_json(old[key], value)}
        blobs = {key: digest for key, digest in self._blobs.items() if old_blobs.get(key) != digest}
        off = [key for key in self._given.no_metadata if key in old or key in old_blobs]
        return [new_change("metadata", id=id, set=set_, blobs=blobs, remove=off)] if set_ or blobs or off else []

    def _text(self, id: str, version: dict[str, Any]) -> list[Change]:
        old = version.get("description")
        wanted = {"blob": self._description_blob} if self._description_blob else self._description
        if self._given.description is None or wanted == old:
            return []
        return [new_change("description", id=id, old=old, new=self._description, blob=self._description_blob)]

    def _ttl(self, id: str, version: dict[str, Any]) -> list[Change]:
        old = version.get("ttl", INHERIT)
        new = None if self._given.ttl == NEVER else self._given.ttl
        return [] if self._given.ttl is None or new == old else [new_change("ttl", id=id, old=old, new=new)]


def copied(
    source: State, versions: list[VersionState], there: State, *, aliases: bool = False, link: bool = False
) -> list[Change]:
    """Changes that give these versions of one collection to another, or `link` them there, with their tags, metadata,
    description and ttl (and aliases). Those that are there already stay as they are.
    """
    refuse_mixture(there, links=link)
    changes: list[Change] = []
    if not there.exists:
        changes.append(new_change("collection", **there.path.fields(), type=source.type))
    elif there.type != source.type:
        raise Conflict(f"Artifact '{there.path.name}' already exists with type '{there.type}'; not '{source.type}'")
    number = there.next
    for version in versions:
        id = version["id"]
        if id not in there.versions:
            fields = {key: version[key] for key in FIELDS["version"]} | {"number": number}
            if link:
                made = version.get("source") or {**source.path.fields(), "number": version["number"]}
                changes.append(new_change("link", **fields, source=made))
            else:
                changes.append(new_change("version", **fields))
            changes += _properties_of(version)
            number += 1
        elif "deleted" in there.versions[id]:
            changes.append(new_change("undelete", id=id))
        if aliases:
            named = (alias for alias in source.aliases_of(id) if alias != "latest" and there.aliases.get(alias) != id)
            changes += [new_change("alias", alias=a, id=id, old=there.aliases.get(a)) for a in named]
    if aliases and (new := [tag for tag in source.tags if tag not in there.tags]):
        changes.append(new_change("tags", id=None, add=new, remove=[]))
    return changes


def refuse_mixture(there: State, *, links: bool) -> None:
    """A collection holds versions that were saved to it, or links to such, never both; those of a registry hold links.
    Raises Conflict.
    """
    name = there.path.name
    if there.path.in_registry and there.path.name == REGISTRY_RECORD:
        raise InvalidValue(f"'{there.path}' is where the registry itself is described", hint="choose another name")
    if links and there.versions and not there.holds_links:
        raise Conflict(f"{there.path} holds versions of its own: nothing is linked to it", hint="choose another name")
    if not links and (there.holds_links or there.path.in_registry):
        raise Conflict(
            f"{there.path} is for links: nothing is saved to it",
            hint=f"save elsewhere, and link that: {typed('link', 'PROJECT/NAME', f'{there.path.project}/{name}')}",
        )


def undone(changes: list[Change], version: VersionState) -> list[Change]:
    """Changes that take back those that may name blobs, for when a blob turns out to be gone: `version` as it was."""
    undo = []
    for change in changes:
        id = change.get("id")
        if change["kind"] == "metadata":
            keys = [*change["set"], *change["blobs"], *change["remove"]]
            old, blobs = version.get("metadata", {}), version.get("blobs", {})
            before = {key: old[key] for key in keys if key in old}
            stored = {key: blobs[key] for key in keys if key in blobs}
            gone = [key for key in keys if key not in before and key not in stored]
            undo.append(new_change("metadata", id=id, set=before, blobs=stored, remove=gone))
        elif change["kind"] == "description":
            old_text = version.get("description")
            blob = old_text["blob"] if isinstance(old_text, dict) else None
            now = {"blob": change["blob"]} if change["blob"] else change["new"]
            undo.append(new_change("description", id=id, old=now, new=None if blob else old_text, blob=blob))
    return undo


def said_of(version: VersionState) -> dict[str, Any]:
    """All that is said of a version, as it stands in its collection's state."""
    return {key: version.get(key) for key in ("tags", "metadata", "blobs", "description", "ttl")}


def _properties_of(version: VersionState) -> list[Change]:
    id, changes = version["id"], []
    if tags := version.get("tags"):
        changes.append(new_change("tags", id=id, add=tags, remove=[]))
    metadata, blobs = version.get("metadata", {}), version.get("blobs", {})
    if metadata or blobs:
        changes.append(new_change("metadata", id=id, set=metadata, blobs=blobs, remove=[]))
    if (text := version.get("description")) is not None:
        blob = text["blob"] if isinstance(text, dict) else None
        changes.append(new_change("description", id=id, old=None, new=None if blob else text, blob=blob))
    if "ttl" in version:
        changes.append(new_change("ttl", id=id, old=INHERIT, new=version["ttl"]))
    if origins := version.get("origins"):
        blob = origins.get("blob")
        blob = blob if isinstance(blob, str) else None
        changes.append(new_change("origins", id=id, entries=None if blob else origins, blob=blob))
    return changes
