"""Changes to versions and collections: aliases, tags, metadata, names; deleting, undeleting, copying.

The files of a version never change.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial

from artstore.domain.changes import Change, new_change
from artstore.domain.codec import same_json
from artstore.domain.collection import INHERIT, Path, State, VersionState, id_of_state, is_live
from artstore.domain.copies import copied, refuse_mixture
from artstore.domain.names import (
    check_alias,
    check_new_alias,
    check_tags,
    check_type,
    collection_named,
    listed,
    parse_spec,
)
from artstore.domain.properties import NEVER, Properties, aligned, said_of
from artstore.domain.retention import Policy, Verdict, judge
from artstore.domain.upserts import no_upsert
from artstore.domain.wording import near, typed
from artstore.errors import Conflict, InvalidValue, NotFound
from artstore.operations.finding.caches import cache_of
from artstore.operations.finding.catalog import Catalog, LinkRow
from artstore.operations.finding.lookup import Lookup, Version
from artstore.operations.saving.properties import latest_is_ours
from artstore.operations.saving.reliance import Reliance
from artstore.operations.upkeep.removal import sweep
from artstore.store.store import Store


class Changes:
    """The operations that change versions and collections.

    Each appends one log entry. If another writer appends first, the entry is made again from the new state. The `text`
    of an operation is a spec, or the name of a collection.
    """

    def __init__(self, store: Store, lookup: Lookup) -> None:
        self._store = store
        self._refs = store.refs
        self._objects = store.objects
        self._lookup = lookup

    def rely(self) -> Reliance:
        """Open a reliance, after removing what dead processes left in tmp/."""
        sweep(self._store.storage)
        return Reliance(self._objects, self._refs)

    def _links_now(self) -> Callable[[str], list[LinkRow]]:
        return Catalog(cache_of(self._objects.here), self._store.runs, self._refs).links_of

    @cached_property
    def _links_of(self) -> Callable[[str], list[LinkRow]]:
        """The links to each version, as they were when they were first needed."""
        return self._links_now()

    def set_aliases(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Version:
        """Move aliases to a version, or remove them from it. Raises NotFound if it lacks an alias to remove."""
        add = tuple(map(check_new_alias, listed(add, "aliases")))
        remove = tuple(map(check_alias, listed(remove, "aliases")))
        if "latest" in (*add, *remove):
            raise latest_is_ours()

        def build(state: State, version: VersionState) -> list[Change]:
            id = version["id"]
            new = [alias for alias in dict.fromkeys(add) if state.aliases.get(alias) != id]
            changes = [new_change("alias", alias=alias, id=id, old=state.aliases.get(alias)) for alias in new]
            for alias in dict.fromkeys(remove):
                if state.aliases.get(alias) != id:
                    raise _no_alias(state, version, alias)
                changes.append(new_change("alias", alias=alias, id=None, old=id))
            return changes

        return self.change_version(text, build)

    def set_tags(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Version:
        """Add tags to a version, or remove them. Raises NotFound if it lacks a tag to remove.

        The tags of a link are those of its source.
        """
        add, remove = tuple(check_tags(add)), tuple(check_tags(remove))
        found = self._lookup.find(text, for_good=True)
        if (source := self._lookup.source(found)) is not None:
            self.set_tags(f"{source.state.path}@{source.id}", add, remove)
            return found

        def build(state: State, version: VersionState) -> list[Change]:
            has = version.get("tags", [])
            if missing := [tag for tag in remove if tag not in has]:
                hint = near(missing[0], has)
                raise NotFound(f"{state.path.name}:v{version['number']} has no tag '{missing[0]}'", hint=hint)
            new = [tag for tag in add if tag not in has]
            return [new_change("tags", id=version["id"], add=new, remove=list(remove))] if new or remove else []

        return self.change_version(text, build)

    def edit(self, text: str, properties: Properties) -> Version:
        """Change properties of a version. Only those that are given change; others keep what somebody else may set.

        A link has aliases of its own, and shares all other properties with its source.
        """
        # 1. Of a link, change the shared properties at its source.
        properties = properties.checked()
        if "latest" in properties.no_aliases:
            raise latest_is_ours()
        found = self._lookup.find(text, for_good=True)
        if (source := self._lookup.source(found)) is not None:
            rest = properties._replace(aliases=(), no_aliases=())
            if rest != Properties():
                self.edit(f"{source.state.path}@{source.id}", rest)
            properties = Properties(aliases=properties.aliases, no_aliases=properties.no_aliases)
            text = f"{found.state.path}@{found.id}"
        # 2. Store long values before the entry that names them. If a collector removed one meanwhile, take the
        #    change back.
        with self.rely() as reliance:
            stored = reliance.store(properties)
            reliance.transaction.publish()
            return self.change_version(text, lambda state, v: stored.changes(state, v["id"]), reliance.change)

    def edit_collection(
        self, text: str, *, description: str | None, type: str | None, tags: tuple[str, ...], no_tags: tuple[str, ...]
    ) -> State:
        """Change the properties of a collection. None leaves one as it is. The description "" removes the description."""
        path = self._lookup.collection(collection_named(text)).path
        wanted = description or None

        def build(state: State) -> list[Change]:
            if not state.exists:
                raise _gone(path)
            changes = []
            if type is not None and check_type(type) != state.type:
                changes.append(new_change("collection", **state.path.fields(), type=type))
            if description is not None and wanted != state.description:
                changes.append(new_change("description", id=None, old=state.description, new=wanted, blob=None))
            on = [tag for tag in check_tags(tags) if tag not in state.tags]
            off = [tag for tag in listed(no_tags, "no_tags") if tag in state.tags]
            return [*changes, new_change("tags", id=None, add=on, remove=off)] if on or off else changes

        return self._refs.change(path, build)

    def change_version(
        self,
        text: str,
        build: Callable[[State, VersionState], list[Change]],
        change: Callable[[Path, Callable[[State], list[Change]]], State] | None = None,
    ) -> Version:
        """Change the version that a spec names. `build` makes the changes from its collection and the version.

        The spec is resolved once. If another writer appends first, the same version is changed, even if `latest` names
        another one by then. `change` appends them, by default `Refs.change`. Raises Conflict if a pull gave the number
        to another version.
        """
        path, spec = self._lookup.path_of(text)
        chosen: dict[str, str] = {}

        def changes(state: State) -> list[Change]:
            if not state.exists:
                self._lookup.collection(text)  # raises NotFound, with similar names in the hint
            version = state.versions[chosen["id"]] if chosen else self._lookup.chosen_for_good(state, spec).version
            if not is_live(version):
                raise NotFound(f"{state.path.name}:v{version['number']} was deleted meanwhile")
            chosen["id"] = version["id"]
            return build(state, version)

        try:
            state = (change or self._refs.change)(path, changes)
        except Conflict:
            self._lookup.collection(text)  # raises NotFound if only a name in another case exists
            raise
        return Version(state, state.versions[chosen["id"]])

    def delete(self, text: str, *, delete_aliases: bool = False, latest_holds: bool = False) -> Version:
        """Delete one version. Its number is never used again.

        Raises Conflict if it has an alias, or a link points to it, unless `delete_aliases`. The alias `latest` only
        counts if it `latest_holds`. The links stay, and keep its files and properties. Raises Conflict if a pull gave
        its number to another version.
        """
        named = self._lookup.find(text, for_good=True)
        self._release([named], force=delete_aliases)

        def build(state: State, version: VersionState) -> list[Change]:
            held = [alias for alias in state.aliases_of(version["id"]) if latest_holds or alias != "latest"]
            if held and not delete_aliases:
                name = f"{state.path.name}:v{version['number']}"
                raise Conflict(f"{name} has {_aliases(held)}", hint=_HELD)
            return deletion(state, version["id"])

        found = self.change_version(f"{named.state.path}@{named.id}", build)
        self.tell_links_of_deleted(found.state, [found.id])
        return found

    def delete_collection(self, text: str, *, delete_aliases: bool = False) -> State:
        """Delete a collection with all versions that it has now. A version that is saved meanwhile stays.

        Raises Conflict if it has aliases, or links point to its versions, unless `delete_aliases`. The links stay.
        """
        path = self._lookup.collection(collection_named(text)).path
        state = self._refs.read(path)
        self._release([Version(state, version) for version in state.live()], force=delete_aliases)

        def build(state: State) -> list[Change]:
            if not state.exists:
                raise _gone(path)
            if state.aliases and not delete_aliases:
                raise Conflict(f"{path.name} has {_aliases(state.aliases)}", hint=_HELD)
            return [new_change("delete collection", ids=[version["id"] for version in state.live()])]

        gone = self._refs.change(path, build)
        self.tell_links_of_deleted(gone, [version["id"] for version in state.live()])
        return gone

    def refuse_linked(self, versions: list[Version], *, force: bool) -> None:
        """Raise Conflict if a link points to one of these versions, unless `force`."""
        for found in versions if not force else ():
            if links := [] if found.is_link else self._links_of(found.id):
                held = ", ".join(f"{link.project}/{link.name}:v{link.number}" for link in links[:3])
                raise Conflict(f"{found.name} is linked to {held}", hint=_LINKED)

    def _release(self, versions: list[Version], *, force: bool) -> None:
        """Prepare the deletion of versions: copy their properties to the links that point to them.

        After the deletion, the links can't look them up any more. Raises Conflict if there are links, unless `force`.
        """
        self.refuse_linked(versions, force=force)
        self._tell_links(versions, self._links_of)

    def _tell_links(self, versions: list[Version], links_of: Callable[[str], list[LinkRow]]) -> None:
        """Copy the properties of versions to the links that point to them."""
        for found in versions:
            for link in [] if found.is_link else links_of(found.id):
                self._refs.change(link.path, partial(_told, found))

    def tell_links_of_deleted(self, state: State, ids: Iterable[str]) -> None:
        """Copy the properties of deleted versions to their links once more, after the deletion.

        A version may have been edited or linked between the first time and the deletion.
        """
        self._tell_links([Version(state, state.versions[id]) for id in ids], self._links_now())

    @contextmanager
    def keeping_linked_properties(self, links: Iterable[LinkRow]) -> Iterator[None]:
        """Run a pull. If it deletes the source of a link, copy the properties of the source to the link afterwards.

        From then on the link can't look them up any more.
        """
        found = [self._lookup.source(self._lookup.version(link.path, link.id)) for link in links]
        sources = [(source.state.path, source.id) for source in found if source is not None]
        yield
        for path, id in sources:
            state = self._refs.read(path)
            if id in state.versions and not is_live(state.versions[id]):
                self.tell_links_of_deleted(state, [id])

    def judge(
        self, state: State, policy: Policy, users: Mapping[str, str] | None = None, *, now: bool = False
    ) -> list[Verdict]:
        """Decide which versions of a collection a policy keeps. Deletes nothing. `users`: see `retention.judge`.

        With `now`, links are looked up again.
        """
        links_of = self._links_now() if now else self._links_of
        return judge(
            state,
            policy,
            lambda id: bool(links_of(id)),
            lambda version: self._lookup.properties(Version(state, version))[1],
            lambda version: self._lookup.said_of(Version(state, version)),
            users,
        )

    def prune(self, path: Path, decide: Callable[[State, bool], list[Verdict]], *, force: bool) -> list[Verdict]:
        """Delete the versions of which `decide` says that they go. Returns the last verdicts.

        Raises Conflict, with nothing deleted, if such a version has aliases or links point to it, unless `force`.

        Args:
            decide: Decides on a state of the collection. It is True when the deletions will be appended to this state.
        """
        # 1. Refuse before anything changes, then copy properties to links.
        state = self._refs.read(path)
        verdicts = decide(state, False)
        going = [Version(state, verdict.version) for verdict in verdicts if verdict.goes]
        if not going:
            return verdicts
        self.refuse_held(going, force=force)
        self._release(going, force=force)

        # 2. Decide again on the state to which the entry is appended: versions may have been saved meanwhile.
        def build(state: State) -> list[Change]:
            verdicts[:] = decide(state, True)
            gone = [verdict.version for verdict in verdicts if verdict.goes]
            self.refuse_held([Version(state, version) for version in gone], force=force)
            return [change for version in gone for change in deletion(state, version["id"])]

        state = self._refs.change(path, build)
        self.tell_links_of_deleted(state, [verdict.version["id"] for verdict in verdicts if verdict.goes])
        return verdicts

    def refuse_held(self, versions: list[Version], *, force: bool) -> None:
        """Raise Conflict if one of these versions has an alias other than `latest`, unless `force`."""
        named: dict[Path, dict[str, list[str]]] = {}
        for found in versions if not force else ():
            state = found.state
            if state.path not in named:
                named[state.path] = state.all_aliases()
            if held := [alias for alias in named[state.path].get(found.id, ()) if alias != "latest"]:
                raise Conflict(f"{found.name} would be deleted, and has {_aliases(held)}", hint=_ASKED)

    def drop(self, text: str, upsert: str) -> State:
        """Drop an unfinished version, with all its parts. Raises NotFound, with similar ids in the hint."""

        def build(state: State) -> list[Change]:
            if upsert not in state.upserts:
                raise no_upsert(state, upsert)
            return [new_change("drop", upsert=upsert, tree=None)]

        return self._refs.change(self._lookup.collection(collection_named(text)).path, build)

    def undelete(self, text: str) -> Version:
        """Bring a deleted version back.

        Raises:
            NotFound: There never was such a version.
            Conflict: It is not deleted, or its collection has another type now.
            MissingObject: An object of it is neither stored nor in the trash.
        """
        path, spec = self._lookup.path_of(text)
        if spec.number is None:
            raise self._unclear(text, path)
        version = next((v for v in self._refs.read(path).versions.values() if v["number"] == spec.number), None)
        if version is None:
            raise NotFound(f"{path.name} never had a version v{spec.number}")
        if is_live(version):
            raise Conflict(f"{path.name}:v{spec.number} is not deleted")
        (found,) = self._bring_back(path, [version])
        return found

    def _bring_back(self, path: Path, versions: list[VersionState]) -> list[Version]:
        """Bring deleted versions back, by one entry: all of them or none."""
        kinds = set()
        with self.rely() as reliance:
            for version in versions:
                reliance.recover(path, version)
                kinds.add(self._objects.read_version(id_of_state(version)).type)

            def build(state: State) -> list[Change]:
                if state.exists and state.live() and not kinds <= {state.type}:
                    other = min(kinds - {state.type})
                    raise Conflict(f"{path.name} has type '{state.type}' now; the deleted version has '{other}'")
                gone = [v["id"] for v in versions if not is_live(state.versions[v["id"]])]
                return [new_change("undelete", id=id) for id in gone]

            state = reliance.change(path, build)
        return [Version(state, state.versions[version["id"]]) for version in versions]

    def _unclear(self, text: str, path: Path) -> InvalidValue:
        """The error for an undelete that doesn't say which version to bring back."""
        hint = f"{typed('log --deleted', self._lookup.short(path))} lists deleted ones"
        return InvalidValue(f"'{text}' does not say which version: undelete takes name:vN", hint=hint)

    def undelete_collection(self, text: str) -> list[Version]:
        """Bring back all versions that were deleted with the whole collection the last time. Raises like `undelete`."""
        path, _ = self._lookup.path_of(collection_named(text))
        state = self._refs.read(path)
        if not state.versions:
            state = self._lookup.collection(text)  # raises NotFound, with similar names in the hint
        taken: list[str] = []
        for entry in self._refs.history(state.path):
            for change in entry.changes:
                if change["kind"] == "delete collection":
                    taken = change["ids"]
        gone = [state.versions[id] for id in taken if id in state.versions and not is_live(state.versions[id])]
        if not gone:
            raise self._unclear(text, path)
        return self._bring_back(state.path, sorted(gone, key=lambda version: int(version["number"])))

    def rename(self, text: str, new: str) -> State:
        """Give a collection another name or project. Its history stays; the old name redirects. Cost: two log entries."""
        state, target = self._lookup.collection(collection_named(text)), self.free_name(new)
        refuse_mixture(self._refs.read(target), links=state.holds_links)
        return self._refs.rename(state.path, target)

    def free_name(self, text: str) -> Path:
        """The collection that a text names, as the target of a copy, rename or link. Raises InvalidValue for a version."""
        return self._lookup.path_of(collection_named(text))[0]

    def copy(self, text: str, new: str) -> State:
        """Copy a version to another collection, which is created if there is none. Returns that collection.

        If `text` is only a name, all live versions of the collection are copied, with their aliases and tags. Cost: one
        log entry. No file is read or stored again.
        """
        spec, target = parse_spec(text), self.free_name(new)
        # 1. Open a transaction before the source is read: no collector may remove its objects from then on.
        with self.rely() as reliance:
            state = self._lookup.collection(text)
            if state.path == self._refs.read(target).path:
                raise Conflict(f"{new} can't be copied to itself", hint="choose another name")
            named = [self._lookup.chosen_for_good(state, spec).version] if spec.names_version else state.live()
            versions = [self._lookup.whole(Version(state, version)) for version in named]
            for version in versions:
                reliance.rely_on(state.path, version)
                reliance.rely_on_properties(state.path, version)

            # 2. Append the copies to the target's log, then look again for their objects.
            def build(there: State) -> list[Change]:
                return copied(state, versions, there, aliases=not spec.names_version)

            return reliance.change(target, build, lambda _: reliance.ensure_copied(state.path, versions))

    def move(self, text: str, new: str) -> State:
        """Move a version to another collection: copy it with all properties, then delete it from the old collection.

        Returns the new collection.
        """
        path, _ = self._lookup.path_of(text)
        id = self._lookup.find(text, for_good=True).version["id"]
        # If somebody changes the version between the copy and the deletion, copy it again.
        for _ in range(_TRIES):
            found = self._lookup.version(path, id)
            made = self.copy(f"{found.state.path}@{id}", new)
            aliases = tuple(alias for alias in found.state.aliases_of(id) if alias != "latest")
            tags, ttl = tuple(found.version.get("tags", ())), found.version.get("ttl", INHERIT)
            properties = Properties(aliases, tags, *self._lookup.properties(found), NEVER if ttl is None else ttl)
            self.edit(f"{made.path}@{id}", properties)
            if self._delete_unchanged(found):
                return self._refs.read(made.path)
        raise Conflict(f"{found.name} changes faster than it could be moved", hint="run the same command again")

    def _delete_unchanged(self, found: Version) -> bool:
        """Delete a version with its aliases, unless it was changed since it was read. Returns whether it was deleted."""
        id, deleted = found.id, []

        def build(state: State) -> list[Change]:
            version = state.versions[id]
            same = same_json(said_of(version), said_of(found.version))
            if not same or state.aliases_of(id) != found.state.aliases_of(id) or not is_live(version):
                return []
            deleted.append(id)
            return deletion(state, id)

        state = self._refs.change(found.state.path, build)
        self.tell_links_of_deleted(state, deleted)
        return bool(deleted)


def _told(found: Version, there: State) -> list[Change]:
    """The changes that copy the properties of a source version to a link in the collection `there`."""
    own = there.versions.get(found.id)
    return list(aligned(own["id"], own, found.version)) if is_live(own) else []


def deletion(state: State, id: str) -> list[Change]:
    """The changes that delete a version, and first the aliases that name it."""
    held = [alias for alias in state.aliases_of(id) if alias != "latest"]
    gone = [new_change("alias", alias=alias, id=None, old=id) for alias in held]
    return [*gone, new_change("delete", id=id, reason=None)]


_TRIES = 10
_ASKED = "`--keep aliased` keeps such versions, --force deletes them with their aliases"
_LINKED = "--force deletes it all the same; its links stay"
_HELD = "move the aliases to another version, or delete them with --force"


def _no_alias(state: State, version: VersionState, alias: str) -> NotFound:
    """The error for an alias that a version doesn't have. The hint names the version that has it, or similar aliases."""
    name, holder = state.path.name, state.versions.get(state.aliases.get(alias, ""))
    if holder is not None:
        hint: str | None = f"{name}:v{holder['number']} has it"
    else:
        hint = near(alias, state.aliases)
    return NotFound(f"{name}:v{version['number']} has no alias '{alias}'", hint=hint)


def _gone(path: Path) -> NotFound:
    """The error for a collection that was deleted after it was looked up."""
    return NotFound(f"{path} was deleted meanwhile")


def _aliases(names: Iterable[str]) -> str:
    listed = [repr(name) for name in names]
    return f"the alias {listed[0]}" if len(listed) == 1 else f"the aliases {', '.join(listed)}"
