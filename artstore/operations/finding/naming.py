"""Finding a run by its id, or by its display name where only one run has it."""

from typing import NamedTuple

from artstore.domain.names import as_project, check_project, printable
from artstore.domain.run import RunPath, RunState
from artstore.domain.wording import first_of, near
from artstore.errors import InvalidValue, NotFound
from artstore.operations.finding.catalog import Catalog, RunRow, decoded_run
from artstore.operations.finding.lookup import Home
from artstore.store.runs import Runs


class _Asked(NamedTuple):
    """What a text asks for: a run's id or name, and the entity and project, if it names them."""

    entity: str | None
    project: str | None
    name: str

    def fits(self, row: RunRow) -> bool:
        """Whether a run is in the entity and project that are asked for."""
        return self.entity in (None, row.entity) and self.project in (None, row.project)


def find_run(runs: Runs, catalog: Catalog, home: Home, text: str) -> RunState:
    """The run that `[[entity/]project/]id` names, or its display name in place of the id.

    An id wins over a name, and the default project over others. Cost: what is not an id there asks the catalog.

    Raises:
        NotFound: There is none, or several have the id or name. The hint names them, or similar ids.
    """
    asked = _parsed(text)
    try:
        id = check_project(asked.name, "run id")
    except InvalidValue:  # it can't be an id, but perhaps it is a name
        if not (found := runs_called(catalog, home, text)):
            raise
    else:
        path = RunPath(asked.entity or home[0], asked.project or home[1], id)
        if runs.read(path).number or not (found := runs_called(catalog, home, text)):
            return _found(runs, catalog, path)
    if len(found) > 1:
        what = "id" if found[0].id == asked.name else "name"
        raise NotFound(
            f"{len(found):,} runs have the {what} '{printable(asked.name)}'",
            hint=f"name one by its id: {first_of([row.path for row in found], 5)}",
        )
    return runs.find(found[0].run)


def _found(runs: Runs, catalog: Catalog, path: RunPath) -> RunState:
    """The run at a path. Raises NotFound, with similar ids or names, if there is none or it was deleted."""
    try:
        return runs.find(path)
    except NotFound as error:
        if error.hint is not None:
            raise
        names = {row.name for row in map(decoded_run, catalog.all_rows()) if not row.deleted}
        raise NotFound(error.message, hint=near(path.id, names)) from None


def runs_called(catalog: Catalog, home: Home, text: str) -> list[RunRow]:
    """The runs that a text may mean: those with this id in any project, else those with this name.

    Of the latter those in the default project, if there are any.
    """
    asked = _parsed(text)
    rows = [row for row in map(decoded_run, catalog.all_rows()) if not row.deleted]
    ids = [row for row in rows if row.id == asked.name and asked.fits(row)]
    names = [row for row in rows if row.name == text or (row.name == asked.name and asked.fits(row))]
    return ids or [row for row in names if (row.entity, row.project) == home] or names


def _parsed(text: str) -> _Asked:
    above, _, name = text.strip("/").rpartition("/")
    entity, _, project = above.rpartition("/")
    return _Asked(entity or None, as_project(project) if project else None, name)
