"""What is stored, outside a run: artifacts, collections, types and runs, by name."""

import os
from collections.abc import Callable
from typing import Any, Literal

from artstore.api.artifact import Artifact
from artstore.api.automations import Automation, CallPython, NewAutomation, changed_rule, new_rule
from artstore.api.collections import (
    ArtifactCollection,
    ArtifactType,
    Collections,
    Project,
    Registries,
    Registry,
    find_registry,
    make_registry,
)
from artstore.api.contents import PathLike
from artstore.api.handles import opened, root_of
from artstore.api.listing import Artifacts, Listing
from artstore.api.recording import session
from artstore.api.runs import RunRecord
from artstore.backends.storage import is_url
from artstore.domain.collection import VersionState
from artstore.domain.names import as_project, check_project
from artstore.domain.run import RunPath
from artstore.domain.wording import near
from artstore.errors import Conflict, InvalidType, InvalidValue, NotFound
from artstore.operations.automation import firing
from artstore.operations.automation.rules import all_rules, delete_rule, find_rule, save_rule
from artstore.operations.finding.lookup import Home, Version
from artstore.operations.finding.matching import (
    Filter,
    fitting_runs,
    fitting_versions,
    run_fields,
    run_value,
)
from artstore.repository import Repository
from artstore.store.settings import require_root


class Api:
    """Reads one repository: the one that is given, the active run's, the nearest `.artifacts` upwards, or ARTSTORE_DIR.

    `overrides` may hold `entity` and `project`, which names leave out. Without a repository every question raises
    NotFound, and nothing exists.
    """

    def __init__(
        self,
        overrides: dict[str, str] | None = None,
        timeout: int | None = None,
        api_key: str | None = None,
        repository: PathLike | None = None,
    ) -> None:
        """`timeout` and `api_key` are accepted as W&B's and change nothing."""
        self._given = None if repository is None else root_of(os.fspath(repository))
        self._overrides = dict(overrides or {})

    @property
    def _root(self) -> str:
        root = self._given or session.place()
        return root if is_url(root) or os.path.isfile(f"{root}/format") else require_root()

    @property
    def _repository(self) -> Repository:
        return opened(self._root)

    def _home(self, path: str | None = None) -> Home:
        """The (entity, project) that `[entity/]project` names; what it leaves out is by default."""
        entity, _, project = (path or "").rpartition("/")
        settings = self._repository.settings
        return (
            check_project(entity or self._overrides.get("entity") or settings.entity, "entity"),
            as_project(project or self._overrides.get("project") or settings.project),
        )

    @property
    def default_entity(self) -> str:
        return self._home()[0]

    def flush(self) -> None:
        """Accepted as W&B's: nothing is held back, each call reads anew."""

    # -- artifacts --

    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """The version that a spec names: `[[entity/]project/]name[:alias|:vN|@digest]`, without an alias the latest.
        Raises NotFound (also ValueError), saying which part is missing, and ValueError when it has another type.
        """
        if not name:
            raise InvalidValue("You must specify name= to fetch an artifact.")
        found = self._repository.find(name, self._home())
        if type is not None and found.state.type != type:
            raise Conflict(f"type {type} specified but this artifact is of type {found.state.type}")
        return Artifact.of(self._root, found)

    def artifact_exists(self, name: str, type: str | None = None) -> bool:
        """Whether `artifact(name, type)` would find one. Raises InvalidValue for what is no spec."""
        try:
            self.artifact(name, type)
        except (NotFound, Conflict):
            return False
        return True

    def artifacts(
        self,
        type_name: str | None = None,
        name: str | None = None,
        order: str | None = None,
        per_page: int | None = None,
        tags: list[str] | str | None = None,
        filters: Filter | None = None,
    ) -> Artifacts:
        """Live versions of the collection `name`, newest first; with `tags` only those that have all of them, with
        `filters` those that fit. `order` is `+` or `-` and one of created_at, version, size.
        """
        if name is None:
            raise InvalidValue("artifacts() needs the name of a collection", hint="artifact_collections() lists them")
        state = self._repository.collection(name, self._home())
        if type_name is not None and state.type != type_name:
            raise NotFound(f"there is no artifact '{name}' of type '{type_name}'; it has type '{state.type}'")
        wanted, lookup = {tags} if isinstance(tags, str) else set(tags or ()), self._repository.lookup
        found = fitting_versions(lookup, state, filters)
        versions = [one.version for one in found if wanted <= set(lookup.said_of(one).get("tags", []))]
        key, descending = _order(order or "-version")
        versions.sort(key=lambda version: (key(version), version["number"]), reverse=descending)
        return Artifacts(self._root, [Version(state, version) for version in versions])

    def artifact_versions(self, type_name: str, name: str, per_page: int | None = None) -> Artifacts:
        return self.artifacts(type_name, name)

    # -- collections and types --

    def artifact_collection(self, type_name: str | None = None, name: str | None = None) -> ArtifactCollection:
        """Raises NotFound with near names, also when it has another type."""
        if name is None:
            raise InvalidValue("artifact_collection() needs a name")
        state = self._repository.collection(name, self._home())
        if type_name is not None and state.type != type_name:
            raise NotFound(f"there is no artifact '{name}' of type '{type_name}'; it has type '{state.type}'")
        return ArtifactCollection(self._root, state)

    def artifact_collection_exists(self, name: str, type: str | None = None) -> bool:
        try:
            self.artifact_collection(type, name)
        except NotFound:
            return False
        return True

    def artifact_collections(
        self,
        project_name: str | None = None,
        type_name: str | None = None,
        per_page: int | None = None,
        filters: Filter | None = None,
    ) -> Listing[ArtifactCollection]:
        """Collections of a project, of one type if given, that fit a filter, by name."""
        return Collections(self._root, [self._home(project_name)], filters, type=type_name)

    def artifact_types(self, project: str | None = None) -> list[ArtifactType]:
        """Types in use in a project, by name."""
        return list(Project(self._root, self._home(project)).artifact_types())

    def project(self, name: str, entity: str | None = None) -> Project:
        """A project, whether anything stands in it or not."""
        return Project(self._root, self._home(f"{entity}/{name}" if entity else name))

    def artifact_type(self, type_name: str, project: str | None = None) -> ArtifactType:
        """Raises NotFound for a type that nothing in the project has."""
        types = {found.name: found for found in self.artifact_types(project)}
        if type_name not in types:
            entity, name = self._home(project)
            raise NotFound(f"there is no type '{type_name}' in project {entity}/{name}", hint=near(type_name, types))
        return types[type_name]

    # -- runs --

    def run(self, path: str) -> RunRecord:
        """The run at `[[entity/]project/]id`. Raises NotFound with near ids."""
        parts = path.strip("/").split("/")
        if parts[-2:-1] == ["runs"]:
            del parts[-2]  # as W&B's pages are addressed
        if len(parts) > 3:
            raise InvalidValue(f"'{path}' has too many parts: a run is [[entity/]project/]id")
        home = self._home("/".join(parts[:-1]))
        state = self._repository.runs.find(RunPath(*home, check_project(parts[-1], "run id")))
        return RunRecord(self._root, state)

    def runs(
        self,
        path: str | None = None,
        filters: dict[str, Any] | None = None,
        order: str = "+created_at",
        per_page: int | None = None,
        include_sweeps: bool = True,
        lazy: bool = True,
    ) -> Listing[RunRecord]:
        """Runs of `[entity/]project` that fit a filter, the first started first; `order` is `+` or `-` and created_at,
        heartbeat_at, config.KEY or summary_metrics.KEY: who has none comes last. `include_sweeps` and `lazy` are accepted
        as W&B's and change nothing.
        """
        runs, root = self._repository.runs, self._root
        states = fitting_runs(runs, filters, *self._home(path))[::-1]
        by = order.lstrip("+-").removesuffix(".value")
        if by != "created_at" or order.startswith("-"):
            keyed = [(run_value(run_fields(state, ""))(by), state) for state in states]
            comparable = [pair for pair in keyed if isinstance(pair[0], str | int | float)]
            rest = [state for value, state in keyed if not isinstance(value, str | int | float)]
            comparable.sort(key=lambda pair: (isinstance(pair[0], str), pair[0]), reverse=order.startswith("-"))
            states = [state for _, state in comparable] + rest
        return Listing(states, lambda s: RunRecord(root, s))

    # -- registries --

    def registry(self, name: str, organization: str | None = None) -> Registry:
        """The registry of a name, without `registry-`. Raises NotFound."""
        return find_registry(self._root, organization or self._home()[0], name)

    def registries(
        self,
        organization: str | None = None,
        filter: Filter | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Registries:
        """All registries that fit a filter (name, description, created_at), by name."""
        return Registries(self._root, organization or self._home()[0], filter, order)

    def create_registry(
        self,
        name: str,
        visibility: str = "organization",
        organization: str | None = None,
        description: str | None = None,
        artifact_types: list[str] | None = None,
    ) -> Registry:
        """Make a registry, which takes artifacts of these types, by default of all. `visibility` is kept and changes
        nothing. Raises ValueError when it exists.
        """
        entity = organization or self._home()[0]
        return make_registry(self._root, entity, name, visibility, description, artifact_types)

    # -- automations --

    def create_automation(
        self,
        obj: NewAutomation,
        *,
        fetch_existing: bool = False,
        name: str | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Automation:
        """Keep an automation (`event >> action`) for this user and this repository where it lies. Raises ValueError for a
        name that is taken; with `fetch_existing` that one is returned.
        """
        if not isinstance(obj, NewAutomation):
            raise InvalidType(f"an automation is made of event >> action, not of a {type(obj).__name__}")
        place, rule = (
            self._repository.automations.place,
            new_rule(obj, name=name, description=description, enabled=enabled),
        )
        try:
            if isinstance(obj.action, CallPython):
                firing.call(place, rule, obj.action.function)
            elif any(other["name"] == rule["name"] for other in firing.called(place)):
                raise Conflict(f"Automation '{rule['name']}' exists. Unable to create another with the same name.")
            else:
                save_rule(place, rule, new=True)
        except Conflict:
            if not fetch_existing:
                raise
            return self.automation(rule["name"])
        return Automation(rule)

    def update_automation(self, obj: Automation, *, create_missing: bool = False, **changes: Any) -> Automation:
        """Write what was edited of an automation, or is given: name, description, enabled, event, action, scope."""
        if not isinstance(obj, Automation):
            raise InvalidType(f"update_automation takes an Automation, not a {type(obj).__name__}")
        rule = changed_rule(obj, **changes)
        if not firing.replace(self._repository.automations.place, rule):
            save_rule(self._repository.automations.place, rule, new=create_missing)
        return Automation(rule)

    def delete_automation(self, obj: Automation | str) -> Literal[True]:
        """By the automation, its name or its id. Raises NotFound."""
        place, name = self._repository.automations.place, obj.id if isinstance(obj, Automation) else obj
        own = next((rule for rule in firing.called(place) if name in (rule["id"], rule["name"])), None)
        if own is not None:
            firing.forget(place, own["id"])
        else:
            delete_rule(place, name)
        return True

    def automation(self, name: str, *, entity: str | None = None) -> Automation:
        """Raises ValueError when there is none of that name."""
        place = self._repository.automations.place
        own = next((rule for rule in firing.called(place) if name == rule["name"]), None)
        return Automation(own or find_rule(place, name))

    def automations(
        self, entity: str | None = None, *, name: str | None = None, per_page: int = 50, start: str | None = None
    ) -> Listing[Automation]:
        """This user's automations for this repository, the first made first."""
        place = self._repository.automations.place
        rules = [*all_rules(place), *firing.called(place)]
        return Listing([rule for rule in rules if name in (None, rule["name"])], Automation)

    def __repr__(self) -> str:
        return f"<Api {self._given or session.place()}>"


_VERSION_ORDERS: dict[str, Callable[[VersionState], int]] = {
    "created_at": lambda version: version["created"],
    "version": lambda version: version["number"],
    "size": lambda version: version["size"],
}


def _order(text: str) -> tuple[Callable[[VersionState], int], bool]:
    """(key, whether descending) of an order such as `-created_at`."""
    name = text.lstrip("+-")
    if name not in _VERSION_ORDERS:
        raise InvalidValue(f"order '{text}' is not + or - and one of {', '.join(_VERSION_ORDERS)}")
    return _VERSION_ORDERS[name], text.startswith("-")
