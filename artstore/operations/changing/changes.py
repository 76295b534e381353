"""Changing what moves: aliases, tags, descriptions, metadata, names; deleting, bringing back, copying. Versions stay as they
are.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial

from artstore.domain.changes import Change, new_change
from artstore.domain.collection import INHERIT, Path, State, VersionState, id_of_state, is_live
from artstore.domain.copies import copied, refuse_mixture
from artstore.domain.names import check_alias, check_tags, check_type, parse_spec
from artstore.domain.properties import NEVER, Properties, aligned, said_of, undone
from artstore.domain.upserts import no_upsert
from artstore.domain.wording import near, typed
from artstore.errors import Conflict, InvalidValue, NotFound
from artstore.operations.finding.catalog import Catalog, LinkRow
from artstore.operations.finding.lookup import Lookup, Version
from artstore.operations.saving.reliance import Reliance
from artstore.operations.upkeep.pruning import Policy, Verdict, judge
from artstore.operations.upkeep.removal import sweep
from artstore.store.refs import resolve
from artstore.store.store import Store


class Changes:
    """Each is one log entry, built again on the new state after a lost race."""

    def __init__(self, store: Store, lookup: Lookup) -> None:
        self._store = store
        self._refs = store.refs
        self._objects = store.objects
        self._lookup = lookup

    def rely(self) -> Reliance:
        """Begin to use stored versions again, after what dead processes left was removed."""
        sweep(self._store.storage)
        return Reliance(self._objects, self._refs)

    def _links_now(self) -> Callable[[str], list[LinkRow]]:
        return Catalog(self._objects.here, self._store.runs, self._refs).links_of

    @cached_property
    def _links_of(self) -> Callable[[str], list[LinkRow]]:
        """As the operation began."""
        return self._links_now()

    def set_aliases(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Version:
        """Move aliases to a version, or take them off it. Raises NotFound for one that isn't there."""
        for alias in (*add, *remove):
            if check_alias(alias) == "latest":
                raise latest_is_ours()

        def build(state: State, version: VersionState) -> list[Change]:
            id = version["id"]
            changes = [
                new_change("alias", alias=a, id=id, old=state.aliases.get(a))
                for a in dict.fromkeys(add)
                if state.aliases.get(a) != id
            ]
            for alias in dict.fromkeys(remove):
                if state.aliases.get(alias) != id:
                    raise _no_alias(state, version, alias)
                changes.append(new_change("alias", alias=alias, id=None, old=id))
            return changes

        return self.change_version(text, build)

    def set_tags(self, text: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Version:
        add, remove = tuple(check_tags(add)), tuple(check_tags(remove))
        found = self._lookup.find(text)
        if (source := self._lookup.source(found)) is not None:
            self.set_tags(f"{source.state.path}@{source.id}", add, remove)
            return found

        def build(state: State, version: VersionState) -> list[Change]:
            has = version.get("tags", [])
            if missing := [tag for tag in remove if tag not in has]:
                raise NotFound(
                    f"{state.path.name}:v{version['number']} has no tag '{missing[0]}'", hint=near(missing[0], has)
                )
            new = [tag for tag in add if tag not in has]
            return [new_change("tags", id=version["id"], add=new, remove=list(remove))] if new or remove else []

        return self.change_version(text, build)

    def edit(self, text: str, properties: Properties) -> Version:
        """Apply differences to a version's properties; what others do to those not named stays. A link has aliases of its
        own, and shares the rest with its source.
        """
        properties = properties.checked()
        if "latest" in properties.no_aliases:
            raise latest_is_ours()
        found = self._lookup.find(text)
        if (source := self._lookup.source(found)) is not None:
            rest = properties._replace(aliases=(), no_aliases=())
            if rest != Properties():
                self.edit(f"{source.state.path}@{source.id}", rest)
            properties = Properties(aliases=properties.aliases, no_aliases=properties.no_aliases)
            text = f"{found.state.path}@{found.id}"
        with self.rely() as reliance:
            stored = reliance.store(properties)
            reliance.publish()
            undo: list[Change] = []

            def build(state: State, version: VersionState) -> list[Change]:
                changes = stored.changes(state, version["id"])
                undo[:] = undone(changes, version)
                return changes

            found = self.change_version(text, build)
            reliance.ensure(found.state.path, undo=undo)
        return found

    def edit_collection(
        self,
        text: str,
        *,
        description: str | None = None,
        type: str | None = None,
        tags: tuple[str, ...] = (),
        no_tags: tuple[str, ...] = (),
    ) -> State:
        """Change what is said of a collection; None leaves it, a description of "" takes it away."""
        path = self._lookup.collection(text).path
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
            off = [tag for tag in no_tags if tag in state.tags]
            return [*changes, new_change("tags", id=None, add=on, remove=off)] if on or off else changes

        return self._refs.change(path, build)

    def change_version(self, text: str, build: Callable[[State, VersionState], list[Change]]) -> Version:
        """Append what `build` makes of a collection and the version in it that a spec names."""
        path, spec = self._lookup.path_of(text)
        chosen: dict[str, str] = {}

        def changes(state: State) -> list[Change]:
            # The version is chosen once: after a lost race the same one is changed, wherever `latest` went meanwhile.
            if not state.exists:
                self._lookup.find(text)  # says what is near
            version = state.versions[chosen["id"]] if chosen else resolve(state, spec)
            if not is_live(version):
                raise NotFound(f"{state.path.name}:v{version['number']} was deleted meanwhile")
            chosen["id"] = version["id"]
            return build(state, version)

        try:
            state = self._refs.change(path, changes)
        except Conflict:
            self._lookup.find(text)  # the name may be spelled in another case: then it is not there
            raise
        return Version(state, state.versions[chosen["id"]])

    def delete(self, text: str, *, delete_aliases: bool = False) -> Version:
        """Delete one version (a tombstone stays). Refused while aliases but `latest`, or links, hold it, unless
        `delete_aliases`; links live on.
        """
        self._release([self._lookup.find(text)], force=delete_aliases)

        def build(state: State, version: VersionState) -> list[Change]:
            held = [alias for alias in state.aliases_of(version["id"]) if alias != "latest"]
            if held and not delete_aliases:
                name = f"{state.path.name}:v{version['number']}"
                raise Conflict(
                    f"{name} has {_aliases(held)}",
                    hint=_HELD,
                )
            return deletion(state, version["id"])

        found = self.change_version(text, build)
        self.tell_links_of_deleted(found.state, [found.id])
        return found

    def delete_collection(self, text: str, *, delete_aliases: bool = False) -> State:
        """Delete a collection with the versions that it has now; one that is saved meanwhile lives on. Refused while it
        has aliases, or links to it, unless `delete_aliases`.
        """
        path = self._lookup.collection(text).path
        state = self._refs.read(path)
        self._release([Version(state, version) for version in state.live()], force=delete_aliases)

        def build(state: State) -> list[Change]:
            if not state.exists:
                raise _gone(path)
            if state.aliases and not delete_aliases:
                raise Conflict(
                    f"{path.name} has {_aliases(state.aliases)}",
                    hint=_HELD,
                )
            return [new_change("delete collection", ids=[version["id"] for version in state.live()])]

        gone = self._refs.change(path, build)
        self.tell_links_of_deleted(gone, [version["id"] for version in state.live()])
        return gone

    def refuse_linked(self, versions: list[Version], *, force: bool) -> None:
        """Raises Conflict for a version that a link names, unless forced."""
        for found in versions if not force else ():
            if links := [] if found.is_link else self._links_of(found.id):
                held = ", ".join(f"{link.project}/{link.name}:v{link.number}" for link in links[:3])
                raise Conflict(f"{found.name} is linked to {held}", hint=_LINKED)

    def _release(self, versions: list[Version], *, force: bool) -> None:
        """Refuse to delete what links hold, unless forced: then they are told what is said of it, which they will be asked
        for from now on.
        """
        self.refuse_linked(versions, force=force)
        self._tell_links(versions, self._links_of)

    def _tell_links(self, versions: list[Version], links_of: Callable[[str], list[LinkRow]]) -> None:
        for found in versions:
            for link in [] if found.is_link else links_of(found.id):
                self._refs.change(link.path, partial(_told, found))

    def tell_links_of_deleted(self, state: State, ids: Iterable[str]) -> None:
        """Once more, when it is done: what was edited or linked meanwhile counts, too."""
        self._tell_links([Version(state, state.versions[id]) for id in ids], self._links_now())

    @contextmanager
    def keeping_linked_properties(self, links: Iterable[LinkRow]) -> Iterator[None]:
        """Give links the properties of their sources, if a pull within deletes a source."""
        found = [self._lookup.source(self._lookup.version(link.path, link.id)) for link in links]
        sources = [(source.state.path, source.id) for source in found if source is not None]
        yield
        for path, id in sources:
            state = self._refs.read(path)
            if id in state.versions and not is_live(state.versions[id]):
                self.tell_links_of_deleted(state, [id])

    def judge(self, path: Path, policy: Policy) -> list[Verdict]:
        """What a policy would do to a collection as it is now."""
        return self._judge(self._refs.read(path), policy)

    def _judge(self, state: State, policy: Policy) -> list[Verdict]:
        return judge(
            state,
            policy,
            lambda id: bool(self._links_of(id)),
            lambda version: self._lookup.properties(Version(state, version))[1],
            lambda version: self._lookup.said_of(Version(state, version)),
        )

    def prune(self, path: Path, policy: Policy, *, force: bool) -> list[Verdict]:
        """Delete what a policy does not keep; the verdicts as they were carried out. Refused, with nothing deleted, where
        that would take aliases or links from a version, unless forced.
        """
        verdicts: list[Verdict] = []
        going = [Version(self._refs.read(path), v.version) for v in self.judge(path, policy) if v.goes]
        self.refuse_held(going, force=force)
        self._release(going, force=force)

        def build(state: State) -> list[Change]:
            verdicts[:] = self._judge(state, policy)
            gone = [verdict.version for verdict in verdicts if verdict.goes]
            self.refuse_held([Version(state, version) for version in gone], force=force)
            return [change for version in gone for change in deletion(state, version["id"])]

        state = self._refs.change(path, build)
        self.tell_links_of_deleted(state, [verdict.version["id"] for verdict in verdicts if verdict.goes])
        return verdicts

    def refuse_held(self, versions: list[Version], *, force: bool) -> None:
        """Raises Conflict for a version that an alias but `latest` names, unless forced."""
        named: dict[Path, dict[str, list[str]]] = {}
        for found in versions if not force else ():
            state = found.state
            if state.path not in named:
                named[state.path] = state.all_aliases()
            if held := [alias for alias in named[state.path].get(found.id, ()) if alias != "latest"]:
                raise Conflict(f"{found.name} would go, and has {_aliases(held)}", hint=_ASKED)

    def drop(self, text: str, upsert: str) -> State:
        """Give up a version that is not finished, with all its parts. Raises NotFound with near ids."""

        def build(state: State) -> list[Change]:
            if upsert not in state.upserts:
                raise no_upsert(state, upsert)
            return [new_change("drop", upsert=upsert, tree=None)]

        return self._refs.change(self._lookup.collection(text).path, build)

    def undelete(self, text: str) -> Version:
        """Bring a deleted version back, if all of it is still stored or in the trash. Raises NotFound or MissingObject."""
        path, spec = self._lookup.path_of(text)
        if spec.number is None:
            raise InvalidValue(
                f"'{text}' does not say which version: undelete takes name:vN",
                hint=f"{typed('log --deleted', self._lookup.short(path))} lists deleted ones",
            )
        version = next((v for v in self._refs.read(path).versions.values() if v["number"] == spec.number), None)
        if version is None:
            raise NotFound(f"{path.name} never had a version v{spec.number}")
        if is_live(version):
            raise Conflict(f"{path.name}:v{spec.number} is not deleted")
        (found,) = self._bring_back(path, [version])
        return found

    def _bring_back(self, path: Path, versions: list[VersionState]) -> list[Version]:
        """All of them, by one entry, or none."""
        kinds = set()
        with self.rely() as reliance:
            for version in versions:
                reliance.recover(path, version)
                kinds.add(self._objects.read_version(id_of_state(version)).type)

            def build(state: State) -> list[Change]:
                if state.exists and state.live() and not kinds <= {state.type}:
                    raise Conflict(
                        f"{path.name} has type '{state.type}' now, what was deleted type '{min(kinds - {state.type})}'"
                    )
                gone = [v["id"] for v in versions if not is_live(state.versions[v["id"]])]
                return [new_change("undelete", id=id) for id in gone]

            state = self._refs.change(path, build)
            reliance.ensure(state.path, withdraw=[version["id"] for version in versions])
        return [Version(state, state.versions[version["id"]]) for version in versions]

    def undelete_collection(self, text: str) -> list[Version]:
        """Bring back all versions that the last deletion of the whole collection took. Raises as `undelete`."""
        path, _ = self._lookup.path_of(text)
        state = self._refs.read(path)
        if not state.versions:
            state = self._lookup.collection(text)  # says what is near
        taken: list[str] = []
        for entry in self._refs.history(state.path):
            for change in entry.changes:
                if change["kind"] == "delete collection":
                    taken = change["ids"]
        gone = [state.versions[id] for id in taken if id in state.versions and not is_live(state.versions[id])]
        if not gone:
            raise InvalidValue(
                f"'{text}' does not say which version: undelete takes name:vN",
                hint=f"{typed('log --deleted', self._lookup.short(path))} lists deleted ones",
            )
        return self._bring_back(state.path, sorted(gone, key=lambda version: int(version["number"])))

    def rename(self, text: str, new: str) -> State:
        """Give a collection another name or project, history and all; the old name redirects. Cost: two log entries."""
        state, target = self._lookup.collection(text), self.free_name(new)
        refuse_mixture(self._refs.read(target), links=state.holds_links)
        return self._refs.rename(state.path, target)

    def free_name(self, text: str) -> Path:
        """The collection that a text names, for a version that is to go there. Raises InvalidValue when it names one of it."""
        path, spec = self._lookup.path_of(text)
        if spec.names_version:
            raise InvalidValue(f"'{text}' names a version; give a name without alias or number")
        return path

    def copy(self, text: str, new: str) -> State:
        """Give a version (or with a name only, all live versions of a collection, aliases and tags too) to another
        collection, made where it is missing. Nothing is read or stored twice: one log entry.
        """
        spec, target = parse_spec(text), self.free_name(new)
        with self.rely() as reliance:
            state = self._lookup.collection(text)  # read after the transaction was opened
            if state.path == self._refs.read(target).path:
                raise Conflict(f"{new} is where it is already", hint="choose another name")
            versions = [resolve(state, spec)] if spec.names_version else state.live()
            versions = [self._lookup.whole(Version(state, version)) for version in versions]
            for version in versions:
                reliance.rely_on(state.path, version)
                reliance.rely_on_properties(state.path, version)
            added: list[str] = []

            def build(there: State) -> list[Change]:
                changes = copied(state, versions, there, aliases=not spec.names_version)
                added[:] = [change["id"] for change in changes if change["kind"] in ("version", "undelete")]
                return changes

            made = self._refs.change(target, build)
            reliance.ensure_copied(state.path, [v for v in versions if v["id"] in added], made.path)
        return made

    def move(self, text: str, new: str) -> State:
        """As `rename` for a collection; a version is copied with its aliases, then deleted where it was."""
        path, spec = self._lookup.path_of(text)
        if not spec.names_version:
            return self.rename(text, new)
        id = self._lookup.find(text).version["id"]
        for _ in range(_TRIES):
            found = self._lookup.version(path, id)
            made = self.copy(f"{found.state.path}@{id}", new)
            aliases = tuple(alias for alias in found.state.aliases_of(id) if alias != "latest")
            description, metadata = self._lookup.properties(found)
            ttl = found.version.get("ttl", INHERIT)
            properties = Properties(
                aliases, tuple(found.version.get("tags", ())), description, metadata, NEVER if ttl is None else ttl
            )
            self.edit(f"{made.path}@{id}", properties)
            if self._delete_unchanged(found):
                return self._refs.read(made.path)
        raise Conflict(f"{found.name} changes faster than it could be moved", hint="run the same command again")

    def _delete_unchanged(self, found: Version) -> bool:
        """Delete a version with its aliases, unless anything about it was changed since it was read."""
        id, deleted = found.id, []

        def build(state: State) -> list[Change]:
            version = state.versions[id]
            same = said_of(version) == said_of(found.version)
            if not same or state.aliases_of(id) != found.state.aliases_of(id) or not is_live(version):
                return []
            deleted.append(id)
            return deletion(state, id)

        state = self._refs.change(found.state.path, build)
        self.tell_links_of_deleted(state, deleted)
        return bool(deleted)


def _told(found: Version, there: State) -> list[Change]:
    """Changes after which a link says by itself what its source says."""
    own = there.versions.get(found.id)
    return list(aligned(own["id"], own, found.version)) if is_live(own) else []


def deletion(state: State, id: str) -> list[Change]:
    """Changes that delete a version, and before it the aliases that name it."""
    held = [alias for alias in state.aliases_of(id) if alias != "latest"]
    gone = [new_change("alias", alias=alias, id=None, old=id) for alias in held]
    return [*gone, new_change("delete", id=id, reason=None)]


_TRIES = 10
_ASKED = "--keep-aliased keeps such versions, --force gives the aliases up"
_LINKED = "links live on when it is deleted with --force"
_HELD = "aliases can be moved to another version, or given up with --force"


def _no_alias(state: State, version: VersionState, alias: str) -> NotFound:
    name, holder = state.path.name, state.versions.get(state.aliases.get(alias, ""))
    if holder is not None:
        hint: str | None = f"{name}:v{holder['number']} has it"
    else:
        hint = near(alias, state.aliases)
    return NotFound(f"{name}:v{version['number']} has no alias '{alias}'", hint=hint)


def _gone(path: Path) -> NotFound:
    return NotFound(f"{path} was deleted meanwhile")


def latest_is_ours() -> InvalidValue:
    return InvalidValue("alias 'latest' can't be set or removed: it is always the newest version")


def _aliases(names: Iterable[str]) -> str:
    listed = [repr(name) for name in names]
    return f"the alias {listed[0]}" if len(listed) == 1 else f"the aliases {', '.join(listed)}"
