"""Registries as W&B users know them: projects whose collections hold links to versions made elsewhere."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from artstore.api.collections import ArtifactCollection
from artstore.api.handles import opened
from artstore.api.listing import Listing
from artstore.domain.collection import Path, State
from artstore.domain.copies import REGISTRY_RECORD
from artstore.domain.names import REGISTRY, check_type, registry_project
from artstore.domain.sizes import moment
from artstore.errors import InvalidValue, NotFound
from artstore.operations.finding.lookup import Found
from artstore.operations.finding.matching import Filter, fits_collection, fits_registry, fitting_versions

A = TypeVar("A")
Make = Callable[[str, Found], A]


class AddOnly(list[str]):
    """Types that a registry takes. What was saved can't be taken away: versions of these types may be linked."""

    def __init__(self, saved: list[str]) -> None:
        super().__init__(saved)
        self._saved = frozenset(saved)

    def append(self, item: str) -> None:
        if item not in self:
            super().append(check_type(item))

    def extend(self, items: Any) -> None:
        for item in items:
            self.append(item)

    def remove(self, item: str) -> None:
        if item in self._saved or item not in self:
            raise InvalidValue(f"Cannot remove artifact type: '{item}' that has been saved to the registry")
        super().remove(item)

    def __delitem__(self, index: Any) -> None:
        if isinstance(index, slice) or self[index] in self._saved:
            raise InvalidValue(f"Cannot delete saved item at index {index}")
        super().__delitem__(index)

    def pop(self, index: Any = -1) -> str:
        item: str = self[index]
        del self[index]
        return item

    def clear(self) -> None:
        for item in list(self):
            self.remove(item)

    def insert(self, index: Any, item: str) -> None:
        self.append(item)

    def __iadd__(self, items: Any) -> "AddOnly":  # type: ignore[misc, override]
        self.extend(items)
        return self


class Registry(Generic[A]):
    """As it was when it was read. `artifact` makes an Artifact of a version."""

    def __init__(self, root: str, entity: str, project: str, artifact: Make[A]) -> None:
        self._root = root
        self._artifact = artifact
        self._path = entity, project
        self.load()

    def load(self) -> "Registry[A]":
        self._state = opened(self._root).registry(*self._path)
        self._name = self._path[1].removeprefix(REGISTRY)
        self.description = self._state.description
        self._types = AddOnly(self._state.metadata.get("artifact_types", []))
        self._visibility: str = self._state.metadata.get("visibility", "organization")
        return self

    @property
    def name(self) -> str:
        """Without `registry-`."""
        return self._name

    @property
    def full_name(self) -> str:
        return self._path[1]

    @property
    def entity(self) -> str:
        return self._path[0]

    organization = entity

    @property
    def path(self) -> list[str]:
        return list(self._path)

    @property
    def id(self) -> str:
        return "/".join(self._path)

    @property
    def visibility(self) -> str:
        """Kept as it was given; who may read the folder may read it."""
        return self._visibility

    @visibility.setter
    def visibility(self, visibility: str) -> None:
        self._visibility = checked_visibility(visibility)

    @property
    def artifact_types(self) -> AddOnly:
        """Types that it takes: append to it, and `save()`. Empty takes all."""
        return self._types

    @property
    def allow_all_artifact_types(self) -> bool:
        return not self._types

    @property
    def created_at(self) -> str | None:
        created = _created(self._root, *self._path)
        return None if created is None else moment(created)

    def collections(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> "Collections[A]":
        """Its collections, by name, that fit a filter (name, tag, description, created_at). `order` is `+` or `-` and
        name or created_at.
        """
        return Collections(self._root, [self._path], filter, order, self._artifact)

    def versions(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> Listing[A]:
        """Its live versions that fit a filter (tag, alias, version, created_at, metadata.KEY, …), collection by collection."""
        return self.collections().versions(filter)

    def save(self) -> None:
        """Write what was edited."""
        metadata = {"artifact_types": list(self._types), "visibility": self._visibility}
        opened(self._root).edit_registry(*self._path, description=self.description or "", metadata=metadata)
        self.load()

    def delete(self) -> None:
        """Delete it with all its links; what they linked to stays."""
        opened(self._root).delete_registry(*self._path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Registry) and (self._root, self._path) == (other._root, other._path)

    def __hash__(self) -> int:
        return hash((self._root, self._path))

    def __repr__(self) -> str:
        return f"<Registry {self._name}>"


class Collections(Listing[ArtifactCollection[A]], Generic[A]):
    """Collections of one or several registries."""

    def __init__(
        self,
        root: str,
        registries: list[tuple[str, str]],
        filter: Filter | None,
        order: str | None,
        artifact: Make[A],
    ) -> None:
        repository = opened(root)
        states = [state for path in registries for state in repository.collections(*path)]
        states = [state for state in states if fits_collection(state, filter)]
        if order is not None:
            states.sort(key=_key(order), reverse=order.startswith("-"))
        self._root, self._make_artifact = root, artifact
        super().__init__(states, lambda state: ArtifactCollection(root, state, artifact))

    def versions(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> Listing[A]:
        """Live versions of these collections that fit a filter."""
        lookup, root, make = opened(self._root).lookup, self._root, self._make_artifact
        found = [one for state in self._items for one in fitting_versions(lookup, state, filter)]
        return Listing(found, lambda one: make(root, one))


def _key(order: str) -> Callable[[State], Any]:
    field = order.lstrip("+-")
    if field == "name":
        return lambda state: state.path.name
    if field in ("created_at", "updated_at"):
        return lambda state: min((version["created"] for version in state.versions.values()), default=0)
    raise InvalidValue(f"order '{order}' is not + or - and one of name, created_at")


class Registries(Listing[Registry[A]], Generic[A]):
    """All registries of an entity that fit a filter, by name."""

    def __init__(self, root: str, entity: str, filter: Filter | None, order: str | None, artifact: Make[A]) -> None:
        repository = opened(root)
        found = []
        for project in registries_of(root, entity):
            state = repository.registry(entity, project)
            if fits_registry(project.removeprefix(REGISTRY), state, _created(root, entity, project), filter):
                found.append(project)
        if order is not None and order.startswith("-"):
            found.reverse()
        self._root, self._entity, self._make_artifact = root, entity, artifact
        super().__init__(found, lambda project: Registry(root, entity, project, artifact))

    def collections(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> Collections[A]:
        paths = [(self._entity, project) for project in self._items]
        return Collections(self._root, paths, filter, order, self._make_artifact)

    def versions(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> Listing[A]:
        return self.collections().versions(filter)


def registries_of(root: str, entity: str) -> list[str]:
    """Projects of an entity that are registries, by name; empty ones too."""
    states: Iterator[State] = opened(root).refs.collections(entity)
    return sorted({state.path.project for state in states if state.path.in_registry})


def find_registry(root: str, entity: str, name: str, artifact: Make[A]) -> Registry[A]:
    """Raises NotFound."""
    project = registry_project(name)
    if project not in registries_of(root, entity):
        there = [found.removeprefix(REGISTRY) for found in registries_of(root, entity)]
        raise NotFound(f"there is no registry '{name}'", hint=f"there are {', '.join(there)}" if there else None)
    return Registry(root, entity, project, artifact)


def make_registry(
    root: str,
    entity: str,
    name: str,
    visibility: str,
    description: str | None,
    types: list[str] | None,
    artifact: Make[A],
) -> Registry[A]:
    """Raises Conflict when it exists, InvalidValue for a name or type that breaks a rule."""
    project = registry_project(name)
    metadata = {
        "artifact_types": [check_type(type) for type in types or ()],
        "visibility": checked_visibility(visibility),
    }
    opened(root).edit_registry(entity, project, new=True, description=description, metadata=metadata)
    return Registry(root, entity, project, artifact)


def checked_visibility(visibility: str) -> str:
    if visibility not in ("organization", "restricted"):
        raise InvalidValue(f"Invalid visibility '{visibility}'. Expected one of: organization, restricted")
    return visibility


def _created(root: str, entity: str, project: str) -> int | None:
    """When its first entry was made: nanoseconds since 1970."""
    repository = opened(root)
    path = Path(entity, project, REGISTRY_RECORD)
    entry = next(repository.refs.history(path), None)
    if entry is not None:
        import datetime

        return int(datetime.datetime.fromisoformat(entry.time).timestamp()) * 1_000_000_000
    made = [v["created"] for state in repository.collections(entity, project) for v in state.versions.values()]
    return min(made, default=None)
