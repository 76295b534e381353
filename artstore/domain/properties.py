"""Properties: what is said of a version beside its content, and the changes that say it in the collection's log."""

from typing import Any, NamedTuple

from artstore.domain.changes import Change, new_change
from artstore.domain.collection import FIELDS, INHERIT, State, VersionState
from artstore.domain.hints import typed
from artstore.domain.metadata import normalise
from artstore.domain.names import check_alias, check_tags
from artstore.errors import Conflict, InvalidValue

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
