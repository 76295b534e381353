"""Pages of runs: the list, each run, and their metrics side by side."""

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from artstore.domain.names import check_project, file_name_of, printable
from artstore.domain.run import CRASHED, RUNNING, RunPath, RunState
from artstore.errors import Damage, InvalidValue
from artstore.operations.finding.catalog import RunRow
from artstore.repository import Repository
from artstore.store.runs import may_live
from artstore.web.render import flat, page, page_of, parameters, repository_of, text_in

_POINTS = 500
"""A chart shows at least this many points of a longer metric, evenly spread, and fewer than twice as many."""
_METRICS = 200
"""The most metrics of a run that are drawn: the first by name."""
_COMPARED = 20
"""The most runs side by side."""


def runs(request: Request) -> Response:
    """The page of all runs, or of a project's, latest first."""
    repository, damaged = repository_of(request), list[Damage]()
    project = text_in(request, "project")
    below = "/".join(["runs", *(file_name_of(check_project(part)) for part in project.split("/") if part)])
    number, rows = repository.catalog(damaged=damaged).latest_runs(below)
    return page(
        request, "runs.html", "Runs", rows=page_of(request, rows), total=number, project=project, damaged=damaged,
        state_of=partial(_state_of, repository), most=_COMPARED, RunPath=RunPath,
    )  # fmt: skip


def _state_of(repository: Repository, row: RunRow) -> str:
    return row.finished or (RUNNING if may_live(row.owner, repository.storage.local) else CRASHED)


def run(request: Request) -> Response:
    """The page of a run."""
    repository = repository_of(request)
    state = repository.runs.find(RunPath(*(check_project(request.path_params[part]) for part in RunPath._fields)))
    return page(
        request, "run.html", f"Run {state.path}", run=state, state=repository.runs.status(state),
        config=list(flat(state.config)), summary=list(flat(state.summary)),
    )  # fmt: skip


def compare(request: Request) -> Response:
    """The page of config, summary and metrics of several runs, one column for each."""
    repository, states = repository_of(request), _runs_in(request)
    tables = []
    for name in ("config", "summary"):
        values = [dict(flat(getattr(state, name))) for state in states]
        keys = sorted(set().union(*values))
        tables.append((name, [(key, [value.get(key) for value in values]) for key in keys]))
    state_of = repository.runs.status
    return page(request, "compare.html", "Runs compared", runs=states, tables=tables, state_of=state_of)


def history(request: Request) -> Response:
    """Metrics of several runs as JSON.

    For each run, it has the name and up to 200 metrics, each with fewer than 1,000 points.
    """
    repository = repository_of(request)
    states = _runs_in(request)
    return JSONResponse([{"run": str(s.path), "name": s.name, "metrics": _metrics(repository, s)} for s in states])


def _runs_in(request: Request) -> list[RunState]:
    paths = parameters(request).get("run", [])
    if not 1 <= len(paths) <= _COMPARED:
        raise InvalidValue(f"choose 1 to {_COMPARED} runs, not {len(paths)}")
    found = []
    for path in paths:
        parts = path.split("/")
        if len(parts) != len(RunPath._fields):
            raise InvalidValue(f"'{printable(path)}' is not a run: give ENTITY/PROJECT/ID")
        found.append(repository_of(request).runs.find(RunPath(*map(check_project, parts))))
    return found


def _metrics(repository: Repository, state: RunState) -> dict[str, Any]:
    """The numbers that a run logged, thinned out while they are read, so that memory is needed for those shown only."""
    found: dict[str, tuple[int, int, list[int], list[float]]] = {}
    for row in repository.run_history(state):
        for key, value in row.items():
            if key.startswith("_") or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            every, seen, steps, values = found.get(key, (1, 0, [], []))
            if seen % every == 0:
                steps.append(row["_step"])
                values.append(value)
                if len(steps) == 2 * _POINTS:
                    del steps[1::2], values[1::2]
                    every *= 2
            found[key] = every, seen + 1, steps, values
    kept = sorted(found.items())[:_METRICS]
    return {key: {"steps": steps, "values": values} for key, (_, _, steps, values) in kept}
