"""Pages of runs: the list, each run, and their metrics side by side."""

from functools import cache, partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from artstore.api.surroundings.samples import EVENTS
from artstore.domain.changes import Change
from artstore.domain.charts import OWN, axes_of, hidden_in
from artstore.domain.collection import Path, is_live
from artstore.domain.names import check_project, file_name_of, printable
from artstore.domain.run import CRASHED, RUNNING, RunPath, RunState
from artstore.domain.summaries import chosen_for
from artstore.errors import ArtstoreError, Conflict, Damage, InvalidValue
from artstore.operations.finding.catalog import RunRow
from artstore.operations.finding.lookup import Version
from artstore.repository import Repository
from artstore.store.runs import may_live
from artstore.web.curves import Curves
from artstore.web.render import flat, page, page_of, parameters, repository_of, text_in
from artstore.web.sources import RunFiles, run_in

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
    repository, state = repository_of(request), run_in(request)
    source = RunFiles(repository, state)
    edges = [("Used", _versions(repository, state.used)), ("Logged", _versions(repository, state.logged))]
    return page(
        request, "run.html", f"Run {state.path}", run=state, state=repository.runs.status(state), edges=edges,
        config=list(flat(state.parameters)), summary=list(flat(repository.run_summary(state))),
        sampled=source.opens and source.find(EVENTS) is not None, axes=_axes([state]), source=source,
    )  # fmt: skip


def _own(config: dict[str, Any]) -> dict[str, Any]:
    """A config without what W&B records in it, such as the specs of charts."""
    return {key: value for key, value in config.items() if key != OWN}


def _versions(repository: Repository, edges: dict[str, Change]) -> list[tuple[str, Version | None]]:
    """The versions that a run used or logged, with what to call them. None for those that have no page any more."""
    read = cache(repository.refs.read)
    found: list[tuple[str, Version | None]] = []
    for id, edge in edges.items():
        path, version = Path.named_by(edge), None
        recorded = f"{path.project}/{path.name}:v{edge['number']}"
        try:
            version = (state := read(path)).versions.get(id)
        except (Conflict, Damage):
            pass  # there is no page of this collection either
        if version is None:
            found.append((f"{recorded} (not here)", None))
        elif is_live(version):
            found.append((f"{state.path.project}/{state.path.name}:v{version['number']}", Version(state, version)))
        else:
            found.append((f"{recorded} (deleted)", None))
    return found


def compare(request: Request) -> Response:
    """The page of config, summary and metrics of several runs, one column for each."""
    found = _runs_in(request)
    states = [one for one in found.values() if isinstance(one, RunState)]
    damaged = [one for one in found.values() if isinstance(one, Damage)]
    tables = []
    summaries = map(repository_of(request).run_summary, states)
    for name, values_of in (("config", (state.parameters for state in states)), ("summary", summaries)):
        values = [dict(flat(value)) for value in values_of]
        keys = sorted(set().union(*values))
        tables.append((name, [(key, [value.get(key) for value in values]) for key in keys]))
    return page(
        request, "compare.html", "Runs compared", runs=states, labels=_labels(states), tables=tables, damaged=damaged,
        axes=_axes(states),
    )  # fmt: skip


def history(request: Request) -> Response:
    """Metrics of several runs as JSON.

    For each run, it has its name, its label and up to 200 metrics, each with fewer than 2,000 points. If not all of a
    run can be read, there is an error beside what was read, and the other runs are complete. The request says in `over`
    whether metrics are drawn over `step` or `time`, instead of what was defined for each.
    """
    over = text_in(request, "over")
    if over not in ("", "step", "time"):
        raise InvalidValue(f"over must be step or time, not '{printable(over[:80])}'")
    repository, found = repository_of(request), _runs_in(request)
    states = [one for one in found.values() if isinstance(one, RunState)]
    labels = dict(zip((state.path for state in states), _labels(states), strict=True))
    metrics = _metrics_of(repository, states, over)
    answers: list[dict[str, Any]] = []
    for path, one in found.items():
        if isinstance(one, RunState):
            answers.append({"run": str(path), "name": one.name, "label": labels[path], **metrics[path]})
        else:
            failed = {"metrics": {}, "unshown": 0, "error": str(one)}
            answers.append({"run": str(path), "name": path.id, "label": path.id, **failed})
    return JSONResponse(answers)


def _metrics_of(repository: Repository, states: list[RunState], over: str) -> dict[RunPath, dict[str, Any]]:
    """The metrics of each run. One that is defined over another metric in a run is drawn over it in all of them.

    If a run lacks the other one, all are drawn over steps, because a chart has one axis.
    """
    axes = {name: axis for state in reversed(states) for name, axis in axes_of(state.config).items()}
    found = {state.path: _metrics(repository, state, Curves(axes, over)) for state in states}
    used: dict[str, set[str | None]] = {}
    for one in found.values():
        for name, curve in one["metrics"].items():
            used.setdefault(name, set()).add(curve.get("axis"))
    if mixed := {name for name, found_axes in used.items() if len(found_axes) > 1}:
        found = {state.path: _metrics(repository, state, Curves(axes, over, mixed)) for state in states}
    return found


def _labels(states: list[RunState]) -> list[str]:
    """What to call each run: its name, with the id or the whole path where other runs have this name too."""
    names = [state.name for state in states]
    with_ids = [f"{state.name} ({state.path.id})" for state in states]
    labels = [name if names.count(name) == 1 else longer for name, longer in zip(names, with_ids, strict=True)]
    return [
        label if labels.count(label) == 1 else f"{state.name} ({state.path})"
        for label, state in zip(labels, states, strict=True)
    ]


def _runs_in(request: Request) -> dict[RunPath, RunState | Damage]:
    """The runs that a request names, or the damage of those that can't be read. Raises InvalidValue, NotFound."""
    paths = parameters(request).get("run", [])
    if not 1 <= len(paths) <= _COMPARED:
        raise InvalidValue(f"choose 1 to {_COMPARED} runs, not {len(paths)}")
    found: dict[RunPath, RunState | Damage] = {}
    for text in paths:
        parts = text.split("/")
        if len(parts) != len(RunPath._fields):
            raise InvalidValue(f"'{printable(text)}' is not a run: give ENTITY/PROJECT/ID")
        path = RunPath(*map(check_project, parts))
        try:
            found[path] = repository_of(request).runs.find(path)
        except Damage as error:
            found[path] = error
    return found


def _metrics(repository: Repository, state: RunState, curves: Curves) -> dict[str, Any]:
    """The metrics that a run logged, as charts draw them, without the hidden ones. Cost: the history is read once."""
    error = None
    try:
        for row in repository.run_history(state):
            curves.add_row(row)
    except ArtstoreError as failure:
        error = str(failure)
    hidden = dict.fromkeys(hidden_in(state.config), True)
    drawn = [key for key in sorted(curves) if not chosen_for(key, hidden)]
    shown = {key: curves[key].plain() for key in drawn[:_METRICS]}
    return {"metrics": shown, "unshown": len(drawn) - len(shown), "error": error}


def _axes(states: list[RunState]) -> str:
    """The metrics over which others are drawn, for people."""
    return ", ".join(sorted({axis for state in states for axis in axes_of(state.config).values()}))
