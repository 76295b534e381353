"""Copies and links: the changes that add versions of one collection to another."""

from artstore.domain.changes import Change, new_change
from artstore.domain.collection import State, VersionState, is_live
from artstore.domain.kinds import VERSION
from artstore.domain.properties import PROPERTIES
from artstore.domain.wording import typed
from artstore.errors import Conflict, InvalidValue

REGISTRY_RECORD = ".registry"
"""Name of the collection that holds a registry's description and the types that it accepts."""


def copied(
    source: State, versions: list[VersionState], there: State, *, aliases: bool = False, link: bool = False
) -> list[Change]:
    """Changes that copy versions of one collection to another, or `link` them there.

    Tags, metadata, description and ttl are copied too, and with `aliases` the aliases and the collection's tags. A
    version that is there already stays as it is; one that was deleted there is undeleted.
    """
    refuse_mixture(there, links=link)
    changes: list[Change] = []
    if not there.exists:
        changes.append(new_change("collection", **there.path.fields(), type=source.type))
    elif there.type != source.type:
        what = f"Artifact {there.path.name} already exists with type '{there.type}'"
        raise Conflict(f"{what}; it can't take one of type '{source.type}'")
    number = there.next
    for version in versions:
        id = version["id"]
        if id not in there.versions:
            fields = {key: value for key, value in version.items() if key in VERSION} | {"number": number}
            if link:
                made = version.get("source") or {**source.path.fields(), "number": version["number"]}
                changes.append(new_change("link", **fields, source=made))
            else:
                changes.append(new_change("version", **fields))
            changes += [change for of in PROPERTIES.values() for change in of.aligned(id, {}, version)]
            number += 1
        elif not is_live(there.versions[id]):
            changes.append(new_change("undelete", id=id))
        if aliases:
            named = (alias for alias in source.aliases_of(id) if alias != "latest" and there.aliases.get(alias) != id)
            changes += [new_change("alias", alias=a, id=id, old=there.aliases.get(a)) for a in named]
    if aliases and (new := [tag for tag in source.tags if tag not in there.tags]):
        changes.append(new_change("tags", id=None, add=new, remove=[]))
    return changes


def refuse_mixture(there: State, *, links: bool) -> None:
    """Raise Conflict if a version or a link (`links`) can't be added to a collection.

    A collection holds either versions that were saved to it or links, never both. A registry's collections hold links.
    """
    if there.path.in_registry and there.path.name == REGISTRY_RECORD:
        raise InvalidValue(f"'{there.path}' is where the registry itself is described", hint="choose another name")
    if links and there.versions and not there.holds_links:
        raise Conflict(f"{there.path} holds versions of its own: nothing is linked to it", hint="choose another name")
    if not links and (there.holds_links or there.path.in_registry):
        link = typed("link", "PROJECT/NAME", f"{there.path.project}/{there.path.name}")
        hint = f"save elsewhere, and link that: {link}"
        raise Conflict(f"{there.path} is for links: nothing is saved to it", hint=hint)
