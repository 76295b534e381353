"""Collections, types, projects and registries of the Python interface. `save()` writes what was edited."""

import datetime
from collections.abc import Callable, Iterator
from typing import Any

from artstore.api.handles import opened
from artstore.api.listing import Artifacts, Listing, checked_order, warn_if_misspelt
from artstore.domain.collection import Path, State
from artstore.domain.copies import REGISTRY_RECORD
from artstore.domain.filters import Asked
from artstore.domain.names import REGISTRY, check_tags, check_type, refuse_reserved, registry_project
from artstore.domain.wording import moment
from artstore.errors import InvalidValue, NotFound
from artstore.operations.finding.lookup import Home
from artstore.operations.finding.matching import Filter, fits_collection, fits_registry, fitting_versions


class ArtifactCollection:
    """A collection: the versions of one artifact, or links.

    It holds the state that was read; `load()` reads it again.
    """

    def __init__(self, root: str, state: State) -> None:
        self._root = root
        self._set(state)

    def _set(self, state: State) -> None:
        self._state = state
        self.name = state.path.name
        self._type = state.type
        self.description: str | None = state.description
        self.tags = list(state.tags)
        self.keep = state.keep
        """the rule that says which versions are kept, such as `last:3, best:loss:min`; None if all are"""

    @property
    def entity(self) -> str:
        """The collection's entity."""
        return self._state.path.entity

    @property
    def project(self) -> str:
        """The collection's project."""
        return self._state.path.project

    @property
    def qualified_name(self) -> str:
        """The full name: `entity/project/name`."""
        return str(self._state.path)

    @property
    def type(self) -> str:
        """The type, such as `dataset` or `model`. Assign another one; `save()` writes it.

        Raises:
            InvalidValue: If it is assigned to a collection of links: they have the type of their sources.
        """
        return self._type

    @type.setter
    def type(self, type: str) -> None:
        if not self.is_sequence():
            raise InvalidValue("Type can only be changed if the artifact collection is a sequence.")
        self._type = type

    @property
    def aliases(self) -> list[str]:
        """All aliases of its versions, `latest` first."""
        return [alias for aliases in self._state.all_aliases().values() for alias in aliases]

    @property
    def created_at(self) -> str | None:
        """When its first version was made, even if that is deleted: ISO 8601, UTC. None for an empty collection."""
        first = min((version["created"] for version in self._state.versions.values()), default=None)
        return None if first is None else moment(first)

    @property
    def updated_at(self) -> str | None:
        """When anything about it or its versions last changed: ISO 8601, UTC. Cost: its log is read."""
        entries = list(opened(self._root).refs.history(self._state.path))
        return entries[-1].time if entries else None

    def artifacts(self, per_page: int | None = None, filters: Filter | None = None) -> Artifacts:
        """List its live versions, newest first.

        Args:
            per_page: Accepted as in W&B; it changes nothing.
            filters: A Mongo-style filter, such as `{"metadata.acc": {"$gte": 0.9}}`.
        """
        found = fitting_versions(opened(self._root).lookup, [self._state], filters, asked := Asked())
        warn_if_misspelt(found, asked)
        return Artifacts(self._root, found[::-1])

    versions = artifacts

    def is_sequence(self) -> bool:
        """Whether its versions were logged to it. False for a collection of links."""
        return not self._state.holds_links

    def load(self) -> "ArtifactCollection":
        """Read its state again, and drop edits."""
        self._set(opened(self._root).collection(str(self._state.path)))
        return self

    def save(self) -> None:
        """Write what was edited: name, type, description, tags and `keep`. A new name keeps the whole history.

        Once `keep` is set, each save in this repository deletes the versions that the rule doesn't keep. The newest
        version always stays, and so do versions with an alias or a tag, linked ones, and those that a running run uses
        or made.

        Raises:
            Conflict: If the new name is taken.
            InvalidValue: If a name, type or tag breaks a rule, or `keep` isn't a retention rule.

        Example:
            >>> images = wandb.Api().artifact_collection("dataset", "digits/images")
            >>> images.description = "Scanned digits"
            >>> images.tags.append("scans")
            >>> images.save()
            >>> [found.name for found in wandb.Api().artifact_collections("digits", filters={"tag": "scans"})]
            ['images']
            >>> images.keep = "last:3, best:acc"
            >>> images.save()
        """
        repository, state = opened(self._root), self._state
        self._check_type()
        wanted = check_tags(self.tags)
        repository.edit_collection(
            str(state.path),
            description=None if self.description == state.description else self.description or "",
            type=None if self._type == state.type else self._type,
            tags=tuple(tag for tag in wanted if tag not in state.tags),
            no_tags=tuple(tag for tag in state.tags if tag not in wanted),
        )
        if self.keep != state.keep:
            repository.keep(str(state.path), self.keep or None)
        path = state.path
        if self.name != path.name:
            path = path._replace(name=self.name)
            repository.rename(str(state.path), str(path))
        self._set(repository.collection(str(path)))

    def _check_type(self) -> None:
        """Raises InvalidValue if the type was edited, and the old or the new one is W&B's own."""
        if self._type == self._state.type:
            return
        why = f"Failed to save artifact collection '{self._state.path.name}': "
        try:
            refuse_reserved(self._type, self.name)
        except InvalidValue as error:
            raise InvalidValue(why + str(error)) from error
        try:
            refuse_reserved(self._state.type, self.name)
        except InvalidValue as error:
            why += f"The current type '{self._state.type}' is an internal type and cannot be changed."
            raise InvalidValue(why) from error

    def change_type(self, new_type: str) -> None:
        """Change the type, and save. Raises InvalidValue for a collection of links."""
        if not self.is_sequence():
            raise InvalidValue("Artifact collection needs to be a sequence")
        self.type = new_type
        self.save()

    @property
    def id(self) -> str:
        """The full name: `entity/project/name`."""
        return str(self._state.path)

    def delete(self) -> None:
        """Delete it with all its versions and aliases. Their names, numbers and dates stay on record."""
        opened(self._root).delete_collection(str(self._state.path), delete_aliases=True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArtifactCollection):
            return False
        return (self._root, self._state.path) == (other._root, other._state.path)

    def __hash__(self) -> int:
        return hash((self._root, self._state.path))

    def __repr__(self) -> str:
        return f"<ArtifactCollection {self._state.path} ({self._state.type})>"


class ArtifactType:
    """A type in a project, with the collections of that type."""

    def __init__(self, root: str, home: Home, name: str) -> None:
        self._root, self._home = root, home
        self.name = name
        self.type = name

    def collections(
        self, filters: Filter | None = None, order: str | None = None, per_page: int | None = None
    ) -> Listing[ArtifactCollection]:
        """List the collections of this type, by name.

        Args:
            filters: A Mongo-style filter.
            order: Accepted as in W&B; it changes nothing.
            per_page: Accepted as in W&B; it changes nothing.
        """
        return Collections(self._root, [self._home], filters, type=self.name)

    def collection(self, name: str) -> ArtifactCollection:
        """The collection with this name. Raises NotFound, with similar names as its hint."""
        path = Path(*self._home, name)
        return ArtifactCollection(self._root, opened(self._root).collection(str(path)))

    def __repr__(self) -> str:
        return f"<ArtifactType {self.name}>"


class Project:
    """A project: a group of collections and runs."""

    def __init__(self, root: str, home: Home) -> None:
        self._root, self._home = root, home

    @property
    def name(self) -> str:
        """The project's name."""
        return self._home[1]

    @property
    def entity(self) -> str:
        """The project's entity."""
        return self._home[0]

    @property
    def path(self) -> list[str]:
        """The entity and the name."""
        return list(self._home)

    @property
    def id(self) -> str:
        """The full name: `entity/project`."""
        return "/".join(self._home)

    def artifact_types(self, per_page: int | None = None) -> Listing[ArtifactType]:
        """List the types in use, by name. `per_page` is accepted as in W&B and changes nothing."""
        names = sorted({state.type for state in opened(self._root).collections(*self._home)})
        return Listing(names, lambda name: ArtifactType(self._root, self._home, name))

    artifacts_types = artifact_types

    def collections(self, filters: Filter | None = None) -> Listing[ArtifactCollection]:
        """List its collections that match a filter, by name."""
        return Collections(self._root, [self._home], filters)

    def __repr__(self) -> str:
        return f"<Project {self.id}>"


# -- registries: projects whose collections hold links to versions of other collections --


class AddOnly(list[str]):
    """The types that a registry accepts.

    Saved types can't be removed, because versions of these types may be linked.
    """

    def __init__(self, saved: list[str]) -> None:
        super().__init__(saved)
        self._saved = frozenset(saved)

    def append(self, item: str) -> None:
        """Add a type."""
        if item not in self:
            super().append(check_type(item))

    def extend(self, items: Any) -> None:
        """Add several types."""
        for item in items:
            self.append(item)

    def remove(self, item: str) -> None:
        """Remove a type. Raises InvalidValue if it was saved."""
        if item in self._saved or item not in self:
            raise InvalidValue(f"Cannot remove artifact type: '{item}' that has been saved to the registry")
        super().remove(item)

    def __delitem__(self, index: Any) -> None:
        if isinstance(index, slice) or self[index] in self._saved:
            raise InvalidValue(f"Cannot delete saved item at index {index}")
        super().__delitem__(index)

    def pop(self, index: Any = -1) -> str:
        """Remove the type at an index and return it. Raises InvalidValue if it was saved."""
        item: str = self[index]
        del self[index]
        return item

    def clear(self) -> None:
        """Remove all types. Raises InvalidValue if one was saved."""
        for item in list(self):
            self.remove(item)

    def insert(self, index: Any, item: str) -> None:
        """Add a type at the end; the index is ignored."""
        self.append(item)

    def __iadd__(self, items: Any) -> "AddOnly":  # type: ignore[misc, override]
        self.extend(items)
        return self


class Registry:
    """A registry: a project whose collections hold links. It holds the state that was read; `load()` reads it again.

    Example:
        >>> registry = wandb.Api().create_registry("models", artifact_types=["model"])
        >>> link = wandb.Api().artifact("digits/model:latest").link("registry-models/digits")
        >>> registry.versions()
        [<Artifact local/registry-models/digits:v0 (model)>]
    """

    def __init__(self, root: str, entity: str, project: str) -> None:
        self._root = root
        self._path = entity, project
        self.load()

    def load(self) -> "Registry":
        """Read its state again, and drop edits."""
        self._state = opened(self._root).registry(*self._path)
        self._name = self._path[1].removeprefix(REGISTRY)
        self.description = self._state.description
        self._types = AddOnly(self._state.metadata.get("artifact_types", []))
        self._visibility: str = self._state.metadata.get("visibility", "organization")
        return self

    @property
    def name(self) -> str:
        """The name without `registry-`."""
        return self._name

    @property
    def full_name(self) -> str:
        """The name of its project: `registry-NAME`."""
        return self._path[1]

    @property
    def entity(self) -> str:
        """The registry's entity."""
        return self._path[0]

    organization = entity

    @property
    def path(self) -> list[str]:
        """The entity and the project's name."""
        return list(self._path)

    @property
    def id(self) -> str:
        """The full name: `entity/registry-NAME`."""
        return "/".join(self._path)

    @property
    def visibility(self) -> str:
        """The visibility as it was given. It changes nothing: whoever can read the folder can read the registry."""
        return self._visibility

    @visibility.setter
    def visibility(self, visibility: str) -> None:
        self._visibility = checked_visibility(visibility)

    @property
    def artifact_types(self) -> AddOnly:
        """The types that it accepts; an empty list accepts all. Append to it, then `save()`."""
        return self._types

    @property
    def allow_all_artifact_types(self) -> bool:
        """Whether it accepts all types."""
        return not self._types

    @property
    def created_at(self) -> str | None:
        """When it was made: ISO 8601, UTC."""
        created = _created(self._root, *self._path)
        return None if created is None else moment(created)

    def collections(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> "Collections":
        """List its collections.

        Args:
            filter: A Mongo-style filter on name, tag, description and created_at.
            order: `+` or `-`, followed by `name`, `created_at` or `updated_at`.
            per_page: Accepted as in W&B; it changes nothing.
            start: Accepted as in W&B; it changes nothing.
        """
        return Collections(self._root, [self._path], filter, order)

    def versions(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> Artifacts:
        """List its links, collection by collection.

        Args:
            filter: A Mongo-style filter on tag, alias, version, created_at, metadata.KEY and other fields.
            order: Accepted as in W&B; it changes nothing.
            per_page: Accepted as in W&B; it changes nothing.
            start: Accepted as in W&B; it changes nothing.
        """
        return self.collections().versions(filter)

    def save(self) -> None:
        """Write what was edited: description, types and visibility."""
        metadata = {"artifact_types": list(self._types), "visibility": self._visibility}
        opened(self._root).edit_registry(*self._path, description=self.description or "", metadata=metadata)
        self.load()

    def delete(self) -> None:
        """Delete it with all its links. The linked versions stay."""
        opened(self._root).delete_registry(*self._path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Registry) and (self._root, self._path) == (other._root, other._path)

    def __hash__(self) -> int:
        return hash((self._root, self._path))

    def __repr__(self) -> str:
        return f"<Registry {self._name}>"


class Collections(Listing[ArtifactCollection]):
    """Collections of projects, by project and name, or in an order. They can be limited to one type and to a filter."""

    def __init__(
        self, root: str, projects: list[Home], filter: Filter | None, order: str | None = None, type: str | None = None
    ) -> None:
        states = [state for path in projects for state in opened(root).collections(*path)]
        states = [state for state in states if type in (None, state.type) and fits_collection(state, filter)]
        if order := checked_order(order, ""):
            states.sort(key=_key(order), reverse=order.startswith("-"))
        self._root = root
        super().__init__(states, lambda state: ArtifactCollection(root, state))

    def versions(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> Artifacts:
        """List the live versions of these collections that match a filter. The other arguments change nothing."""
        lookup = opened(self._root).lookup
        found = fitting_versions(lookup, self._items, filter, asked := Asked())
        warn_if_misspelt(found, asked)
        return Artifacts(self._root, found)


def _key(order: str) -> Callable[[State], Any]:
    """The sort key for an order. Raises InvalidValue."""
    field = order.lstrip("+-")
    if field == "name":
        return lambda state: state.path.name
    if field == "created_at":
        return lambda state: min((version["created"] for version in state.versions.values()), default=0)
    if field == "updated_at":
        return lambda state: max((version["updated"] for version in state.versions.values()), default="")
    raise InvalidValue(f"order '{order}' is not '+' or '-' followed by name, created_at or updated_at")


class Registries(Listing[Registry]):
    """All registries of an entity that match a filter, by name."""

    def __init__(self, root: str, entity: str, filter: Filter | None, order: str | None) -> None:
        def fits(project: str) -> bool:
            state = opened(root).registry(entity, project)
            return fits_registry(project.removeprefix(REGISTRY), state, _created(root, entity, project), filter)

        found = [project for project in registries_of(root, entity) if fits(project)]
        if checked_order(order, "+name").startswith("-"):
            found.reverse()
        self._root, self._entity = root, entity
        super().__init__(found, lambda project: Registry(root, entity, project))

    def collections(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> Collections:
        """List the collections of these registries that match a filter, by registry and name, or in an order."""
        paths = [(self._entity, project) for project in self._items]
        return Collections(self._root, paths, filter, order)

    def versions(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> Artifacts:
        """List the links in these registries that match a filter. The other arguments change nothing."""
        return self.collections().versions(filter)


def registries_of(root: str, entity: str) -> list[str]:
    """The names of an entity's registry projects, sorted. Empty ones are included."""
    states: Iterator[State] = opened(root).refs.collections(entity)
    return sorted({state.path.project for state in states if state.path.in_registry})


def find_registry(root: str, entity: str, name: str) -> Registry:
    """The registry with this name. Raises NotFound."""
    project = registry_project(name)
    there = registries_of(root, entity)
    if project not in there:
        names = ", ".join(found.removeprefix(REGISTRY) for found in there)
        raise NotFound(f"there is no registry '{name}'", hint=f"there are {names}" if names else None)
    return Registry(root, entity, project)


def make_registry(
    root: str, entity: str, name: str, visibility: str, description: str | None, types: list[str] | None
) -> Registry:
    """Make a registry. Raises Conflict if it exists, and InvalidValue if a name, type or visibility breaks a rule."""
    project = registry_project(name)
    accepted = [check_type(type) for type in types or ()]
    metadata = {"artifact_types": accepted, "visibility": checked_visibility(visibility)}
    opened(root).edit_registry(entity, project, new=True, description=description, metadata=metadata)
    return Registry(root, entity, project)


def checked_visibility(visibility: str) -> str:
    """The visibility. Raises InvalidValue unless it is `organization` or `restricted`."""
    if visibility not in ("organization", "restricted"):
        raise InvalidValue(f"Invalid visibility '{visibility}'. Expected one of: organization, restricted")
    return visibility


def _created(root: str, entity: str, project: str) -> int | None:
    """When the first entry of a registry was made, in nanoseconds since 1970. None if it is empty."""
    repository = opened(root)
    path = Path(entity, project, REGISTRY_RECORD)
    entry = next(repository.refs.history(path), None)
    if entry is not None:
        return int(datetime.datetime.fromisoformat(entry.time).timestamp()) * 1_000_000_000
    made = [v["created"] for state in repository.collections(entity, project) for v in state.versions.values()]
    return min(made, default=None)
