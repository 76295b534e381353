"""The part of `Api` that finds runs, and the repository in which it looks."""

import os
import re
from typing import Any

from artstore.api.absent import SaysWhy
from artstore.api.files import PathLike
from artstore.api.handles import opened, root_of
from artstore.api.listing import checked_order, warn_of_nothing
from artstore.api.recorded import RecordedRuns
from artstore.api.recording import new_id, session, start
from artstore.api.runfiles import named_run
from artstore.api.runs import RunRecord
from artstore.backends.storage import is_url
from artstore.domain.filters import Asked
from artstore.domain.names import as_project, check_project
from artstore.domain.run import RunPath
from artstore.errors import NotFound
from artstore.operations.finding.columns import ordered
from artstore.operations.finding.lookup import Home
from artstore.operations.finding.matching import fitting_runs
from artstore.operations.finding.naming import find_run
from artstore.repository import Repository
from artstore.store.settings import is_repository, require_root


class RunQueries(SaysWhy):
    """Access to the runs of one repository."""

    def __init__(
        self,
        overrides: dict[str, str] | None = None,
        timeout: int | None = None,
        api_key: str | None = None,
        repository: PathLike | None = None,
    ) -> None:
        """Choose a repository. It is opened when it is first needed.

        Args:
            overrides: Defaults for names: `entity` and `project`.
            timeout: Accepted as in W&B; it changes nothing.
            api_key: Accepted as in W&B; it changes nothing.
            repository: A folder, or a URL such as `s3://bucket/path`, which can only be read.

        Raises:
            NotFound: If `repository` is a folder without a repository.
        """
        self._given = None if repository is None else root_of(os.fspath(repository))
        self._overrides = dict(overrides or {})

    @property
    def _root(self) -> str:
        root = self._given or session.lasting_place()
        return root if is_url(root) or is_repository(root) else require_root()

    @property
    def _repository(self) -> Repository:
        return opened(self._root)

    def _home(self, path: str | None = None) -> Home:
        """The (entity, project) of `[entity/]project`. Missing parts come from the overrides and the settings."""
        entity, _, project = (path or "").rpartition("/")
        settings = self._repository.settings
        return (
            check_project(entity or self._overrides.get("entity") or settings.entity, "entity"),
            as_project(project or self._overrides.get("project") or settings.project),
        )

    def _root_to_write(self) -> str:
        """The repository, which is made if there is none."""
        if self._given is None and not is_repository(place := session.lasting_place()):
            Repository.init(place).close()
        return self._root

    @property
    def default_entity(self) -> str:
        """The entity for names that don't give one."""
        return self._home()[0]

    def run(self, path: str) -> RunRecord:
        """Get a run.

        Args:
            path: `[[entity/]project/]id`, or the run's name in place of the id if no other run has it.

        Raises:
            NotFound: If there is no such run. Its hint names similar ids.

        Example:
            >>> run = wandb.Api().run("digits/train-1")
            >>> run.config["lr"], run.summary["loss"], run.state
            (0.1, 0.25, 'finished')
        """
        repository, text = self._repository, re.sub("/runs/(?=[^/]*$)", "/", path)  # as in addresses of W&B's pages
        try:
            state = find_run(repository.runs, repository.catalog(damaged=[]), self._home(), text)
        except NotFound:
            named_run(path, self._home())  # raises InvalidValue for what has no form of a path, either
            raise
        return RunRecord(self._root, state)

    def create_run(
        self, *, run_id: str | None = None, project: str | None = None, entity: str | None = None
    ) -> RunRecord:
        """Record a run that has no process: to add files, a summary or artifacts to it later. It is finished at once.

        Args:
            run_id: The run's id; by default a random one. A run that has it is returned as it is.
            project: The project; by default the default project.
            entity: The entity; by default the default entity.

        Example:
            >>> run = wandb.Api().create_run(run_id="by-hand", project="digits")
            >>> run.summary.update({"loss": 0.5})
            >>> wandb.Api().run("digits/by-hand").summary
            {'loss': 0.5}
        """
        root = self._root_to_write()
        home = self._home(f"{entity}/{project or ''}" if entity else project)
        path = RunPath(*home, check_project(run_id or new_id(), "run id"))
        state = opened(root).runs.read(path)
        if not state.number or state.deleted is not None:
            start(root, **path._asdict()).finish(0, {})
        return RunRecord(root, opened(root).runs.find(path))

    def runs(
        self,
        path: str | None = None,
        filters: dict[str, Any] | None = None,
        order: str | None = "+created_at",
        per_page: int | None = None,
        include_sweeps: bool = True,
        lazy: bool = True,
    ) -> RecordedRuns:
        """List the runs of a project, the first started first.

        Args:
            path: `[entity/]project`; by default the default project.
            filters: A Mongo-style filter, such as `{"config.lr": {"$lt": 0.5}, "state": "finished"}`.
            order: `+` or `-`, followed by `created_at`, `heartbeat_at`, `config.KEY` or `summary_metrics.KEY`. Runs
                without that value come last. Where the summary keeps the least and the largest value of a metric, `+`
                takes the least, `-` the largest.
            per_page: Accepted as in W&B; it changes nothing.
            include_sweeps: Accepted as in W&B; it changes nothing.
            lazy: Accepted as in W&B; it changes nothing.

        Raises:
            InvalidValue: If the filter isn't valid, or no run has the value of the order.
            InvalidType: If the order isn't text (also a TypeError).

        Example:
            >>> wandb.Api().runs("digits", filters={"summary_metrics.loss": {"$lt": 0.3}})
            [<Run local/digits/train-1 (finished)>]
        """
        values, root, order = self._repository.run_fields(), self._root, checked_order(order, "+created_at")
        states = fitting_runs(values, filters, *self._home(path), asked=(asked := Asked()))[::-1]
        warn_of_nothing(states, asked, filters)
        if order not in ("+created_at", "created_at"):
            states = ordered(states, order, values)
        return RecordedRuns(states, lambda s: RunRecord(root, s), per_page)
