"""Links: versions in other collections that share the properties of their sources; and registries of such collections."""

from functools import partial
from typing import Any

from artstore.domain.changes import Change, new_change
from artstore.domain.codec import same_json
from artstore.domain.collection import Path, State, VersionState, is_live
from artstore.domain.copies import REGISTRY_RECORD, copied
from artstore.domain.names import REGISTRY_TYPE
from artstore.domain.properties import Properties
from artstore.domain.wording import typed
from artstore.errors import Conflict, NotFound
from artstore.operations.changing.changes import Changes, deletion
from artstore.operations.finding.lookup import Lookup, Version
from artstore.store.refs import Refs
from artstore.store.store import Store


class Links:
    """The operations on links and registries."""

    def __init__(self, store: Store, lookup: Lookup, changes: Changes) -> None:
        self._refs = store.refs
        self._lookup = lookup
        self._changes = changes

    def link(self, found: Version, target: str, aliases: tuple[str, ...] = ()) -> Version:
        """Link a version into another collection, which is created if there is none. Returns the link.

        A link to a link points to the same source.

        Args:
            target: The name of the collection.
            aliases: Aliases of the link: it doesn't share those of its source.

        Raises:
            Conflict: The registry doesn't accept the type, or the collection holds versions that are not links.
        """
        properties = Properties(aliases=aliases).checked()
        path, id = self._changes.free_name(target), found.id
        # 1. Open a transaction before the source is read: no collector may remove its objects from then on.
        with self._changes.rely() as reliance:
            found = self._live(self._lookup.source(found) or found)
            state, version = found
            if state.path == self._refs.read(path).path:
                raise Conflict(f"{found.name} can't be linked to its own artifact", hint="choose another name")
            reliance.rely_on(state.path, version)
            reliance.rely_on_properties(state.path, version)
            stored = reliance.store(properties)

            # 2. Append the link to the target's log, then look again for the version's objects.
            def build(there: State) -> list[Change]:
                self._refuse_type(there.path, state.type)
                changes = copied(state, [self._lookup.whole(found)], there, link=True)
                return [*changes, *stored.changes(there, id)]

            made = reliance.change(path, build, lambda _: reliance.ensure_copied(state.path, [version]))
        return Version(made, made.versions[id])

    def _live(self, found: Version) -> Version:
        """Read a version again. Raises NotFound if it was deleted."""
        now = self._lookup.version(found.state.path, found.id)
        if not is_live(now.version):
            raise NotFound(f"{now.name} was deleted", hint=f"{typed('undelete', now.spec)} may bring it back")
        return now

    def unlink(self, text: str) -> Version:
        """Remove a link, with its aliases. Its source stays. Raises Conflict if the version is not a link."""

        def build(state: State, version: VersionState) -> list[Change]:
            if "source" not in version:
                name = f"{state.path.name}:v{version['number']}"
                raise Conflict(f"{name} is not a link", hint=f"{typed('rm', name)} deletes it")
            return deletion(state, version["id"])

        return self._changes.change_version(text, build)

    def _refuse_type(self, path: Path, type: str) -> None:
        """Raise Conflict if the collection is in a registry that doesn't accept this type."""
        if not path.in_registry:
            return
        told = registry_at(self._refs, path.entity, path.project).metadata
        types = told.get("artifact_types", [])
        if not told.get("allow_all_artifact_types", not types) and type not in types:
            hint = f"it accepts {', '.join(types)}" if types else "it accepts no type yet"
            raise Conflict(f"registry {path.project} does not accept artifacts of type '{type}'", hint=hint)

    # -- registries --

    def edit_registry(
        self, entity: str, project: str, *, new: bool, description: str | None, metadata: dict[str, Any] | None
    ) -> State:
        """Change the properties of a registry. Returns the collection that has them.

        Args:
            new: The registry must not exist.
            description: None leaves it as it is; "" removes it.
            metadata: Keys to set.

        Raises:
            Conflict: `new` is set, and the registry exists.
        """

        def build(state: State) -> list[Change]:
            if new and state.exists:
                raise Conflict(f"registry {project} exists already", hint="choose another name")
            changes = []
            if not state.exists:
                changes.append(new_change("collection", **state.path.fields(), type=REGISTRY_TYPE))
            if description is not None and (description or None) != state.description:
                text = {"old": state.description, "new": description or None, "blob": None}
                changes.append(new_change("description", id=None, **text))
            has = state.metadata
            told = {k: v for k, v in (metadata or {}).items() if k not in has or not same_json(has[k], v)}
            if told:
                changes.append(new_change("metadata", id=None, set=told, blobs={}, remove=[]))
            return changes

        return self._refs.change(Path(entity, project, REGISTRY_RECORD), build)

    def delete_registry(self, entity: str, project: str) -> None:
        """Delete a registry with all its links. The sources of the links stay."""
        for state in list(self._refs.collections(entity, project)):
            gone = [version["id"] for version in state.live()]
            self._refs.change(state.path, partial(_emptied, gone))


def registry_at(refs: Refs, entity: str, project: str) -> State:
    """The collection that has the properties of a registry. It doesn't exist if none was ever set."""
    return refs.read(Path(entity, project, REGISTRY_RECORD))


def _emptied(gone: list[str], state: State) -> list[Change]:
    """The change that deletes a collection with these versions. No change if it doesn't exist."""
    return [new_change("delete collection", ids=gone)] if state.exists else []
