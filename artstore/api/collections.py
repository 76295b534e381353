"""A collection of the Python interface: what is said of it, its versions, and edits that `save()` makes."""

from collections.abc import Callable
from typing import Generic, TypeVar

from artstore.api.handles import opened
from artstore.api.listing import Listing
from artstore.domain.collection import Path, State
from artstore.domain.names import check_tags
from artstore.domain.sizes import moment
from artstore.operations.finding.lookup import Found
from artstore.operations.finding.matching import Filter, fits_collection, fitting_versions

A = TypeVar("A")


class ArtifactCollection(Generic[A]):
    """As it was when it was read. `artifact` makes an Artifact of a version."""

    def __init__(self, root: str, state: State, artifact: Callable[[str, Found], A]) -> None:
        self._root = root
        self._artifact = artifact
        self._set(state)

    def _set(self, state: State) -> None:
        self._state = state
        self.name = state.path.name
        self.type = state.type
        self.description: str | None = state.description
        self.tags = list(state.tags)

    @property
    def entity(self) -> str:
        return self._state.path.entity

    @property
    def project(self) -> str:
        return self._state.path.project

    @property
    def qualified_name(self) -> str:
        return str(self._state.path)

    @property
    def aliases(self) -> list[str]:
        """All aliases of its versions, `latest` first."""
        return [alias for aliases in self._state.all_aliases().values() for alias in aliases]

    @property
    def created_at(self) -> str | None:
        """Time of its first version, deleted or not."""
        first = min((version["created"] for version in self._state.versions.values()), default=None)
        return None if first is None else moment(first)

    def artifacts(self, per_page: int | None = None, filters: Filter | None = None) -> Listing[A]:
        """Live versions (that fit a filter), newest first."""
        found = list(fitting_versions(opened(self._root).lookup, self._state, filters))
        return Listing(found[::-1], lambda one: self._artifact(self._root, one))

    versions = artifacts

    def is_sequence(self) -> bool:
        """Whether its versions were logged to it, as opposed to a collection of links."""
        return not self._state.holds_links

    def load(self) -> "ArtifactCollection[A]":
        self._set(opened(self._root).collection(str(self._state.path)))
        return self

    def save(self) -> None:
        """Write what was edited: name (moves it, history and all), type, description, tags. What wasn't stays."""
        repository, state = opened(self._root), self._state
        wanted = check_tags(self.tags)
        repository.edit_collection(
            str(state.path),
            description=None if self.description == state.description else self.description or "",
            type=None if self.type == state.type else self.type,
            tags=tuple(tag for tag in wanted if tag not in state.tags),
            no_tags=tuple(tag for tag in state.tags if tag not in wanted),
        )
        path = state.path
        if self.name != path.name:
            path = path._replace(name=self.name)
            repository.rename(str(state.path), str(path))
        self._set(repository.collection(str(path)))

    def change_type(self, new_type: str) -> None:
        self.type = new_type
        self.save()

    @property
    def id(self) -> str:
        return str(self._state.path)

    def delete(self) -> None:
        """Delete it with all versions and aliases that it has now; their names, numbers and dates stay on record."""
        opened(self._root).delete_collection(str(self._state.path), delete_aliases=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArtifactCollection) and (self._root, self._state.path) == (
            other._root,
            other._state.path,
        )

    def __hash__(self) -> int:
        return hash((self._root, self._state.path))

    def __repr__(self) -> str:
        return f"<ArtifactCollection {self._state.path} ({self._state.type})>"


class ArtifactType(Generic[A]):
    """A type in a project: the collections that have it."""

    def __init__(self, root: str, home: tuple[str, str], name: str, artifact: Callable[[str, Found], A]) -> None:
        self._root, self._home, self._artifact = root, home, artifact
        self.name = name
        self.type = name

    def collections(
        self, filters: Filter | None = None, order: str | None = None, per_page: int | None = None
    ) -> Listing[ArtifactCollection[A]]:
        """Collections of this type (that fit a filter), by name."""
        states = [state for state in opened(self._root).collections(*self._home) if state.type == self.name]
        states = [state for state in states if fits_collection(state, filters)]
        return Listing(states, lambda state: ArtifactCollection(self._root, state, self._artifact))

    def collection(self, name: str) -> ArtifactCollection[A]:
        path = Path(*self._home, name)
        return ArtifactCollection(self._root, opened(self._root).collection(str(path)), self._artifact)

    def __repr__(self) -> str:
        return f"<ArtifactType {self.name}>"


class Project(Generic[A]):
    """A project: what stands in it."""

    def __init__(self, root: str, home: tuple[str, str], artifact: Callable[[str, Found], A]) -> None:
        self._root, self._home, self._artifact = root, home, artifact

    @property
    def name(self) -> str:
        return self._home[1]

    @property
    def entity(self) -> str:
        return self._home[0]

    @property
    def path(self) -> list[str]:
        return list(self._home)

    @property
    def id(self) -> str:
        return "/".join(self._home)

    def artifact_types(self, per_page: int | None = None) -> Listing[ArtifactType[A]]:
        """Types in use, by name."""
        names = sorted({state.type for state in opened(self._root).collections(*self._home)})
        return Listing(names, lambda name: ArtifactType(self._root, self._home, name, self._artifact))

    artifacts_types = artifact_types

    def collections(self, filters: Filter | None = None) -> Listing[ArtifactCollection[A]]:
        """Its collections (that fit a filter), by name."""
        states = [state for state in opened(self._root).collections(*self._home) if fits_collection(state, filters)]
        return Listing(states, lambda state: ArtifactCollection(self._root, state, self._artifact))

    def __repr__(self) -> str:
        return f"<Project {self.id}>"
