"""Api: artifacts, collections, types, runs, registries and automations by name, outside a run."""

from types import SimpleNamespace
from typing import Any, Literal

from artstore.api.artifact import Artifact
from artstore.api.automations import Automation, CallPython, NewAutomation, changed_rule, new_rule
from artstore.api.collections import ArtifactCollection, ArtifactType, Collections, Project
from artstore.api.files import Texts
from artstore.api.listing import Artifacts, Listing, warn_of_nothing
from artstore.api.orders import ordered_versions
from artstore.api.recording import session
from artstore.api.registries import Registries, Registry, find_registry, make_registry
from artstore.api.run_queries import RunQueries
from artstore.api.runs import RunRecord
from artstore.domain.collection import State
from artstore.domain.filters import Asked
from artstore.domain.names import file_name_of, parse_spec
from artstore.domain.wording import near
from artstore.errors import Conflict, InvalidType, InvalidValue, NotFound
from artstore.operations.automation import firing
from artstore.operations.automation.rules import all_rules, delete_rule, find_rule, save_rule
from artstore.operations.finding.matching import Filter, fitting_versions
from artstore.store.settings import Settings


class Api(RunQueries):
    """Access to what one repository stores.

    It is the repository that is given, the active run's, the one that ARTSTORE_DIR names, or the nearest `.artifacts`
    folder, here or in a parent folder. Without a repository, look-ups raise NotFound.

    Example:
        >>> api = wandb.Api()
        >>> api.artifact("digits/images:latest")
        <Artifact local/digits/images:v0 (dataset)>
        >>> [run.id for run in api.runs("digits")]
        ['prepare-1', 'train-1']
    """

    @property
    def viewer(self) -> SimpleNamespace:
        """This user, in the shape of W&B's account: `entity`, `username`, `name`, and `teams`, of which there are none."""
        _host, user = Settings(None).identity()
        return SimpleNamespace(entity=self.default_entity, username=user, name=user, email=None, admin=False, teams=[])

    def from_path(self, path: str) -> Project | RunRecord:
        """Get the project that a path names, `[entity/]project`, or the run, `entity/project/[runs/]id`.

        Raises:
            InvalidValue: If the path has another form.
            NotFound: If there is no such run.

        Example:
            >>> wandb.Api().from_path("local/digits/train-1")
            <Run local/digits/train-1 (finished)>
        """
        parts = path.strip("/ ").split("/")
        if len(parts) < 3:
            return self.project(parts[-1], *parts[:-1])
        if len(parts) > 4 or (len(parts) == 4 and not parts[2].startswith("run")):
            raise InvalidValue("Invalid path: it names a project, [entity/]project, or a run, entity/project/runs/id")
        return self.run("/".join([*parts[:2], parts[-1]]))

    def flush(self) -> None:
        """Accepted as in W&B. There is nothing to do: each call reads what is stored now."""

    # -- artifacts --

    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """Get a version.

        Args:
            name: `[[entity/]project/]name[:alias | :vN | @digest]`. The name alone means its latest version.
            type: The type that it must have.

        Raises:
            NotFound: If there is no such version (also a ValueError). The message says which part is missing.
            Conflict: If it has another type (also a ValueError).

        Example:
            >>> model = wandb.Api().artifact("digits/model:v0", type="model")
            >>> model.size
            4
        """
        if not name:
            raise InvalidValue("You must specify name= to fetch an artifact.")
        found = self._repository.find(name, self._home())
        if type is not None and found.state.type != type:
            raise Conflict(f"type {type} specified but this artifact is of type {found.state.type}")
        return Artifact.of(self._root, found, parse_spec(name).number)

    def artifact_exists(self, name: str, type: str | None = None) -> bool:
        """Whether `artifact(name, type)` would find a version. Raises InvalidValue if the name breaks a rule."""
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
        tags: Texts = None,
        start: str | None = None,
        filters: Filter | None = None,
    ) -> Artifacts:
        """List the live versions of a collection, newest first.

        Args:
            type_name: The type that the collection must have.
            name: The collection, `[[entity/]project/]name`.
            order: `+` or `-`, followed by `created_at`, `updated_at`, `linked_at`, `size` or `version`.
            per_page: The items of a page, for `more`.
            tags: Only versions that have all of these tags.
            start: Go on from the `cursor` of another listing.
            filters: A Mongo-style filter, such as `{"metadata.acc": {"$gte": 0.9}}`.

        Raises:
            NotFound: If there is no such collection, or if it has another type.
            InvalidValue: If there is no name, or if the order or filter isn't valid.

        Example:
            >>> wandb.Api().artifacts("dataset", "digits/images", filters={"metadata.source": "scanner"})
            [<Artifact local/digits/images:v0 (dataset)>]
        """
        if name is None:
            raise InvalidValue("artifacts() needs the name of a collection", hint="artifact_collections() lists them")
        state = self._collection(name, type_name)
        wanted, lookup = {tags} if isinstance(tags, str) else set(tags or ()), self._repository.lookup
        found = fitting_versions(lookup, [state], filters, asked := Asked())
        warn_of_nothing(found, asked, filters)
        found = [one for one in found if wanted <= set(lookup.said_of(one).get("tags", []))]
        return Artifacts(self._root, ordered_versions(lookup, found, order, "-version"), per_page, start)

    def artifact_versions(self, type_name: str, name: str, per_page: int | None = None) -> Artifacts:
        """List the live versions of a collection, newest first, as `artifacts` does."""
        return self.artifacts(type_name, name, per_page=per_page)

    # -- collections and types --

    def artifact_collection(self, type_name: str | None = None, name: str | None = None) -> ArtifactCollection:
        """Get a collection.

        Args:
            type_name: The type that it must have.
            name: `[[entity/]project/]name`.

        Raises:
            NotFound: If there is no such collection, or if it has another type. Its hint names similar ones.
        """
        if name is None:
            raise InvalidValue("artifact_collection() needs a name")
        return ArtifactCollection(self._root, self._collection(name, type_name))

    def _collection(self, name: str, type: str | None) -> State:
        state = self._repository.collection(name, self._home())
        if type is not None and state.type != type:
            raise NotFound(f"there is no artifact '{name}' of type '{type}'; it has type '{state.type}'")
        return state

    def artifact_collection_exists(self, name: str, type: str | None = None) -> bool:
        """Whether there is a collection with this name, and with this type if one is given."""
        try:
            self.artifact_collection(type, name)
        except NotFound:
            return False
        return True

    def artifact_collections(
        self,
        project_name: str | None = None,
        type_name: str | None = None,
        order: str | None = None,
        per_page: int | None = None,
        start: str | None = None,
        filters: Filter | None = None,
    ) -> Listing[ArtifactCollection]:
        """List the collections of a project, by name.

        Args:
            project_name: `[entity/]project`; by default the default project.
            type_name: Only collections of this type.
            order: `+` or `-`, followed by `name`, `created_at` or `updated_at`.
            per_page: The items of a page, for `more`.
            start: Go on from the `cursor` of another listing.
            filters: A Mongo-style filter on name, type, tags, aliases, description, created_at and size.

        Example:
            >>> wandb.Api().artifact_collections("digits")
            [<ArtifactCollection local/digits/images (dataset)>, <ArtifactCollection local/digits/model (model)>]
        """
        home = self._home(project_name)
        return Collections(self._root, [home], filters, order, type_name, per_page=per_page, start=start)

    def artifact_types(self, project: str | None = None, start: str | None = None) -> Listing[ArtifactType]:
        """List the types in use in a project, by name. `start` goes on from the `cursor` of another listing."""
        return Project(self._root, self._home(project)).artifact_types(start=start)

    def projects(self, entity: str | None = None, per_page: int = 200) -> Listing[Project]:
        """List the projects of an entity that hold artifacts or runs, by name. Registries are not among them.

        Args:
            entity: The entity; by default the default entity.
            per_page: The items of a page, for `more`.

        Example:
            >>> wandb.Api().projects()
            [<Project local/digits>]
        """
        home, root = entity or self._home()[0], self._root
        paths = [state.path for state in self._repository.collections(home)]
        names = {path.project for path in paths if not path.in_registry}
        names |= {
            run.project for run in self._repository.catalog(damaged=[]).latest_runs(f"runs/{file_name_of(home)}")[1]
        }
        return Listing(sorted(names), lambda name: Project(root, (home, name)), per_page)

    def project(self, name: str, entity: str | None = None) -> Project:
        """Get a project. It doesn't have to hold anything."""
        return Project(self._root, self._home(f"{entity}/{name}" if entity else name))

    def artifact_type(self, type_name: str, project: str | None = None) -> ArtifactType:
        """Get a type. Raises NotFound if nothing in the project has it."""
        types = {found.name: found for found in self.artifact_types(project)}
        if type_name not in types:
            entity, name = self._home(project)
            raise NotFound(f"there is no type '{type_name}' in project {entity}/{name}", hint=near(type_name, types))
        return types[type_name]

    # -- registries --

    def registry(self, name: str, organization: str | None = None) -> Registry:
        """Get a registry. `name` is without `registry-`. Raises NotFound if there is none."""
        return find_registry(self._root, organization or self._home()[0], name)

    def registries(
        self,
        organization: str | None = None,
        filter: Filter | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Registries:
        """List the registries, by name.

        Args:
            organization: The entity; by default the default entity.
            filter: A Mongo-style filter on name, description, created_at and updated_at.
            order: `+` or `-`, followed by `name`, `created_at` or `updated_at`.
            per_page: The items of a page, for `more`.
            start: Go on from the `cursor` of another listing.
        """
        return Registries(self._root, organization or self._home()[0], filter, order, per_page, start)

    def create_registry(
        self,
        name: str,
        visibility: str = "organization",
        organization: str | None = None,
        description: str | None = None,
        artifact_types: list[str] | None = None,
    ) -> Registry:
        """Make a registry: a project whose collections hold links. If there is no repository, it is made too.

        Args:
            name: The name, without `registry-`.
            visibility: `organization` or `restricted`. It is stored and changes nothing.
            organization: The entity; by default the default entity.
            description: A text for people.
            artifact_types: The types that it accepts; by default all.

        Raises:
            Conflict: If it exists (also a ValueError).
            InvalidValue: If a name, type or visibility breaks a rule.

        Example:
            >>> wandb.Api().create_registry("models", artifact_types=["model"])
            <Registry models>
        """
        root, entity = self._root_to_write(), organization or self._home()[0]
        return make_registry(root, entity, name, visibility, description, artifact_types)

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
        """Save an automation of this user, for this repository at its current path.

        Args:
            obj: An event and an action, `event >> action`.
            fetch_existing: If the name is taken, return the automation that has it.
            name: The automation's name; it is needed here or in `obj`.
            description: A text for people.
            enabled: Whether it runs; by default True.

        Raises:
            Conflict: If the name is taken, and `fetch_existing` is False (also a ValueError).
            InvalidValue: If there is no name.

        Example:
            >>> from artstore.automations import ArtifactEvent, OnAddArtifactAlias, RunCommand
            >>> api = wandb.Api()
            >>> model = api.artifact_collection(name="digits/model")
            >>> promoted = OnAddArtifactAlias(scope=model, filter=ArtifactEvent.alias == "prod")
            >>> api.create_automation(promoted >> RunCommand(["./deploy.sh"]), name="deploy").scope
            <Scope local/digits/model>
        """
        if not isinstance(obj, NewAutomation):
            raise InvalidType(f"create_automation needs event >> action, not {type(obj).__name__}")
        place = self._repository.automations.place
        rule = new_rule(obj, name=name, description=description, enabled=enabled)
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
        """Write an automation's edits, and other changes.

        Args:
            obj: The automation, whose name, description, enabled and action may have been edited.
            create_missing: Save it even if it doesn't exist any more.
            **changes: New values for name, description, enabled, event, action or scope.

        Returns:
            The automation as it is now.

        Raises:
            NotFound: If it doesn't exist any more, and `create_missing` is False.
        """
        if not isinstance(obj, Automation):
            raise InvalidType(f"update_automation needs an Automation, not {type(obj).__name__}")
        rule = changed_rule(obj, **changes)
        if not firing.replace(self._repository.automations.place, rule):
            save_rule(self._repository.automations.place, rule, new=create_missing)
        return Automation(rule)

    def delete_automation(self, obj: Automation | str) -> Literal[True]:
        """Delete an automation: the object, or the one with this name or id. Raises NotFound if there is none."""
        place, name = self._repository.automations.place, obj.id if isinstance(obj, Automation) else obj
        own = next((rule for rule in firing.called(place) if name in (rule["id"], rule["name"])), None)
        if own is not None:
            firing.forget(place, own["id"])
        else:
            delete_rule(place, name)
        return True

    def automation(self, name: str, *, entity: str | None = None) -> Automation:
        """Get an automation by its name. Raises NotFound if there is none (also a ValueError)."""
        place = self._repository.automations.place
        own = next((rule for rule in firing.called(place) if name == rule["name"]), None)
        return Automation(own or find_rule(place, name))

    def automations(
        self, entity: str | None = None, *, name: str | None = None, per_page: int = 50, start: str | None = None
    ) -> Listing[Automation]:
        """List this user's automations for this repository, in the order in which they were made.

        Args:
            entity: Accepted as in W&B; it changes nothing.
            name: Only the automation with this name.
            per_page: The items of a page, for `more`.
            start: Go on from the `cursor` of another listing.
        """
        place = self._repository.automations.place
        rules = [*all_rules(place), *firing.called(place)]
        return Listing([rule for rule in rules if name in (None, rule["name"])], Automation, per_page, start)

    def __repr__(self) -> str:
        return f"<Api {self._given or session.lasting_place()}>"
