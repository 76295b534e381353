"""Storing properties: the changes that set them, with long values as blobs in a transaction."""

from typing import Any

from artstore.domain.changes import Change, new_change
from artstore.domain.codec import MAX_JSON, encode_json, same_json
from artstore.domain.collection import INHERIT, State
from artstore.domain.metadata import LONG
from artstore.domain.properties import NEVER, Properties, Subject, owner_of
from artstore.errors import InvalidValue
from artstore.store.transaction import Transaction


def check_length(what: str, text: bytes) -> None:
    """Raise InvalidValue if the JSON of a property is longer than a reader accepts."""
    if len(text) > MAX_JSON:
        raise InvalidValue(f"{what} would be {len(text)} bytes of JSON; at most {MAX_JSON}", hint="add it as a file")


def latest_is_ours() -> InvalidValue:
    """The error for setting or removing the alias `latest`."""
    return InvalidValue("alias 'latest' can't be set or removed: it is always the newest version")


class StoredProperties:
    """Properties to set on a version. Their long values are stored as blobs in a transaction."""

    def __init__(
        self, tx: Transaction, properties: Properties, origins: dict[str, dict[str, Any]] | None = None
    ) -> None:
        """`origins` maps entries to the versions from which they came. Only a new version gets it."""
        self._given = properties
        self._origins: dict[str, Any] | None = origins or None
        self._origins_blob: str | None = None
        if self._origins is not None and len(text := encode_json(self._origins)) > LONG:
            check_length("origins of entries", text)
            self._origins, self._origins_blob = None, tx.add_bytes(text).hex()
        self._set: dict[str, Any] = {}
        self._blobs: dict[str, str] = {}
        for key, value in (properties.metadata or {}).items():
            text = encode_json(value)
            if len(text) > LONG:
                check_length(f"metadata '{key}'", text)
                self._blobs[key] = tx.add_bytes(text).hex()
            else:
                self._set[key] = value
        self._description = properties.description or None
        self._description_blob: str | None = None
        if self._description is not None and len(self._description.encode()) > LONG:
            self._description_blob = tx.add_bytes(self._description.encode()).hex()
            self._description = None

    def check_latest(self, state: State, id: str) -> None:
        """Raise InvalidValue if the alias `latest` is given to a version that is not the newest."""
        if "latest" in self._given.aliases and state.latest is not state.versions[id]:
            raise latest_is_ours()

    def changes(self, state: State, id: str) -> list[Change]:
        """The changes that give the version these properties. Properties that it has already are left out."""
        version = owner_of(state, id)
        others = (self._tags, self._metadata, self._text, self._ttl, self._told_origins)
        return [*self._aliases(state, id), *(change for changes in others for change in changes(id, version))]

    def _told_origins(self, id: str, version: Subject) -> list[Change]:
        if version.get("origins") or not (self._origins or self._origins_blob):
            return []
        return [new_change("origins", id=id, entries=self._origins, blob=self._origins_blob)]

    def _aliases(self, state: State, id: str) -> list[Change]:
        on = [a for a in dict.fromkeys(self._given.aliases) if a != "latest" and state.aliases.get(a) != id]
        off = [a for a in dict.fromkeys(self._given.no_aliases) if state.aliases.get(a) == id]
        moved = [new_change("alias", alias=a, id=id, old=state.aliases.get(a)) for a in on]
        return moved + [new_change("alias", alias=a, id=None, old=id) for a in off]

    def _tags(self, id: str, version: Subject) -> list[Change]:
        has = version.get("tags", [])
        on = [tag for tag in self._given.tags if tag not in has]
        off = [tag for tag in self._given.no_tags if tag in has]
        return [new_change("tags", id=id, add=on, remove=off)] if on or off else []

    def _metadata(self, id: str, version: Subject) -> list[Change]:
        old, old_blobs = version.get("metadata", {}), version.get("blobs", {})
        set_ = {key: value for key, value in self._set.items() if key not in old or not same_json(old[key], value)}
        blobs = {key: digest for key, digest in self._blobs.items() if old_blobs.get(key) != digest}
        off = [key for key in self._given.no_metadata if key in old or key in old_blobs]
        return [new_change("metadata", id=id, set=set_, blobs=blobs, remove=off)] if set_ or blobs or off else []

    def _text(self, id: str, version: Subject) -> list[Change]:
        old = version.get("description")
        wanted = {"blob": self._description_blob} if self._description_blob else self._description
        if self._given.description is None or wanted == old:
            return []
        return [new_change("description", id=id, old=old, new=self._description, blob=self._description_blob)]

    def _ttl(self, id: str, version: Subject) -> list[Change]:
        old = version.get("ttl", INHERIT)
        new = None if self._given.ttl == NEVER else self._given.ttl
        return [] if self._given.ttl is None or new == old else [new_change("ttl", id=id, old=old, new=new)]
