"""Collections, types and projects of the Python interface. `save()` writes what was edited."""

from artstore.api.absent import SaysWhy
from artstore.api.handles import opened, url_in
from artstore.api.listing import Artifacts, Listing, warn_of_nothing
from artstore.api.orders import ordered_collections, ordered_versions
from artstore.api.shown import Shown
from artstore.domain.collection import Path, State
from artstore.domain.filters import Asked
from artstore.domain.html import definition_rows, page
from artstore.domain.names import check_name, check_tags, file_name_of, refuse_reserved
from artstore.domain.wording import moment
from artstore.errors import Conflict, InvalidValue
from artstore.operations.finding.lookup import Home
from artstore.operations.finding.matching import Filter, fits_collection, fitting_versions


class ArtifactCollection(SaysWhy):
    """A collection: the versions of one artifact, or links.

    It holds the state that was read; `load()` reads it again.
    """

    def __init__(self, root: str, state: State) -> None:
        self._root = root
        self._set(state)

    def _set(self, state: State) -> None:
        self._state = state
        self._name = state.path.name
        self._type = state.type
        self.description: str | None = state.description
        self.tags = list(state.tags)
        self.keep = state.keep
        """the rule that says which versions are kept, such as `last:3, best:loss:min`; None if all are"""

    @property
    def name(self) -> str:
        """The name. Assign another one; `save()` writes it. Raises InvalidValue for one that breaks a rule."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = check_name(name)

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

    def artifacts(
        self, per_page: int | None = None, start: str | None = None, filters: Filter | None = None
    ) -> Artifacts:
        """List its live versions, newest first.

        Args:
            per_page: The items of a page, for `more`.
            start: Go on from the `cursor` of another listing.
            filters: A Mongo-style filter, such as `{"metadata.acc": {"$gte": 0.9}}`.
        """
        found = fitting_versions(opened(self._root).lookup, [self._state], filters, asked := Asked())
        warn_of_nothing(found, asked, filters)
        return Artifacts(self._root, found[::-1], per_page, start)

    def versions(
        self,
        filter: Filter | None = None,
        order: str | None = None,
        per_page: int | None = None,
        start: str | None = None,
    ) -> Artifacts:
        """List its live versions, newest first or in an order.

        Args:
            filter: A Mongo-style filter, such as `{"metadata.acc": {"$gte": 0.9}}`.
            order: `+` or `-`, followed by `created_at`, `updated_at`, `version`, `size` or `linked_at`.
            per_page: The items of a page, for `more`.
            start: Go on from the `cursor` of another listing.
        """
        return versions_of(self._root, [[self._state]], filter, order or "-version", per_page, start)

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
            Conflict: If the new name is taken, or the type is one of W&B's own (both are ValueErrors too).
            InvalidValue: If a type or tag breaks a rule, or `keep` isn't a retention rule.

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
        """Raises Conflict if the type was edited, and the old or the new one is W&B's own."""
        if self._type == self._state.type:
            return
        why = f"Failed to save artifact collection '{self._state.path.name}': "
        try:
            refuse_reserved(self._type, self.name)
        except InvalidValue as error:
            raise Conflict(why + str(error)) from error
        try:
            refuse_reserved(self._state.type, self.name)
        except InvalidValue as error:
            why += f"The current type '{self._state.type}' is an internal type and cannot be changed."
            raise Conflict(why) from error

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

    @property
    def id(self) -> str:
        """The full name: `entity/project/type`."""
        return "/".join((*self._home, self.name))

    @property
    def entity(self) -> str:
        """The entity of the project."""
        return self._home[0]

    @property
    def project(self) -> str:
        """The project."""
        return self._home[1]

    def collections(
        self,
        filters: Filter | None = None,
        order: str | None = None,
        per_page: int | None = None,
        start: str | None = None,
    ) -> Listing[ArtifactCollection]:
        """List the collections of this type, by name.

        Args:
            filters: A Mongo-style filter.
            order: `+` or `-`, followed by `name`, `created_at` or `updated_at`.
            per_page: The items of a page, for `more`.
            start: Go on from the `cursor` of another listing.
        """
        return Collections(self._root, [self._home], filters, order, self.name, per_page=per_page, start=start)

    def collection(self, name: str) -> ArtifactCollection:
        """The collection with this name. Raises NotFound, with similar names as its hint."""
        path = Path(*self._home, name)
        return ArtifactCollection(self._root, opened(self._root).collection(str(path)))

    def __repr__(self) -> str:
        return f"<ArtifactType {self.name}>"


class Project(SaysWhy, Shown):
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

    @property
    def url(self) -> str:
        """The URL of the folder with the project's collections."""
        return url_in(self._root, f"refs/{'/'.join(map(file_name_of, self._home))}")

    def artifact_types(self, per_page: int | None = None, start: str | None = None) -> Listing[ArtifactType]:
        """List the types in use, by name. `start` goes on from the `cursor` of another listing."""
        names = sorted({state.type for state in opened(self._root).collections(*self._home)})
        return Listing(names, lambda name: ArtifactType(self._root, self._home, name), per_page, start)

    artifacts_types = artifact_types

    def collections(
        self, filters: Filter | None = None, order: str | None = None, per_page: int | None = None
    ) -> Listing[ArtifactCollection]:
        """List its collections that match a filter, by name, or in the order of `created_at` or `updated_at`."""
        return Collections(self._root, [self._home], filters, order, per_page=per_page)

    def __repr__(self) -> str:
        return f"<Project {self.id}>"

    def _repr_html_(self) -> str:
        types = self.artifact_types()
        return page(f"project {self.id}", definition_rows([("types", ", ".join(kind.name for kind in types))]))


class Collections(Listing[ArtifactCollection]):
    """Collections of projects, by project and name, or in an order. They can be limited to one type and to a filter."""

    def __init__(
        self,
        root: str,
        projects: list[Home],
        filter: Filter | None,
        order: str | None = None,
        type: str | None = None,
        *,
        per_page: int | None = None,
        start: str | None = None,
        chained: bool = False,
    ) -> None:
        """With `chained`, the collections of each project are ordered for themselves, project by project."""
        groups = [list(opened(root).collections(*path)) for path in projects]
        groups = [[state for state in group if fits_collection(state, filter)] for group in groups]
        groups = groups if chained else [[state for group in groups for state in group]]
        states = [state for group in groups for state in ordered_collections(group, order)]
        self._root, self._order = root, order
        states = [state for state in states if type in (None, state.type)]
        super().__init__(states, lambda state: ArtifactCollection(root, state), per_page, start)

    def versions(
        self,
        filter: Filter | None = None,
        order: str | None = None,
        per_page: int | None = None,
        start: str | None = None,
    ) -> Artifacts:
        """List the live versions of these collections that match a filter.

        Args:
            filter: A Mongo-style filter on tag, alias, version, created_at, metadata.KEY and other fields.
            order: `+` or `-`, followed by `created_at`, `artifact_size` or `linked_at`. If the collections were
                listed in an order, the versions of each are ordered for themselves.
            per_page: The items of a page, for `more`.
            start: Go on from the `cursor` of another listing, but not if the collections were listed in an order.
        """
        refuse_start(start, "versions", "collections", self._order)
        groups = [[state] for state in self._items] if self._order else [list(self._items)]
        return versions_of(self._root, groups, filter, order, per_page, start)


def versions_of(
    root: str,
    groups: list[list[State]],
    filter: Filter | None,
    order: str | None,
    per_page: int | None,
    start: str | None,
) -> Artifacts:
    """The live versions of collections that match a filter, those of each group in the order."""
    lookup, asked = opened(root).lookup, Asked()
    found = [
        one
        for group in groups
        for one in ordered_versions(lookup, fitting_versions(lookup, group, filter, asked), order)
    ]
    warn_of_nothing(found, asked, filter)
    return Artifacts(root, found, per_page, start)


def refuse_start(start: str | None, what: str, of: str, order: str | None) -> None:
    """Raises InvalidValue for a `start` in what is listed group by group, because the groups have an order."""
    if start is not None and order:
        raise InvalidValue(
            f"start='{start}' is not supported when querying {what} from {of} fetched with order='{order}'",
            hint=f"leave out the order of the {of}, or the start",
        )
