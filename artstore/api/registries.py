"""Registries: projects whose collections hold links to versions of other collections. `save()` writes what was edited."""

import datetime
from collections.abc import Iterator
from typing import Any

from artstore.api.absent import SaysWhy
from artstore.api.collections import Collections, refuse_start, versions_of
from artstore.api.handles import opened
from artstore.api.listing import Artifacts, Listing, checked_order
from artstore.api.orders import Key, key_of
from artstore.domain.collection import Path, State
from artstore.domain.copies import REGISTRY_RECORD
from artstore.domain.names import REGISTRY, check_type, printable, registry_project
from artstore.domain.wording import moment
from artstore.errors import Conflict, InvalidValue, NotFound
from artstore.operations.finding.lookup import Home
from artstore.operations.finding.matching import Filter, fits_registry


class AddOnly(list[str]):
    """The types that a registry accepts.

    Saved types can't be removed, because versions of these types may be linked.
    """

    def __init__(self, saved: list[str]) -> None:
        super().__init__(saved)
        self._saved = frozenset(saved)

    def append(self, item: str) -> None:
        """Add a type. `save()` checks it."""
        if item not in self:
            super().append(item)

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

    @property
    def draft(self) -> tuple[str, ...]:
        """The types that aren't saved yet."""
        return tuple(item for item in self if item not in self._saved)

    def __iadd__(self, items: Any) -> "AddOnly":  # type: ignore[misc, override]
        self.extend(items)
        return self


class Registry(SaysWhy):
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
        """Read its state again, and drop edits. Raises NotFound if it was deleted."""
        self._refuse_deleted("load")
        repository = opened(self._root)
        self._state = repository.registry(*self._path)
        self._name = self._path[1].removeprefix(REGISTRY)
        self.description = self._state.description
        self._visibility: str = self._state.metadata.get("visibility", "organization")
        saved = list(self._state.metadata.get("artifact_types", []))
        self._takes_all: bool = self._state.metadata.get("allow_all_artifact_types", not saved)
        used = [state.type for state in repository.collections(*self._path)] if self._takes_all else []
        self._types = AddOnly(list(dict.fromkeys([*saved, *used])))
        return self

    def _refuse_deleted(self, verb: str) -> None:
        """Raises NotFound, which says what failed, if it doesn't exist any more."""
        if not is_registry(self._root, *self._path):
            name = self._path[1].removeprefix(REGISTRY)
            raise NotFound(f"Failed to {verb} registry '{name}' in organization '{self.entity}': it was deleted")

    @property
    def name(self) -> str:
        """The name without `registry-`. Assign another one; `save()` renames the registry."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

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
        """The types that it accepts, or if it accepts all, those in use. Append to it, then `save()`."""
        return self._types

    @property
    def allow_all_artifact_types(self) -> bool:
        """Whether it accepts all types. Assign it, then `save()`."""
        return self._takes_all

    @allow_all_artifact_types.setter
    def allow_all_artifact_types(self, allow: bool) -> None:
        self._takes_all = bool(allow)

    @property
    def created_at(self) -> str | None:
        """When it was made: ISO 8601, UTC."""
        created = _created(self._root, *self._path)
        return None if created is None else moment(created)

    @property
    def updated_at(self) -> str | None:
        """When its own properties last changed: ISO 8601, UTC. None if they were never set."""
        return _updated(self._root, *self._path)

    def collections(
        self,
        filter: Filter | None = None,
        order: str | None = None,
        per_page: int | None = None,
        start: str | None = None,
    ) -> Collections:
        """List its collections.

        Args:
            filter: A Mongo-style filter on name, tag, description, created_at and updated_at.
            order: `+` or `-`, followed by `name`, `created_at` or `updated_at`.
            per_page: The items of a page, for `more`.
            start: Go on from the `cursor` of another listing.
        """
        return Collections(self._root, [self._path], filter, order, per_page=per_page, start=start)

    def versions(
        self,
        filter: Filter | None = None,
        order: str | None = None,
        per_page: int | None = None,
        start: str | None = None,
    ) -> Artifacts:
        """List its links, by default collection by collection.

        Args:
            filter: A Mongo-style filter on tag, alias, version, created_at, metadata.KEY and other fields.
            order: `+` or `-`, followed by `created_at`, `artifact_size` or `linked_at`.
            per_page: The items of a page, for `more`.
            start: Go on from the `cursor` of another listing.
        """
        return self.collections().versions(filter, order, per_page, start)

    def save(self) -> None:
        """Write what was edited: name, description, types and visibility.

        Raises:
            InvalidValue: If a type was added while all are allowed, or the name or a type breaks a rule.
            NotFound: If the registry was deleted.
        """
        self._refuse_deleted("save")
        if self._takes_all and self._types.draft:
            raise InvalidValue(
                "Cannot update artifact types when `allows_all_artifact_types` is True. Set it to False first."
            )
        metadata = {
            "artifact_types": _checked_types(self._types), "visibility": self._visibility,
            "allow_all_artifact_types": self._takes_all,
        }  # fmt: skip
        repository, (entity, old) = opened(self._root), self._path
        new = registry_project(self._name)
        repository.edit_registry(entity, new, new=new != old, description=self.description or "", metadata=metadata)
        if new != old:
            for state in list(repository.collections(entity, old)):
                repository.rename(str(state.path), str(state.path._replace(project=new)))
            repository.delete_registry(entity, old)
            self._path = entity, new
        self.load()

    def delete(self) -> None:
        """Delete it with all its links. The linked versions stay. Raises NotFound if it was deleted before."""
        self._refuse_deleted("delete")
        opened(self._root).delete_registry(*self._path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Registry) and (self._root, self._path) == (other._root, other._path)

    def __hash__(self) -> int:
        return hash((self._root, self._path))

    def __repr__(self) -> str:
        return f"<Registry {self._name}>"


class Registries(Listing[Registry]):
    """All registries of an entity that match a filter, by name or in another order."""

    def __init__(
        self,
        root: str,
        entity: str,
        filter: Filter | None,
        order: str | None,
        per_page: int | None = None,
        start: str | None = None,
    ) -> None:
        def fits(project: str) -> bool:
            state, names = opened(root).registry(entity, project), [project.removeprefix(REGISTRY)]
            names += [project, f"wandb-{project}"]
            times = _created(root, entity, project), _updated(root, entity, project)
            return fits_registry(names, state, *times, filter)

        keys: dict[str, Key] = {
            "name": lambda project: project, "created_at": lambda project: _created(root, entity, project) or 0,
            "updated_at": lambda project: _updated(root, entity, project) or "",
        }  # fmt: skip
        key, descending = key_of(order, keys, "+name")
        found = [project for project in registries_of(root, entity) if fits(project)]
        found.sort(key=key, reverse=descending)
        self._root, self._entity, self._order = root, entity, checked_order(order, "") or None
        super().__init__(found, lambda project: Registry(root, entity, project), per_page, start)

    @property
    def _paths(self) -> list[Home]:
        return [(self._entity, project) for project in self._items]

    def collections(
        self,
        filter: Filter | None = None,
        order: str | None = None,
        per_page: int | None = None,
        start: str | None = None,
    ) -> Collections:
        """List the collections of these registries that match a filter, by registry and name, or in an order.

        If the registries were listed in an order, those of each are ordered for themselves, and there is no `start`.
        """
        refuse_start(start, "collections", "registries", self._order)
        chained = self._order is not None
        return Collections(self._root, self._paths, filter, order, per_page=per_page, start=start, chained=chained)

    def versions(
        self,
        filter: Filter | None = None,
        order: str | None = None,
        per_page: int | None = None,
        start: str | None = None,
    ) -> Artifacts:
        """List the links in these registries that match a filter, or in an order.

        If the registries were listed in an order, those of each are ordered for themselves, and there is no `start`.
        """
        refuse_start(start, "versions", "registries", self._order)
        groups = [list(opened(self._root).collections(*path)) for path in self._paths]
        groups = groups if self._order else [[state for group in groups for state in group]]
        return versions_of(self._root, groups, filter, order, per_page, start)


def registries_of(root: str, entity: str) -> list[str]:
    """The names of an entity's registry projects, sorted. Empty ones are included."""
    states: Iterator[State] = opened(root).refs.collections(entity)
    return sorted({state.path.project for state in states if state.path.in_registry})


def is_registry(root: str, entity: str, project: str) -> bool:
    """Whether there is a registry: it has properties or collections."""
    return next(opened(root).refs.collections(entity, project), None) is not None


def find_registry(root: str, entity: str, name: str) -> Registry:
    """The registry with this name. Raises NotFound."""
    project = registry_project(name)
    there = registries_of(root, entity)
    if project not in there:
        names = ", ".join(found.removeprefix(REGISTRY) for found in there)
        what = f"Failed to load registry '{name}' in organization '{entity}': there is none"
        raise NotFound(what, hint=f"there are {names}" if names else None)
    return Registry(root, entity, project)


def make_registry(
    root: str, entity: str, name: str, visibility: str, description: str | None, types: list[str] | None
) -> Registry:
    """Make a registry. Raises Conflict if it exists, and InvalidValue if a name, type or visibility breaks a rule."""
    project = registry_project(name)
    metadata = {"artifact_types": _checked_types(types or []), "visibility": checked_visibility(visibility)}
    if is_registry(root, entity, project):
        raise Conflict(f"Registry '{name}' already exists in organization '{entity}', please use a different name.")
    opened(root).edit_registry(entity, project, new=True, description=description, metadata=metadata)
    return Registry(root, entity, project)


def _checked_types(types: list[str]) -> list[str]:
    """The types that a registry accepts, checked."""
    if wrong := [type for type in types if set(type) & set("/:")]:
        what = "Artifact types must not contain any of the following characters: '/', ':'"
        raise InvalidValue(what, hint=f"the type was '{printable(wrong[0][:140])}'")
    return [check_type(type) for type in types]


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


def _updated(root: str, entity: str, project: str) -> str | None:
    """When the properties of a registry last changed; None if they were never set."""
    entries = list(opened(root).refs.history(Path(entity, project, REGISTRY_RECORD)))
    return entries[-1].time if entries else None
